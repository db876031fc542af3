"""Links and their hub: bytes in and out, limits, leave-taking, any reactor."""

from __future__ import annotations

import gc
import select
import socket
import subprocess
import sys
import weakref

import pytest
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from imsuite.streams import hub
from imsuite.streams.hub import EARLY, Hub, LinkLimits
from imsuite.streams.ilink import ILink, IReceiver
from imsuite.streams.link import Link, links
from tests.streams.links import PATIENCE, REACTOR, Receiver, opened


def test_link_is_what_the_interface_says(world):
    receiver, _ = world.link()
    assert verifyObject(ILink, receiver.link)
    for name in IReceiver.names():
        assert callable(getattr(receiver, name))


def test_bytes_go_both_ways(world):
    receiver, peer = world.link()
    receiver.on_data = lambda data: receiver.link.write(data.upper())
    peer.send(b"hello")
    assert world.read(peer, 5) == b"HELLO"
    assert receiver.received == b"hello"
    assert receiver.link.buffered == 0


def test_a_turn_is_one_send(world):
    """What is written in one turn arrives as one piece, in order."""
    receiver, peer = world.link()

    def answer(data):
        for number in range(10):
            receiver.link.write(b"%d," % number)

    receiver.on_data = answer
    peer.send(b"x")
    world.until(lambda: receiver.received)
    assert peer.recv(100) == b"0,1,2,3,4,5,6,7,8,9,"


def test_write_outside_a_turn_is_sent_with_the_next(world):
    receiver, peer = world.link()
    receiver.link.write(b"a")
    receiver.link.write(b"b")
    assert receiver.link.buffered == 2
    assert world.read(peer, 2) == b"ab"


@pytest.mark.parametrize(("latest", "sent"), [(-1.0, EARLY), (60.0, 0)])
def test_many_written_links_do_not_wait_long_for_the_end_of_the_turn(
    world, monkeypatch, latest, sent
):
    monkeypatch.setattr(hub, "LATEST", latest)
    (first, one), (second, another) = world.link(), world.link()
    others = [world.link() for _ in range(EARLY)]
    early = []

    def write_to_all(data):
        for receiver, _ in others:
            receiver.link.write(b"x")

    def look(data):
        early.append(sum(receiver.link.buffered == 0 for receiver, _ in others))

    first.on_data, second.on_data = write_to_all, look
    one.send(b"go")
    another.send(b"look")
    world.until(lambda: early)
    assert early == [sent]
    world.turns()
    assert all(other.recv(9) == b"x" for _, other in others)


def test_large_write_arrives_whole(world):
    receiver, peer = world.link()
    data = bytes(range(256)) * 8000
    receiver.link.write(data)
    assert world.read(peer, len(data)) == data
    assert receiver.link.buffered == 0


def test_slow_reader_is_congested_until_it_reads():
    limits = LinkLimits(soft=100_000, hard=10_000_000)
    with opened(limits=limits) as world:
        receiver, peer = world.link()
        receiver.link.write(bytes(2_000_000))
        assert receiver.link.congested
        assert receiver.link.buffered > limits.soft
        receiver.link.write(b"end")
        assert "writable" not in receiver.calls
        assert world.read(peer, 2_000_003)[-3:] == b"end"
        assert receiver.calls == ["writable"]
        assert not receiver.link.congested


def test_what_the_kernel_takes_at_once_is_no_congestion():
    with opened(limits=LinkLimits(soft=1000)) as world:
        receiver, peer = world.link()
        receiver.link.write(bytes(5000))
        assert not receiver.link.congested
        assert receiver.link.buffered == 0
        assert world.read(peer, 5000) == bytes(5000)


def test_reader_that_never_reads_is_aborted():
    with opened(limits=LinkLimits(soft=1000, hard=1_000_000)) as world:
        receiver, _ = world.link()
        for _ in range(1000):
            receiver.link.write(bytes(10_000))
        assert receiver.lost == [], "never told inside its own call"
        world.turns()
        assert receiver.lost == ["send buffer full"]
        assert receiver.link.buffered == 0


def test_pause_stops_reading_and_resume_goes_on(world):
    receiver, peer = world.link()
    receiver.link.pause()
    receiver.link.pause()
    peer.send(b"later")
    world.turns()
    assert receiver.received == b""
    receiver.link.resume()
    world.until(lambda: receiver.received == b"later")


def test_pause_inside_a_read_holds_the_rest_back(world):
    receiver, peer = world.link()
    receiver.on_data = lambda data: receiver.link.pause()
    peer.setblocking(True)
    peer.sendall(bytes(40_000))
    world.turns()
    assert len(receiver.received) == 16384


