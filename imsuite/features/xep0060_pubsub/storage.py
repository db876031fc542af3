"""What is stored of nodes: one row for each node, item, affiliation and subscription.

Functions take the cursor of a transaction. A node is `service` and the number `node` in all
tables but the first, which knows its name. Moments are µs since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from imsuite.core.interfaces import Table
from imsuite.features.xep0060_pubsub.item_storage import Item, newest
from imsuite.rules.node_access import Affiliation, Subscribed
from imsuite.rules.nodes import NodeConfig, dump, load

CHUNK = 100  # values in one IN (…)
MOST_NODES = 1_000_000  # of one service, whatever its options say
MOST = 10_000  # subscriptions or affiliations in one answer

TABLES = (
    Table(
        "node",
        (
            """CREATE TABLE node (
                id {key},                 -- given by us, of all services
                service TEXT NOT NULL,    -- JID: a domain, or an account's bare JID
                name TEXT NOT NULL,
                config TEXT NOT NULL,     -- rules.nodes.dump
                creator TEXT NOT NULL,    -- bare JID
                created BIGINT NOT NULL,  -- µs since 1970 UTC
                expire BIGINT,            -- seconds an item is kept, NULL for ever
                purges SMALLINT NOT NULL, -- 1: items go when their publisher goes offline
                sends SMALLINT NOT NULL)  -- 1: the last item goes to who comes online""",
            "CREATE UNIQUE INDEX node_name ON node (service, name)",
            "CREATE INDEX node_creator ON node (service, creator)",
            "CREATE INDEX node_expire ON node (id) WHERE expire IS NOT NULL",
            "CREATE INDEX node_purges ON node (id) WHERE purges = 1",
        ),
        owner="service",
    ),
    Table(
        "node_item",
        (
            """CREATE TABLE node_item (
                service TEXT NOT NULL,    -- as in node
                node BIGINT NOT NULL,     -- id in node
                item TEXT NOT NULL,       -- its id
                stamp BIGINT NOT NULL,    -- µs since 1970 UTC: the order of publication
                publisher TEXT NOT NULL,  -- full JID, '' if the account was removed
                visitor TEXT,             -- bare JID of it, NULL where that is the service
                payload {blob} NOT NULL,  -- an element in no content namespace, or nothing
                PRIMARY KEY (service, node, item))""",
            "CREATE UNIQUE INDEX node_item_stamp ON node_item (service, node, stamp)",
            """CREATE INDEX node_item_visitor ON node_item (visitor)
                WHERE visitor IS NOT NULL""",
        ),
        owner="service",
    ),
    Table(
        "node_affiliation",
        (
            """CREATE TABLE node_affiliation (
                service TEXT NOT NULL,
                node BIGINT NOT NULL,
                jid TEXT NOT NULL,          -- bare
                affiliation TEXT NOT NULL,  -- rules.node_access.Affiliation
                PRIMARY KEY (service, node, jid))""",
            "CREATE INDEX node_affiliation_jid ON node_affiliation (jid, service)",
        ),
        owner="service",
    ),
    Table(
        "node_subscription",
        (
            """CREATE TABLE node_subscription (
                service TEXT NOT NULL,
                node BIGINT NOT NULL,
                subid TEXT NOT NULL,
                jid TEXT NOT NULL,       -- as it was subscribed
                bare TEXT NOT NULL,      -- bare JID of it
                state TEXT NOT NULL,     -- rules.node_access.Subscribed
                options TEXT NOT NULL,   -- rules.node_options.to_text
                since BIGINT NOT NULL,   -- µs since 1970 UTC
                expire BIGINT,           -- when the lease ends, NULL for never
                PRIMARY KEY (service, node, subid))""",
            "CREATE INDEX node_subscription_bare ON node_subscription (bare, service)",
            """CREATE INDEX node_subscription_expire
                ON node_subscription (expire, service, node, subid) WHERE expire IS NOT NULL""",
        ),
        owner="service",
    ),
)


@attrs.frozen
class Subscription:
    """A subscription to a node.

    jid: as it was subscribed; options: rules.node_options.to_text; since, expire: µs since 1970
    UTC, when it began and when its lease ends.
    """

    jid: str
    bare: str
    subid: str
    state: Subscribed
    options: str = ""
    since: int = 0
    expire: int | None = None


@attrs.frozen
class Row:
    """A node as it is stored, with its people. count: of items; last: the newest item."""

    id: int
    name: str
    config: NodeConfig
    creator: str
    created: int
    affiliations: dict[str, Affiliation]
    subscriptions: dict[str, Subscription]  # by subid
    count: int
    last: Item | None


# nodes


def find_node(cursor: Any, service: str, name: str) -> Row | None:
    """Return a node, None if there is none."""
    cursor.execute(
        "SELECT id, config, creator, created FROM node WHERE service = ? AND name = ?",
        (service, name),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    id, config, creator, created = row
    key = (service, id)
    cursor.execute(
        "SELECT jid, affiliation FROM node_affiliation WHERE service = ? AND node = ?", key
    )
    people = {jid: Affiliation(word) for jid, word in cursor.fetchall()}
    cursor.execute(
        "SELECT jid, bare, subid, state, options, since, expire FROM node_subscription"
        " WHERE service = ? AND node = ? ORDER BY since, subid",
        key,
    )
    subscriptions = {row[2]: _subscription(row) for row in cursor.fetchall()}
    cursor.execute("SELECT COUNT(*) FROM node_item WHERE service = ? AND node = ?", key)
    (count,) = cursor.fetchone()
    found = newest(cursor, service, id, 1)
    return Row(
        id,
        name,
        load(config),
        creator,
        created,
        people,
        subscriptions,
        count,
        next(iter(found), None),
    )


def _subscription(row: Sequence[Any]) -> Subscription:
    jid, bare, subid, state, options, since, expire = row
    return Subscription(jid, bare, subid, Subscribed(state), options, since, expire)


def insert_node(
    cursor: Any,
    service: str,
    name: str,
    id: int,
    config: NodeConfig,
    creator: str,
    created: int,
) -> bool:
    """Add a node; False if there is one of that name. creator: bare JID."""
    cursor.execute(
        "INSERT INTO node (id, service, name, config, creator, created, expire, purges, sends)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (id, service, name, dump(config), creator, created, *_columns(config)),
    )
    return bool(cursor.rowcount)


def save_config(cursor: Any, service: str, id: int, config: NodeConfig) -> None:
    """Write the configuration of a node."""
    cursor.execute(
        "UPDATE node SET config = ?, expire = ?, purges = ?, sends = ?"
        " WHERE service = ? AND id = ?",
        (dump(config), *_columns(config), service, id),
    )


def _columns(config: NodeConfig) -> tuple[int | None, int, int]:
    sends = config.send_last_published_item == "on_sub_and_presence"
    return config.item_expire, int(config.purge_offline), int(sends)


def delete_node(cursor: Any, service: str, id: int) -> None:
    """Take a node away with all that belongs to it."""
    for sql in (
        "DELETE FROM node_item WHERE service = ? AND node = ?",
        "DELETE FROM node_affiliation WHERE service = ? AND node = ?",
        "DELETE FROM node_subscription WHERE service = ? AND node = ?",
        "DELETE FROM node WHERE service = ? AND id = ?",
    ):
        cursor.execute(sql, (service, id))


def node_exists(cursor: Any, service: str, id: int) -> bool:
    """Tell whether a node is (still) there."""
    cursor.execute("SELECT 1 FROM node WHERE service = ? AND id = ?", (service, id))
    return cursor.fetchone() is not None


def node_names(cursor: Any, service: str) -> list[str]:
    """Return the names of the nodes of a service, in order."""
    cursor.execute(
        "SELECT name FROM node WHERE service = ? ORDER BY name LIMIT ?", (service, MOST_NODES)
    )
    return [name for (name,) in cursor.fetchall()]


def node_configs(cursor: Any, service: str, most: int) -> list[tuple[str, NodeConfig]]:
    """Return name and configuration of the nodes of a service, in order of names."""
    cursor.execute(
        "SELECT name, config FROM node WHERE service = ? ORDER BY name LIMIT ?", (service, most)
    )
    return [(name, load(config)) for name, config in cursor.fetchall()]


def purges(cursor: Any) -> bool:
    """Tell whether there is a node that loses items when their publisher goes offline."""
    cursor.execute("SELECT 1 FROM node WHERE purges = 1 LIMIT 1")
    return cursor.fetchone() is not None


def purging(cursor: Any, bare: str, most: int) -> list[tuple[str, str, str]]:
    """Return service, name and item of what somebody published where it goes with him."""
    cursor.execute(
        "SELECT n.service, n.name, i.item FROM node n"
        " JOIN node_item i ON i.service = n.service AND i.node = n.id"
        " WHERE n.purges = 1 AND (i.visitor = ? OR (i.visitor IS NULL AND i.service = ?)) LIMIT ?",
        (bare, bare, most),
    )
    return [(service, name, item) for service, name, item in cursor.fetchall()]


def expiring(cursor: Any, after: int, most: int) -> list[tuple[int, str, str, int]]:
    """Return id, service, name and seconds of nodes whose items expire, by id."""
    cursor.execute(
        "SELECT id, service, name, expire FROM node"
        " WHERE expire IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
        (after, most),
    )
    return [(id, service, name, seconds) for id, service, name, seconds in cursor.fetchall()]


def count_nodes(cursor: Any, service: str, creator: str | None = None) -> int:
    """Return how many nodes there are. creator: of whom, None for all."""
    if creator is None:
        cursor.execute("SELECT COUNT(*) FROM node WHERE service = ?", (service,))
    else:
        cursor.execute(
            "SELECT COUNT(*) FROM node WHERE service = ? AND creator = ?", (service, creator)
        )
    (count,) = cursor.fetchone()
    return int(count)


def waiting_nodes(
    cursor: Any, services: Sequence[str], names: Sequence[str]
) -> list[tuple[str, str]]:
    """Return service and name of those nodes whose last item is for who comes online."""
    found: list[tuple[str, str]] = []
    for begin in range(0, len(services), CHUNK):
        some = services[begin : begin + CHUNK]
        for start in range(0, len(names), CHUNK):
            these = names[start : start + CHUNK]
            # nothing from outside is in the text
            cursor.execute(
                "SELECT service, name FROM node WHERE sends = 1"  # noqa: S608
                f" AND service IN ({_marks(some)}) AND name IN ({_marks(these)})"
                " AND EXISTS (SELECT 1 FROM node_item i"
                " WHERE i.service = node.service AND i.node = node.id)",
                (*some, *these),
            )
            found += [(service, name) for service, name in cursor.fetchall()]
    return found


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


# people


def set_affiliation(cursor: Any, service: str, id: int, jid: str, to: Affiliation) -> None:
    """Give a bare JID an affiliation, or none."""
    if to is Affiliation.NONE:
        cursor.execute(
            "DELETE FROM node_affiliation WHERE service = ? AND node = ? AND jid = ?",
            (service, id, jid),
        )
        return
    cursor.execute(
        "INSERT INTO node_affiliation (service, node, jid, affiliation) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (service, node, jid) DO UPDATE SET affiliation = excluded.affiliation",
        (service, id, jid, to.value),
    )


def save_subscription(cursor: Any, service: str, id: int, subscription: Subscription) -> None:
    """Write a subscription, new or changed; one with state none is removed."""
    one = subscription
    if one.state is Subscribed.NONE:
        cursor.execute(
            "DELETE FROM node_subscription WHERE service = ? AND node = ? AND subid = ?",
            (service, id, one.subid),
        )
        return
    cursor.execute(
        "INSERT INTO node_subscription"
        " (service, node, subid, jid, bare, state, options, since, expire)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (service, node, subid) DO UPDATE"
        " SET state = excluded.state, options = excluded.options, expire = excluded.expire",
        (
            service,
            id,
            one.subid,
            one.jid,
            one.bare,
            one.state.value,
            one.options,
            one.since,
            one.expire,
        ),
    )


def subscriptions_of(cursor: Any, service: str, bare: str) -> list[tuple[str, Subscription]]:
    """Return node names and subscriptions of a bare JID and its resources at a service (§5.6)."""
    cursor.execute(
        "SELECT n.name, s.jid, s.bare, s.subid, s.state, s.options, s.since, s.expire"
        " FROM node_subscription s JOIN node n ON n.id = s.node"
        " WHERE s.bare = ? AND s.service = ? ORDER BY n.name, s.since, s.subid LIMIT ?",
        (bare, service, MOST),
    )
    return [(row[0], _subscription(row[1:])) for row in cursor.fetchall()]


def subscribed_nodes(cursor: Any, bare: str, most: int) -> list[tuple[str, str]]:
    """Return service and name of the nodes that a bare JID or its resources subscribe to."""
    cursor.execute(
        "SELECT DISTINCT s.service, n.name FROM node_subscription s JOIN node n ON n.id = s.node"
        " WHERE s.bare = ? ORDER BY s.service, n.name LIMIT ?",
        (bare, most),
    )
    return [(service, name) for service, name in cursor.fetchall()]


def affiliations_of(cursor: Any, service: str, bare: str) -> list[tuple[str, Affiliation]]:
    """Return node names and affiliations of a bare JID at a service (§5.7)."""
    cursor.execute(
        "SELECT n.name, a.affiliation FROM node_affiliation a JOIN node n ON n.id = a.node"
        " WHERE a.jid = ? AND a.service = ? ORDER BY n.name LIMIT ?",
        (bare, service, MOST),
    )
    return [(name, Affiliation(word)) for name, word in cursor.fetchall()]


def owned_alone(cursor: Any, service: str, bare: str) -> list[str]:
    """Return the names of the nodes of a service that somebody owns and nobody else does."""
    cursor.execute(
        "SELECT n.name FROM node_affiliation a JOIN node n ON n.id = a.node"
        " WHERE a.jid = ? AND a.service = ? AND a.affiliation = 'owner' AND NOT EXISTS"
        " (SELECT 1 FROM node_affiliation o WHERE o.service = a.service AND o.node = a.node"
        " AND o.jid <> a.jid AND o.affiliation = 'owner') LIMIT ?",
        (bare, service, MOST_NODES),
    )
    return [name for (name,) in cursor.fetchall()]


def forget_person(cursor: Any, service: str, bare: str) -> list[tuple[str, str]]:
    """Take somebody out of all nodes; return service and name of those that had him.

    service: where other owners become the creators of what he made.
    """
    cursor.execute(
        "SELECT a.service, n.name FROM node_affiliation a JOIN node n ON n.id = a.node"
        " WHERE a.jid = ? UNION SELECT s.service, n.name FROM node_subscription s"
        " JOIN node n ON n.id = s.node WHERE s.bare = ? UNION SELECT i.service, n.name"
        " FROM node_item i JOIN node n ON n.id = i.node WHERE i.visitor = ?",
        (bare, bare, bare),
    )
    found = [(service, name) for service, name in cursor.fetchall()]
    cursor.execute("DELETE FROM node_affiliation WHERE jid = ?", (bare,))
    cursor.execute("DELETE FROM node_subscription WHERE bare = ?", (bare,))
    cursor.execute("UPDATE node_item SET publisher = '', visitor = NULL WHERE visitor = ?", (bare,))
    cursor.execute(
        "UPDATE node SET creator = COALESCE((SELECT MIN(a.jid) FROM node_affiliation a"
        " WHERE a.service = node.service AND a.node = node.id AND a.affiliation = 'owner'),"
        " service) WHERE service = ? AND creator = ?",
        (service, bare),
    )
    return found
