"""Connections of players."""

import socket
import ssl

import pytest

from imsuite.testing.memory import MemoryServer
from imsuite.testing.patterns import Wire
from imsuite.testing.pipes import (
    MemoryPipe,
    MemoryStage,
    TCPPipe,
    await_element,
    header,
    start_tls,
)


@pytest.fixture
def ends():
    """A TCP pipe, and the socket at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        context = ssl.create_default_context()
        pipe = TCPPipe(*listening.getsockname(), "example.org", context)
        other, _ = listening.accept()
        with other:
            yield pipe, other
        pipe.cut()


def test_bytes_go_both_ways(ends):
    pipe, other = ends
    pipe.send(b"question")
    assert other.recv(100) == b"question"
    other.sendall(b"answer")
    assert pipe.receive(5) == b"answer"


def test_nothing_is_nothing_yet(ends):
    pipe, _ = ends
    assert pipe.receive(0) == pipe.receive(0.01) == b""
    assert not pipe.closed


def test_the_end_is_noticed(ends):
    pipe, other = ends
    other.close()
    assert pipe.receive(5) == pipe.receive(5) == b""
    assert pipe.closed


def test_starttls_is_negotiated_in_memory_too():
    server = MemoryServer()
    link = server.connect()
    pipe = MemoryPipe(server, link)
    start_tls(pipe, "example.org")
    assert link.secure
    server.stop()


def test_a_handshake_that_nobody_expects_is_an_error():
    server = MemoryServer()
    pipe = MemoryStage(server).connect("example.org", False)
    with pytest.raises(AssertionError, match="handshake"):
        pipe.secure()
    server.stop()


def test_an_element_that_does_not_come_is_an_error():
    server = MemoryServer()
    pipe = MemoryStage(server).connect("example.org", True)
    pipe.send(header("elsewhere.example.org"))
    with pytest.raises(AssertionError, match="no <features/>"):
        await_element(pipe, Wire(), "features")
    server.stop()
