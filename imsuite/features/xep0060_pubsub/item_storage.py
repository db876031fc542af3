"""What is stored of items, and how it is read and written.

Functions take the cursor of a transaction, and name a node by `service` and its number. Moments
are µs since 1970 UTC; `since` leaves out what was published until then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

CHUNK = 100  # values in one IN (…)


@attrs.frozen
class Item:
    """An item. stamp: when it was published, unique; payload: bytes that carry their namespace."""

    id: str
    stamp: int
    publisher: str
    payload: bytes = b""


_ITEM = "SELECT item, stamp, publisher, payload FROM node_item WHERE service = ? AND node = ?"


def _items(cursor: Any) -> list[Item]:
    return [
        Item(id, stamp, publisher, bytes(payload))
        for id, stamp, publisher, payload in cursor.fetchall()
    ]


def put_item(cursor: Any, service: str, id: int, item: Item) -> bool:
    """Write an item over the one with its id; tell whether there was none (§7.1.2)."""
    bare = item.publisher.partition("/")[0]
    written = (item.stamp, item.publisher, None if bare == service else bare, item.payload)
    cursor.execute(
        "UPDATE node_item SET stamp = ?, publisher = ?, visitor = ?, payload = ?"
        " WHERE service = ? AND node = ? AND item = ?",
        (*written, service, id, item.id),
    )
    if cursor.rowcount:
        return False
    cursor.execute(
        "INSERT INTO node_item (stamp, publisher, visitor, payload, service, node, item)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*written, service, id, item.id),
    )
    return True


def newest(cursor: Any, service: str, id: int, most: int, since: int = 0) -> list[Item]:
    """Return the newest items, the newest first. since: only those published later."""
    cursor.execute(f"{_ITEM} AND stamp > ? ORDER BY stamp DESC LIMIT ?", (service, id, since, most))
    return _items(cursor)


def items_by_id(
    cursor: Any, service: str, id: int, wanted: Iterable[str], since: int = 0
) -> list[Item]:
    """Return the items with these ids that are there, in the order of ids."""
    found: dict[str, Item] = {}
    names = list(dict.fromkeys(wanted))
    for begin in range(0, len(names), CHUNK):
        some = names[begin : begin + CHUNK]
        marks = ", ".join("?" * len(some))
        cursor.execute(f"{_ITEM} AND stamp > ? AND item IN ({marks})", (service, id, since, *some))
        found.update((item.id, item) for item in _items(cursor))
    return [found[name] for name in names if name in found]


def item_page(
    cursor: Any,
    service: str,
    id: int,
    most: int,
    since: int,
    after: int | None = None,
    before: int | None = None,
    index: int = 0,
    backwards: bool = False,
) -> list[Item]:
    """Return items in order of publication, the oldest first.

    after, before: stamps between which they are; index: how many are skipped; backwards: those
    next to the end.
    """
    low = since if after is None else max(after, since)
    high = "" if before is None else " AND stamp < ?"
    order = "DESC" if backwards else "ASC"
    values: list[object] = [service, id, low]
    if before is not None:
        values.append(before)
    # nothing from outside is in the text
    cursor.execute(
        f"{_ITEM} AND stamp > ?{high} ORDER BY stamp {order} LIMIT ? OFFSET ?",
        (*values, most, index),
    )
    found = _items(cursor)
    return found[::-1] if backwards else found


def stamp_of(cursor: Any, service: str, id: int, item: str, since: int = 0) -> int | None:
    """Return when an item was published, None if it is not there."""
    cursor.execute(
        "SELECT stamp FROM node_item WHERE service = ? AND node = ? AND item = ? AND stamp > ?",
        (service, id, item, since),
    )
    row = cursor.fetchone()
    return None if row is None else int(row[0])


def item_at(cursor: Any, service: str, id: int, stamp: int) -> Item | None:
    """Return the item that was published at a moment, None if there is none."""
    cursor.execute(f"{_ITEM} AND stamp = ?", (service, id, stamp))
    found = _items(cursor)
    return found[0] if found else None


def count_items(cursor: Any, service: str, id: int, since: int = 0, until: int = 2**62) -> int:
    """Return how many items were published after one moment and before another."""
    cursor.execute(
        "SELECT COUNT(*) FROM node_item WHERE service = ? AND node = ? AND stamp > ? AND stamp < ?",
        (service, id, since, until),
    )
    (count,) = cursor.fetchone()
    return int(count)


def item_names(cursor: Any, service: str, id: int, most: int, since: int = 0) -> list[str]:
    """Return the ids of the newest items, in order of publication (§5.5)."""
    cursor.execute(
        "SELECT item FROM node_item WHERE service = ? AND node = ? AND stamp > ?"
        " ORDER BY stamp DESC LIMIT ?",
        (service, id, since, most),
    )
    return [name for (name,) in cursor.fetchall()][::-1]


def publishers_of(
    cursor: Any, service: str, id: int, items: Iterable[str], since: int = 0
) -> dict[str, str]:
    """Return who published those of the items that are there: full JIDs by item id."""
    return {item.id: item.publisher for item in items_by_id(cursor, service, id, items, since)}


def delete_items(cursor: Any, service: str, id: int, items: Iterable[str]) -> int:
    """Take items away; return how many were there."""
    count = 0
    for item in items:
        cursor.execute(
            "DELETE FROM node_item WHERE service = ? AND node = ? AND item = ?",
            (service, id, item),
        )
        count += cursor.rowcount
    return count


def delete_oldest(cursor: Any, service: str, id: int, surplus: int) -> list[str]:
    """Take the oldest items away; return their ids."""
    cursor.execute(
        "SELECT item FROM node_item WHERE service = ? AND node = ? ORDER BY stamp LIMIT ?",
        (service, id, surplus),
    )
    gone = [name for (name,) in cursor.fetchall()]
    delete_items(cursor, service, id, gone)
    return gone


def delete_until(cursor: Any, service: str, id: int, until: int) -> int:
    """Take away what was published until a moment; return how many there were."""
    cursor.execute(
        "DELETE FROM node_item WHERE service = ? AND node = ? AND stamp <= ?",
        (service, id, until),
    )
    return int(cursor.rowcount)
