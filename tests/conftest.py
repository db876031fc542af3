"""Fixtures: a server in memory, its first host, and two clients (docs/testing.md)."""

from importlib.metadata import entry_points

import pytest

from imsuite.testing.memory import MemoryServer, befriend
from tests.programs import Programs

# the plugin that other projects use is loaded by its entry point where imsuite is installed
PLUGIN = "imsuite.testing.plugin"
if not any(point.value == PLUGIN for point in entry_points(group="pytest11")):
    pytest_plugins = [PLUGIN]


def pytest_configure(config):
    config.pluginmanager.register(Programs())
    config.addinivalue_line(
        "markers", "server(domains=…, features=…, options=…): the MemoryServer of a test"
    )


@pytest.fixture
def server(request):
    """A server in memory with the default features, or as the marker `server` says."""
    marker = request.node.get_closest_marker("server")
    server = MemoryServer(**(marker.kwargs if marker else {}))
    yield server
    server.stop()
    assert server.failures.take() == []


@pytest.fixture
def host(server):
    """The first host: example.org."""
    return server.host


@pytest.fixture
def romeo(server):
    """A client, available, that asked for its roster."""
    return server.login("romeo@example.org/orchard")


@pytest.fixture
def juliet(server):
    """Another client; romeo and she have not heard of each other."""
    return server.login("juliet@example.org/balcony")


@pytest.fixture
def friends(romeo, juliet):
    """Romeo and juliet, who see each other's presence."""
    befriend(romeo, juliet)
    return romeo, juliet
