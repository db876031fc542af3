"""The load generator makes, fills and empties rooms as clients do."""

import select
import socket
from collections.abc import Callable, Iterator

import pytest

from benchmarks import muc
from benchmarks.dialogue import Account, Refused, Session
from benchmarks.loop import Link, Loop

ROOM = "room@conference.localhost"
FORM = (
    b"<iq type='result' id='form' from='room@conference.localhost'>"
    b"<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='form'>"
    b"<field var='FORM_TYPE' type='hidden'><value>x</value></field>"
    b"<field var='muc#roomconfig_presencebroadcast' type='list-multi'>"
    b"<value>moderator</value><option><value>visitor</value></option></field>"
    b"<field var='mam' type='boolean'><value>0</value></field></x></query></iq>"
)
FILLED = b"<iq type='result' id='filled' from='room@conference.localhost'/>"


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop, closed at the end."""
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def line(loop: Loop) -> Iterator[tuple[muc.Occupant, socket.socket]]:
    """Somebody who wants to come in, and the server's end of its link."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    link = Link(loop=loop, connection=ours, descriptor=ours.fileno())
    loop.links[link.descriptor] = link
    loop.poll.register(link.descriptor, select.EPOLLIN)
    session = Session(link, Account("u0000", ""), "u0000@localhost/bench", "")
    yield muc.Occupant(loop, session, ROOM, "anna"), theirs
    theirs.close()


@pytest.mark.parametrize("cut", range(1, 9))
def test_is_in_when_the_subject_has_come(line, cut):
    """XEP-0045 §7.2.15: history and subject follow the presences."""
    occupant, server = line
    occupant.join()
    assert b'to="room@conference.localhost/anna"' in server.recv(65536)
    text = b"<message type='groupchat' from='room@conference.localhost'><subject/></message>"
    place = text.index(b"<subject") + cut
    server.send(text[:place])
    occupant.loop.turn(1)
    server.send(text[place:])
    occupant.loop.turn(1)
    assert occupant.joined


def test_refusal_is_told(line, monkeypatch):
    monkeypatch.setattr(muc, "ENOUGH", 0.05)
    occupant, server = line
    server.send(b"<presence type='error' from='x'><error><conflict/></error></presence>")
    with pytest.raises(Refused, match="conflict"):
        muc.come(occupant.loop, [occupant])


def test_has_left_when_the_room_says_so(line):
    """XEP-0045 §7.14: unavailable presence with 110."""
    occupant, server = line
    occupant.leave()
    gone = b"<presence type='unavailable' from='%b'><x><status code='%d'/></x></presence>"
    server.send(gone % (b"room@conference.localhost/bert", 307))
    occupant.loop.turn(1)
    assert not occupant.left
    server.send(gone % (b"room@conference.localhost/anna", 110))
    occupant.loop.turn(1)
    assert occupant.left


class Owner:
    """A link behind which a room answers at once."""

    def __init__(self) -> None:
        self.sent = b""
        self.receive: Callable[[bytes], object] = self.send

    def send(self, text: bytes) -> None:
        """Answer."""
        self.sent = text
        self.receive(FORM if b"type='get'" in text else FILLED)


def test_form_is_filled_with_what_is_offered(loop):
    """XEP-0045 §10.2."""
    link = Owner()
    session = Session(link, Account("u0000", ""), "u0000@localhost/bench", "")  # type: ignore[arg-type]
    owner = muc.Occupant(loop, session, ROOM, "anna")
    muc.configure(loop, owner, archived=True, broadcast=False)
    assert b"<field var='mam'><value>1</value></field>" in link.sent
    assert b"presencebroadcast'><value>moderator</value></field>" in link.sent
    assert b"enablelogging" not in link.sent
