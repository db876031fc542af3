"""One ordered pipeline for what comes in on a stream (RFC 6120 §10.1).

A stanza is handled at once unless one before it still waits; then it queues behind it. One
slow stanza holds back its own stream only, and a full queue stops the reading. What was handled
counts once what it wrote is durable, which does not hold back the stanzas after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred

from imsuite.xmpp.stanza import Stanza

LONGEST = 64  # stanzas that may queue before reading stops
LARGEST = 262_144  # bytes that may queue before reading stops


class Inbox:
    """The pipeline; subclasses handle stanzas and know how to stop reading.

    taken: how many stanzas were handled.
    """

    __slots__ = (
        "_handled",
        "_last",
        "_queue",
        "_queued",
        "_stopped",
        "_unkept",
        "_unkept_bytes",
        "_waiting",
        "taken",
    )

    def __init__(self) -> None:
        self._queue: deque[Stanza] | None = None  # None: nothing waits
        self._queued = 0  # bytes
        self._stopped = False
        self._last: list[Callable[[], object]] = []
        self._handled: list[Callable[[], object]] = []
        self._waiting: list[Deferred[None]] = []
        self._unkept: deque[tuple[int, int]] | None = None  # number and size of what is written
        self._unkept_bytes = 0
        self.taken = 0

    def handle(self, stanza: Stanza) -> Awaitable[None] | None:
        """Handle one stanza; never raises. The result is awaitable if it must wait."""
        raise NotImplementedError

    def hold(self) -> None:
        """Stop reading."""
        raise NotImplementedError

    def release(self) -> None:
        """Go on reading."""
        raise NotImplementedError

    def progressed(self) -> None:
        """Called when more of what came in is handled and durable than before."""

    @property
    def durable(self) -> int:
        """How many stanzas, from the first on, were handled and what they wrote is durable."""
        return self._unkept[0][0] - 1 if self._unkept else self.taken

    @property
    def settled(self) -> bool:
        """Everything that came in is handled, and durable."""
        return self._queue is None and not self._unkept

    def keeping(self, size: int) -> None:
        """Know that what the last stanza handled wrote, so many bytes, is not durable yet."""
        if self._unkept is None:
            self._unkept = deque()
        self._unkept.append((self.taken, size))
        self._unkept_bytes += size
        if not self._stopped and self._crowded():
            self._stopped = True
            self.hold()

    def kept(self) -> None:
        """Know that the oldest of them is durable, or was refused."""
        assert self._unkept is not None
        self._unkept_bytes -= self._unkept.popleft()[1]
        if self._stopped and self._queue is None and not self._last and not self._crowded():
            self._stopped = False
            self.release()
        if not self._unkept:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)
        self.progressed()

    async def kept_all(self) -> None:
        """Wait until what the stanzas before wrote is durable, or was refused."""
        if self._unkept:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting

    def _crowded(self) -> bool:
        unkept = self._unkept
        return unkept is not None and (len(unkept) >= LONGEST or self._unkept_bytes >= LARGEST)

    def put(self, stanza: Stanza) -> None:
        """Take a stanza from the stream."""
        queue = self._queue
        if queue is None:
            later = self.handle(stanza)
            if later is not None:
                self.begin(later)
            return
        queue.append(stanza)
        self._queued += len(stanza.raw)
        if not self._stopped and (len(queue) >= LONGEST or self._queued >= LARGEST):
            self._stopped = True
            self.hold()

    def begin(self, later: Awaitable[None]) -> None:
        """Wait for something, which never raises, before what comes in is handled."""
        self._queue = deque()
        Deferred.fromCoroutine(self._drain(later))

    @property
    def held(self) -> bool:
        """The queue is full and reading has stopped."""
        return self._stopped

    def finish(self, last: Callable[[], object]) -> None:
        """Call last once everything that came in before is handled; nothing comes after."""
        if self._queue is None:
            last()
        else:
            self._last.append(last)

    def when_handled(self, function: Callable[[], object]) -> None:
        """Call a function once everything that came in before is handled."""
        if self._queue is None:
            function()
        else:
            self._handled.append(function)

    def abandon(self) -> None:
        """Forget what has come and is not handled yet."""
        if self._queue:
            self._queue.clear()
            self._queued = 0

    async def _drain(self, later: Awaitable[None] | None) -> None:
        """Wait for the stanza at the head, then go on with those behind it."""
        queue = self._queue
        assert queue is not None
        while True:
            if later is not None:
                await later
            if not queue:
                break
            stanza = queue.popleft()
            self._queued -= len(stanza.raw)
            later = self.handle(stanza)
        self._queue = None
        self._queued = 0
        handled, self._handled = self._handled, []
        for function in handled:
            function()
        if self._last:
            while self._last:
                self._last.pop(0)()
        elif self._stopped and not self._crowded():
            self._stopped = False
            self.release()
        self.progressed()
