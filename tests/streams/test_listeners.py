"""Listeners: addresses, limits, direct TLS, what happens when descriptors run out."""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat

import pytest

from imsuite.streams import listeners
from imsuite.streams.link import links
from imsuite.streams.listeners import Admission, Listener, ListenError, counted_as
from imsuite.xmpp.errors import ImsuiteError
from tests.streams.links import Receiver, TlsClient, opened


@pytest.fixture
def listen(world):
    """Start listeners; their receivers are in `listen.receivers`."""
    started = []

    def start(interface="127.0.0.1", port=0, **options):
        def make(link):
            start.receivers.append(Receiver(link))
            return start.receivers[-1]

        listener = Listener(world.hub, interface, port, make, **options)
        listener.start()
        started.append(listener)
        return listener

    start.receivers = []
    yield start
    for listener in started:
        listener.stop()


@pytest.fixture
def connect(world):
    """Return connected, non-blocking sockets."""

    def to(listener, host="127.0.0.1"):
        peer = socket.create_connection((host, listener.port))
        peer.setblocking(False)
        world.peers.append(peer)
        return peer

    return to


def test_connection_becomes_a_link(world, listen, connect):
    listener = listen()
    assert listener.port > 0
    peer = connect(listener)
    peer.send(b"hello")
    world.until(lambda: listen.receivers and listen.receivers[0].received == b"hello")
    (link,) = links(world.hub)
    assert link.peer == f"127.0.0.1:{peer.getsockname()[1]}"
    assert link._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert link._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_many_connections_at_once(world, listen, connect):
    """More than are taken in one turn."""
    listener = listen()
    for _ in range(listeners.AT_A_TIME * 2 + 3):
        connect(listener)
    world.until(lambda: len(listen.receivers) == listeners.AT_A_TIME * 2 + 3)


def test_busy_port_is_one_clear_line(world, listen):
    taken = listen()
    with pytest.raises(ListenError) as caught:
        Listener(world.hub, "127.0.0.1", taken.port, Receiver).start()
    assert isinstance(caught.value, ImsuiteError)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{taken.port}: another program listens there;"
        " stop it or choose another port"
    )


@pytest.mark.parametrize(
    ("interface", "says"),
    [
        ("192.0.2.77", "cannot listen on 192.0.2.77:0: this machine has no such address"),
        ("no such name", "cannot listen on no such name:0: "),
        ("unix:/no/such/folder/s", "cannot listen on unix:/no/such/folder/s: no such file"),
    ],
)
def test_impossible_addresses_are_one_clear_line(world, interface, says):
    with pytest.raises(ListenError) as caught:
        Listener(world.hub, interface, 0, Receiver).start()
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_all_addresses_are_those_of_both_kinds(world, listen, connect):
    listener = listen("")
    connect(listener, "127.0.0.1")
    connect(listener, "::1")
    world.until(lambda: len(listen.receivers) == 2)
    assert {receiver.link.address for receiver in listen.receivers} == {"127.0.0.1", "::1"}


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_both_kinds_can_share_a_port(listen):
    listener = listen("::1")
    assert listen("127.0.0.1", listener.port).port == listener.port
    assert str(listener) == f"[::1]:{listener.port}"


