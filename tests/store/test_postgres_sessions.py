"""A PostgreSQL server may stop, start again or be cut off under a running store (decision 13)."""

import signal
import socket
import threading

import pytest

from imsuite.core.interfaces import Table
from imsuite.store.dialect import StoreUnavailable, StoreUnknown
from imsuite.store.pool import Store
from imsuite.store.postgres import Postgres
from tests.postgres import CREATE, EMPTY, run_sql
from tests.postgres_proxy import Proxy

NOTES = Table("notes", ("CREATE TABLE notes (id {key}, account TEXT NOT NULL)",))
ADD = "INSERT INTO notes VALUES (?, 'a')"
COUNT = "SELECT count(*) FROM notes"

pytestmark = pytest.mark.needs_initdb


@pytest.fixture
def server(cluster):
    """A server with an empty database; it runs again when the test ends."""
    if not run_sql(cluster.url(), "SELECT 1 FROM pg_database WHERE datname = 'restarted'"):
        run_sql(cluster.url(), CREATE.format("restarted", "C"))
    run_sql(cluster.url("restarted"), *EMPTY)
    yield cluster
    if not cluster.running:
        cluster.start()


@pytest.fixture
def proxy(server):
    made = Proxy(server.port)
    yield made
    made.close()


@pytest.fixture
def notes(server, make, wait):
    """A store on that server, by its socket."""
    store = make(server.url("restarted"), threads=True)
    wait(store.migrate((NOTES,)))
    assert wait(store.lookup(COUNT)) == [(0,)]  # so that a reader has a session
    return store


@pytest.fixture
def through(server, proxy, make, wait):
    """A store on that server, by the proxy."""
    store = make(proxy.url(server.url("restarted", "127.0.0.1")), threads=True)
    wait(store.migrate((NOTES,)))
    return store


def everything(store):
    """Return one call of each kind, to be made by the test."""
    return [
        lambda: store.execute(ADD, 1),
        lambda: store.transaction(lambda cursor: cursor.execute(ADD, (2,))),
        lambda: store.query(COUNT),
        lambda: store.lookup(COUNT),
        lambda: store.read(lambda cursor: cursor.execute(COUNT).fetchall()),
    ]


@pytest.mark.parametrize("how", ["stop", "crash", "kill"])
def test_while_the_server_is_down_calls_fail_and_then_they_work(server, notes, wait, how):
    """Whether it ends in order, leaves the rest to recovery, or loses its power."""
    wait(notes.execute(ADD, 0))
    if how == "kill":
        server.kill()
    else:
        server.stop(signal.SIGINT if how == "stop" else signal.SIGQUIT)
    for call in everything(notes):
        with pytest.raises(StoreUnavailable) as caught:
            wait(call())
        assert type(caught.value) is StoreUnavailable  # nothing was under way
        assert "\n" not in str(caught.value)
    server.start()
    for call in everything(notes):
        wait(call())
    assert wait(notes.query(COUNT)) == [(3,)]


def test_a_restart_that_nobody_noticed_fails_no_call(server, notes, wait):
    server.stop()
    server.start()
    for call in everything(notes):
        wait(call())


@pytest.mark.parametrize("again", [False, True])
def test_a_transaction_that_was_under_way_is_not_done(server, notes, wait, again):
    """Its commit was never sent, which is known, even if the server is back by then."""
    begun, release = threading.Event(), threading.Event()

    def add(cursor):
        cursor.execute(ADD, (1,))
        begun.set()
        release.wait(20)
        cursor.execute(ADD, (2,))

    adding = notes.transaction(add)
    begun.wait(20)
    server.stop(signal.SIGQUIT)
    if again:
        server.start()
    release.set()
    with pytest.raises(StoreUnavailable) as caught:
        wait(adding)
    assert type(caught.value) is StoreUnavailable
    if not again:
        server.start()
    assert wait(notes.query(COUNT)) == [(0,)]
    wait(notes.transaction(add))
    assert wait(notes.query(COUNT)) == [(2,)]


def test_a_read_that_was_under_way_fails_and_not_its_successor(server, notes, wait):
    begun, release = threading.Event(), threading.Event()

    def count(cursor):
        cursor.execute(COUNT)
        begun.set()
        release.wait(20)
        return cursor.execute(COUNT).fetchone()

    reading = notes.read(count)
    begun.wait(20)
    server.stop()
    server.start()
    release.set()
    with pytest.raises(StoreUnavailable):
        wait(reading)
    assert wait(notes.read(count)) == (0,)


