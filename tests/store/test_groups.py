"""Group commit: records become durable in groups, in their order, or are refused."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from imsuite.core.host import Host
from imsuite.core.record import Ids, Insert, Record
from imsuite.core.router import Router
from imsuite.store.dialect import StoreConflict, StoreFull, StoreUnavailable, StoreUnknown
from imsuite.store.groups import FIRST_PAUSE, TABLES, Groups, insert
from imsuite.store.pool import Store
from imsuite.xmpp.stanza import make

THING = Insert("thing", ("number", "word"))


class Slow:
    """The store with commits that a test lets happen, or fail. returns: as PostgreSQL does."""

    def __init__(self, returns=False):
        self.clock = Clock()
        self.store = Store("sqlite:///:memory:", self.clock)
        self.store.open(TABLES)
        self.store.execute("CREATE TABLE thing (number INTEGER PRIMARY KEY, word TEXT)")
        self.dialect, self.ids = self.store.dialect, Ids(self.clock)
        self.dialect.returns = returns
        self.waiting = []
        self.groups = Groups(self)
        self.host = Host("example.org", self.store, None, self.clock, Router())
        self.refused = []
        self.kept = []

    def soon(self, function):
        self.clock.callLater(0, function)

    def run(self, function, *args):
        later = Deferred()
        self.waiting.append((later, lambda: self.store.run(function, *args)))
        return later

    def record(self, number, word="x"):
        """Append a record with one row."""
        record = Record(self.host, None, self.ids)
        record.write(THING, number, word)
        record.after(lambda: self.kept.append(number))
        record.refused = lambda why: self.refused.append((number, type(why)))
        self.groups.append(record)
        return record

    def step(self, why=None, also=False):
        """Let the next commit happen, or fail; also: it happens and its answer is lost."""
        self.clock.advance(0)
        later, call = self.waiting.pop(0)
        if why is None or also:
            done = call()
            if why is None:
                done.addCallbacks(later.callback, later.errback)
                return
        later.errback(why)

    @property
    def rows(self):
        return [n for (n,) in self.store.query("SELECT number FROM thing ORDER BY number").result]


@pytest.fixture
def slow():
    made = Slow()
    yield made
    made.store.close()


def test_what_comes_during_a_commit_shares_the_next(slow):
    for number in range(3):
        slow.record(number)
    slow.clock.advance(0)
    for number in range(3, 10):
        slow.record(number)
    slow.step()
    assert slow.kept == [0, 1, 2]
    slow.step()
    assert slow.kept == slow.rows == list(range(10))
    assert slow.waiting == []


def test_nothing_is_told_before_it_is_durable(slow):
    slow.record(1)
    settled = slow.groups.settled()
    slow.clock.advance(0)
    assert [slow.kept, settled.called] == [[], False]
    slow.step()
    assert [slow.kept, settled.called] == [[1], True]
    assert slow.groups.settled().called


def test_a_full_disk_refuses_the_group_and_the_next_is_tried(slow):
    slow.record(1)
    slow.record(2)
    slow.step(StoreFull("no room"))
    slow.record(3)
    slow.step()
    assert slow.refused == [(1, StoreFull), (2, StoreFull)]
    assert slow.kept == slow.rows == [3]


def test_a_full_disk_refuses_all_that_waits_so_that_order_is_kept(slow):
    slow.record(1)
    slow.clock.advance(0)
    slow.record(2)
    slow.step(StoreFull("no room"))
    assert slow.refused == [(1, StoreFull), (2, StoreFull)]
    slow.record(3)
    slow.step()
    assert slow.kept == slow.rows == [3]


@pytest.mark.parametrize("why", [StoreConflict("twice"), ValueError("?")])
def test_one_bad_record_does_not_take_the_others_along(slow, why):
    for number in range(4):
        slow.record(number)
    slow.step(why)
    for number in range(4):
        slow.step(why if number == 2 else None)
    assert slow.refused == [(2, type(why))]
    assert slow.kept == slow.rows == [0, 1, 3]
    slow.record(9)
    slow.record(10)
    slow.step()
    assert slow.waiting == []


def test_a_database_that_comes_back_is_waited_for():
    """The senders wait, and nothing is refused."""
    slow = Slow(returns=True)
    slow.record(1)
    for _ in range(3):
        slow.step(StoreUnavailable("gone"))
        slow.clock.advance(10)
    slow.record(2)
    slow.step()
    slow.step()
    assert slow.refused == []
    assert slow.kept == slow.rows == [1, 2]
    slow.store.close()


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_without_an_answer_is_not_done_twice(committed):
    slow = Slow(returns=True)
    slow.record(1)
    slow.step(StoreUnknown("gone"), also=committed)
    slow.clock.advance(FIRST_PAUSE)
    slow.step()  # it looks
    if not committed:
        slow.step()
    assert slow.kept == slow.rows == [1]
    assert slow.waiting == []
    slow.store.close()


def test_at_the_end_a_lost_database_is_waited_for_no_more():
    slow = Slow(returns=True)
    slow.record(1)
    slow.step(StoreUnavailable("gone"))
    done = slow.groups.finish()
    slow.clock.advance(10)
    slow.step(StoreUnavailable("gone"))
    assert [done.called, slow.refused] == [True, [(1, StoreUnavailable)]]
    slow.store.close()


def test_a_group_that_can_not_even_be_planned_does_not_stop_the_next(slow):
    record = slow.record(1)
    record.rows.append(None)
    slow.clock.advance(0)
    assert slow.refused == [(1, TypeError)]
    slow.record(2)
    slow.step()
    assert slow.kept == slow.rows == [2]


def test_what_follows_a_message_may_fail(slow):
    record = slow.record(1)
    record.after(lambda: 1 / 0)
    slow.record(2)
    slow.step()
    assert slow.kept == [1, 2]


def test_the_rows_of_a_record_may_stand_apart(slow):
    """Else statements of a group are put together: a removal after an insertion of another's."""

    def append(*rows, apart=False):
        record = Record(slow.host, None, slow.ids)
        for statement, *row in rows:
            record.write(statement, *row)
        record.apart = apart
        slow.groups.append(record)

    remove = "DELETE FROM thing WHERE word = ?"
    append((THING, 1, "old"))
    append((remove, "old"), (THING, 2, "old"), apart=True)
    append((THING, 3, "new"))
    append((remove, "new"), apart=True)
    append((THING, 4, "new"))
    slow.clock.advance(0)
    slow.step()
    assert slow.rows == [2, 4]


def test_a_record_that_writes_nothing_keeps_its_turn(slow):
    slow.record(1)
    slow.clock.advance(0)
    empty = Record(slow.host, make("message", {}), slow.ids)
    empty.after(lambda: slow.kept.append("empty"))
    slow.groups.append(empty)
    assert slow.kept == []
    slow.step()
    slow.clock.advance(0)
    assert slow.kept == [1, "empty"]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 31, 32, 33, 100])
def test_any_number_of_rows_is_written(slow, count):
    rows = [(number, f"{number}") for number in range(count)]
    slow.store.transaction(insert, THING, rows)
    assert slow.rows == list(range(count))


def test_ids_go_on_after_those_that_are_stored():
    clock = Clock()
    store = Store("sqlite:///:memory:", clock)
    store.open(TABLES)
    store.execute("INSERT INTO message (id, salt, refs, raw) VALUES (?, 1, 1, ?)", 10**18, b"")
    groups = Groups(store)
    store.run(groups.begin)
    assert store.ids.next() == 10**18 + 1
    store.close()
