"""Servers in memory with only the features that a test of the core brings along."""

from types import SimpleNamespace

import pytest

from imsuite.testing.memory import MemoryServer


@pytest.fixture
def make():
    """Return a function that makes a server with binding and the given features."""
    made = []

    def make(*features, domains=("example.org",)):
        server = MemoryServer(domains, ["bind", *features])
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop()
        assert server.failures.take() == []


@pytest.fixture
def pair(make):
    """Return a function that makes such a server and two clients that only bound a resource."""

    def pair(*features):
        server = make(*features)
        return SimpleNamespace(
            server=server,
            host=server.host,
            romeo=login(server, "romeo@example.org/orchard"),
            juliet=login(server, "juliet@example.org/balcony"),
        )

    return pair


def login(server, jid, **more):
    return server.login(jid, available=False, roster=False, **more)
