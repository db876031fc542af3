"""The pytest plugin, as other projects use it."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.house import ROOT

USERS = """
import asyncio
import socket

import pytest
import slixmpp
from twisted.internet import defer, endpoints, protocol, reactor
from twisted.trial.unittest import TestCase


def test_slixmpp_in_asyncio(imsuite_server):
    romeo, juliet = imsuite_server.account("romeo"), imsuite_server.account("juliet")

    async def connected(account):
        client = slixmpp.ClientXMPP(account.jid, account.password)
        client.ca_certs = imsuite_server.ca_file
        ready = asyncio.get_running_loop().create_future()
        client.add_event_handler("session_start", lambda _: ready.set_result(None))
        client.connect(imsuite_server.host, imsuite_server.port)
        await asyncio.wait_for(ready, 20)
        return client

    async def talk():
        one, other = await connected(romeo), await connected(juliet)
        got = asyncio.get_running_loop().create_future()
        other.add_event_handler("message", lambda message: got.set_result(message["body"]))
        one.send_message(other.boundjid.full, "hi")
        assert await asyncio.wait_for(got, 20) == "hi"
        for client in (one, other):
            await client.disconnect()

    asyncio.run(talk())


@pytest.mark.imsuite(domain="example.net", features={"starttls": {"required": False}})
def test_blocking(imsuite_server):
    assert imsuite_server.account("romeo").jid == "romeo@example.net"
    with socket.create_connection((imsuite_server.host, imsuite_server.port), 20) as sock:
        sock.sendall(b"<wrong/>")
        assert b"stream" in sock.recv(65536)


class Twisted(TestCase):
    @pytest.fixture(autouse=True)
    def server(self, imsuite_server):
        self.server = imsuite_server

    async def test_twisted(self):
        class Reads(protocol.Protocol):
            def connectionMade(self):
                self.got = defer.Deferred()
                self.transport.write(b"<wrong/>")

            def dataReceived(self, data):
                if not self.got.called:
                    self.got.callback(data)
                self.transport.loseConnection()

            def connectionLost(self, reason):
                self.lost.callback(None)

        endpoint = endpoints.TCP4ClientEndpoint(reactor, self.server.host, self.server.port)
        reads = Reads()
        reads.lost = defer.Deferred()
        await endpoints.connectProtocol(endpoint, reads)
        assert b"stream:error" in await reads.got
        await reads.lost


def test_a_failure_of_the_server_is_seen(imsuite_server):
    async def fails():
        raise KeyError("hidden")

    host = imsuite_server.service.hosts["example.org"]

    async def later():
        host.spawn(fails())

    imsuite_server.run(later)
"""


def test_tests_of_every_kind_can_use_it(tmp_path):
    """asyncio, blocking sockets and Twisted in one run, with warnings as errors."""
    (tmp_path / "test_users.py").write_text(USERS)
    plugin = [] if loaded_by_itself() else ["-p", "imsuite.testing.plugin"]
    arguments = ["-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider", *plugin]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "4 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "KeyError: 'hidden'" in done.stdout


def loaded_by_itself():
    return any(point.name == "imsuite" for point in entry_points(group="pytest11"))


def test_loading_it_costs_nothing():
    """It is loaded in every pytest run of whoever has imsuite installed."""
    code = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import imsuite.testing.plugin\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "assert new == {'imsuite'}, new\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT)


@pytest.mark.imsuite(domain="example.com")
def test_the_fixture_follows_its_marker(imsuite_server):
    assert imsuite_server.account("romeo").jid == "romeo@example.com"
