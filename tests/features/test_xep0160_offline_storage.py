"""XEP-0160: the rows, on each kind of database."""

import pytest
from twisted.internet.task import Clock

from imsuite.features.xep0160_offline import Offline, storage
from imsuite.features.xep0160_offline.storage import Row
from imsuite.store.groups import TABLES as MESSAGES
from imsuite.store.pool import Store
from imsuite.testing.memory import now
from tests.postgres import empty_database

JULIET, NURSE = "juliet@example.org", "nurse@example.org"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)])
def store(request):
    """A database with the tables."""
    url = "sqlite:///:memory:" if request.param == "sqlite" else empty_database()
    store = Store(url, Clock())
    store.open((*MESSAGES, *Offline.tables))
    yield store
    now(store.close())


def fill(store, owners, ids, own=1):
    """Store messages that wait for each of the owners."""
    for id in ids:
        sql = "INSERT INTO message (id, salt, refs, raw) VALUES (?, ?, ?, ?)"
        now(store.execute(sql, id, 5, len(owners) * own + 1 - own, b"<message/>"))
        for owner in owners:
            now(store.execute(storage.STORE, owner, id, own))


def left(store, owner):
    """Return the ids of what waits for an owner, and of all messages."""
    waiting = now(store.query("SELECT id FROM offline WHERE owner = ? ORDER BY id", owner))
    bodies = now(store.query("SELECT id FROM message ORDER BY id"))
    return [id for (id,) in waiting], [id for (id,) in bodies]


@pytest.mark.parametrize("count", [1, 2, 8, 9, 64, 65, 150])
@pytest.mark.parametrize("own", [0, 1])
def test_just_these_rows_are_removed(store, count, own):
    """However many they are; what came between them, late, stays."""
    ids = range(1, 2 * count + 1)
    fill(store, (JULIET,), ids, own)
    page, more = now(store.read(storage.read, JULIET, 1000, 1 << 20))
    assert [row[:3] for row in page] == [(id, own, 5) for id in ids]
    assert not more
    assert now(store.transaction(storage.delete, JULIET, page[::2])) == count
    rest = [*ids][1::2]
    assert left(store, JULIET) == (rest, rest if own else [*ids])


def test_a_body_stays_as_long_as_somebody_waits_for_it(store):
    """It is stored once."""
    fill(store, (JULIET, NURSE), (1, 2, 3))
    rows = [Row(id, 1) for id in (1, 2)]
    assert now(store.transaction(storage.delete, JULIET, rows)) == 2
    assert left(store, JULIET) == ([3], [1, 2, 3])
    assert now(store.transaction(storage.delete, NURSE, rows)) == 2
    assert left(store, NURSE) == ([3], [3])


def test_a_body_that_two_let_go_of_in_one_transaction_goes(store):
    """As the group writer does it: each statement for both before the next."""
    fill(store, (JULIET, NURSE), (1, 2, 3))
    removals = [storage.removal(owner, [Row(1, 1), Row(2, 1)]) for owner in (JULIET, NURSE)]

    def remove(cursor):
        for steps in zip(*removals, strict=True):
            for statement, values in steps:
                cursor.execute(statement, values)

    now(store.transaction(remove))
    assert left(store, JULIET) == ([3], [3])


def test_what_is_gone_is_not_let_go_of_again(store):
    """Others may wait for the body of a row that was removed."""
    fill(store, (JULIET, NURSE), (1,))
    assert now(store.transaction(storage.delete, JULIET, [Row(1, 1)])) == 1
    assert now(store.transaction(storage.delete, JULIET, [Row(1, 1)])) == 0
    assert left(store, NURSE) == ([1], [1])
