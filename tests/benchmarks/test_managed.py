"""The load generator speaks XEP-0198 and notices what the server counts wrongly."""

import select
import socket
from collections.abc import Iterator

import pytest

from benchmarks import managed
from benchmarks.dialogue import Account, Counted, Session
from benchmarks.loads.chat import Conversation, ManagedTalker
from benchmarks.loop import Link, Loop

A = b"<a xmlns='urn:xmpp:sm:3' h='%d'/>"
R = b"<r xmlns='urn:xmpp:sm:3'/>"


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop, closed at the end."""
    made = Loop()
    yield made
    made.close()


def pair(loop: Loop) -> tuple[Link, socket.socket]:
    """Return a link, and the server's end of it."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    link = Link(loop=loop, connection=ours, descriptor=ours.fileno())
    loop.links[link.descriptor] = link
    loop.poll.register(link.descriptor, select.EPOLLIN)
    return link, theirs


@pytest.fixture
def talk(loop: Loop) -> Iterator[tuple[Conversation, list[socket.socket]]]:
    """A conversation of two sessions with stream management, and the server's ends."""
    made = [pair(loop) for _ in range(2)]
    sessions = [
        Session(link, Account(name, ""), f"{name}@localhost/bench", "", counted=Counted())
        for name, (link, _end) in zip(("u0000", "u0001"), made, strict=True)
    ]
    yield Conversation.between(loop, sessions), [end for _link, end in made]
    for _link, end in made:
        end.close()


def passed(talk: tuple[Conversation, list[socket.socket]], text: bytes) -> bytes:
    """Return messages as the server passes them on to the second session."""
    assert isinstance(talk[0].talkers[0], ManagedTalker)
    return text.replace(managed.ASK, b"").replace(
        b"<message", b"<message from='u0000@localhost/bench'"
    )


def test_asks_after_every_few_messages(talk):
    conversation, ends = talk
    conversation.talkers[0].say(managed.EVERY - 1)
    assert managed.ASK not in ends[0].recv(65536)
    conversation.talkers[0].say(1)
    assert ends[0].recv(65536).endswith(managed.ASK)


def test_request_is_answered_with_what_was_received(talk):
    conversation, ends = talk
    conversation.talkers[0].say(3)
    ends[1].send(passed(talk, ends[0].recv(65536)) + R)
    conversation.loop.turn(1)
    assert ends[1].recv(65536) == A % 3


@pytest.mark.parametrize("cut", range(1, len(R)))
def test_request_in_two_pieces_is_answered_once(talk, cut):
    conversation, ends = talk
    for piece in (R[:cut], R[cut:]):
        ends[1].send(piece)
        conversation.loop.turn(1)
    assert ends[1].recv(65536) == A % 0
    ends[1].send(b" ")
    conversation.loop.turn(1)
    with pytest.raises(BlockingIOError):
        ends[1].recv(65536)


def test_all_acknowledged_is_right(talk):
    conversation, ends = talk
    conversation.talkers[0].say(3)
    ends[1].send(passed(talk, ends[0].recv(65536)))
    ends[0].send(A % 3)
    assert not conversation.finish()


def test_stanza_that_was_not_counted_is_noticed(talk, monkeypatch):
    monkeypatch.setattr(managed, "ENOUGH", 0.1)
    conversation, ends = talk
    conversation.talkers[0].say(3)
    ends[1].send(passed(talk, ends[0].recv(65536)))
    ends[0].send(A % 2)
    assert conversation.finish().unacknowledged == 1


@pytest.mark.parametrize("h", [b"4", b"x"])
def test_wrong_h_is_noticed(talk, h):
    conversation, ends = talk
    conversation.talkers[0].say(3)
    ends[1].send(passed(talk, ends[0].recv(65536)))
    ends[0].send(b"<a xmlns='urn:xmpp:sm:3' h='" + h + b"'/>" + A % 3)
    assert conversation.finish().unacknowledged == 1


def test_h_that_goes_back_is_noticed(talk):
    conversation, ends = talk
    conversation.talkers[0].say(3)
    ends[1].send(passed(talk, ends[0].recv(65536)))
    ends[0].send(A % 2 + A % 1 + A % 3)
    assert conversation.finish().unacknowledged == 1


def test_counters_go_on_from_load_to_load(talk):
    conversation, ends = talk
    conversation.talkers[0].say(2)
    ends[1].send(passed(talk, ends[0].recv(65536)))
    ends[0].send(A % 2)
    assert not conversation.finish()
    ends[0].recv(65536)
    again = Conversation.between(
        conversation.loop, [talker.session for talker in conversation.talkers]
    )
    again.talkers[0].say(2)
    ends[1].send(passed(talk, ends[0].recv(65536)))
    ends[0].send(A % 4)
    assert not again.finish()
