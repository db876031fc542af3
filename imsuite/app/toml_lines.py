"""On which line of a TOML file a key is. The standard library's tomllib does not tell."""

from __future__ import annotations

import re
import tomllib
from typing import Final

Path = tuple[str | int, ...]  # keys, and numbers of items in lists and arrays of tables

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_QUOTED = r'"(?:[^"\\]|\\.)*"|\'[^\']*\''
_KEY = re.compile(rf"{_QUOTED}|[A-Za-z0-9_-]+")
# a string may end in up to two quotes of its own
_TEXT = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})' + r"|'''.*?'''(?:'{0,2})|" + _QUOTED, re.DOTALL
)
_PLAIN = re.compile(r"[^,\]}#\n]*")  # a number, a date, true, false


def lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of each key, table and list item in a text that tomllib accepts."""
    scan = _Scan(text)
    scan.document()
    return scan.found


class _Scan:
    """Walks over a document without looking at what values mean."""

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self.at = 0
        self.found: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}  # arrays of tables: how many there are so far
        self._line, self._counted = 1, 0  # line of the position _counted

    def document(self) -> None:
        table: Path = ()
        while self._skip(_SPACE) < len(self.text):
            if self._next("[["):
                table = self._array_table(self._keys())
                self.at += 2
            elif self._next("["):
                table = self._inside(self._keys())
                self._note(table)
                self.at += 1
            else:
                self._pair(table)

    def _next(self, mark: str) -> bool:
        """Tell whether the mark comes next, and step over it."""
        here = self.text.startswith(mark, self.at)
        self.at += len(mark) * here
        return here

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def _note(self, path: Path) -> None:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        for length in range(1, len(path) + 1):
            self.found.setdefault(path[:length], self._line)

    def _keys(self) -> list[str]:
        """Read a key with dots between its parts, up to what follows it."""
        parts = []
        while True:
            start = self._skip(_BLANK)
            part = self.text[start : self._skip(_KEY)]
            # only tomllib knows all escapes
            parts.append(tomllib.loads(f"k={part}")["k"] if part[0] in "\"'" else part)
            self._skip(_BLANK)
            if not self._next("."):
                return parts

    def _inside(self, keys: list[str], base: Path = ()) -> Path:
        """Return the path of a table; a name of an array of tables stands for its last one."""
        path = base
        for key in keys:
            path += (key,)
            if path in self._tables:
                path += (self._tables[path] - 1,)
        return path

    def _array_table(self, keys: list[str]) -> Path:
        path = (*self._inside(keys[:-1]), keys[-1])
        number = self._tables.get(path, 0)
        self._tables[path] = number + 1
        self._note((*path, number))
        return (*path, number)

    def _pair(self, table: Path) -> None:
        path = self._inside(self._keys(), table)
        self._note(path)
        self._next("=")
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._next("["):
            number = 0
            while self._skip(_SPACE) is not None and not self._next("]"):
                self._note((*path, number))
                self._value((*path, number))
                self._skip(_SPACE)
                self._next(",")
                number += 1
        elif self._next("{"):
            while self._skip(_SPACE) is not None and not self._next("}"):
                self._pair(path)
                self._skip(_SPACE)
                self._next(",")
        elif self.text[self.at] in "\"'":
            self._skip(_TEXT)
        else:
            self._skip(_PLAIN)
