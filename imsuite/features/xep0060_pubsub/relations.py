"""What is stored beside nodes: who is in which collection, where a node went, what falls due.

Functions take the cursor of a transaction. Collections are of the service alone; accounts have
none. Moments are µs since 1970 UTC.
"""

from __future__ import annotations

import enum
from typing import Any

import attrs

from imsuite.core.interfaces import Table
from imsuite.rules.node_access import Affiliation, Subscribed

MOST_GONE = 1000  # redirects that a service remembers
_MOST_DUE = 500  # that are looked at in one go
NEVER = 2**62  # µs since 1970 UTC

TABLES = (
    Table(
        "node_parent",
        (
            """CREATE TABLE node_parent (
                service TEXT NOT NULL,   -- JID of it
                name TEXT NOT NULL,      -- of the node that is in a collection
                parent TEXT NOT NULL,    -- name of that
                PRIMARY KEY (service, name, parent))""",
            "CREATE INDEX node_parent_parent ON node_parent (service, parent)",
        ),
        owner=None,
    ),
    Table(
        "node_gone",
        (
            """CREATE TABLE node_gone (
                service TEXT NOT NULL,
                name TEXT NOT NULL,     -- of a node that was deleted
                uri TEXT NOT NULL,      -- where to go instead
                since BIGINT NOT NULL,  -- µs since 1970 UTC
                PRIMARY KEY (service, name))""",
            "CREATE INDEX node_gone_since ON node_gone (service, since)",
        ),
        owner="service",
    ),
    Table(
        "node_due",
        (
            """CREATE TABLE node_due (
                service TEXT NOT NULL,
                name TEXT NOT NULL,      -- of the node
                subid TEXT NOT NULL,     -- of the subscription
                what SMALLINT NOT NULL,  -- a Due
                at BIGINT NOT NULL,      -- µs since 1970 UTC
                since BIGINT NOT NULL,   -- stamp of the last item that a digest had
                PRIMARY KEY (service, name, subid, what))""",
            "CREATE INDEX node_due_at ON node_due (at, service, name, subid, what)",
        ),
        owner="service",
    ),
)


class Due(enum.IntEnum):
    """What is to happen with a subscription."""

    WARN = 1  # its lease is almost over (§12.18)
    DIGEST = 2  # what was published is told
    PRESENCE = 3  # it ends when the subscriber goes offline (§12.4); at no time of its own


@attrs.frozen
class DueRow:
    """Something to happen with a subscription. at: when; since: as in the table."""

    service: str
    name: str
    subid: str
    what: Due
    at: int
    since: int = 0


# collections


def load_parents(cursor: Any, service: str) -> list[tuple[str, str]]:
    """Return pairs of a node and a collection that it is in."""
    cursor.execute(
        "SELECT name, parent FROM node_parent WHERE service = ? ORDER BY name, parent", (service,)
    )
    return [(name, parent) for name, parent in cursor.fetchall()]


def add_parent(cursor: Any, service: str, name: str, parent: str) -> None:
    """Put a node into one more collection."""
    cursor.execute(
        "INSERT INTO node_parent (service, name, parent) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (service, name, parent),
    )


def is_around(cursor: Any, service: str, around: str, name: str) -> bool:
    """Tell whether a node is another one, or in it at any depth. around: the other one."""
    seen = {name}
    waiting = [name]
    for each in waiting:
        if each == around:
            return True
        cursor.execute(
            "SELECT parent FROM node_parent WHERE service = ? AND name = ?", (service, each)
        )
        fresh = [parent for (parent,) in cursor.fetchall() if parent not in seen]
        seen.update(fresh)
        waiting += fresh
    return False


def has_node(cursor: Any, service: str, name: str) -> bool:
    """Tell whether there is a node."""
    cursor.execute("SELECT 1 FROM node WHERE service = ? AND name = ?", (service, name))
    return cursor.fetchone() is not None


