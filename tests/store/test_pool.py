"""The store answers, keeps, refuses and lets go, whatever is below it (architecture §8)."""

import sqlite3
import threading

import psycopg
import pytest
from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from imsuite.core.interfaces import IStore, Table
from imsuite.store.dialect import StoreConflict, StoreError, StoreUnavailable
from imsuite.store.pool import MOST_WAITING, Store, Threads

NOTES = Table(
    "notes",
    ("CREATE TABLE notes (id {serial}, account TEXT NOT NULL UNIQUE, body {blob} NOT NULL)",),
)
ADD = "INSERT INTO notes (account, body) VALUES (?, ?)"
COUNT = "SELECT count(*) FROM notes"
INLINE = pytest.param("postgres-inline", marks=pytest.mark.needs_postgres)
MISTAKES = (sqlite3.OperationalError, psycopg.ProgrammingError, psycopg.InternalError)


@pytest.fixture
def notes(store, wait):
    wait(store.migrate((NOTES,)))
    return store


def test_store_is_an_istore(store):
    verifyObject(IStore, store)


def test_what_was_written_is_read(notes, wait):
    assert wait(notes.execute(ADD, "romeo@example.org", b"\x00hello")) == 1
    rows = [("romeo@example.org", b"\x00hello")]
    assert wait(notes.query("SELECT account, body FROM notes WHERE id = ?", 1)) == rows
    assert wait(notes.lookup("SELECT account, body FROM notes WHERE id = ?", 1)) == rows


def test_execute_tells_how_many_rows_changed(notes, wait):
    for name in "abc":
        wait(notes.execute(ADD, name, b""))
    assert wait(notes.execute("UPDATE notes SET body = ?", b"x")) == 3
    assert wait(notes.execute("DELETE FROM notes WHERE account = ?", "nobody")) == 0


def test_a_statement_with_returning_is_committed(notes, wait):
    wait(notes.execute(ADD + " RETURNING id", "a", b""))
    assert wait(notes.query(COUNT)) == [(1,)]


def test_serial_numbers_are_never_given_again(notes, wait):
    wait(notes.execute(ADD, "a", b""))
    wait(notes.execute("DELETE FROM notes"))
    wait(notes.execute(ADD, "a", b""))
    assert wait(notes.query("SELECT id FROM notes")) == [(2,)]


def test_transaction_returns_what_its_function_returns(notes, wait):
    def add(cursor, *names):
        cursor.executemany(ADD, [(name, b"") for name in names])
        return cursor.execute(COUNT).fetchone()[0]

    assert wait(notes.transaction(add, "a", "b")) == 2
    assert wait(notes.read(lambda cursor: cursor.execute(COUNT).fetchall())) == [(2,)]


def test_a_transaction_that_raises_is_undone(notes, wait):
    def add(cursor):
        cursor.execute(ADD, ("a", b""))
        raise KeyError("stop")

    with pytest.raises(KeyError):
        wait(notes.transaction(add))
    assert wait(notes.query(COUNT)) == [(0,)]


def test_a_broken_constraint_is_a_conflict(notes, wait):
    wait(notes.execute(ADD, "a", b""))
    with pytest.raises(StoreConflict):
        wait(notes.execute(ADD, "a", b""))
    with pytest.raises(StoreConflict):
        wait(notes.transaction(lambda cursor: cursor.execute(ADD, ("a", b""))))


def test_a_mistake_in_sql_stays_what_it_is(notes, wait):
    """Architecture §11: it is logged with its traceback, as any other mistake."""
    with pytest.raises(MISTAKES) as caught:
        wait(notes.query("SELEKT"))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("call", ["query", "lookup"])
def test_a_query_does_not_write(notes, wait, call):
    with pytest.raises((TypeError, *MISTAKES)):
        wait(getattr(notes, call)(ADD + " RETURNING id", "a", b""))


def test_a_read_does_not_write(notes, wait):
    with pytest.raises((TypeError, *MISTAKES)):
        wait(notes.read(lambda cursor: cursor.execute(ADD, ("a", b""))))
    assert wait(notes.query(COUNT)) == [(0,)]


def test_rows_must_refer_to_something(store, wait):
    parent = Table("parent", ("CREATE TABLE parent (id INTEGER PRIMARY KEY)",))
    child = Table("child", ("CREATE TABLE child (id INTEGER REFERENCES parent (id))",))
    wait(store.migrate((parent, child)))
    with pytest.raises(StoreConflict):
        wait(store.execute("INSERT INTO child VALUES (1)"))


