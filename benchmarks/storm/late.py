"""A store whose answers come late, in any order a real one might give them."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from imsuite.core.record import Record
from imsuite.store.groups import Groups
from imsuite.store.pool import Store

READERS = 2  # calls that may be under way beside each other, as many as a file has threads


@attrs.define(eq=False)
class Call:
    """A call of the store. outcome: what the real store said, None before it was asked."""

    work: Callable[[], Deferred[Any]]
    answer: Deferred[Any] = attrs.field(factory=Deferred)
    outcome: Deferred[Any] | None = None


class LateStore:
    """Passes calls on to a store in memory when it is told to, and the answers later still.

    As with threads, what writes is done and answered in order; what reads is done at any time
    between and answered in any order. dice: decides; prompt: every call is answered at once.
    """

    def __init__(self, store: Store, dice: random.Random) -> None:
        self.store = store
        self.dialect, self.clock, self.ids = store.dialect, store.clock, store.ids
        self.prompt = False
        self._groups = Groups(self)
        self._dice = dice
        self._reads: deque[Call] = deque()
        self._writes: deque[Call] = deque()

    def __len__(self) -> int:
        """How many calls are under way."""
        return len(self._reads) + len(self._writes)

    @property
    def waiting(self) -> int:
        """How many calls are under way."""
        return len(self)

    def query(self, sql: str, *args: object) -> Deferred[Any]:
        """As the store's, later."""
        return self._begin(self._reads, lambda: self.store.query(sql, *args))

    def read(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        """As the store's, later."""
        return self._begin(self._reads, lambda: self.store.read(function, *args))

    def execute(self, sql: str, *args: object) -> Deferred[Any]:
        """As the store's, later."""
        return self._begin(self._writes, lambda: self.store.execute(sql, *args))

    def transaction(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        """As the store's, later."""
        return self._begin(self._writes, lambda: self.store.transaction(function, *args))

    def run(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        """As the store's, later."""
        return self._begin(self._writes, lambda: self.store.run(function, *args))

    def soon(self, function: Callable[[], object]) -> None:
        """At once, as there is no reactor."""
        function()

    def append(self, record: Record) -> None:
        """As the store's, with commits that come late."""
        self._groups.append(record)

    @property
    def horizon(self) -> int | None:
        """As the store's."""
        return self._groups.horizon

    def settled(self) -> Deferred[None]:
        """As the store's."""
        return self._groups.settled()

    def lookup(self, sql: str, *args: object) -> Deferred[Any]:
        """As the store's, which does not wait either."""
        return self.store.lookup(sql, *args)

    def close(self) -> Deferred[None]:
        """Answer what is under way and close."""
        self.prompt = True
        while self:
            self.turn()
        return self.store.close()

    def turn(self) -> None:
        """Do one thing that is due: ask the store for one call, or give one answer."""
        reads = list(self._reads)[:READERS]
        due = [*reads, *(call for call in self._writes if call.outcome is not None)][: READERS + 1]
        asked = next((call for call in self._writes if call.outcome is None), None)
        if asked is not None:
            due.append(asked)
        if not due:
            return
        call = self._dice.choice(due)
        if call.outcome is None:
            call.outcome = call.work()
            return
        if call in self._reads:
            self._reads.remove(call)
        else:
            call = self._writes.popleft()  # those before it are answered first
        assert call.outcome is not None
        call.outcome.addCallbacks(call.answer.callback, call.answer.errback)

    def _begin(self, calls: deque[Call], work: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        if self.prompt and not self:
            return work()
        call = Call(work)
        calls.append(call)
        return call.answer
