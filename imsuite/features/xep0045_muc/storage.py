"""What is stored of rooms: a row for each, one for each affiliation, one for each client inside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from imsuite.core.interfaces import Table
from imsuite.features.xep0045_muc.room import Entry, Room
from imsuite.rules.affiliations import Affiliation, Role
from imsuite.xmpp.rsm import Page

TABLES = (
    Table(
        "room",
        (
            """CREATE TABLE room (
        jid TEXT PRIMARY KEY,       -- its bare JID
        domain TEXT NOT NULL,       -- of the rooms
        made BIGINT NOT NULL,       -- µs since 1970 UTC
        name TEXT NOT NULL,         -- what it calls itself
        listed SMALLINT NOT NULL,   -- 1: anybody may find it
        lasting SMALLINT NOT NULL,  -- 1: it stays when nobody is in
        locked SMALLINT NOT NULL,   -- 1: it was not configured yet
        secret TEXT NOT NULL,       -- makes occupant ids
        config TEXT NOT NULL,       -- JSON: settings that are not the usual ones
        subject {blob},             -- the message that set the subject
        subject_id BIGINT NOT NULL) -- its id, 0 if there is none""",
            "CREATE INDEX room_listed ON room (domain, listed, jid)",
            "CREATE INDEX room_fleeting ON room (domain) WHERE lasting = 0",
        ),
        owner=None,
    ),
    Table(
        "room_affiliation",
        (
            """CREATE TABLE room_affiliation (
        room TEXT NOT NULL,
        jid TEXT NOT NULL,          -- bare JID, or a domain
        affiliation TEXT NOT NULL,  -- 'none' where there was one before
        nick TEXT NOT NULL,         -- reserved nickname, '' for none
        reason TEXT NOT NULL,
        version BIGINT NOT NULL,    -- when it became so; grows with each change
        PRIMARY KEY (room, jid)) {clustered}""",
            "CREATE INDEX room_affiliation_jid ON room_affiliation (jid)",
        ),
        owner="jid",
    ),
    Table(
        "room_occupant",
        (
            """CREATE TABLE room_occupant (
        room TEXT NOT NULL,
        jid TEXT NOT NULL,   -- full JID
        nick TEXT NOT NULL,
        role TEXT NOT NULL,
        PRIMARY KEY (room, jid)) {clustered}""",
            "CREATE INDEX room_occupant_jid ON room_occupant (jid)",
        ),
        owner=None,
    ),
)

_COLUMNS = "made, locked, secret, config, subject, subject_id"

SAVE = (
    "INSERT INTO room (jid, domain, made, name, listed, lasting, locked, secret, config, subject,"
    " subject_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, 0) ON CONFLICT (jid) DO UPDATE SET"
    " name = excluded.name, listed = excluded.listed, lasting = excluded.lasting,"
    " locked = excluded.locked, config = excluded.config"
)
SUBJECT = "UPDATE room SET subject = ?, subject_id = ? WHERE jid = ?"
AFFILIATE = (
    "INSERT INTO room_affiliation (room, jid, affiliation, nick, reason, version)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (room, jid) DO UPDATE SET"
    " affiliation = excluded.affiliation, nick = excluded.nick, reason = excluded.reason,"
    " version = excluded.version"
)
ENTER = (
    "INSERT INTO room_occupant (room, jid, nick, role) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (room, jid) DO UPDATE SET nick = excluded.nick, role = excluded.role"
)
FORGET = (  # what may be left of another room of that name
    "DELETE FROM room_affiliation WHERE room = ?",
    "DELETE FROM room_occupant WHERE room = ?",
)
LEAVE = "DELETE FROM room_occupant WHERE room = ? AND jid = ?"
EXPEL = "UPDATE room_occupant SET role = 'none' WHERE room = ? AND jid = ?"
SWEEP = "DELETE FROM room_occupant WHERE room = ? AND jid = ? AND role = 'none'"


@attrs.frozen
class Stored:
    """A room as it was stored."""

    made: int
    locked: bool
    secret: str
    config: dict[str, Any]
    subject: bytes | None
    subject_id: int
    entries: dict[str, Entry]
    former: dict[str, int]  # who has no affiliation any more, and since which version
    occupants: list[tuple[str, str, str]]  # full JID, nickname, role
    traces: list[str]  # addresses of those who are in no more (see traces.py)


Loaded = tuple[Stored | None, dict[str, Any]]


def load(cursor: Any, bare: str) -> Stored | None:
    """Return a room, None if there is none."""
    cursor.execute(f"SELECT {_COLUMNS} FROM room WHERE jid = ?", (bare,))  # noqa: S608 # ours
    row = cursor.fetchone()
    if row is None:
        return None
    made, locked, secret, config, subject, subject_id = row
    cursor.execute(
        "SELECT jid, affiliation, nick, reason, version FROM room_affiliation WHERE room = ?",
        (bare,),
    )
    entries, former = {}, {}
    for jid, affiliation, nick, reason, version in cursor.fetchall():
        if affiliation == Affiliation.NONE.value and not nick:
            former[jid] = version
        else:
            entries[jid] = Entry(Affiliation(affiliation), nick, reason, version)
    cursor.execute("SELECT jid, nick, role FROM room_occupant WHERE room = ?", (bare,))
    occupants = list(cursor.fetchall())
    return Stored(
        made,
        bool(locked),
        secret,
        json.loads(config),
        None if subject is None else bytes(subject),
        subject_id,
        entries,
        former,
        [row for row in occupants if row[2] != Role.NONE.value],
        [jid for jid, _, role in occupants if role == Role.NONE.value],
    )


def values(room: Room) -> tuple[Any, ...]:
    """Return the values of SAVE."""
    config = room.config
    return (
        room.bare,
        room.jid.domain,
        room.made,
        config.name,
        int(config.public and not room.locked),
        int(config.persistent),
        int(room.locked),
        room.secret,
        json.dumps(config.stored(), separators=(",", ":")),
    )


def affiliate(room: str, jid: str, entry: Entry) -> tuple[Any, ...]:
    """Return the values of AFFILIATE."""
    affiliation = entry.affiliation.value
    return room, jid, affiliation, entry.nick, entry.reason, entry.version


def save(cursor: Any, room: tuple[Any, ...], changed: Mapping[str, Entry]) -> None:
    """Write a room, as `values` has it, and some of its affiliations."""
    cursor.execute(SAVE, room)
    cursor.executemany(AFFILIATE, [affiliate(room[0], jid, e) for jid, e in changed.items()])


def remove(cursor: Any, bare: str) -> None:
    """Remove a room."""
    for table, column in (("room", "jid"), ("room_affiliation", "room"), ("room_occupant", "room")):
        cursor.execute(f"DELETE FROM {table} WHERE {column} = ?", (bare,))  # noqa: S608 # ours


def leave(cursor: Any, bare: str, gone: Iterable[str]) -> None:
    """Remove clients from a room."""
    cursor.executemany(LEAVE, [(bare, jid) for jid in gone])


def fleeting(cursor: Any, domain: str) -> list[str]:
    """Return the rooms that end when nobody is in them."""
    cursor.execute("SELECT jid FROM room WHERE domain = ? AND lasting = 0", (domain,))
    return [jid for (jid,) in cursor.fetchall()]


@attrs.frozen
class Listing:
    """A page of the public rooms: address and name of each; how many are before it, and in all."""

    rooms: list[tuple[str, str]]
    before: int
    count: int


def of_client(cursor: Any, jid: str) -> list[str]:
    """Return the rooms a client was in."""
    cursor.execute("SELECT room FROM room_occupant WHERE jid = ? AND role <> 'none'", (jid,))
    return [room for (room,) in cursor.fetchall()]


def visits(cursor: Any, jid: str, domain: str) -> list[tuple[str, str]]:
    """Return the rooms of a domain that a client was in, or was thrown out of, and as whom."""
    cursor.execute("SELECT room, nick FROM room_occupant WHERE jid = ?", (jid,))
    return [(room, nick) for room, nick in cursor.fetchall() if room.endswith(f"@{domain}")]


def former(cursor: Any, room: str) -> list[str]:
    """Return nicknames of those who were in a room."""
    cursor.execute("SELECT nick FROM room_occupant WHERE room = ? AND role = 'none'", (room,))
    return [nick for (nick,) in cursor.fetchall()]


def listed(cursor: Any, domain: str, page: Page) -> Listing:
    """Return public rooms in the order of their addresses."""
    where, order, values = "", "", [domain]
    if page.after is not None:
        where, values = " AND jid > ?", [domain, page.after]
    elif page.before is not None:
        where, values = " AND jid < ?", [domain, page.before]
    if page.backwards:
        order = " DESC"
    public = "FROM room WHERE domain = ? AND listed = 1"
    cursor.execute(
        f"SELECT jid, name {public}{where} ORDER BY jid{order} LIMIT ?",
        (*values, page.max),
    )
    rooms = list(cursor.fetchall())
    if page.backwards:
        rooms.reverse()
    cursor.execute(f"SELECT count(*) {public}", (domain,))
    count: int = cursor.fetchone()[0]
    before = 0
    if rooms:
        cursor.execute(f"SELECT count(*) {public} AND jid < ?", (domain, rooms[0][0]))
        before = cursor.fetchone()[0]
    return Listing(rooms, before, count)


def public(cursor: Any, domain: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the public rooms, in the order of their addresses, with their settings."""
    cursor.execute(
        "SELECT jid, config FROM room WHERE domain = ? AND listed = 1 ORDER BY jid", (domain,)
    )
    for jid, config in cursor.fetchall():
        yield jid, json.loads(config)


