"""What a feature file is made of: the Feature class and the marks on its methods."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_type_hints

import attrs
from zope.interface.interface import InterfaceClass

from imsuite.core.hooks import Hook, Interest, Stage
from imsuite.core.interfaces import Table
from imsuite.rules.stream import Phase

if TYPE_CHECKING:
    from imsuite.core.host import Host
    from imsuite.core.router import Route

F = TypeVar("F", bound=Callable[..., Any])


class At(enum.Flag):
    """To whom a stanza is addressed, and by whom it was sent."""

    HOST = enum.auto()  # the domain
    ACCOUNT = enum.auto()  # the bare JID of a local account, by anyone but its owner
    SELF = enum.auto()  # one's own bare JID, or nobody
    ABSENT = enum.auto()  # a full JID of a local account that no session holds
    NOBODY = enum.auto()  # an address of this domain without an account
    ROOMS = enum.auto()  # the domain that has the host's rooms (XEP-0045)
    ROOM = enum.auto()  # the bare JID of a room
    OCCUPANT = enum.auto()  # somebody in a room, by nickname
    PUBSUB = enum.auto()  # the domain of the host's publish-subscribe service (XEP-0060)
    SERVICE = ROOMS | PUBSUB
    ADDRESS = ACCOUNT | SELF
    ANY = HOST | ACCOUNT | SELF


@attrs.frozen
class Answers:
    """Mark: answers an IQ with this payload."""

    type: str
    ns: str
    name: str
    at: At


@attrs.frozen
class Takes:
    """Mark: takes messages or presences of these types (None: no type) that are so addressed."""

    kind: str
    types: tuple[str | None, ...]
    at: At


@attrs.frozen
class On:
    """Mark: steps in at a hook."""

    hook: Hook
    stage: Stage
    interest: Interest


@attrs.frozen
class Negotiates:
    """Mark: takes a top-level element of a stream that is no stanza."""

    ns: str
    name: str


Mark = Answers | Takes | On | Negotiates


def _marked(mark: Mark) -> Callable[[F], F]:
    def put(function: F) -> F:
        marks: list[Mark] = function.__dict__.setdefault("imsuite_marks", [])
        marks.append(mark)
        return function

    return put


def answers(type: str, ns: str, name: str, at: At) -> Callable[[F], F]:
    """Answer IQs of a type ("get", "set") whose payload is {ns}name, addressed so.

    The method receives a Passing and returns the answer as a Stanza, or an awaitable of it.
    """
    return _marked(Answers(type, ns, name, at))


def takes(kind: str, *types: str | None, at: At) -> Callable[[F], F]:
    """Take "message" or "presence" stanzas of these types that no single session receives.

    The method receives a Passing and returns None, or an awaitable.
    """
    return _marked(Takes(kind, types, at))


def on(
    hook: Hook,
    stage: Stage = Stage.RECORD,
    *,
    kind: str | Iterable[str] = (),
    type: str | tuple[str | None, ...] | None = (),
    child: tuple[str, str] | Iterable[tuple[str, str]] = (),
    but: str | tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Step in at a hook; kind, type and child say which stanzas are of interest.

    but: types of stanzas that are not.
    """
    kinds = (kind,) if isinstance(kind, str) else tuple(kind)
    types = type if isinstance(type, tuple) else (type,)
    pairs: Any = (child,) if _is_name(child) else child
    names = frozenset(f"{ns}}}{name}" for ns, name in pairs)
    others = frozenset((but,) if isinstance(but, str) else but)
    return _marked(On(hook, stage, Interest(frozenset(kinds), frozenset(types), names, others)))


def _is_name(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], str)


def negotiates(ns: str, name: str) -> Callable[[F], F]:
    """Take a top-level element of a stream. The method receives the stream and the element."""
    return _marked(Negotiates(ns, name))


@attrs.frozen
class NoOptions:
    """The options of a feature that has none."""


class Feature:
    """One specification on one host. Subclasses are headers that are read as data.

    spec: specification and version; advertises: disco features by kind of address; tables:
    what it keeps; requires: interfaces of features it asks; default: whether it is on unless
    the configuration says otherwise.
    """

    spec: ClassVar[str] = ""
    advertises: ClassVar[Mapping[At, tuple[str, ...]]] = {}
    tables: ClassVar[tuple[Table, ...]] = ()
    requires: ClassVar[tuple[InterfaceClass, ...]] = ()
    default: ClassVar[bool] = True
    options: Any = NoOptions()  # subclasses name their attrs class

    def __init__(self, host: Host, options: object) -> None:
        self.host = host
        self.options = options

    @classmethod
    def word(cls) -> str:
        """Return the config word: the file name without the number of the specification."""
        for part in cls.__module__.split("."):
            if match := re.fullmatch(r"(?:xep|rfc)\d{4}_(\w+)", part):
                return match[1]
        return cls.__module__.rpartition(".")[2]

    @classmethod
    @cache
    def options_class(cls) -> type[Any]:
        """Return the attrs class of its options."""
        found: type[Any] = get_type_hints(cls).get("options", Any)
        return NoOptions if found is Any else found

    @classmethod
    @cache
    def marks(cls) -> tuple[tuple[str, Mark], ...]:
        """Return the name and mark of each marked method."""
        return tuple(
            (name, mark)
            for name in dir(cls)
            for mark in getattr(getattr(cls, name, None), "imsuite_marks", ())
        )

    def describe(self, at: At) -> Iterable[str]:
        """Return the disco features for a kind of address; more than a header can say goes here."""
        for where, names in self.advertises.items():
            if at in where:
                yield from names

    def serves(self) -> Iterable[tuple[str, Route]]:
        """Return domains, besides the host's own, that it serves, and what takes their stanzas."""
        return ()


class StreamFeature(Feature):
    """A feature that is negotiated on a stream (RFC 6120 §4.3).

    needs: phases the stream must have reached; forbids: phases it must not have reached.
    """

    needs: ClassVar[Phase] = Phase.NONE
    forbids: ClassVar[Phase] = Phase.NONE
    rank: ClassVar[int] = 50  # place in the list of features, low first

    def offer(self, stream: Any) -> bytes | None:
        """Return the element that offers it on this stream, or None."""
        return None