def test_unix_socket(world, listen, tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    listener = listen(f"unix:{path}")
    assert str(listener) == f"unix:{path}"
    with pytest.raises(ListenError, match="another program listens there"):
        Listener(world.hub, f"unix:{path}", 0, Receiver).start()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        peer.send(b"x")
        world.until(lambda: any(each.received for each in listen.receivers))
    assert all(each.link.peer == "unix" for each in listen.receivers)
    listener.stop()
    assert not os.path.exists(path)


def test_only_sockets_are_taken_for_stale(world, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(ListenError):
        Listener(world.hub, f"unix:{path}", 0, Receiver).start()
    assert stat.S_ISREG(path.stat().st_mode)


def test_stop_keeps_the_links(world, listen, connect):
    listener = listen()
    peer = connect(listener)
    world.until(lambda: listen.receivers)
    listener.stop()
    listener.stop()
    with pytest.raises(ConnectionRefusedError):
        connect(listener)
    peer.send(b"still here")
    world.until(lambda: listen.receivers[0].received)
    assert listener.start() == listener.port, "and it can listen again"


def test_limit_for_one_address(world, listen, connect):
    """Refused at once; a connection that ends makes room. Counted over all listeners."""
    admission = Admission(max_per_address=2)
    one, other = listen(admission=admission), listen(admission=admission)
    first = connect(one)
    connect(other)
    world.until(lambda: len(listen.receivers) == 2)
    refused = connect(one)
    assert world.read(refused, 1) == b""
    assert (admission.connections, admission.refused) == (2, 1)
    first.close()
    world.until(lambda: admission.connections == 1)
    connect(other)
    world.until(lambda: len(listen.receivers) == 3)
    assert admission.by_address == {"127.0.0.1": 2}


def test_limit_in_all(world, listen, connect):
    admission = Admission(max_connections=1)
    listener = listen(admission=admission)
    first = connect(listener)
    world.until(lambda: listen.receivers)
    assert world.read(connect(listener), 1) == b""
    first.close()
    world.until(lambda: admission.connections == 0)
    assert admission.by_address == {}


def test_ipv6_is_counted_by_subscriber():
    admission = Admission(max_per_address=1)
    assert admission.admit("2001:db8:1:2::1") is None
    assert admission.admit("2001:db8:1:2:ffff::2") is not None
    assert admission.admit("2001:db8:1:3::1") is None
    assert admission.admit("") is None, "Unix sockets have no address"
    for address in ("2001:db8:1:2::1", "2001:db8:1:3::1", ""):
        admission.release(address)
    assert (admission.connections, admission.by_address) == (0, {})
    assert counted_as("fe80::1%eth0") == "fe80::"


def test_direct_tls(world, listen, connect, contexts):
    """XEP-0368: TLS first, ALPN if offered."""
    listener = listen(tls=contexts)
    client = TlsClient(world, connect(listener), "example.net", alpn=["xmpp-client"])
    client.handshake()
    client.send(b"hello")
    world.until(lambda: listen.receivers[0].received == b"hello")
    assert listen.receivers[0].calls == ["secured", "data"]
    assert listen.receivers[0].link.tls.alpn == "xmpp-client"
    refused = TlsClient(world, connect(listener), "example.net", alpn=["h2"])
    with pytest.raises(OSError, match="no application protocol"):
        refused.handshake()


def test_receiver_that_cannot_be_made_costs_its_connection_only(world, connect):
    made = []

    def make(link):
        if not made:
            made.append(None)
            raise RuntimeError("not today")
        made.append(Receiver(link))
        return made[-1]

    listener = Listener(world.hub, "127.0.0.1", 0, make)
    listener.start()
    with pytest.raises(ConnectionResetError):
        world.read(connect(listener), 1)
    connect(listener)
    world.until(lambda: len(made) == 2)
    assert listener.admission.connections == 1
    listener.stop()


def test_no_descriptor_left(monkeypatch):
    """The waiting connection is refused and accepting rests; links go on; then it goes on."""
    monkeypatch.setattr(listeners, "REST", 0.05)
    receivers = []

    def make(link):
        receivers.append(Receiver(link))
        return receivers[-1]

    with opened() as world:
        listener = Listener(world.hub, "127.0.0.1", 0, make)
        listener.start()
        first = socket.create_connection(("127.0.0.1", listener.port))
        first.setblocking(False)
        world.until(lambda: receivers)
        waiting = [socket.socket() for _ in range(2)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            for sock in waiting:
                sock.connect(("127.0.0.1", listener.port))
                sock.setblocking(False)
            world.until(lambda: listener._resting)
            first.send(b"links go on")
            world.until(lambda: receivers[0].received)
            assert world.read(waiting[0], 1) == b"", "refused rather than left waiting"
            assert len(receivers) == 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        world.until(lambda: len(receivers) == 2)
        assert listener._spare >= 0
        for sock in (first, *waiting):
            sock.close()
        listener.stop()


def test_errors_of_a_new_connection_do_not_end_accepting(world, listen, connect):
    """accept(2): errors that are already pending on the new socket are reported by accept."""
    listener = listen()
    real = listener._sock

    class Once:
        def __getattr__(self, name):
            return getattr(real, name)

        def accept(self):
            listener._sock = real
            raise OSError(errno.ECONNABORTED, "gone")

    listener._sock = Once()
    connect(listener)
    world.until(lambda: listen.receivers)