def of_account(cursor: Any, bare: str) -> list[tuple[str, str]]:
    """Return the rooms an account is affiliated with, and as what."""
    cursor.execute(
        "SELECT room, affiliation FROM room_affiliation WHERE jid = ? AND affiliation <> 'none'"
        " ORDER BY room",
        (bare,),
    )
    return list(cursor.fetchall())


def owned_alone(cursor: Any, bare: str, after: str, most: int) -> list[str]:
    """Return rooms that nobody else owns, in the order of their addresses, from one on."""
    cursor.execute(
        "SELECT room FROM room_affiliation AS mine"
        " WHERE jid = ? AND affiliation = 'owner' AND room > ? AND NOT EXISTS"
        " (SELECT 1 FROM room_affiliation AS other WHERE other.room = mine.room"
        " AND other.affiliation = 'owner' AND other.jid <> mine.jid) ORDER BY room LIMIT ?",
        (bare, after, most),
    )
    return [room for (room,) in cursor.fetchall()]


def load_more(cursor: Any, bare: str, keepers: Mapping[str, Any]) -> Loaded:
    """Return a room and what features keep of it. keepers: each an IRoomKeeper, by its word."""
    stored = load(cursor, bare)
    if stored is None:
        return None, {}
    return stored, {word: f.load_room(cursor, bare, stored.made) for word, f in keepers.items()}


def owned(cursor: Any, bare: str) -> int:
    """Return how many rooms an account owns."""
    cursor.execute(
        "SELECT count(*) FROM room_affiliation WHERE jid = ? AND affiliation = 'owner'", (bare,)
    )
    count: int = cursor.fetchone()[0]
    return count
