"""Locks by name, which are there only while somebody wants them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from twisted.internet.defer import DeferredLock


class Turns:
    """Who wants to do something to what has a name waits until the others have done theirs.

    Unlike `Account.turn` it is a feature's own: nobody holds it who waits for another feature.
    """

    def __init__(self) -> None:
        self._locks: dict[str, tuple[DeferredLock, list[int]]] = {}

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """`async with`: alone with the name. Not re-entrant."""
        lock, wanted = self._locks.setdefault(name, (DeferredLock(), [0]))
        wanted[0] += 1
        try:
            async with lock:
                yield
        finally:
            wanted[0] -= 1
            if not wanted[0]:
                del self._locks[name]