def test_a_closed_store_refuses(store, wait):
    wait(store.migrate((NOTES,)))
    wait(store.close())
    wait(store.close())
    for answer in (store.query(COUNT), store.lookup(COUNT), store.execute(COUNT)):
        with pytest.raises(StoreUnavailable, match="closed"):
            wait(answer)


@pytest.mark.parametrize("kind", ["memory", "file", INLINE])
def test_memory_and_a_store_without_reactor_answer_at_once(make, kind):
    store = make(kind)
    store.migrate((NOTES,))
    assert store.query(COUNT).result == [(0,)]
    store.query(ADD + " RETURNING id", "a", b"").addErrback(lambda why: why.trap(TypeError))
    store.read(lambda cursor: cursor.execute(ADD, ("b", b""))).addErrback(
        lambda why: why.trap(TypeError, *MISTAKES)
    )
    assert store.lookup("SELECT 1 FROM notes WHERE account = 'b'").result == []


def test_what_was_begun_is_finished_when_the_store_closes(make, wait, path, kind):
    store = make(kind)
    wait(store.migrate((NOTES,)))
    writes = [store.execute(ADD, str(number), b"") for number in range(50)]
    wait(store.close())
    assert [write.result for write in writes] == [1] * 50
    if kind == "threads":
        assert not path.with_name("imsuite.db-wal").exists()
    assert wait(_opened(make(kind)).query(COUNT)) == [(50,)]


def _opened(store):
    store.open()
    return store


def test_writes_keep_their_order(threaded, wait):
    """S-9: there is one writer."""
    wait(threaded.migrate((NOTES,)))
    wait(gatherResults([threaded.execute(ADD, str(number), b"") for number in range(200)]))
    rows = wait(threaded.query("SELECT account FROM notes ORDER BY id"))
    assert rows == [(str(number),) for number in range(200)]


def test_a_long_read_does_not_delay_a_commit(threaded, wait):
    wait(threaded.migrate((NOTES,)))
    begun, release = threading.Event(), threading.Event()

    def slow(cursor):
        before = cursor.execute(COUNT).fetchone()
        begun.set()
        release.wait(20)
        return before, cursor.execute(COUNT).fetchone()

    reading = threaded.read(slow)
    begun.wait(20)
    assert wait(threaded.execute(ADD, "a", b"")) == 1
    release.set()
    # and what it reads stays the same until its end
    assert wait(reading) == ((0,), (0,))


def test_more_calls_than_can_be_served_are_refused(reactor):
    """S-9: the queue has a bound."""
    threads = Threads(reactor, 1, "test")
    threads.start()
    release, taken = threading.Event(), threading.Event()
    first = threads.run(lambda: taken.set() or release.wait(20))
    taken.wait(20)
    waiting = [threads.run(int) for _ in range(MOST_WAITING)]
    with pytest.raises(StoreUnavailable, match="too many"):
        reactor.wait(threads.run(int))
    release.set()
    reactor.wait(threads.finish())
    assert first.result is True
    assert all(answer.result == 0 for answer in waiting)


def test_the_calls_of_adbapi_work(threaded, wait):
    wait(threaded.migrate((NOTES,)))
    pool = threaded._writer
    assert wait(pool.runQuery(COUNT)) == [(0,)]
    with pytest.raises(MISTAKES):
        wait(pool.runQuery("SELEKT"))


def test_the_reactor_may_stop_without_the_store_being_closed(threaded, wait, reactor):
    wait(threaded.migrate((NOTES,)))
    for _, _, function in list(reactor.triggers):
        function()
    with pytest.raises(StoreUnavailable):
        wait(threaded.execute(ADD, "a", b""))


def test_a_stopped_server_leaves_the_database_to_others(make, wait, kind):
    store = make(kind)
    store.open()
    wait(store.close())
    make(kind).open()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://x", "no store of kind 'mysql'"),
        ("imsuite.db", "no store of kind"),
        ("sqlite://", "does not name"),
        ("sqlite:///var/lib/", "does not name"),
        ("sqlite:///a.db?mode=ro", "takes no parameters"),
    ],
)
def test_a_wrong_url_is_refused_in_one_line(url, words):
    with pytest.raises(StoreError, match=words) as caught:
        Store(url, None)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
