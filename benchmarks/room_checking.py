"""Checks of what was said in a room: everybody heard all of it once, in one order, unaltered."""

import re
from collections.abc import Iterable, Sequence

import attrs

from benchmarks.checking import Faults, Reading, order_faults, stanza_pattern, without_ids
from benchmarks.messages import Numbered

FROM = re.compile(rb"\bfrom\s*=\s*['\"]([^'\"]*)")
OCCUPANT_ID = re.compile(
    rb"<occupant-id\b(?=[^>]*\bxmlns=['\"]urn:xmpp:occupant-id:0['\"])[^>]*?"
    rb"(?:/>|></occupant-id\s*>)"
)


@attrs.frozen
class Spoken:
    """The messages 0 to count - 1 of one occupant."""

    sender: str  # address in the room
    message: Numbered
    count: int


@attrs.frozen
class Heard:
    """What one occupant heard."""

    order: tuple[tuple[int, int], ...]  # which of the speakers, and the number
    faults: Faults


def without_marks(received: bytes, room: str) -> tuple[bytes, int]:
    """Return what was received without what the room adds, and how many stanza-ids there were.

    A room may add its stanza-id (XEP-0359) and the id of the occupant (XEP-0421).
    """
    return without_ids(OCCUPANT_ID.sub(b"", received), room)


def heard(received: bytes, to: str, room: str, spoken: Sequence[Spoken], archived: bool) -> Heard:
    """Return what an occupant heard, every message compared with what was said.

    to: its full JID. archived: each message has an id of the room's archive (XEP-0313 §3.5).
    """
    received, ids = without_marks(received, room)
    faults = Faults()
    readings = {
        one.sender.encode(): (number, Reading(attrs.evolve(one.message, to=to), one.sender))
        for number, one in enumerate(spoken)
    }
    order: list[tuple[int, int]] = []
    position = 0
    for stanza in stanza_pattern("message").finditer(received):
        between = received[position : stanza.start()].strip()
        position = stanza.end()
        sender = FROM.search(stanza[1])
        number, reading = readings.get(sender[1] if sender else b"", (-1, None))
        if reading is None or between:
            wrong = between or stanza[0]
            faults += Faults(unexpected=1, example=f"unexpected {wrong[:300]!r}")
        if reading is not None:
            before = len(reading.numbers)
            reading.take(stanza[0], stanza[1], stanza[2])
            order += [(number, found) for found in reading.numbers[before:]]
    if rest := received[position:].strip():
        faults += Faults(unexpected=1, example=f"unexpected {rest[:300]!r}")
    for one, (_, reading) in zip(spoken, readings.values(), strict=True):
        faults += reading.faults + order_faults(reading.numbers, one.count)
    if archived and ids != len(order):
        faults += Faults(altered=1, example=f"{ids} stanza-ids in {len(order)} messages")
    return Heard(tuple(order), faults)


def room_faults(
    received: Iterable[tuple[str, bytes]], room: str, spoken: Sequence[Spoken], archived: bool
) -> Faults:
    """Return what went wrong on the way to the occupants of a room.

    received: the full JID of each, and all that came to it. Bytes that differ in nothing but the
    address of the recipient are not compared again.
    """
    faults = Faults()
    first: Heard | None = None
    alike = b""
    for jid, text in received:
        blank = text.replace(jid.encode(), b"\0")
        if first is not None and blank == alike:
            faults += first.faults
            continue
        found = heard(text, jid, room, spoken, archived)
        if first is None:
            first, alike = found, blank
        elif found.order != first.order:
            example = f"{jid} heard them in another order than the first occupant"
            faults += Faults(reordered=1, example=example)
        faults += found.faults
    return faults
