"""The hosts and the store of a server that does not run, for commands that need no more."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from imsuite.app.config import Config, ConfigError
from imsuite.app.server import HASHING_THREADS, Server
from imsuite.auth.limits import FailureLimits
from imsuite.auth.registrar import Registrar
from imsuite.auth.secrets import Hasher, PasswordOptions
from imsuite.store.pool import Store

T = TypeVar("T")
TURN = 1.0  # seconds between two looks at the clock while nothing happens


@implementer(IReactorFromThreads)
class Turns(Clock):
    """What is left of a reactor for work that is waited for: time, and answers from threads."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._catch_up()

    def callFromThread(
        self, callable: Callable[..., object], *args: object, **kwargs: object
    ) -> None:
        """Call callable(*args, **kwargs) in the thread that waits."""
        self._calls.put(partial(callable, *args, **kwargs))

    def wait(self, work: Awaitable[T]) -> T:
        """Return the result of the work, or raise its exception."""

        async def finish() -> T:
            return await work

        outcome: list[Any] = []  # the result, or a Failure
        Deferred.fromCoroutine(finish()).addBoth(outcome.append)
        while not outcome:
            try:
                self._calls.get(timeout=TURN)()
            except queue.Empty:
                pass
            self._catch_up()
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        result: T = outcome[0]
        return result

    def _catch_up(self) -> None:
        self.advance(max(0.0, time.time() - self.seconds()))


class Resting(Server):
    """A server that does not start: its hosts, with their features, and how accounts are made."""

    def __init__(self, config: Config, turns: Turns, threads: ThreadPool) -> None:
        super().__init__(config, turns)
        self.store = Store(config.store, turns)  # in this thread: nobody else waits for it
        self.make_hosts()
        hasher = Hasher(partial(deferToThreadPool, turns, threads), _processors())
        passwords = config.tables.get("passwords") or PasswordOptions()
        for host in self.hosts.values():
            host.registrar = Registrar(
                host,
                host.users,
                hasher,
                FailureLimits(turns.seconds),
                self.tables,
                passwords.iterations,
            )

    @property
    def database(self) -> str | None:
        """Path of the database; None if it is no file."""
        path: str | None = getattr(self.store.dialect, "path", None)
        return path

    def open_store(self) -> None:
        """Open the database, or make it. Raises ImsuiteError, one clear line."""
        self.make_directory()
        _check_owner(Path(self.config.directory))
        self.store.open(self.tables)


@contextmanager
def at_rest(config: Config, turns: Turns) -> Iterator[Resting]:
    """Give the hosts of a server that does not run; at the end its store is closed.

    Raises ImsuiteError, one clear line.
    """
    threads = ThreadPool(0, _processors(), "hashing")
    threads.start()
    try:
        server = Resting(config, turns, threads)
        try:
            yield server
        finally:
            turns.wait(server.store.close())
    finally:
        threads.stop()


def _processors() -> int:
    return max(
        HASHING_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    )


def _check_owner(directory: Path) -> None:
    """Keep root from leaving files that the server's own user cannot read."""
    owner = directory.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        raise ConfigError(
            f"{directory} belongs to user {owner} and no server runs; work on it as that user:"
            f" sudo -u '#{owner}' imsuitectl …"
        )