def test_one_link_gets_one_read_for_each_round(world):
    """A link with much to read does not keep the others waiting."""
    busy, busy_peer = world.link()
    idle, idle_peer = world.link()
    order = []
    busy.on_data = lambda data: order.append("busy")
    idle.on_data = lambda data: order.append("idle")
    busy_peer.send(bytes(100_000))
    idle_peer.send(b"x")
    world.until(lambda: len(busy.received) == 100_000)
    assert "idle" in order[:2]


def test_paused_link_of_a_peer_that_went_away_does_not_spin(world):
    listening = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listening.getsockname())
    ours, address = listening.accept()
    listening.close()
    receiver = Receiver()
    receiver.link = Link(world.hub, ours, address)
    receiver.link.receiver = receiver
    receiver.link.pause()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    world.until(lambda: receiver.lost)
    assert receiver.lost == ["reset by the peer"]


def test_peer_closing_is_told_once(world):
    receiver, peer = world.link()
    peer.send(b"bye")
    peer.close()
    world.until(lambda: receiver.lost)
    world.turns()
    assert receiver.calls == ["data", "lost"]
    assert receiver.lost == ["closed by the peer"]
    assert receiver.link.closed
    receiver.link.write(b"too late")
    receiver.link.close()
    receiver.link.abort()
    receiver.link.pause()
    receiver.link.resume()
    world.turns()
    assert receiver.lost == ["closed by the peer"]


def test_answer_to_the_last_words_is_sent(world):
    """A peer that shuts its side right after asking still gets the answer."""
    receiver, peer = world.link()
    receiver.on_data = lambda data: receiver.link.write(b"answer")
    peer.send(b"question")
    peer.shutdown(socket.SHUT_WR)
    assert world.read(peer, 100) == b"answer"


def test_close_sends_everything_then_waits_for_the_peer(world):
    receiver, peer = world.link()
    data = bytes(1_000_000)
    receiver.link.write(data)
    receiver.link.close()
    receiver.link.write(b"ignored")
    assert receiver.link.closed
    assert world.read(peer, len(data) + 1) == data, "and then the end"
    peer.send(b"not read any more")
    world.turns()
    assert receiver.lost == []
    peer.close()
    world.until(lambda: receiver.lost)
    assert receiver.calls == ["lost"]


def test_close_does_not_wait_for_ever():
    with opened(limits=LinkLimits(farewell=0)) as world:
        receiver, _ = world.link()
        receiver.link.close()
        world.until(lambda: receiver.lost)
        assert receiver.lost == ["the peer did not close in time"]


def test_abort_is_told_after_the_call(world):
    receiver, peer = world.link()
    seen = []

    def abort(data):
        receiver.link.abort("enough")
        seen.extend(receiver.lost)

    receiver.on_data = abort
    peer.send(b"x")
    world.until(lambda: receiver.lost)
    assert seen == []
    assert receiver.lost == ["enough"]
    assert receiver.link.receiver is None


def test_loss_may_write_to_others(world):
    """link_lost comes before the turn's end, so that what it writes is sent in the same turn."""
    leaver, leaver_peer = world.link()
    stayer, stayer_peer = world.link()
    leaver.link_lost = lambda reason: stayer.link.write(b"gone")
    leaver_peer.close()
    assert world.read(stayer_peer, 4) == b"gone"


def test_receiver_that_fails_loses_its_link_only(world):
    receiver, peer = world.link()
    other, other_peer = world.link()
    events = []
    globalLogPublisher.addObserver(events.append)
    try:
        receiver.on_data = lambda data: 1 / 0
        peer.send(b"x")
        other_peer.send(b"y")
        world.until(lambda: receiver.lost and other.received)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert receiver.lost == ["internal error"]
    assert [event["log_failure"].type for event in events if "log_failure" in event] == [
        ZeroDivisionError
    ]


def test_new_connection_does_not_inherit_events_of_an_old_one(world):
    """Sockets that end within a turn are closed after it, so that numbers are not reused."""
    first, first_peer = world.link()
    second, second_peer = world.link()
    made = []

    def replace(data):
        for receiver in (first, second):
            receiver.link.abort()
        made.append(world.link())

    first.on_data = second.on_data = replace
    first_peer.send(b"x")
    second_peer.send(b"x")
    world.until(lambda: first.lost and second.lost)
    world.turns()
    assert len(made) == 1
    assert made[0][0].calls == []


