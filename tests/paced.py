"""A store that does its work when a test says so, and fails where it says so."""

from collections import deque
from functools import partial

from twisted.internet.defer import Deferred

READS, WRITES = ("read",), ("transaction", "run")


class Pace:
    """The calls to a store that wait for `step`.

    held: they wait; otherwise they are done at once. calls: how many there were, by name.
    """

    def __init__(self, store):
        self.held = False
        self.calls = dict.fromkeys((*READS, *WRITES), 0)
        self._reads, self._writes = deque(), deque()
        for names, queue in ((READS, self._reads), (WRITES, self._writes)):
            for name in names:
                setattr(store, name, partial(self._call, name, getattr(store, name), queue))

    def _call(self, name, call, queue, *args):
        self.calls[name] += 1
        if not self.held and not queue:
            return call(*args)
        later = Deferred()
        queue.append((call, args, later))
        return later

    @property
    def waiting(self):
        """How many calls wait."""
        return len(self._reads) + len(self._writes)

    def step(self, why=None, reading=False):
        """Do the next call that writes, or reads; or fail it. Tell whether there was one."""
        queue = self._reads if reading else self._writes
        if not queue:
            return False
        call, args, later = queue.popleft()
        if why is not None:
            later.errback(why)
        else:
            call(*args).addCallbacks(later.callback, later.errback)
        return True

    def take(self, reading=False):
        """Return what does the call that is next, so that others overtake it."""
        call, args, later = (self._reads if reading else self._writes).popleft()
        return lambda: call(*args).addCallbacks(later.callback, later.errback)

    def go_on(self):
        """Do all that waits, and hold nothing any more."""
        self.held = False
        while self.step() or self.step(reading=True):
            pass
