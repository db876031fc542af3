"""XEP-0313: the rows of rooms, on each kind of database."""

import pytest
from twisted.internet.task import Clock

from imsuite.features.xep0313_archive import Archive, retention, services, storage
from imsuite.rules.archive import Flag
from imsuite.store.groups import TABLES as MESSAGES
from imsuite.store.pool import Store
from imsuite.testing.memory import now
from tests.postgres import empty_database

ROOM, HAG = "coven@hall.example.org", "hag@example.org"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)])
def store(request):
    """A database with the tables, and ten messages of a room."""
    url = "sqlite:///:memory:" if request.param == "sqlite" else empty_database()
    store = Store(url, Clock())
    store.open((*MESSAGES, *Archive.tables))
    for id in range(1, 11):
        message = "INSERT INTO message (id, salt, refs, raw) VALUES (?, ?, 1, ?)"
        now(store.execute(message, id, 100 + id, b"<message/>"))
        flags = Flag.GROUPCHAT if id % 2 else Flag.GROUPCHAT | Flag.QUIET
        row = "INSERT INTO archive (owner, id, peer, resource, flags) VALUES (?, ?, ?, 'nick', ?)"
        now(store.execute(row, ROOM, id, HAG, flags.value))
    yield store
    now(store.close())


def recent(store, most=9, since=0):
    return [id for id, _, _ in now(store.read(services._recent, ROOM, most, since))]


def test_the_past(store):
    """What is told to who enters, the oldest first."""
    assert recent(store) == [1, 3, 5, 7, 9]
    assert recent(store, 2) == [7, 9]
    assert recent(store, since=5) == [5, 7, 9]


def test_one_message(store):
    """By id and salt, also one that is not kept for good."""
    found = now(store.read(services._find, ROOM, 3, 103))
    assert (found.peer, found.nick, found.flags) == (HAG, "nick", Flag.GROUPCHAT)
    assert now(store.read(services._find, ROOM, 3, 104)) is None
    assert now(store.read(services._find, ROOM, 11, 111)) is None
    now(store.execute("UPDATE archive SET owner = ? WHERE id = 4", ROOM + storage.PASSING))
    assert now(store.read(services._find, ROOM, 4, 104)).owner == ROOM + storage.PASSING


def test_what_is_buried_is_not_told(store):
    """XEP-0424 §4"""
    flags = (Flag.GROUPCHAT | Flag.RETRACTED).value
    now(store.execute(services.BURIED, flags, ROOM, 3))
    assert recent(store) == [1, 5, 7, 9]
    assert now(store.read(services._find, ROOM, 3, 103)).retracted


def test_an_archive_that_goes(store):
    """From one moment on nothing of it is there, whether or not the rows are."""
    now(store.transaction(retention._abandon, ROOM, 4))
    now(store.transaction(retention._abandon, ROOM, 6))
    assert recent(store) == [7, 9]
    assert now(store.read(services._find, ROOM, 5, 105)) is None
    assert [id for id, _, _ in now(store.read(storage.ends, ROOM))] == [7, 10]
    assert now(store.transaction(storage.remove, ROOM, 7, 200, lambda cursor, ids: None)) == 6
    assert now(store.query("SELECT count(*) FROM message")) == [(4,)]


def test_owners_are_found_one_by_one(store):
    """In order, without going through all rows."""
    for owner in ("z@example.org", "a@example.org", ROOM + storage.PASSING):
        now(store.execute("INSERT INTO archive VALUES (?, 1, 'x', '', 0)", owner))
    expected = ["a@example.org", ROOM, ROOM + storage.PASSING, "z@example.org"]
    assert now(store.read(retention.owners_after, "", 9)) == expected
    assert now(store.read(retention.owners_after, "", 2)) == expected[:2]
    assert now(store.read(retention.owners_after, ROOM, 9)) == expected[2:]


def test_who_spoke(store):
    """§6.1.2: in the order of the ids that are asked for."""
    assert now(store.read(storage.speakers, ROOM, [3, 1, 99])) == [HAG, HAG, ""]
