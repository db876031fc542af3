"""The command `explain`: what became of a message, and by which rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

from imsuite.app.command import CommandError, Needs, Result, Row, command
from imsuite.app.trail import Trace
from imsuite.core.options import nonempty, option
from imsuite.core.record import parse_id, public_id
from imsuite.xmpp.address import InvalidAddress, parse
from imsuite.xmpp.stanza import Stanza
from imsuite.xmpp.times import format_datetime

if TYPE_CHECKING:
    from imsuite.app.server import Server

MOST = 20  # messages of one id

_ARCHIVED = "XEP-0313 §5.1: is in the archive"
_WAITS = "XEP-0160 §2: waits until a client comes"
_SENT = 1  # flag of an archive row: its owner sent the message


@attrs.frozen
class Explained:
    """Arguments of explain."""

    id: str = option(attrs.NOTHING, "Of the message.", nonempty)  # type: ignore[assignment]


@command(Explained, "message", "time", "who", "what", needs=Needs.STORE)
async def explain(server: Server, given: Explained) -> Result:
    """Tell why a message was or was not delivered, stored, copied and pushed.

    Of the last messages every decision is known, of older ones what the store has.
    """
    rows: list[Row] = []
    traces = list(server.trail.about(given.id))
    for trace in traces[-MOST:]:
        rows += _told(trace)
    ids = parse_id(given.id)
    if ids is not None:
        rows += await _stored(server, *ids)
    if not rows:
        known = len(server.trail)
        raise CommandError(
            f"nothing is known of {given.id[:80]!r}: it is none of the last {known} messages"
            " that passed this process" + ("" if ids else "; older ones go by their stanza-id")
        )
    return Result(rows)


def _told(trace: Trace) -> Iterator[Row]:
    """Give the rows of a message that is remembered."""
    name = public_id(*trace.ids[0]) if trace.ids else trace.id or None
    came, rules = _time(trace.at), trace.traffic.rules
    yield (name, came, trace.sender or None, f"sent a message of type {trace.type}")
    yield (name, came, trace.to or None, "is whom it was for")
    for rule in attrs.astuple(rules):
        yield (name, came, None, rule)
    for at, rule, who in trace.notes:
        yield (name, _time(at), who or None, rule)


async def _stored(server: Server, id: int, salt: int) -> list[Row]:
    """Return what the database has of a message; its body is looked at by nobody."""
    tables = {table.name for table in server.tables}
    found: list[tuple[str, str]] = []

    def look(cursor: Any) -> None:
        cursor.execute("SELECT raw FROM message WHERE id = ? AND salt = ?", (id, salt))
        row = cursor.fetchone()
        if row is None:
            return
        message = Stanza.parse(bytes(row[0]))
        owners = dict.fromkeys(_owners(message.sender, message.to))
        found.extend(("", f"the store has it, sent by {message.sender}") for _ in (0,))
        for owner in owners:
            if "archive" in tables:
                cursor.execute(
                    "SELECT flags FROM archive WHERE owner = ? AND id = ?", (owner, id)
                )
                for (flags,) in cursor.fetchall():
                    sent = "as sent" if flags & _SENT else "as received"
                    found.append((owner, f"{_ARCHIVED}, {sent}"))
            if "offline" in tables:
                cursor.execute("SELECT own FROM offline WHERE owner = ? AND id = ?", (owner, id))
                found.extend((owner, _WAITS) for _ in cursor.fetchall())

    await server.store.read(look)
    name, came = public_id(id, salt), format_datetime(id)
    return [(name, came, who or None, what) for who, what in found]


def _owners(*addresses: str | None) -> Iterator[str]:
    for address in addresses:
        try:
            yield parse(address or "").bare
        except InvalidAddress:
            continue


def _time(seconds: float) -> str:
    return format_datetime(int(seconds * 1_000_000))
