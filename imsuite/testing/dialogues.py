"""Dialogues: conversations with a server as text, which people read and tests play.

docs/dialogues.md describes the format; `imsuite.testing.players` plays it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import attrs

from imsuite.app.registry import all_features
from imsuite.testing.patterns import BadXML, match, read
from imsuite.xmpp.address import InvalidAddress, parse

PASSWORD = "pencil"  # of every account in a dialogue

_NAME = r"[A-Za-z][\w-]*"
_FRIENDS = re.compile(rf"({_NAME}) and ({_NAME}) are friends")
_ACCOUNT = re.compile(r"(\S+@\S+) is an account")
_DECLARED = re.compile(rf"({_NAME}) = (\S.*)")
_STATE = re.compile(rf"({_NAME}) is (offline|unavailable)")
_ADMIN = re.compile(rf"({_NAME}) is an administrator")
_ACT = re.compile(rf"({_NAME}) (logs in|logs out|vanishes|secures|connects)")
_SAYS = re.compile(rf"({_NAME}): (.*)", re.DOTALL)
_EXPECTS = re.compile(rf"> ({_NAME}): (.*)", re.DOTALL)
_STREAMS = {"a stream": False, "a secure stream": True}


class DialogueError(AssertionError):
    """A dialogue went another way than it is written, or it is not written well."""


@attrs.frozen
class Speaker:
    """A client of a dialogue.

    jid: its full JID, or None for a bare stream; secure: of a bare stream, TLS is on;
    state: "available", "unavailable" (bound, without presence) or "offline" at the beginning;
    admin: its account administers its domain.
    """

    name: str
    jid: str | None
    secure: bool = False
    state: str = "available"
    admin: bool = False

    @property
    def bare(self) -> str:
        """Its bare JID."""
        return (self.jid or "").partition("/")[0]


@attrs.frozen
class Expected:
    """What a speaker must, or must not, receive after an act.

    kind: "element" (pattern is there), "no" (no such element comes), "nothing" (none at all)
    or "end" (the stream is closed).
    """

    line: int
    who: str
    kind: str
    pattern: Element | None = None
    text: str = ""


@attrs.frozen
class Act:
    """Something a speaker does, and what must come of it. deed: "says" or a word of the format."""

    line: int
    who: str
    deed: str
    text: str = ""
    expected: tuple[Expected, ...] = ()

    @property
    def proves_absence(self) -> bool:
        """Whether something must not come of it."""
        return any(each.kind in ("no", "nothing") for each in self.expected)


@attrs.frozen
class Dialogue:
    """A dialogue as it is written.

    spec, title: of the header line; options: as tables of the configuration; friends: pairs of
    names; accounts: bare JIDs without a client.
    """

    path: str
    spec: str
    title: str
    options: Mapping[str, Any]
    speakers: Mapping[str, Speaker]
    friends: tuple[tuple[str, str], ...]
    accounts: tuple[str, ...]
    acts: tuple[Act, ...]

    @property
    def domains(self) -> list[str]:
        """The hosts it needs, each once."""
        jids = [speaker.jid for speaker in self.speakers.values() if speaker.jid] + [*self.accounts]
        return list(dict.fromkeys(parse(jid).domain for jid in jids)) or ["example.org"]

    @property
    def features(self) -> list[str]:
        """The words of the features that must be on: its own and those with options.

        What only passes through a server has no feature of its own.
        """
        own = re.match(r"(?:xep|rfc)\d{4}_(\w+)", Path(self.path).stem)
        words = [own[1]] if own and own[1] in all_features() else []
        return [*words, *(word for word in self.options.get("features", {}) if word not in words)]

    @property
    def feature_options(self) -> dict[str, dict[str, Any]]:
        """Options by config word."""
        return dict(self.options.get("features", {}))

    @property
    def stream_options(self) -> dict[str, Any]:
        """Options of [streams]."""
        return dict(self.options.get("streams", {}))


def load(path: Path) -> Dialogue:
    """Return the dialogue in a file. Raises DialogueError."""
    return parse_dialogue(path.read_text(), str(path))


def parse_dialogue(text: str, path: str = "dialogue") -> Dialogue:
    """Return the dialogue that a text is. Raises DialogueError with path and line."""
    return _Parser(text, path).parse()


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each entry: without comments, with lines that belong together."""
    entry: tuple[int, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if entry is not None and line[:1].isspace() and bare and not bare.startswith("> "):
            entry = (entry[0], f"{entry[1]}\n{bare}")
            continue
        if entry is not None:
            yield entry
            entry = None
        if line.startswith("#"):
            continue
        if bare:
            entry = (number, bare)
        else:
            yield (number, "")
    if entry is not None:
        yield entry


class _Parser:
    def __init__(self, text: str, path: str) -> None:
        self._path = path
        self._entries = list(lines(text))
        self._speakers: dict[str, Speaker] = {}
        self._friends: list[tuple[str, str]] = []
        self._accounts: list[str] = []
        self._acts: list[Act] = []
        self._options: list[str] = []

    def parse(self) -> Dialogue:
        header = next((entry for entry in self._entries if entry[1]), (1, ""))
        spec, colon, title = header[1].partition(":")
        if not colon or "=" in spec or not title.strip():
            raise self._wrong(header[0], "the first line is not 'XEP-0191: Blocking Command'")
        in_table = False
        for number, entry in self._entries[self._entries.index(header) + 1 :]:
            if not entry:
                in_table = False
            elif in_table or entry.startswith("["):
                in_table = True
                self._options.append(entry)
            else:
                self._take(number, entry)
        try:
            options = tomllib.loads("\n".join(self._options))
        except tomllib.TOMLDecodeError as error:
            raise self._wrong(header[0], f"options: {error}") from None
        if unknown := sorted(set(options) - {"features", "streams"}):
            raise self._wrong(header[0], f"options: there is no [{unknown[0]}]")
        return Dialogue(
            self._path,
            spec.strip(),
            title.strip(),
            options,
            self._speakers,
            tuple(self._friends),
            tuple(self._accounts),
            tuple(self._acts),
        )

    def _take(self, number: int, entry: str) -> None:
        forms: list[tuple[re.Pattern[str], Callable[..., None]]] = [
            (_EXPECTS, self._expects),
            (_SAYS, self._says),
            (_ACT, self._acts_otherwise),
            (_FRIENDS, self._are_friends),
            (_ACCOUNT, self._is_account),
            (_STATE, self._is),
            (_ADMIN, self._is_admin),
            (_DECLARED, self._declares),
        ]
        for form, take in forms:
            if found := form.fullmatch(entry):
                take(number, *found.groups())
                return
        raise self._wrong(number, f"not understood: {entry}")

    # before the conversation

    def _declares(self, number: int, name: str, what: str) -> None:
        self._only_before(number)
        if name in self._speakers:
            raise self._wrong(number, f"there are two {name}")
        if what in _STREAMS:
            self._speakers[name] = Speaker(name, None, _STREAMS[what], "offline")
            return
        try:
            jid = parse(what)
        except InvalidAddress:
            jid = None
        if jid is None or not jid.local or not jid.resource:
            raise self._wrong(number, f"neither a full JID nor 'a stream': {what}")
        self._speakers[name] = Speaker(name, jid.full)

    def _are_friends(self, number: int, one: str, other: str) -> None:
        self._only_before(number)
        self._client(number, one)
        self._client(number, other)
        self._friends.append((one, other))

    def _is_account(self, number: int, jid: str) -> None:
        self._only_before(number)
        self._accounts.append(jid)

    def _is(self, number: int, name: str, state: str) -> None:
        self._only_before(number)
        self._speakers[name] = attrs.evolve(self._client(number, name), state=state)

    def _is_admin(self, number: int, name: str) -> None:
        self._only_before(number)
        self._speakers[name] = attrs.evolve(self._client(number, name), admin=True)

    # the conversation

    def _says(self, number: int, name: str, text: str) -> None:
        self._speaker(number, name)
        self._acts.append(Act(number, name, "says", text))

    def _acts_otherwise(self, number: int, name: str, deed: str) -> None:
        speaker = self._speaker(number, name)
        if (deed in ("connects", "secures")) != (speaker.jid is None) and deed != "vanishes":
            raise self._wrong(number, f"{name} can not do this: {deed}")
        self._acts.append(Act(number, name, deed))

    def _expects(self, number: int, name: str, what: str) -> None:
        self._speaker(number, name)
        if not self._acts:
            raise self._wrong(number, "nobody has done anything yet")
        kind, text, pattern = "element", what, None
        if what in ("nothing", "end"):
            kind = what
        else:
            if what.startswith("no <"):
                kind, text = "no", what.removeprefix("no ")
            try:
                pattern = read(text)
            except BadXML as error:
                raise self._wrong(number, str(error)) from None
        act = self._acts[-1]
        expected = Expected(number, name, kind, pattern, what)
        self._acts[-1] = attrs.evolve(act, expected=(*act.expected, expected))

    # what is wrong

    def _speaker(self, number: int, name: str) -> Speaker:
        if name not in self._speakers:
            raise self._wrong(number, f"nobody is called {name}")
        return self._speakers[name]

    def _client(self, number: int, name: str) -> Speaker:
        speaker = self._speaker(number, name)
        if speaker.jid is None:
            raise self._wrong(number, f"{name} is a stream")
        return speaker

    def _only_before(self, number: int) -> None:
        if self._acts:
            raise self._wrong(number, "this belongs before the conversation")

    def _wrong(self, number: int, what: str) -> DialogueError:
        return DialogueError(f"{self._path}:{number}: {what}")


def first_fitting(
    pattern: Element, found: list[Element], values: Mapping[str, str]
) -> tuple[int, dict[str, str]] | None:
    """Return the place of the first element that fits a pattern, and the values known then."""
    for place, element in enumerate(found):
        for bound in match(pattern, element, values):
            return place, bound
    return None
