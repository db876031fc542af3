"""XEP-0160: the rows of messages that wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from imsuite.core.record import unrefer

SWEPT = 1000  # rows that a look for old ones reads at once

# two sessions of an account may lose the same message
STORE = "INSERT INTO offline (owner, id, own) VALUES (?, ?, ?) ON CONFLICT (owner, id) DO NOTHING"
SIZES = (64, 8, 1)  # rows that a statement removes, so that there are few different ones


class Row(NamedTuple):
    """A message that waits. own: no archive of its owner holds it; raw: b"" if it is gone."""

    id: int
    own: int
    salt: int = 0
    raw: bytes = b""


def count(cursor: Any, owner: str) -> int:
    """Return how many messages wait for a bare JID."""
    cursor.execute("SELECT count(*) FROM offline WHERE owner = ?", (owner,))
    found: int = cursor.fetchone()[0]
    return found


def read(cursor: Any, owner: str, most: int, most_bytes: int) -> tuple[list[Row], bool]:
    """Return the oldest messages that wait for a bare JID, and whether there may be more.

    most, most_bytes: of the messages; there is one at least if any waits, which may be larger.
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
            return page, True
        page.append(Row(id, own, salt or 0, bytes(raw or b"")))
    return page, len(page) == most


def removal(owner: str, rows: Iterable[Row]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Return the statements that remove rows, and what only they pointed to, with their values.

    A row that is gone already does no harm: a body is let go of only with the row that points
    to it.
    """
    own: list[int] = []
    archived: list[int] = []
    for row in rows:
        (own if row.own else archived).append(row.id)
    for ids, first in ((own, 0), (archived, 2)):
        place = 0
        while place < len(ids):
            some = ids[place : place + SIZES[0]]
            size = min(size for size in SIZES if size >= len(some))
            values = (owner, *some, *[0] * (size - len(some)))  # 0 is nobody's id
            for statement in _removal(size)[first:]:
                yield statement, values
            place += size


@cache
def _removal(size: int) -> tuple[str, str, str]:
    """Return the statements that remove so many rows of an owner.

    The first two are about bodies, and find those by the rows, so the rows go last.
    """
    where = f"owner = ? AND id IN ({', '.join('?' * size)})"
    bodies = f"id IN (SELECT id FROM offline WHERE {where} AND own = 1)"  # noqa: S608 # all ours
    return (
        f"UPDATE message SET refs = refs - 1 WHERE {bodies}",  # noqa: S608
        f"DELETE FROM message WHERE refs <= 0 AND {bodies}",  # noqa: S608
        f"DELETE FROM offline WHERE {where}",  # noqa: S608
    )


def delete(cursor: Any, owner: str, rows: Iterable[Row]) -> int:
    """Remove rows, and what only they pointed to; return how many there were."""
    before = count(cursor, owner)
    for statement, values in removal(owner, rows):
        cursor.execute(statement, values)
    return before - count(cursor, owner)


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
        (owner, Row(id, own))
        for owner, id, own, body in rows
        if body is None or (own and id < oldest)
    ]
    return found, (rows[-1][0], rows[-1][1]) if len(rows) == SWEPT else None
