"""Databases for the tests of the store, and a reactor that runs while somebody waits."""

from __future__ import annotations

from queue import SimpleQueue

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from imsuite.store.pool import Store

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
def make(reactor, path):
    """Make stores: by default on the file, with threads; all are closed at the end."""
    made = []

    def make(kind="threads"):
        url = "sqlite:///:memory:" if kind == "memory" else f"sqlite://{path}"
        store = Store(url, reactor, reactor if kind == "threads" else None)
        made.append(store)
        return store

    yield make
    for store in made:
        reactor.wait(store.close())


@pytest.fixture(params=["threads", "file", "memory"])
def store(request, make):
    """The same promises hold in a file with threads, without, and in memory."""
    return make(request.param)
