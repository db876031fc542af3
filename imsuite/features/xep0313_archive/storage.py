"""What is stored of archives, and how it is read: narrow rows that point to messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import attrs

from imsuite.core.interfaces import Table
from imsuite.core.record import Insert, parse_id, public_id, unrefer
from imsuite.rules.archive import Flag, Preferences, Query, Standard
from imsuite.xmpp.errors import StanzaError

CHUNK = 64  # messages read with one statement
SIZES = (1, 4, 16, CHUNK)  # how many one statement reads, so that there are few different ones
PASSING = "/-"  # behind the address of a room: who owns what is not kept for good
MOST_COUNTED = 1_000_000  # messages; more than that are not counted (XEP-0059 §2.7)

TABLES = (
    Table(
        "archive",
        (
            """CREATE TABLE archive (
                owner TEXT NOT NULL,      -- bare JID
                id BIGINT NOT NULL,       -- of the message: µs since 1970 UTC
                peer TEXT NOT NULL,       -- bare JID of the other side
                resource TEXT NOT NULL,   -- of the other side, '' for none
                flags SMALLINT NOT NULL,  -- rules.archive.Flag
                PRIMARY KEY (owner, id)) {clustered}""",
            "CREATE INDEX archive_peer ON archive (owner, peer, id)",
        ),
        owner="owner",
    ),
    Table(
        "archive_preferences",
        (
            """CREATE TABLE archive_preferences (
                account TEXT PRIMARY KEY,  -- bare JID
                standard TEXT NOT NULL,    -- rules.archive.Standard
                always TEXT NOT NULL,      -- JSON list of JIDs
                never TEXT NOT NULL)       -- JSON list of JIDs""",
        ),
    ),
    Table(
        "archive_days",
        (
            """CREATE TABLE archive_days (
                account TEXT PRIMARY KEY,  -- bare JID
                days INTEGER NOT NULL)     -- for which its messages are kept; 0: for ever""",
        ),
    ),
    Table(
        "archive_indexed",
        (
            """CREATE TABLE archive_indexed (
                one INTEGER PRIMARY KEY,
                last BIGINT NOT NULL)  -- message up to which all can be found by their words""",
            "INSERT INTO archive_indexed VALUES (1, 0)",
        ),
        owner=None,
    ),
    Table(
        "archive_emptied",
        (
            """CREATE TABLE archive_emptied (
                owner TEXT PRIMARY KEY,
                last BIGINT NOT NULL)  -- message up to which all are as good as removed""",
        ),
        owner=None,  # of a room
    ),
)

ROW = Insert("archive", ("owner", "id", "peer", "resource", "flags"))

Message = tuple[int, int, bytes]  # id, salt and raw of the table message


# preferences


def load_preferences(cursor: Any, account: str, standard: Standard) -> Preferences:
    """Return the preferences of an account. standard: of those who never set any."""
    if cursor is not None:
        cursor.execute(
            "SELECT standard, always, never FROM archive_preferences WHERE account = ?", (account,)
        )
        row = cursor.fetchone()
        if row is not None:
            always, never = (frozenset(json.loads(text)) for text in row[1:])
            return Preferences(Standard(row[0]), always, never)
    return Preferences(standard)


def save_preferences(cursor: Any, account: str, preferences: Preferences) -> None:
    """Write the preferences of an account."""
    cursor.execute("DELETE FROM archive_preferences WHERE account = ?", (account,))
    cursor.execute(
        "INSERT INTO archive_preferences (account, standard, always, never) VALUES (?, ?, ?, ?)",
        (
            account,
            preferences.standard.value,
            json.dumps(sorted(preferences.always)),
            json.dumps(sorted(preferences.never)),
        ),
    )


# reading


@attrs.frozen
class Source:
    """Where results come from: tables, the last of them `archive a`, and a condition.

    key: the column that has their order; condition: ends with AND.
    """

    tables: str = "archive a"
    key: str = "a.id"
    condition: str = ""


EVERYTHING = Source()


@attrs.frozen
class Page:
    """A part of the results.

    first: it is known that none comes before them; span: least and greatest id of which it is known
    that none is missing between them.
    """

    messages: Sequence[Message] = ()
    complete: bool = True
    first: bool = False
    count: int | None = None
    span: tuple[int, int] | None = None

    def uid(self, place: int) -> str | None:
        """Return the public id of the message at a place, None on an empty page."""
        return public_id(*self.messages[place][:2]) if self.messages else None


@cache
def select(source: Source, filters: str, backwards: bool | None) -> str:
    """Return a statement that finds the ids of results from one end, or None: one that counts.

    CROSS JOIN makes SQLite go through the tables in the order in which they are written, whatever
    it knows of their sizes; to PostgreSQL it is any join. The bodies are read by another statement,
    lest PostgreSQL merge an archive with everybody's messages.
    """
    key = source.key
    joined = "" if key == "a.id" else f" AND a.id = {key}"
    wanted = f"WHERE {source.condition}a.owner = ?{filters} AND {key} >= ? AND {key} <= ?{joined}"
    # nothing from outside is in these texts: they are put together from those above
    if backwards is None:
        return f"SELECT count(*) FROM (SELECT 1 FROM {source.tables} {wanted} LIMIT ?) counted"  # noqa: S608
    order = f"ORDER BY {key}{' DESC' if backwards else ''}"
    return f"SELECT a.id FROM {source.tables} {wanted} {order} LIMIT ?"  # noqa: S608


@cache
def _bodies(count: int) -> str:
    """Return a statement that reads so many messages by their ids.

    Other than with IN, SQLite looks up each of them even where it believes the table to be small.
    """
    wanted = ", ".join(["(?)"] * count)
    return (
        f"SELECT m.id, m.salt, m.raw FROM (VALUES {wanted}) v CROSS JOIN message m"  # noqa: S608
        " WHERE m.id = v.column1"
    )


def bodies(cursor: Any, ids: Sequence[int]) -> list[Message]:
    """Return the messages of these ids, CHUNK of them at most, in the same order."""
    if not ids:
        return []
    count = next(size for size in SIZES if size >= len(ids))
    # each statement is of one of a few lengths; 0 is nobody's id
    cursor.execute(_bodies(count), (*ids, *(0 for _ in range(count - len(ids)))))
    found = {id: (id, salt, bytes(raw)) for id, salt, raw in cursor.fetchall()}
    return [found[id] for id in ids if id in found]


def filters(query: Query) -> tuple[str, tuple[Any, ...]]:
    """Return what a query means for rows of `archive a`, and the values."""
    text, values = "", []
    if query.nick is not None:
        text += " AND a.resource = ?"
        values.append(query.nick)
    if query.peer is not None:
        text += " AND a.peer = ?"
        values.append(query.peer.bare)
        if query.peer.resource:
            text += " AND a.resource = ?"
            values.append(query.peer.resource)
    if not query.groupchat:
        text += f" AND a.flags < {Flag.GROUPCHAT.value}"
    return text, tuple(values)


@attrs.frozen
class Reading:
    """One reading of an archive.

    owner: bare JID; least, greatest: ids, both included; values: of the source's condition.
    """

    owner: str
    query: Query
    least: int
    greatest: int
    source: Source = EVERYTHING
    values: tuple[Any, ...] = ()

    def page(self, cursor: Any, most: int, most_bytes: int, backwards: bool) -> Page:
        """Return a page of at most so many messages and bytes, but of one message in any case."""
        found: list[Message] = []
        size, least, greatest = 0, self.least, self.greatest
        full = False
        while not full and least <= greatest:
            room = most - len(found)
            wanted = min(CHUNK, room + 1)
            ids = self._ids(cursor, least, greatest, wanted, backwards)
            # of one more than there is room for only that it is there matters
            for message in bodies(cursor, ids[:room]):
                size += len(message[2])
                if found and size > most_bytes:
                    full = True
                    break
                found.append(message)
            full = full or len(ids) > room
            if len(ids) < wanted:
                break
            if backwards:
                greatest = ids[-1] - 1
            else:
                least = ids[-1] + 1
        if backwards:
            found.reverse()
        return Page(found, complete=not full)

    def named(
        self, cursor: Any, ids: Iterable[int], most: int, most_bytes: int, backwards: bool
    ) -> Page:
        """Return a page of those messages, given in order, that this reading finds."""
        found: list[Message] = []
        for id in ids:
            if self.least <= id <= self.greatest:
                only = attrs.evolve(self, least=id, greatest=id)
                found += only.page(cursor, 1, most_bytes, backwards).messages
        if backwards:
            found.reverse()
        size, taken = 0, 0
        for _, _, raw in found[:most]:
            size += len(raw)
            if taken and size > most_bytes:
                break
            taken += 1
        page = found[:taken]
        if backwards:
            page.reverse()
        return Page(page, complete=taken == len(found))

    def _ids(self, cursor: Any, least: int, greatest: int, most: int, backwards: bool) -> list[int]:
        text, values = filters(self.query)
        cursor.execute(
            select(self.source, text, backwards),
            (*self.values, self.owner, *values, least, greatest, most),
        )
        return [id for (id,) in cursor.fetchall()]

    def count(self, cursor: Any) -> int | None:
        """Return how many results there are, None if they are too many to be counted."""
        text, values = filters(self.query)
        cursor.execute(
            select(self.source, text, None),
            (*self.values, self.owner, *values, self.least, self.greatest, MOST_COUNTED + 1),
        )
        count: int = cursor.fetchone()[0]
        return count if count <= MOST_COUNTED else None


def emptied(cursor: Any, owner: str) -> int:
    """Return the id up to which the messages of an archive are as good as removed, or 0."""
    cursor.execute("SELECT last FROM archive_emptied WHERE owner = ?", (owner,))
    row = cursor.fetchone()
    return 0 if row is None else int(row[0])


def speakers(cursor: Any, owner: str, ids: Iterable[int]) -> list[str]:
    """Return the other side, a bare JID, of each message of an archive."""
    found = []
    for id in ids:
        cursor.execute("SELECT peer FROM archive WHERE owner = ? AND id = ?", (owner, id))
        row = cursor.fetchone()
        found.append("" if row is None else str(row[0]))
    return found


ONE = (
    "SELECT a.id FROM archive a CROSS JOIN message m"
    " WHERE a.owner = ? AND a.id = ? AND m.id = a.id AND m.salt = ?"
)


def find(cursor: Any, owner: str, uid: str) -> int:
    """Return the id of a message by its public id.

    Raises StanzaError item-not-found if the archive does not have it (XEP-0313 §4.1.3, §4.3.2).
    """
    parsed = parse_id(uid)
    if parsed is not None:
        cursor.execute(ONE, (owner, *parsed))
        row = cursor.fetchone()
        if row is not None:
            return int(row[0])
    raise StanzaError("item-not-found", text="there is no such message in this archive")


END = "SELECT a.id FROM archive a WHERE a.owner = ? AND a.id > ? ORDER BY a.id{} LIMIT 1"


def ends(cursor: Any, owner: str) -> list[Message]:
    """Return the first and the last message; nothing for an empty archive."""
    found = []
    last = emptied(cursor, owner)
    for order in ("", " DESC"):
        cursor.execute(END.format(order), (owner, last))
        found += bodies(cursor, [id for (id,) in cursor.fetchall()])
    return found


# removing


OLDEST = "SELECT id, peer FROM archive WHERE owner = ? AND id < ? ORDER BY id LIMIT ?"


def remove(cursor: Any, owner: str, before: int, most: int, forget: Any) -> int:
    """Remove the oldest messages of an archive; return how many.

    before: an id; forget: called with cursor and ids of those that nobody's archive has now.
    """
    cursor.execute(OLDEST, (owner, before, most))
    rows = cursor.fetchall()
    if not rows:
        return 0
    cursor.execute("DELETE FROM archive WHERE owner = ? AND id <= ?", (owner, rows[-1][0]))
    gone = []
    for id, peer in rows:
        cursor.execute("SELECT 1 FROM archive WHERE owner = ? AND id = ?", (peer, id))
        if cursor.fetchone() is None:
            gone.append(id)
    forget(cursor, gone)
    unrefer(cursor, [id for id, _ in rows])
    return len(rows)
