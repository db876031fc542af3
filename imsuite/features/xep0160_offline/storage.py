"""XEP-0160: the rows of messages that wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from imsuite.core.record import unrefer

SWEPT = 1000  # rows that a look for old ones reads at once

# two sessions of an account may lose the same message
STORE = "INSERT INTO offline (owner, id, own) VALUES (?, ?, ?) ON CONFLICT (owner, id) DO NOTHING"
# in this order: a body is let go of only with the row that points to it, whoever removes it first
RELEASE = (
    "UPDATE message SET refs = refs - 1 WHERE id = ?"
    " AND EXISTS (SELECT 1 FROM offline WHERE owner = ? AND id = ? AND own = 1)"
)
REMOVE_OWN = "DELETE FROM offline WHERE owner = ? AND id = ? AND own = 1"
REMOVE_BODY = "DELETE FROM message WHERE id = ? AND refs <= 0"
REMOVE = "DELETE FROM offline WHERE owner = ? AND id = ? AND own = 0"


@attrs.frozen
class Row:
    """A message that waits. own: no archive of its owner holds it; raw: None if it is gone."""

    id: int
    own: bool
    salt: int = 0
    raw: bytes | None = None


def count(cursor: Any, owner: str) -> int:
    """Return how many messages wait for a bare JID."""
    cursor.execute("SELECT count(*) FROM offline WHERE owner = ?", (owner,))
    found: int = cursor.fetchone()[0]
    return found


def read(cursor: Any, owner: str, most: int, most_bytes: int) -> list[Row]:
    """Return the oldest messages that wait for a bare JID, at least one if there is any.

    most, most_bytes: of the messages; one alone may be larger.
    """
    cursor.execute(
        "SELECT offline.id, offline.own, message.salt, message.raw FROM offline"
        " LEFT JOIN message ON message.id = offline.id"
        " WHERE offline.owner = ? ORDER BY offline.id LIMIT ?",
        (owner, most),
    )
    page: list[Row] = []
    size = 0
    for id, own, salt, raw in cursor:
        size += len(raw or b"")
        if page and size > most_bytes:
            break
        page.append(Row(id, bool(own), salt or 0, None if raw is None else bytes(raw)))
    return page


def delete(cursor: Any, owner: str, rows: Iterable[Row]) -> int:
    """Remove rows, and what only they pointed to; return how many there were."""
    gone = []
    for row in rows:
        cursor.execute("DELETE FROM offline WHERE owner = ? AND id = ?", (owner, row.id))
        if cursor.rowcount:
            gone.append(row)
    unrefer(cursor, [row.id for row in gone if row.own])
    return len(gone)


def delete_all(cursor: Any, owner: str) -> None:
    """Remove all that waits for a bare JID."""
    cursor.execute("SELECT id FROM offline WHERE owner = ? AND own = 1", (owner,))
    gone = [id for (id,) in cursor.fetchall()]
    cursor.execute("DELETE FROM offline WHERE owner = ?", (owner,))
    unrefer(cursor, gone)


def outdated(
    cursor: Any, after: tuple[str, int], oldest: int
) -> tuple[list[tuple[str, Row]], tuple[str, int] | None]:
    """Return the rows that are to go, among some, and where to look on; None at the end.

    after: owner and id of the last row of the look before; oldest: id from which on a row may
    stay if no archive holds its message. A row whose message is gone is to go anyway.
    """
    cursor.execute(
        "SELECT offline.owner, offline.id, offline.own, message.id FROM offline"
        " LEFT JOIN message ON message.id = offline.id"
        " WHERE (offline.owner, offline.id) > (?, ?) ORDER BY offline.owner, offline.id LIMIT ?",
        (*after, SWEPT),
    )
    rows = cursor.fetchall()
    found = [
        (owner, Row(id, bool(own)))
        for owner, id, own, body in rows
        if body is None or (own and id < oldest)
    ]
    return found, (rows[-1][0], rows[-1][1]) if len(rows) == SWEPT else None
