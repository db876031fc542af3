"""The server in memory that other tests use."""

import base64

import attrs
import pytest
from twisted.internet.defer import Deferred

from imsuite.app.registry import NoSuchFeature
from imsuite.core.feature import At, Feature, answers
from imsuite.core.options import option
from imsuite.core.record import public_id
from imsuite.testing.memory import MemoryServer, now
from imsuite.testing.memory_link import MemoryTls
from imsuite.testing.patterns import Wire
from imsuite.xmpp.stanza import result


@attrs.frozen
class Options:
    """[features.sample]"""

    word: str = option("nothing", "What to say.")


class Sample(Feature):
    """A feature of a test."""

    __module__ = "tests.xep0001_sample"
    spec = "XEP-0001"
    options = Options()

    @answers("get", "urn:sample", "sample", At.HOST)
    def sample(self, passing):
        return result(passing.stanza).plus(f"<word xmlns='u'>{self.options.word}</word>".encode())

    @classmethod
    def options_class(cls):
        return Options


def test_what_a_stanza_causes_has_happened_when_it_was_said(romeo, juliet):
    answer = romeo.says("<message to='juliet@example.org/balcony' id='1'><body>hi</body></message>")
    assert answer == []
    (archived,) = now(romeo.server.store.query("SELECT id, salt FROM message"))
    assert juliet.received == [
        "<message from='romeo@example.org/orchard' to='juliet@example.org/balcony' id='1'>"
        f"<body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' id='{public_id(*archived)}'"
        " by='juliet@example.org'/></message>"
    ]
    assert juliet.stanzas[0].id == "1"


def test_what_was_received_can_be_forgotten(romeo, juliet):
    romeo.says("<message to='juliet@example.org/balcony'/>")
    juliet.received.clear()
    assert juliet.received == []
    romeo.says("<message to='juliet@example.org/balcony'/>")
    juliet.forget()
    assert juliet.received == juliet.stanzas == []


def test_login_leaves_nothing_to_read(romeo, juliet, friends):
    assert romeo.received == juliet.received == []


def test_a_client_that_is_available_has_presence_and_asked_for_its_roster(server):
    session = server.login("romeo@example.org/orchard").session
    assert session.presence is not None
    assert session.interested
    session = server.login("romeo@example.org/garden", available=False, roster=False).session
    assert session.presence is None
    assert not session.interested


def test_friends_hear_of_each_other(friends):
    romeo, juliet = friends
    romeo.says("<presence><show>away</show></presence>")
    assert "away" in juliet.received[-1]
    juliet.forget()
    romeo.vanishes()
    assert "unavailable" in juliet.received[-1]
    assert romeo.gone


def test_features_and_options_can_be_chosen():
    server = MemoryServer(("example.net",), ["bind", Sample], {"sample": {"word": "hush"}})
    romeo = server.login("romeo@example.net/orchard", available=False, roster=False)
    (got,) = romeo.says("<iq type='get' id='1' to='example.net'><sample xmlns='urn:sample'/></iq>")
    assert "hush" in got
    server.stop()


def test_a_feature_that_does_not_exist_is_an_error():
    with pytest.raises(NoSuchFeature):
        MemoryServer(features=["no-such-feature"])
    with pytest.raises(AssertionError, match="features that are off"):
        MemoryServer(features=["bind"], options={"sasl": {}})


def test_a_stream_can_be_driven_by_bytes_and_by_single_ones(server):
    """Architecture §12: bytes in, bytes out, whole and byte by byte."""
    server.account("romeo@example.org", "secret")
    plain = base64.b64encode(b"\0romeo\0secret").decode()
    sent = (
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        " to='example.org' version='1.0'>"
        f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
    ).encode()
    tags = []
    for size in (None, 1):
        link = server.connect(MemoryTls())
        wire = Wire()
        tags.append([each.tag.rpartition("}")[2] for each in wire.feed(link.feed(sent, size))])
        link.lose()
    assert tags == [["stream", "features", "success"]] * 2


def test_time_stands_still_until_it_is_moved(server):
    link = server.connect()
    server.advance(59)
    assert not link.closed
    server.advance(10)
    assert b"connection-timeout" in link.take()
    assert link.closed


def test_now_does_not_wait():
    async def waits():
        await Deferred()

    async def fails():
        raise KeyError("x")

    with pytest.raises(AssertionError, match="waits"):
        now(waits())
    with pytest.raises(KeyError):
        now(fails())


def test_failures_are_noted(server):
    async def fails():
        raise KeyError("x")

    server.host.spawn(fails())
    assert len(server.failures.events) == 1
    assert server.failures.take(KeyError) == []
    server.host.spawn(fails())
    assert "KeyError" in server.failures.take()[0]
