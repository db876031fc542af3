"""Options: fields of attrs classes with a meaning and checks (architecture §9).

An option's type is the one it is annotated with: bool, int, float, str, `X | None`,
`tuple[X, ...]`, `Mapping[str, X]`, or another attrs class of options. Durations are whole
seconds and sizes bytes, unless the meaning names another unit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, TypeVar, cast

import attrs

from imsuite.xmpp.address import InvalidAddress, domainpart

T = TypeVar("T")


class WrongValue(ValueError):
    """A value does not pass a check. place: its number in the list that was checked, or None."""

    def __init__(self, why: str, place: int | None = None) -> None:
        super().__init__(why)
        self.place = place


@attrs.frozen
class Check:
    """A rule for a value.

    apply: returns the value in its usual form, or raises WrongValue; doc: a sentence for whoever
    writes the file, or nothing where the meaning of the option says it.
    """

    apply: Callable[[Any], Any]
    doc: str = ""


def option(
    default: T,
    doc: str,
    *checks: Check,
    live: bool = False,
    secret: bool = False,
    example: object = None,
) -> T:
    """Return a field of an attrs class that the operator can set.

    default: attrs.NOTHING where there is none; doc: the meaning, sentences, with the unit; live:
    a change takes effect without a restart; secret: never shown; example: for the sample file,
    where the default says little. Checks also run when the class is called, except on None.
    """
    if not doc.rstrip().endswith((".", ")")):
        raise ValueError(f"the meaning of an option is a sentence: {doc!r}")
    marks = {"doc": doc, "checks": checks, "live": live, "secret": secret, "example": example}
    made: Any = attrs.field(
        default=default,
        converter=attrs.Converter(lambda value: checked(value, checks)),
        metadata=marks,
        repr=not secret,
    )
    return cast(T, made)


def checked(value: Any, checks: Iterable[Check]) -> Any:
    """Return a value that passes the checks, in its usual form. Raises WrongValue."""
    value = tuple(value) if isinstance(value, list) else value
    if value is not None:
        for check in checks:
            value = check.apply(value)
    return value


def nearest(word: str, known: Iterable[str]) -> str:
    """Return what to put behind "no such …": the known word most like this one, or nothing."""
    found = get_close_matches(word, list(known), 1, 0.6)
    return f'; did you mean "{found[0]}"?' if found else ""


def _must(text: str, holds: Callable[[Any], bool], doc: str = "") -> Check:
    def apply(value: Any) -> Any:
        if not holds(value):
            raise WrongValue(f"must be {text}")
        return value

    return Check(apply, doc)


def ge(least: float) -> Check:
    """Not less than this."""
    return _must(f"at least {least}", lambda value: value >= least, f"At least {least}.")


def le(most: float) -> Check:
    """Not more than this."""
    return _must(f"at most {most}", lambda value: value <= most, f"At most {most}.")


def one_of(*words: str) -> Check:
    """One of these words."""
    text = ", ".join(f'"{word}"' for word in words)

    def apply(value: str) -> str:
        if value not in words:
            raise WrongValue(f"must be one of {text}{nearest(value, words)}")
        return value

    return Check(apply, f"One of {text}.")


def matches(pattern: str, meaning: str) -> Check:
    """A text that matches a regular expression as a whole; meaning: what that is, in words."""
    whole = re.compile(pattern)
    return _must(meaning, lambda value: whole.fullmatch(value) is not None)


def each(*checks: Check) -> Check:
    """A list in which every item passes these checks."""

    def apply(items: Iterable[Any]) -> tuple[Any, ...]:
        passed = []
        for place, item in enumerate(items):
            try:
                passed.append(checked(item, checks))
            except WrongValue as error:
                raise WrongValue(str(error), place) from None
        return tuple(passed)

    return Check(apply, " ".join(check.doc for check in checks if check.doc))


def _path(value: str) -> str:
    if not value or "\0" in value:
        raise WrongValue("must be a path")
    return os.path.abspath(os.path.expanduser(value))


def _domain(value: str) -> str:
    try:
        return domainpart(value)
    except InvalidAddress as error:
        raise WrongValue(f"must be a domain ({error})") from None


nonempty = _must("not empty", bool)
unique = _must("a list without repetition", lambda items: len(set(items)) == len(items))
port = _must("a port, from 1 to 65535", lambda value: 1 <= value <= 65535)
path = Check(_path, "If it does not begin with a /, it begins where the server was started.")
domain = Check(_domain)
