"""A publisher goes on when everybody was told; what they were told is checked."""

from collections.abc import Iterator

import pytest

from benchmarks.dialogue import Account, Session
from benchmarks.loads.nodes import Readers, Subscriber
from benchmarks.loop import Loop
from benchmarks.pubsub import Place, payload

PLACE = Place("pubsub.localhost", "tunes")
RESULT = b"<iq type='result' id='item'/>"


class Wire:
    """A link that keeps what is sent."""

    def __init__(self) -> None:
        self.sent = b""

    def send(self, text: bytes) -> None:
        """Keep it."""
        self.sent += text


def session(name: str) -> Session:
    """Return a session without a server."""
    return Session(Wire(), Account(name, ""), f"{name}@localhost/bench", "")  # type: ignore[arg-type]


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop without links, closed at the end."""
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def readers(loop) -> Readers:
    """A publisher whose first item has gone round, and two who are told."""
    made = Readers(loop, session("u0000"), PLACE, in_flight=2)
    made.subscribers = [Subscriber(made, session(name)) for name in ("u0001", "u0002")]
    made.publish(1)
    made.answers.append(RESULT)
    made.publishing = True
    return made


def tell(readers: Readers, number: int, *subscribers: int) -> None:
    """Notify some of an item."""
    for one in subscribers:
        readers.subscribers[one].receive(
            b"<message from='pubsub.localhost'>"
            b"<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='tunes'>"
            b"<item id='%012d'>%b</item></items></event></message>" % (number, payload(number))
        )


def test_publishes_when_all_were_told(readers):
    readers.publish(2)
    tell(readers, 1, 0)
    assert readers.sent == 3
    tell(readers, 1, 1)
    assert readers.sent == 4


def test_all_told_and_accepted_is_right(readers):
    readers.publishing = False
    readers.publish(2)
    for number in (1, 2):
        tell(readers, number, 0, 1)
    readers.answers.append(RESULT * 2)
    assert not readers.faults()
    assert len(readers.latencies()) == 4


def test_who_was_not_told_and_what_was_refused_is_noticed(readers):
    readers.publishing = False
    readers.publish(1)
    tell(readers, 1, 0)
    readers.answers.append(b"<iq type='error' id='item'/>")
    faults = readers.faults()
    assert (faults.lost, faults.unexpected) == (1, 1)
