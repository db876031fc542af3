"""The benchmark says what it is interested in, and notices what it was told wrongly."""

import pytest

from benchmarks.dialogue import Account, Session
from benchmarks.pubsub import Interested, Place, notified_faults, payload

PLACE = Place("pubsub.localhost", "tunes")


def told(number: int, *, node: str = "tunes", marks: str = "") -> bytes:
    """Return a notification."""
    return (
        f"<message from='pubsub.localhost' to='u0001@localhost' type='headline'>"
        f"<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='{node}'>"
        f"<item {marks} id='{number:012d}'>".encode()
        + payload(number)
        + b"</item></items></event></message>"
    )


def stream(*numbers: int) -> bytes:
    """Return notifications of items."""
    return b"".join(map(told, numbers))


def test_all_in_order_is_right():
    assert not notified_faults(stream(1, 2, 3), PLACE, 1, 3)
    assert not notified_faults(told(0, marks="publisher='u0000@localhost'"), PLACE, 0, 1)


def test_loss_repetition_and_disorder_are_noticed():
    assert notified_faults(stream(1, 3), PLACE, 1, 3).lost == 1
    assert notified_faults(stream(1, 2, 2, 3), PLACE, 1, 3).duplicated == 1
    assert notified_faults(stream(2, 1, 3), PLACE, 1, 3).reordered == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Sunrise", b"Sunset"),
        (b"&amp;", b"and"),
        (b"from='pubsub.localhost'", b"from='localhost'"),
        (b"node='tunes'", b"node='news'"),
        (b"pubsub#event", b"pubsub"),
    ],
)
def test_alteration_is_noticed(old, new):
    assert old in told(1)
    assert notified_faults(told(1).replace(old, new), PLACE, 1, 1).altered == 1


def test_anything_else_is_noticed():
    error = b"<message type='error' from='pubsub.localhost'><body>no</body></message>"
    assert notified_faults(stream(1) + error, PLACE, 1, 1).unexpected == 1
    assert notified_faults(stream(1) + b"<presence/>", PLACE, 1, 1).unexpected == 1


class Wire:
    """A link that keeps what is sent."""

    def __init__(self) -> None:
        self.sent = b""
        self.receive = None

    def send(self, text: bytes) -> None:
        """Keep it."""
        self.sent += text


@pytest.fixture
def client() -> Interested:
    """A client that wants to be told of two nodes."""
    session = Session(Wire(), Account("u0001", ""), "u0001@localhost/bench", "")  # type: ignore[arg-type]
    return Interested(session, ["urn:b", "urn:a"])


def test_verification_string_is_that_of_its_features(client):
    """XEP-0115 §5.1: identities, then features in order."""
    client.nodes = []
    # of "client/bot//bench<http://jabber.org/protocol/disco#info<", by openssl sha1
    assert client.ver == "YGjYqR6ybONasIwaB+IQ1+wTNDw="


def test_features_are_in_order(client):
    assert client.features == sorted(client.features)
    assert "urn:a+notify" in client.features


@pytest.mark.parametrize("cut", [1, 40, 90, 130])
def test_question_is_answered_once_however_it_comes(client, cut):
    client.appear()
    assert client.ver.encode() in client.session.link.sent
    client.session.link.sent = b""
    question = (
        b"<iq type='get' from='u0000@localhost' to='u0001@localhost/bench' id='q1'>"
        b"<query xmlns='http://jabber.org/protocol/disco#info' node='urn:xmpp:bench#x'/></iq>"
    )
    for piece in (question[:cut], question[cut:], b" " * 600, b" "):
        client.receive(piece)
    sent = client.session.link.sent
    assert sent.count(b"<iq ") == 1
    assert b"to='u0000@localhost' id='q1'" in sent
    assert b"node='urn:xmpp:bench#x'" in sent
    assert b"urn:b+notify" in sent