def remove_parent(cursor: Any, service: str, name: str, parent: str) -> None:
    """Take a node out of a collection."""
    cursor.execute(
        "DELETE FROM node_parent WHERE service = ? AND name = ? AND parent = ?",
        (service, name, parent),
    )


def drop_parent(cursor: Any, service: str, name: str) -> None:
    """Take a deleted node out of its collections, and all nodes out of it."""
    cursor.execute(
        "DELETE FROM node_parent WHERE service = ? AND (name = ? OR parent = ?)",
        (service, name, name),
    )


# redirects


def gone_to(cursor: Any, service: str, name: str) -> str | None:
    """Return the URI that a deleted node left, None if there is none (§8.4.1)."""
    cursor.execute("SELECT uri FROM node_gone WHERE service = ? AND name = ?", (service, name))
    row = cursor.fetchone()
    return None if row is None else str(row[0])


def leave_behind(cursor: Any, service: str, name: str, uri: str, now: int) -> None:
    """Remember where a deleted node went; the oldest of too many are forgotten."""
    cursor.execute(
        "INSERT INTO node_gone (service, name, uri, since) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (service, name) DO UPDATE SET uri = excluded.uri, since = excluded.since",
        (service, name, uri, now),
    )
    cursor.execute(
        "DELETE FROM node_gone WHERE service = ? AND name IN (SELECT name FROM node_gone"
        " WHERE service = ? ORDER BY since DESC LIMIT 100 OFFSET ?)",
        (service, service, MOST_GONE),
    )


def forget_gone(cursor: Any, service: str, name: str) -> None:
    """Forget where a node went, because there is one of that name again."""
    cursor.execute("DELETE FROM node_gone WHERE service = ? AND name = ?", (service, name))


# owners


def owns(cursor: Any, service: str, bare: str) -> bool:
    """Tell whether a bare JID owns a node of a service."""
    cursor.execute(
        "SELECT 1 FROM node_affiliation WHERE jid = ? AND service = ? AND affiliation = ? LIMIT 1",
        (bare, service, Affiliation.OWNER.value),
    )
    return cursor.fetchone() is not None


def pending_nodes(cursor: Any, service: str, owner: str | None, most: int) -> list[str]:
    """Return the nodes of an owner, None for all, that somebody wants to subscribe to (§8.7)."""
    pending = Subscribed.PENDING.value
    if owner is None:
        cursor.execute(
            "SELECT DISTINCT n.name FROM node_subscription s JOIN node n ON n.id = s.node"
            " WHERE s.service = ? AND s.state = ? ORDER BY n.name LIMIT ?",
            (service, pending, most),
        )
    else:
        cursor.execute(
            "SELECT DISTINCT n.name FROM node_affiliation a JOIN node n ON n.id = a.node"
            " JOIN node_subscription s ON s.service = a.service AND s.node = a.node"
            " WHERE a.jid = ? AND a.service = ? AND a.affiliation = ? AND s.state = ?"
            " ORDER BY n.name LIMIT ?",
            (owner, service, Affiliation.OWNER.value, pending, most),
        )
    return [name for (name,) in cursor.fetchall()]


# what falls due


def put_due(cursor: Any, row: DueRow) -> None:
    """Say when something happens, over what was said before."""
    cursor.execute(
        "INSERT INTO node_due (service, name, subid, what, at, since) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (service, name, subid, what)"
        " DO UPDATE SET at = excluded.at, since = excluded.since",
        (row.service, row.name, row.subid, int(row.what), row.at, row.since),
    )


def drop_due(cursor: Any, service: str, name: str, subid: str, *whats: Due) -> None:
    """Let things not happen with a subscription. whats: none for all."""
    cursor.executemany(
        "DELETE FROM node_due WHERE service = ? AND name = ? AND subid = ? AND what = ?",
        [(service, name, subid, int(what)) for what in whats or Due],
    )


