"""Databases for the tests of the store, and a reactor that runs while somebody waits."""

from __future__ import annotations

from queue import SimpleQueue

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from imsuite.store.pool import Store
from tests.postgres import Cluster, empty_database

THREADS = "threads"  # SQLite's file, as a server uses it; "file": without threads
POSTGRES = pytest.param("postgres", marks=pytest.mark.needs_postgres)  # "-inline": without threads
START = 1_700_000_000.25  # seconds since 1970 UTC


class TurningReactor(Clock):
    """As much of a reactor as a thread pool needs; calls from threads run in `wait`."""

    def __init__(self):
        super().__init__()
        self.advance(START)
        self.from_threads = SimpleQueue()
        self.triggers = []

    def callFromThread(self, function, *args):
        self.from_threads.put((function, args))

    def callWhenRunning(self, function):
        function()

    def addSystemEventTrigger(self, *trigger):
        self.triggers.append(trigger)
        return trigger

    def removeSystemEventTrigger(self, trigger):
        self.triggers.remove(trigger)

    def wait(self, awaitable):
        """Return what it fires with, or raise what it fails with."""
        answer = []
        deferred = (
            awaitable if isinstance(awaitable, Deferred) else Deferred.fromCoroutine(awaitable)
        )
        deferred.addBoth(answer.append)
        while not answer:
            function, args = self.from_threads.get(timeout=20)
            function(*args)
        if hasattr(answer[0], "raiseException"):
            answer[0].raiseException()
        return answer[0]


@pytest.fixture
def reactor():
    return TurningReactor()


@pytest.fixture
def wait(reactor):
    return reactor.wait


@pytest.fixture
def path(tmp_path):
    return tmp_path / "imsuite.db"


@pytest.fixture
def url(path):
    """URLs by kind: SQLite's file of the test, memory, a PostgreSQL database for the test."""
    made = []

    def url(kind):
        if kind == "memory":
            return "sqlite:///:memory:"
        if not kind.startswith("postgres"):
            return f"sqlite://{path}"
        if not made:
            made.append(empty_database())
        return made[0]

    return url


@pytest.fixture
def make(reactor, url):
    """Make stores, by kind or URL; all are closed at the end."""
    made = []

    def make(kind="threads", threads=None):
        threads = kind in ("threads", "postgres") if threads is None else threads
        address = kind if "://" in kind else url(kind)
        store = Store(address, reactor, reactor if threads else None)
        made.append(store)
        return store

    yield make
    for store in made:
        reactor.wait(store.close())


@pytest.fixture(params=[THREADS, "file", "memory", POSTGRES])
def store(request, make):
    """The same promises hold on every kind of database, with threads and without."""
    return make(request.param)


@pytest.fixture(params=[THREADS, POSTGRES])
def kind(request):
    """What a server may be configured with."""
    return request.param


@pytest.fixture
def threaded(kind, make):
    """A store as a server has it."""
    return make(kind)


@pytest.fixture(scope="session")
def cluster():
    """A PostgreSQL server that tests may stop; it runs when a test begins and when it ends."""
    made = Cluster()
    made.start()
    yield made
    made.remove()
