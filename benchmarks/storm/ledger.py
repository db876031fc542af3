"""What must hold of messages that a server keeps, in memory and in its tables."""

from __future__ import annotations

import gc
import re
from collections import Counter
from typing import Any

import attrs

from imsuite.core.interfaces import IArchive, ICarbons, IOffline
from imsuite.core.outbox import Outbox, Place
from imsuite.core.session import Session
from imsuite.features.xep0198_management.tracker import Tracker
from imsuite.testing.memory import MemoryServer, now

_BODY = re.compile(rb"<body>n(\d+)</body>")
_LEFT = (Session, Outbox, Place, Tracker)


@attrs.define
class Said:
    """A message.

    device: full JID of its sender; sender, to: bare JIDs; acked: the server said that it has it;
    again: it was sent once more after its link was lost; void: bare JIDs of accounts that were
    removed since.
    """

    number: int
    device: str
    sender: str
    to: str
    acked: bool = False
    again: bool = False
    void: set[str] = attrs.field(factory=set)


def archived(server: MemoryServer, owner: str) -> list[int]:
    """Return the numbers of the messages in an archive, in its order."""
    rows = _rows(
        server,
        "SELECT m.raw FROM archive a JOIN message m ON m.id = a.id WHERE a.owner = ? ORDER BY a.id",
        owner,
    )
    return [int(found[1]) for (raw,) in rows if (found := _BODY.search(bytes(raw)))]


def _rows(server: MemoryServer, sql: str, *values: object) -> list[Any]:
    return list(now(server.store.query(sql, *values)))


def problems(server: MemoryServer, said: dict[int, Said], refused: set[int]) -> list[str]:
    """Return what is wrong while nothing is under way.

    refused: numbers of messages that the store refused, or of which a sender was told so.
    """
    return [*_archives(server, said, refused), *_tables(server)]


def _archives(server: MemoryServer, said: dict[int, Said], refused: set[int]) -> list[str]:
    found = []
    have: dict[str, set[int]] = {}
    for owner in {bare for each in said.values() for bare in (each.sender, each.to)}:
        numbers = archived(server, owner)
        have[owner] = set(numbers)
        twice = [number for number, count in Counter(numbers).items() if count > 1]
        if twice:
            found.append(f"the archive of {owner} has {twice} more than once")
        newest: dict[str, int] = {}
        for number in numbers:
            device = said[number].device
            if number < newest.get(device, 0):
                found.append(f"n{number} of {device} is too late in the archive of {owner}")
            newest[device] = number
    for each in said.values():
        where = {
            bare: each.number in have[bare]
            for bare in (each.sender, each.to)
            if bare not in each.void
        }
        if len(set(where.values())) > 1:
            found.append(f"n{each.number} is in one archive only: {where}")
        kept = any(where.values())
        if each.acked and where and not kept and each.number not in refused and not each.void:
            found.append(f"n{each.number} was acknowledged and is lost")
        if kept and each.number in refused and not each.again:
            found.append(f"n{each.number} was refused and is kept")
    return found


def _tables(server: MemoryServer) -> list[str]:
    found = []
    features: list[Any] = [host.features["management"] for host in server.hosts]
    unwritten = {key for management in features for key in management._unwritten}
    for name, sql in (
        (
            "refs that are wrong",
            "SELECT m.id, m.refs FROM message m WHERE m.refs <>"
            " (SELECT count(*) FROM archive a WHERE a.id = m.id)"
            " + (SELECT count(*) FROM offline o WHERE o.id = m.id AND o.own = 1)",
        ),
        (
            "archive rows without message",
            "SELECT owner, id FROM archive a WHERE NOT EXISTS"
            " (SELECT 1 FROM message m WHERE m.id = a.id)",
        ),
        (
            "offline rows without message",
            "SELECT owner, id FROM offline o WHERE NOT EXISTS"
            " (SELECT 1 FROM message m WHERE m.id = o.id)",
        ),
        (
            "pending rows without session",
            "SELECT session, number FROM pending p WHERE NOT EXISTS"
            " (SELECT 1 FROM session s WHERE s.number = p.session AND s.ended = 0)",
        ),
    ):
        # what could not be written is written at another time
        rows = [row for row in _rows(server, sql) if row[0] not in unwritten]
        if rows:
            found.append(f"{name}: {rows[:5]}")
    users = {
        f"{local}@{host}" for local, host in _rows(server, "SELECT localpart, host FROM accounts")
    }
    for table, owner in (("archive", "owner"), ("offline", "owner"), ("session", "account")):
        owners = {row[0] for row in _rows(server, f"SELECT DISTINCT {owner} FROM {table}")}
        if owners - users:
            found.append(f"{table} has rows of nobody: {owners - users}")
    for host in server.hosts:
        management: Any = host.features["management"]
        open_ = {
            key
            for (key,) in _rows(
                server, "SELECT number FROM session WHERE ended = 0 AND host = ?", host.domain
            )
        }
        if open_ - unwritten != set(management._trackers):
            found.append(f"sessions: {open_} are stored, {set(management._trackers)} are known")
        offline = host.find_feature(IOffline)
        for account in host.accounts.values():
            waiting = offline._kept.of(account)
            stored = _rows(server, "SELECT count(*) FROM offline WHERE owner = ?", account.bare)
            # what two sessions have lost is counted twice until it was given to another
            if waiting.stored < stored[0][0]:
                found.append(f"offline of {account}: {waiting}, stored are {stored[0][0]}")
    return found


def remains(server: MemoryServer) -> list[str]:
    """Return what is left in memory though everybody has gone."""
    found = []
    for host in server.hosts:
        management: Any = host.features["management"]
        tables: dict[str, Any] = {
            name: getattr(management, name)
            for name in (
                "_trackers",
                "_detached",
                "_watched",
                "_unsaved",
                "_later",
                "_resuming",
                "_unwritten",
            )
        }
        tables["given"] = host.find_feature(IArchive)._given
        tables["leaving"] = host.departures._leaving
        for account in host.accounts.values():
            tables[f"sessions of {account}"] = account.sessions
            tables[f"carbons of {account}"] = host.find_feature(ICarbons)._enabled.of(account)
        found += [f"{name}: {table}" for name, table in tables.items() if table]
    if server.router.sessions:
        found.append(f"sessions: {server.router.sessions}")
    gc.collect()
    hosts = server.hosts
    left = [each for each in gc.get_objects() if isinstance(each, _LEFT)]
    kinds = Counter(type(each).__name__ for each in left if _session(each).account.host in hosts)
    if kinds:
        found.append(f"still in memory: {dict(kinds)}")
    return found


def _session(each: Any) -> Session:
    session: Session = each if isinstance(each, Session) else each.session
    return session
