"""How much a server in memory grows by clients that come and go, and by messages."""

from __future__ import annotations

import gc
import tracemalloc

import attrs

from imsuite.testing.memory import MemoryServer

BATCH = 50  # messages sent at once
WARM = 0.2  # part of the work after which memory is looked at for the first time
MESSAGE = "<message to='{}' type='chat' id='{}'><body>Wherefore art thou Romeo?</body></message>"


@attrs.frozen
class Growth:
    """What was left behind. objects: that the collector knows; bytes: of Python's allocations."""

    logins: int
    messages: int
    objects: int
    bytes: int

    def line(self) -> str:
        """One line for people."""
        return (
            f"{self.logins} logins and {self.messages} messages left "
            f"{self.objects} objects, {self.bytes} bytes"
        )


def measure(logins: int, messages: int) -> Growth:
    """Let clients log in and out, and send messages; return what that leaves behind."""
    server = MemoryServer()
    server.login("juliet@example.org/balcony")
    tracemalloc.start()
    try:
        _work(server, round(logins * WARM), round(messages * WARM))
        before = _used()
        _work(server, logins - round(logins * WARM), messages - round(messages * WARM))
        after = _used()
    finally:
        tracemalloc.stop()
    server.stop()
    failures = server.failures.take()
    assert not failures, "\n".join(failures)
    return Growth(logins, messages, after[0] - before[0], after[1] - before[1])


def _work(server: MemoryServer, logins: int, messages: int) -> None:
    for number in range(logins):
        # few addresses, because those that came are remembered up to a number
        client = server.login(f"romeo@example.org/{number % 50}")
        client.says("<presence to='juliet@example.org/balcony'/>")
        if number % 2:
            client.closes()
        else:
            client.vanishes()
    romeo = server.login("romeo@example.org/orchard")
    juliet = server.login("juliet@example.org/balcony")
    for start in range(0, messages, BATCH):
        batch = (MESSAGE.format(juliet.jid, start + number) for number in range(BATCH))
        romeo.says("".join(batch))
        assert len(juliet.received) == BATCH
        juliet.forget()
    romeo.closes()
    server.advance(3600)


def _used() -> tuple[int, int]:
    gc.collect()
    return len(gc.get_objects()), tracemalloc.get_traced_memory()[0]