def test_nothing_is_kept_of_a_lost_link(world):
    """No cycle is left, so that memory is free without the collector."""
    receiver, peer = world.link()
    ghost = weakref.ref(receiver)
    gc.disable()
    try:
        peer.close()
        world.until(lambda: not links(world.hub))
        world.turns()
        receiver.link = None
        del receiver
        assert ghost() is None
    finally:
        gc.enable()
    assert links(world.hub) == []


def test_addresses_are_written_as_usual(world):
    sock, other = socket.socketpair()
    world.peers.append(other)
    link = Link(world.hub, sock, ("192.0.2.1", 40000))
    assert (link.peer, link.address) == ("192.0.2.1:40000", "192.0.2.1")
    link._address = ("::ffff:192.0.2.1", 40000, 0, 0)
    assert (link.peer, link.address) == ("192.0.2.1:40000", "192.0.2.1")
    link._address = ("2001:db8::1", 40000, 0, 0)
    assert (link.peer, link.address) == ("[2001:db8::1]:40000", "2001:db8::1")
    link._address = ""
    assert (link.peer, link.address) == ("unix", "")


def test_stop_leaves_the_reactor_as_it_was(world):
    receiver, _ = world.link()
    receiver.link.write(b"x")
    receiver.link.close()
    world.hub.stop()
    assert receiver.lost == ["server stopped"]
    again, peer = world.link()
    peer.send(b"usable again")
    world.until(lambda: again.received)


def test_reactor_that_cannot_watch_epoll_watches_each_link(monkeypatch):
    class Choosy:
        def __getattr__(self, name):
            return getattr(REACTOR, name)

        def addReader(self, reader):
            if isinstance(reader, Hub):
                raise PermissionError("no epoll in here")
            REACTOR.addReader(reader)

    with opened() as world:
        world.hub.reactor = Choosy()
        receiver, peer = world.link()
        receiver.on_data = receiver.link.write
        peer.send(b"x")
        assert world.read(peer, 1) == b"x"


def test_without_epoll_everything_works_too(monkeypatch):
    monkeypatch.delattr(select, "epoll")
    limits = LinkLimits(soft=100_000, hard=10_000_000)
    with opened(limits=limits) as world:
        receiver, peer = world.link()
        receiver.on_data = receiver.link.write
        peer.send(b"echo")
        assert world.read(peer, 4) == b"echo"
        receiver.link.pause()
        peer.send(b"more")
        world.turns()
        receiver.link.resume()
        assert world.read(peer, 4) == b"more"
        receiver.link.write(bytes(2_000_000))
        assert receiver.link.congested
        assert len(world.read(peer, 2_000_000)) == 2_000_000
        assert receiver.calls[-1] == "writable"
        receiver.link.close()
        assert world.read(peer, 1) == b""
        peer.close()
        world.until(lambda: receiver.lost)


ECHO = """
import sys, threading, socket
name = sys.argv[1]
if name == "uvloop":
    import asyncio, uvloop
    from twisted.internet import asyncioreactor
    asyncioreactor.install(uvloop.new_event_loop())
else:
    import importlib
    importlib.import_module("twisted.internet." + name).install()
from twisted.internet import reactor
from imsuite.streams.link import Hub
from imsuite.streams.listeners import Listener

class Echo:
    def __init__(self, link): self.link = link
    def data_received(self, data): self.link.write(data)
    def secured(self): pass
    def writable(self): pass
    def link_lost(self, reason):
        print(reason)
        reactor.callLater(0, reactor.stop)

hub = Hub(reactor)
port = Listener(hub, "127.0.0.1", 0, Echo).start()
def talk():
    with socket.create_connection(("127.0.0.1", port)) as peer:
        data = bytes(3_000_000)
        threading.Thread(target=peer.sendall, args=(data,)).start()
        got = 0
        while got < len(data):
            got += len(peer.recv(65536))
        print(got)
reactor.callInThread(talk)
reactor.callLater(20, reactor.stop)
reactor.run()
print(hub._use_epoll, hub.fileno())
"""


@pytest.mark.parametrize(
    "reactor", ["epollreactor", "pollreactor", "selectreactor", "asyncioreactor", "uvloop"]
)
def test_every_reactor_will_do(reactor):
    """Echo and end on it, over epoll; the reactor's stopping stops the hub."""
    done = subprocess.run(
        [sys.executable, "-c", ECHO, reactor],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 6,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split("\n") == ["3000000", "closed by the peer", "True -1", ""]
