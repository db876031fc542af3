"""The store answers, keeps, refuses and lets go, whatever is below it (architecture §8)."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from imsuite.core.interfaces import IStore, Table
from imsuite.store.dialect import StoreConflict, StoreError, StoreFull, StoreUnavailable
from imsuite.store.pool import MOST_WAITING, Store, Threads

NOTES = Table(
    "notes",
    ("CREATE TABLE notes (id {serial}, account TEXT NOT NULL UNIQUE, body {blob} NOT NULL)",),
)
ADD = "INSERT INTO notes (account, body) VALUES (?, ?)"
COUNT = "SELECT count(*) FROM notes"


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
    with pytest.raises(sqlite3.OperationalError) as caught:
        wait(notes.query("SELEKT"))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("call", ["query", "lookup"])
def test_a_query_does_not_write(notes, wait, call):
    with pytest.raises((TypeError, sqlite3.OperationalError)):
        wait(getattr(notes, call)(ADD + " RETURNING id", "a", b""))


def test_a_read_does_not_write(notes, wait):
    with pytest.raises((TypeError, sqlite3.OperationalError)):
        wait(notes.read(lambda cursor: cursor.execute(ADD, ("a", b""))))
    assert wait(notes.query(COUNT)) == [(0,)]


def test_rows_must_refer_to_something(store, wait):
    parent = Table("parent", ("CREATE TABLE parent (id INTEGER PRIMARY KEY)",))
    child = Table("child", ("CREATE TABLE child (id INTEGER REFERENCES parent (id))",))
    wait(store.migrate((parent, child)))
    with pytest.raises(StoreConflict):
        wait(store.execute("INSERT INTO child VALUES (1)"))


def test_a_full_disk_is_told_and_survived(notes, wait):
    """Architecture §11: the sender gets resource-constraint; the server stays up."""
    wait(notes.execute("PRAGMA max_page_count = 10"))
    with pytest.raises(StoreFull) as caught:
        wait(notes.execute(ADD, "a", b"x" * 100_000))
    assert caught.value.condition == "resource-constraint"
    with pytest.raises(StoreFull):
        wait(notes.transaction(lambda cursor: cursor.execute(ADD, ("a", b"x" * 100_000))))
    wait(notes.execute(ADD, "a", b"small"))
    assert wait(notes.query(COUNT)) == [(1,)]


def test_a_closed_store_refuses(store, wait):
    wait(store.migrate((NOTES,)))
    wait(store.close())
    wait(store.close())
    for answer in (store.query(COUNT), store.lookup(COUNT), store.execute(COUNT)):
        with pytest.raises(StoreUnavailable, match="closed"):
            wait(answer)


def test_memory_and_a_store_without_reactor_answer_at_once(make):
    for kind in ("memory", "file"):
        store = make(kind)
        store.migrate((NOTES,))
        assert store.query(COUNT).result == [(0,)]


def test_what_was_begun_is_finished_when_the_store_closes(make, wait, path):
    store = make()
    wait(store.migrate((NOTES,)))
    writes = [store.execute(ADD, str(number), b"") for number in range(50)]
    wait(store.close())
    assert [write.result for write in writes] == [1] * 50
    connection = sqlite3.connect(path)
    assert connection.execute(COUNT).fetchone() == (50,)
    connection.close()
    assert not path.with_name("imsuite.db-wal").exists()


def test_writes_keep_their_order(make, wait):
    """S-9: there is one writer."""
    store = make()
    wait(store.migrate((NOTES,)))
    wait(gatherResults([store.execute(ADD, str(number), b"") for number in range(200)]))
    rows = wait(store.query("SELECT account FROM notes ORDER BY id"))
    assert rows == [(str(number),) for number in range(200)]


def test_a_long_read_does_not_delay_a_commit(make, wait):
    store = make()
    wait(store.migrate((NOTES,)))
    release = threading.Event()

    def slow(cursor):
        before = cursor.execute(COUNT).fetchone()
        release.wait(20)
        return before, cursor.execute(COUNT).fetchone()

    reading = store.read(slow)
    assert wait(store.execute(ADD, "a", b"")) == 1
    release.set()
    # and what it reads stays the same until its end
    assert wait(reading) == ((0,), (0,))


def test_commits_are_synced(make, wait):
    store = make()
    store.open()
    (mode,) = wait(
        store.transaction(lambda cursor: cursor.execute("PRAGMA synchronous"))
    ).fetchone()
    assert mode == 2
    assert wait(store.query("PRAGMA journal_mode")) == [("wal",)]


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


def test_the_calls_of_adbapi_work(make, wait):
    store = make()
    wait(store.migrate((NOTES,)))
    pool = store._writer
    assert wait(pool.runQuery(COUNT)) == [(0,)]
    with pytest.raises(sqlite3.OperationalError):
        wait(pool.runQuery("SELEKT"))


def test_the_reactor_may_stop_without_the_store_being_closed(make, wait, reactor):
    store = make()
    wait(store.migrate((NOTES,)))
    for _, _, function in list(reactor.triggers):
        function()
    with pytest.raises(StoreUnavailable):
        wait(store.execute(ADD, "a", b""))


def test_two_servers_do_not_share_a_file(make, path):
    make("file").open()
    with pytest.raises(StoreError, match=f"in use: another imsuite .process {os.getpid()}."):
        make("file").open()
    link = path.with_name("other.db")
    link.symlink_to(path)
    with pytest.raises(StoreError, match="in use"):
        Store(f"sqlite://{link}", None).open()


def test_the_lock_is_gone_with_its_process(make, path):
    script = (
        "import os; from imsuite.store.pool import Store; from twisted.internet.task import Clock\n"
        f"Store('sqlite://{path}', Clock()).open(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == -9
    make("file").open()


def test_a_stopped_server_leaves_the_file_to_others(make, wait):
    store = make()
    store.open()
    wait(store.close())
    make("file").open()


def test_nobody_else_can_read_the_file(make, wait, path):
    before = os.umask(0)
    try:
        wait(make().migrate((NOTES,)))
    finally:
        os.umask(before)
    for name in os.listdir(path.parent):
        assert os.stat(path.with_name(name)).st_mode & 0o077 == 0, name


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://user:secret@db/imsuite", "no PostgreSQL store"),
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


def _not_a_database(path):
    path.write_bytes(b"This is a letter, not a database. " * 100)


def _directory(path):
    path.mkdir()


def _dangling(path):
    path.symlink_to(path.parent / "no" / "such" / "place.db")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_not_a_database, "is not an SQLite database, or is damaged"),
        (_directory, "Is a directory"),
        (_dangling, "No such file or directory"),
    ],
)
def test_an_unusable_file_is_told_in_one_line(make, path, spoil, words):
    spoil(path)
    for _ in range(2):  # and it is not left locked
        with pytest.raises(StoreUnavailable, match=words) as caught:
            make("file").open()
        assert "\n" not in str(caught.value)


def test_a_file_damaged_inside_is_told(make, wait, path):
    store = make("file")
    wait(store.migrate((NOTES,)))
    wait(store.close())
    damaged = bytearray(path.read_bytes())
    damaged[100:4096] = b"\xff" * 3996
    path.write_bytes(damaged)
    with pytest.raises(StoreUnavailable, match="damaged"):
        wait(make("file").migrate((NOTES,)))
    assert path.read_bytes() == bytes(damaged)


@contextmanager
def unprivileged():
    """Be nobody for a moment where the tests run as root, who may write everywhere."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_directory_that_may_not_be_written_is_told(make, path):
    path.parent.chmod(0o500)
    try:
        with unprivileged(), pytest.raises(StoreUnavailable, match="Permission denied"):
            make("file").open()
    finally:
        path.parent.chmod(0o700)
