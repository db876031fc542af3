"""The command `explain`: what became of a message, and by which rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

from imsuite.app.command import CommandError, Needs, Result, Row, command
from imsuite.app.trail import Trace
from imsuite.core.options import nonempty, option
from imsuite.core.record import parse_id, public_id
from imsuite.rules.administration import Who
from imsuite.xmpp.address import InvalidAddress, parse
from imsuite.xmpp.stanza import Stanza
from imsuite.xmpp.times import format_datetime

if TYPE_CHECKING:
    from imsuite.app.server import Server

MOST = 20  # messages of one id
_SENT = 1  # flag of an archive row: its owner sent the message

# table → how to ask it for an owner and an id; every row makes one line
_ASKED = {
    "archive": "SELECT flags FROM archive WHERE owner = ? AND id = ?",
    "offline": "SELECT own FROM offline WHERE owner = ? AND id = ?",
}


@attrs.frozen
class Explained:
    """Arguments of explain."""

    id: str = option(attrs.NOTHING, "Id of the message.", nonempty)  # type: ignore[assignment]


@command(Explained, "message", "time", "who", "what", needs=Needs.STORE, who=Who.SERVER)
async def explain(server: Server, given: Explained) -> Result:
    """Tell why a message was or was not delivered, stored, copied and pushed."""
    rows: list[Row] = []
    for trace in server.trail.about(given.id)[-MOST:]:
        rows += _told(trace)
    ids = parse_id(given.id)
    if ids is not None:
        rows += await _stored(server, *ids)
    if not rows:
        raise CommandError(
            f"{given.id[:80]!r} is none of the last {len(server.trail)} messages, "
            + ("and the store has none of that id" if ids else "and older ones go by stanza-id")
        )
    return Result(rows)


def _told(trace: Trace) -> Iterator[Row]:
    """Give the rows of a message that is remembered."""
    given = trace.attributes
    name = public_id(*trace.ids[0]) if trace.ids else given.get("id")
    came = _time(min([trace.at, *(at for at, _, _ in trace.notes)]))
    to = f" to {given['to']}" if given.get("to") else ""
    type = given.get("type") or "normal"
    yield (name, came, given.get("from"), f"sent a message of type {type}{to}")
    told = {rule for _, rule, _ in trace.notes}
    if trace.worth is not None and type != "groupchat":
        told.add(trace.worth.room_archive)
    for rule in attrs.astuple(trace.worth) if trace.worth is not None else ():
        if rule not in told:
            yield (name, came, None, f"by its content: {rule}")
    for at, rule, who in trace.notes:
        yield (name, _time(at), who or None, rule)


async def _stored(server: Server, id: int, salt: int) -> list[Row]:
    """Return what the database has of a message; what it says is looked at by nobody."""
    tables = {table.name for table in server.tables}

    def look(cursor: Any) -> Iterator[tuple[str | None, str]]:
        cursor.execute("SELECT raw FROM message WHERE id = ? AND salt = ?", (id, salt))
        row = cursor.fetchone()
        if row is None:
            return
        message = Stanza.parse(bytes(row[0]))
        yield None, f"the store has it, from {message.sender} to {message.to}"
        for owner in _owners(message.sender, message.to):
            for table in sorted(tables.intersection(_ASKED)):
                cursor.execute(_ASKED[table], (owner, id))
                for (value,) in cursor.fetchall():
                    yield owner, _meaning(table, value)

    found = await server.store.read(lambda cursor: list(look(cursor)))
    name, came = public_id(id, salt), format_datetime(id)
    return [(name, came, who, what) for who, what in found]


def _meaning(table: str, value: int) -> str:
    if table == "offline":
        return "XEP-0160 §2: it waits until a client comes"
    return f"XEP-0313 §3: the archive has it as {'sent' if value & _SENT else 'received'}"


def _owners(*addresses: str | None) -> dict[str, None]:
    """Return the bare JIDs among addresses, each once."""
    found: dict[str, None] = {}
    for address in addresses:
        try:
            found[parse(address or "").bare] = None
        except InvalidAddress:
            continue
    return found


def _time(seconds: float) -> str:
    return format_datetime(int(seconds * 1_000_000))
