"""Ports for the servers that tests and benchmarks start."""

import socket
from random import SystemRandom

# below the ports that systems give to clients: where those come from, a server that restarts may
# find its port taken, and a client that calls a server which is down may meet itself
FIRST, LAST = 20_000, 32_000
_random = SystemRandom()  # tests that run beside each other may have seeded the other one alike


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody has at the moment."""
    found: set[int] = set()
    while len(found) < count:
        port = _random.randrange(FIRST, LAST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    return list(found)


def free_port() -> int:
    """Return one."""
    return free_ports(1)[0]
