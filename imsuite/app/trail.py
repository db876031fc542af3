"""What is remembered of the last messages, so that `imsuitectl explain` can tell of them.

Of a message that means: its addresses, type and ids, what it was found to be worth, and each
decision with its rule and time. Nothing of what it says.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from imsuite.core.record import parse_id
from imsuite.rules.traffic import Traffic, Wrapper, classify
from imsuite.xmpp.errors import Dropped
from imsuite.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from imsuite.core.hooks import Passing

# when (seconds since 1970 UTC), the rule, whom it concerns
Note: TypeAlias = tuple[float, str, str]

DELIVERED = "RFC 6121 §8.5: delivered"
DURABLE = "architecture §6: written to disk, before anybody is told"
_ORIGIN = "urn:xmpp:sid:0}origin-id"
_origin_ids = re.compile(rb"<origin-id\b[^>]*?\bid\s*=\s*(?:'([^']*)'|\"([^\"]*)\")").findall
_LONGEST = 1024  # characters of an id; a longer one is not remembered


@attrs.frozen
class Trace:
    """What is remembered of one message.

    at: when it came, seconds since 1970 UTC; sender, to, type, id: attributes; origins: its
    origin-ids (XEP-0359); ids: (id, salt) of what was stored of it; notes: more may come.
    """

    at: float
    sender: str
    to: str
    type: str
    id: str
    origins: tuple[str, ...]
    ids: tuple[tuple[int, int], ...]
    traffic: Traffic
    notes: list[Note]

    def called(self, name: str) -> bool:
        """Tell whether that is an id that client or server gave to it."""
        return bool(name) and (
            name == self.id or name in self.origins or parse_id(name) in self.ids
        )


class Trail:
    """The last messages, the newest last. most: how many are remembered."""

    def __init__(self, seconds: Callable[[], float], most: int) -> None:
        self._seconds = seconds
        self._traces: deque[Trace] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self._traces)

    def about(self, name: str) -> Iterator[Trace]:
        """Give what is known of the messages of that id, the oldest first."""
        return (trace for trace in self._traces if trace.called(name))

    def passed(self, passing: Passing) -> None:
        """Remember a message that has gone its way; what features note of it comes along."""
        record, stanza = passing.record, passing.stanza
        now = self._seconds()
        if record is None:
            target = passing.target
            notes = [] if target is None else [(now, DELIVERED, target.full)]
            self._remember(stanza, now, (), notes)
            return
        notes = record.notes
        notes += [
            (now, DELIVERED, place.session.full)
            for place in record.places
            if place.stanza.__class__ is not Wrapper
        ]
        record.after(partial(record.note, DURABLE))
        ids = [(record.id, record.salt), *((body.id, body.salt) for body in record.bodies)]
        self._remember(stanza, now, tuple(dict.fromkeys(ids)), notes)

    def refused(self, stanza: Stanza, why: Exception) -> None:
        """Remember a message that was refused or dropped, and by whom."""
        now = self._seconds()
        self._remember(stanza, now, (), [(now, reason(why), "")])

    def _remember(
        self, stanza: Stanza, now: float, ids: tuple[tuple[int, int], ...], notes: list[Note]
    ) -> None:
        given = stanza.attrs
        id = given.get("id", "")
        self._traces.append(
            Trace(
                now,
                given.get("from", ""),
                given.get("to", ""),
                given.get("type", "normal")[:_LONGEST],
                id if len(id) <= _LONGEST else "",
                _origins(stanza) if _ORIGIN in stanza.children else (),
                ids,
                classify(stanza),
                notes,
            )
        )


def _origins(stanza: Stanza) -> tuple[str, ...]:
    found = [(one or other)[:_LONGEST] for one, other in _origin_ids(stanza.raw)[:8]]
    return tuple(each.decode("utf-8", "replace") for each in found)


def reason(why: Exception) -> str:
    """Return what became of a stanza, and the rule by which it did."""
    condition = getattr(why, "condition", None)
    if isinstance(why, Dropped):
        outcome = "dropped in silence"
    else:
        outcome = f"refused with {condition or 'internal-server-error'}"
    rule = _rule(why.__traceback__)
    return f"{outcome}; {rule}" if rule else outcome


def _rule(traceback: TracebackType | None) -> str:
    """Return the specification and the sentence of the feature that raised, or ""."""
    found = ""
    while traceback is not None:
        frame = traceback.tb_frame
        owner = frame.f_locals.get("self")
        spec = getattr(type(owner), "spec", None)
        if isinstance(spec, str) and spec:
            sentence = _sentence(frame)
            found = f"{spec} {sentence}" if sentence.startswith("§") else f"{spec}: {sentence}"
        traceback = traceback.tb_next
    return found.rstrip(": ")


def _sentence(frame: FrameType) -> str:
    """Return the first line of the docstring of what runs in a frame, or ""."""
    found: Any = sys.modules.get(frame.f_globals.get("__name__", ""))
    for name in frame.f_code.co_qualname.split("."):
        found = getattr(found, name, None)
    return (getattr(found, "__doc__", None) or "").partition("\n")[0]
