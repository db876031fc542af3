"""What is said to PostgreSQL otherwise than to SQLite: marks for values, rows, and the values."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap, Buffer
from psycopg.types.numeric import Int2Dumper, NumericBinaryLoader

STATEMENTS = 512  # kept in the words of PostgreSQL, and prepared by each session

# what may hold a question mark that stands for no value comes first
_PIECES = re.compile(r"'[^']*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\?", re.DOTALL)
_INSERT = re.compile(
    r"\s*(INSERT\s+INTO\s+\w+\s*\([\w\s,]*\)\s*VALUES\s*)"
    r"(\(\s*\?(?:\s*,\s*\?)*\s*\))(\s*(?:ON\s+CONFLICT\s+DO\s+NOTHING\s*)?)",
    re.IGNORECASE,
)


@lru_cache(STATEMENTS)
def spelled(sql: str) -> str:
    """Return a statement with $1, $2, … where values are marked by `?`."""
    number = 0

    def spell(match: re.Match[str]) -> str:
        nonlocal number
        if match[0] != "?":
            return match[0]
        number += 1
        return f"${number}"

    return _PIECES.sub(spell, sql)


@lru_cache(STATEMENTS)
def for_rows(sql: str, count: int) -> str | None:
    """Return an INSERT of one row as one of `count` rows; None if it must stay as it is."""
    match = _INSERT.fullmatch(sql)
    return match and spelled(match[1] + ", ".join([match[2]] * count) + match[3])


class _BoolDumper(Int2Dumper):
    """Tables hold 0 and 1, as SQLite does."""


class _NumberLoader(NumericBinaryLoader):
    """Sums of integers are integers."""

    def load(self, data: Buffer) -> Any:  # where the class above has Decimal
        value = super().load(data)
        return int(value) if value == value.to_integral_value() else float(value)


def adapters() -> AdaptersMap:
    """Return how values of Python become those of PostgreSQL, and back."""
    made = AdaptersMap(psycopg.adapters)
    made.register_dumper(bool, _BoolDumper)
    made.register_loader("numeric", _NumberLoader)
    return made
