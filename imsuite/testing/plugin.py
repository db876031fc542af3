"""pytest plugin: `imsuite_server` is a server for tests of clients, bots and components.

It is loaded by every pytest run of a project that has imsuite installed, so it imports nothing
until the fixture is used.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from imsuite.testing.server import TestServer

MARKER = (
    "imsuite(domain='example.org', features={}, use=('default',)): "
    "how the server of the imsuite_server fixture is set up"
)
_SERVER = "imsuite.testing.server"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


def pytest_unconfigure() -> None:
    """End the thread of the servers, if there was any server."""
    module = sys.modules.get(_SERVER)
    if module is not None:
        module.stop_thread()


@pytest.fixture
def imsuite_server(request: pytest.FixtureRequest) -> Iterator[TestServer]:
    """Return a running server of the test's own, set up by the marker `imsuite`.

    An exception that the server logged is an error of the test.
    """
    from imsuite.testing.server import serve

    marker = request.node.get_closest_marker("imsuite")
    with serve(**(marker.kwargs if marker else {})) as server:
        yield server
    if texts := server.failures.take():
        pytest.fail("the server logged\n" + "\n".join(texts), pytrace=False)
