"""What is remembered of the last messages, so that `imsuitectl explain` can tell of them.

Of a message that means: its addresses, type and ids, what it was found to be worth, and each
decision with its rule and time. Nothing of what it says.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from imsuite.core.record import parse_id
from imsuite.rules.traffic import Rules, Wrapper, classify
from imsuite.xmpp.errors import Dropped
from imsuite.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from imsuite.core.hooks import Passing

# when (seconds since 1970 UTC), the rule, whom it concerns
Note: TypeAlias = tuple[float, str, str]

DELIVERED = "RFC 6121 §8.5: goes to this client"
DURABLE = "the store has what was to be written"
_LONGEST = 1024  # characters of an id that is remembered
_LARGE = 4096  # bytes of a message of whose attributes only the beginning is remembered
_SPECIFICATION = re.compile(r"RFC \d+|XEP-\d+")
_ORIGIN = "urn:xmpp:sid:0}origin-id"
_origin_id = re.compile(rb"\sid\s*=\s*(?:'([^']*)'|\"([^\"]*)\")").search


@attrs.frozen
class Trace:
    """What is remembered of one message.

    at: when it came, seconds since 1970 UTC; attributes: of the stanza; origin: start tag of its
    origin-id (XEP-0359); ids: (id, salt) of what is written of it; worth: what was found by its
    content, None if it did not come that far; notes: more may come.
    """

    at: float
    attributes: Mapping[str, str]
    origin: bytes
    ids: Sequence[tuple[int, int]]
    worth: Rules | None
    notes: list[Note]

    def called(self, name: str) -> bool:
        """Tell whether that is an id that a client or this server gave to it."""
        if name == self.attributes.get("id") or parse_id(name) in self.ids:
            return True
        found = _origin_id(self.origin)
        return found is not None and (found[1] or found[2] or b"") == name.encode()


class Trail:
    """The last messages. most: how many are remembered."""

    def __init__(self, seconds: Callable[[], float], most: int) -> None:
        self._seconds = seconds
        self._most = most
        # what a Trace is made of; the message itself is not among it
        self._traces: deque[tuple[Any, ...]] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self._traces)

    def about(self, name: str) -> list[Trace]:
        """Return what is known of the messages of that id, the oldest first."""
        traces = (Trace(*parts) for parts in self._traces) if name else ()
        return [trace for trace in traces if trace.called(name)]

    def passed(self, passing: Passing) -> None:
        """Remember a message that has gone its way; what is noted of it later comes along.

        Where nothing is written there are no notes; then what `after` was given, and is going to
        happen now, may say so: rule, and who it concerns.
        """
        if not self._most:
            return
        record, stanza, now = passing.record, passing.stanza, self._seconds()
        worth = classify(stanza).rules
        if record is None:
            notes = [(now, DELIVERED, full) for full in _addressed(passing)]
            for later in passing.afterwards or ():
                if (rule := getattr(later, "rule", None)) is not None:
                    notes.append((now, rule, getattr(later, "who", "")))
            self._traces.append((now, *_marks(stanza), (), worth, notes))
            return
        notes = record.notes
        for place in record.places[:_NAMED]:
            if place.stanza.__class__ is not Wrapper:
                notes.append((now, DELIVERED, place.session.full))
        if (more := len(record.places) - _NAMED) > 0:  # of a room
            notes.append((now, DELIVERED, f"{more} more"))
        record.afterwards.append(partial(record.note, DURABLE))
        ids = [(body.id, body.salt) for body in record.bodies] or [(record.id, record.salt)]
        if passing.session is None:  # it may be one that a session ended without
            kept = record.of(passing.account.bare)
            if kept is not None:
                ids.append((kept.id, kept.salt))
        self._traces.append((now, *_marks(stanza), ids, worth, notes))

    def refused(self, stanza: Stanza, why: Exception) -> None:
        """Remember a message that was refused or dropped, and by whom."""
        if self._most:
            now = self._seconds()
            self._traces.append((now, *_marks(stanza), (), None, [(now, reason(why), "")]))


def _marks(stanza: Stanza) -> tuple[Mapping[str, str], bytes]:
    """Return the attributes of a message, and the start tag of its origin-id."""
    raw, attributes, origin = stanza.raw, stanza.attrs, b""
    if len(raw) > _LARGE:
        attributes = {name: attributes.get(name, "")[:_LONGEST] for name in _NAMES}
    if _ORIGIN in stanza.children:
        start = raw.find(b"<origin-id")
        if start >= 0:
            origin = raw[start : min(raw.find(b">", start), start + _LONGEST)]
    return attributes, origin


_NAMED = 50  # sessions that a message went to, of which each has its line
_NAMES = ("from", "to", "type", "id")


def _addressed(passing: Passing) -> Iterator[str]:
    """Give the full JIDs of the sessions that had a message of which nothing is written."""
    account, target = passing.account, passing.target
    if target is not None:
        if target.account.sessions.get(target.resource) is target:
            yield target.full
    elif (passing.stanza.to or "").partition("/")[0] in ("", account.bare):
        yield from (session.full for session in account.available if session.priority >= 0)


def reason(why: Exception) -> str:
    """Return what became of a message, and the rule by which it did."""
    if isinstance(why, Dropped):
        outcome = "dropped in silence"
    else:
        condition: object = getattr(why, "condition", None)  # only some exceptions name one
        outcome = f"refused with {condition or 'internal-server-error'}"
    rule = _rule(why.__traceback__)
    return f"{rule}: {outcome}" if rule else outcome


def _rule(traceback: TracebackType | None) -> str:
    """Return the specification of the feature that raised, and what that says it obeyed."""
    found = ""
    while traceback is not None:
        frame = traceback.tb_frame
        spec = getattr(type(frame.f_locals.get("self")), "spec", None)
        if isinstance(spec, str) and (name := _SPECIFICATION.match(spec)):
            sentence = _sentence(frame)
            found = (
                f"{name[0]} {sentence}" if sentence.startswith("§") else f"{name[0]}: {sentence}"
            )
            found = found.rstrip(".: ")
        traceback = traceback.tb_next
    return found


def _sentence(frame: FrameType) -> str:
    """Return the first line of the docstring of what runs in a frame, or ""."""
    found: Any = sys.modules.get(frame.f_globals.get("__name__", ""))
    for name in frame.f_code.co_qualname.split("."):
        found = getattr(found, name, None)
    doc = getattr(found, "__doc__", None)
    return doc.partition("\n")[0] if isinstance(doc, str) else ""