def drop_all_due(cursor: Any, service: str, name: str) -> None:
    """Let nothing happen with the subscriptions of a node, which is deleted."""
    cursor.execute("DELETE FROM node_due WHERE service = ? AND name = ?", (service, name))


def find_due(cursor: Any, now: int, after: DueRow | None) -> list[DueRow]:
    """Return a page of what is to happen by now, of all services, the earliest first.

    after: the last row of the page before, None begins.
    """
    low = (-1, "", "", "", 0)
    if after is not None:
        low = (after.at, after.service, after.name, after.subid, int(after.what))
    cursor.execute(
        "SELECT service, name, subid, what, at, since FROM node_due WHERE at <= ?"
        " AND (at, service, name, subid, what) > (?, ?, ?, ?, ?)"
        " ORDER BY at, service, name, subid, what LIMIT ?",
        (now, *low, _MOST_DUE),
    )
    return [_due(row) for row in cursor.fetchall()]


def due_of(cursor: Any, service: str, name: str, subid: str, what: Due) -> DueRow | None:
    """Return when something is to happen, None if it is not."""
    cursor.execute(
        "SELECT service, name, subid, what, at, since FROM node_due"
        " WHERE service = ? AND name = ? AND subid = ? AND what = ?",
        (service, name, subid, int(what)),
    )
    row = cursor.fetchone()
    return None if row is None else _due(row)


@attrs.frozen
class Lease:
    """A subscription that ends. node: its id; expire: when, µs since 1970 UTC."""

    service: str
    node: int
    name: str
    subid: str
    expire: int


def leases_over(cursor: Any, now: int, after: Lease | None) -> list[Lease]:
    """Return a page of the leases that are over (§12.18). after: the last of the page before."""
    low: tuple[int, str, int, str] = (-1, "", 0, "")
    if after is not None:
        low = (after.expire, after.service, after.node, after.subid)
    cursor.execute(
        "SELECT s.service, s.node, n.name, s.subid, s.expire FROM node_subscription s"
        " JOIN node n ON n.id = s.node"
        " WHERE s.expire <= ? AND (s.expire, s.service, s.node, s.subid) > (?, ?, ?, ?)"
        " ORDER BY s.expire, s.service, s.node, s.subid LIMIT ?",
        (now, *low, _MOST_DUE),
    )
    return [Lease(*row) for row in cursor.fetchall()]


Temporary = tuple[str, str, str, str]  # service, node, SubID and subscriber
_TEMPORARY = (
    "SELECT d.service, d.name, d.subid, s.jid FROM node_due d"
    " JOIN node n ON n.service = d.service AND n.name = d.name"
    " JOIN node_subscription s ON s.service = d.service AND s.node = n.id AND s.subid = d.subid"
    " WHERE d.at = ?"
)


def temporary_of(cursor: Any, bare: str) -> list[Temporary]:
    """Return what ends with the presence of a bare JID or its resources (§12.4)."""
    cursor.execute(f"{_TEMPORARY} AND s.bare = ?", (NEVER, bare))
    return [(service, name, subid, jid) for service, name, subid, jid in cursor.fetchall()]


def temporary(cursor: Any, after: Temporary | None) -> list[Temporary]:
    """Return what ends with somebody's presence, a page of it. after: the last of the page before.

    None begins.
    """
    service, name, subid = ("", "", "") if after is None else after[:3]
    cursor.execute(
        f"{_TEMPORARY} AND (d.service, d.name, d.subid) > (?, ?, ?)"
        " ORDER BY d.service, d.name, d.subid LIMIT ?",
        (NEVER, service, name, subid, _MOST_DUE),
    )
    return [(service, name, subid, jid) for service, name, subid, jid in cursor.fetchall()]


def _due(row: Any) -> DueRow:
    service, name, subid, what, at, since = row
    return DueRow(service, name, subid, Due(what), at, since)