def test_the_lock_is_taken_again(server, notes, wait):
    server.stop()
    server.start()
    wait(notes.execute(ADD, 1))
    other = Store(server.url("restarted"), None)
    other.dialect.patience = 50  # ms
    with pytest.raises(StoreUnavailable, match="in use"):
        other.open()


def test_who_was_replaced_meanwhile_writes_no_more(server, notes, make, wait):
    server.stop()
    server.start()
    other = make(server.url("restarted"))
    other.open()
    notes.dialect.patience = 50  # ms
    with pytest.raises(StoreUnavailable, match="in use: another imsuite"):
        wait(notes.execute(ADD, 1))
    assert wait(notes.query(COUNT)) == [(0,)]  # and may read
    wait(other.close())
    wait(notes.execute(ADD, 1))


@pytest.mark.parametrize("heard", [False, True])
def test_whether_a_lost_commit_was_done_can_be_seen(through, proxy, wait, heard):
    proxy.cut(b"COMMIT", heard)
    with pytest.raises(StoreUnknown):
        wait(through.transaction(lambda cursor: cursor.execute(ADD, (1,))))
    (seen,) = wait(through.transaction(lambda cursor: cursor.execute(COUNT).fetchone()))
    assert seen == heard


@pytest.mark.parametrize("heard", [False, True])
def test_a_lone_statement_is_a_commit(through, proxy, wait, heard):
    proxy.cut(b"INSERT", heard)
    with pytest.raises(StoreUnknown):
        wait(through.execute(ADD, 1))
    assert wait(through.execute("UPDATE notes SET account = 'b'")) == heard


def test_before_the_commit_nothing_is_unknown(through, proxy, wait):
    for word in (b"BEGIN", b"INSERT"):
        proxy.cut(word, heard=True)
        if word == b"BEGIN":  # takes nothing along, so it is done again
            wait(through.transaction(lambda cursor: cursor.execute(COUNT).fetchone()))
            continue
        with pytest.raises(StoreUnavailable) as caught:
            wait(through.transaction(lambda cursor: cursor.execute(ADD, (1,))))
        assert type(caught.value) is StoreUnavailable
    assert wait(through.query(COUNT)) == [(0,)]


def test_a_cut_in_reading_is_never_unknown(through, proxy, wait):
    proxy.cut(b"COMMIT", heard=False)
    assert wait(through.read(lambda cursor: cursor.execute(COUNT).fetchone())) == (0,)
    proxy.cut(b"SELECT count", heard=True)
    with pytest.raises(StoreUnavailable) as caught:
        wait(through.query(COUNT))
    assert type(caught.value) is StoreUnavailable
    assert wait(through.query(COUNT)) == [(0,)]


def test_a_session_the_server_still_believes_in_is_ended(through, proxy, wait):
    """After the network broke its old session would keep the lock, and its transaction."""
    proxy.cut(b"COMMIT", heard=False, held=True)
    with pytest.raises(StoreUnknown):
        wait(through.transaction(lambda cursor: cursor.execute(ADD, (1,))))
    assert wait(through.transaction(lambda cursor: cursor.execute(COUNT).fetchone())) == (0,)
    wait(through.execute(ADD, 1))


def test_the_server_may_end_one_session(server, notes, wait):
    ending = (
        "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity"  # and wait, ms
        " WHERE application_name LIKE 'imsuite%' AND datname = 'restarted'"
    )
    for call in everything(notes):
        run_sql(server.url("restarted"), ending)
        wait(call())


def test_a_server_that_does_not_answer_is_given_up():
    """Who waits behind the one that finds out does not wait as long again."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        dialect = Postgres.from_url(f"postgresql://me@127.0.0.1:{port}/x?connect_timeout=2")
        connection = dialect.connect(writing=False)
        lines = []
        for _ in range(1000):
            with pytest.raises(StoreUnavailable, match="timeout expired") as caught:
                connection.cursor().execute("SELECT 1")
            lines.append(str(caught.value))
        assert len(set(lines)) == 1


def test_what_was_begun_is_answered_though_the_server_is_gone(server, notes, wait):
    """A store closes without its server."""
    server.stop()
    calls = [notes.execute(ADD, number) for number in range(50)]
    outcomes = []
    for call in calls:
        call.addBoth(outcomes.append)
    wait(notes.close())
    assert len(outcomes) == 50
    assert all(outcome.check(StoreUnavailable) for outcome in outcomes)


def test_a_store_is_not_opened_without_its_server(server, make):
    server.stop()
    with pytest.raises(StoreUnavailable) as caught:
        make(server.url("restarted")).open()
    assert "\n" not in str(caught.value)
