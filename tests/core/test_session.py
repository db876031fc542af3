"""What a session does to stanzas before they leave (RFC 6120 §8.1, §8.2)."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import DELIVERING, OUTGOING, Stage
from imsuite.testing.patterns import read
from imsuite.xmpp.errors import StanzaError, StreamError
from imsuite.xmpp.stanza import Stanza
from tests.core.conftest import login
from tests.helpers import holds, iq_error

TO = "to='juliet@example.org/balcony'"
STREAMS = "xmlns='urn:ietf:params:xml:ns:xmpp-streams'"


def test_from_is_stamped(pair):
    """§8.1.2.1"""
    clients = pair()
    clients.romeo.says(f"<message {TO} id='1'><body>hi</body></message>")
    (got,) = clients.juliet.received
    assert holds(got, "<message from='romeo@example.org/orchard' id='1'><body>hi</body></message>")


@pytest.mark.parametrize(
    "claimed", ["romeo@example.org/orchard", "romeo@example.org", "ROMEO@example.org/orchard"]
)
def test_ones_own_address_may_be_claimed(pair, claimed):
    """§8.1.2.1: bare or full, in whatever spelling; what arrives is the full JID."""
    clients = pair()
    clients.romeo.says(f"<message {TO} from='{claimed}'><body>hi</body></message>")
    (got,) = clients.juliet.received
    assert read(got).get("from") == "romeo@example.org/orchard"
    assert got.count("from=") == 1


@pytest.mark.parametrize(
    "claimed",
    [
        "juliet@example.org/balcony",
        "romeo@example.org/other",
        "example.org",
        "romeo@example.net",
        "@",
        "",
    ],
)
def test_another_address_ends_the_stream(pair, claimed):
    """§8.1.2.1, §4.9.3.9"""
    clients = pair()
    (got,) = clients.romeo.says(f"<message {TO} from='{claimed}'><body>hi</body></message>")
    assert holds(got, f"<stream:error><invalid-from {STREAMS}/></stream:error>")
    assert clients.romeo.gone
    assert clients.juliet.received == []


@pytest.mark.parametrize(
    "stanza",
    [
        f"<message {TO}/>",
        f"<message\n{TO}\t/>",
        f"<message {TO} from = 'romeo@example.org'  ></message>",
        '<message to="juliet@example.org/balcony" id="a>b"><body/></message>',
        f"<message {TO} from2='x'/>",
        f"<message {TO} id=' from=&apos;x&apos; '/>",
        f"<message {TO}><x xmlns='u' from='evil@example.org'/></message>",
    ],
)
def test_stamped_bytes_say_what_the_attributes_say(pair, stanza):
    """What features look at and what goes out must never differ."""
    clients = pair()
    clients.romeo.says(stanza)
    assert len(clients.juliet.received) == 1, clients.romeo.received
    (got,) = clients.juliet.stanzas
    assert got.attrs == Stanza.parse(got.raw).attrs
    assert got.attrs["from"] == "romeo@example.org/orchard"


def test_the_language_of_the_stream_is_added(make):
    """§8.1.5, pitfall 6"""
    server = make()
    romeo = login(server, "romeo@example.org/orchard", lang="cs-CZ")
    juliet = login(server, "juliet@example.org/balcony")
    romeo.says(f"<message {TO}/>")
    romeo.says(f"<message {TO} xml:lang='en'/>")
    languages = [stanza.attrs["xml:lang"] for stanza in juliet.stanzas]
    assert languages == ["cs-CZ", "en"]


@pytest.mark.parametrize("lang", ["", "de'x", "toolongatag", "a<b", "en_GB", "en-" + "x" * 4000])
def test_a_language_that_is_none_is_not_added(make, lang):
    server = make()
    romeo = login(server, "romeo@example.org/orchard", lang=lang)
    juliet = login(server, "juliet@example.org/balcony")
    romeo.says(f"<message {TO}/>")
    assert "xml:lang" not in juliet.stanzas[0].attrs


@pytest.mark.parametrize(
    "iq",
    [
        "<iq type='get'><q xmlns='u'/></iq>",
        "<iq id='1'><q xmlns='u'/></iq>",
        "<iq id='1' type='give'><q xmlns='u'/></iq>",
        "<iq id='1' type='get'/>",
        "<iq id='1' type='set'><q xmlns='u'/><q xmlns='u'/></iq>",
    ],
)
def test_an_iq_of_another_shape_is_a_bad_request(pair, iq):
    """§8.2.3"""
    (got,) = pair().romeo.says(iq)
    assert holds(
        got,
        "<iq type='error'><error type='modify'><bad-request xmlns="
        "'urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
    )


@pytest.mark.parametrize("iq", ["<iq type='result'/>", "<iq type='error'/>"])
def test_an_answer_of_another_shape_is_not_answered(pair, iq):
    """§8.3.1"""
    assert pair().romeo.says(iq) == []


def test_what_is_no_stanza_ends_the_stream(pair):
    """§4.9.3.24"""
    romeo = pair().romeo
    (got,) = romeo.says("<letter/>")
    assert holds(got, f"<stream:error><unsupported-stanza-type {STREAMS}/></stream:error>")
    assert romeo.gone


class Gate(Feature):
    """Lets slow messages wait, refuses some, and fails on others."""

    __module__ = "tests.xep0001_gate"
    spec = "XEP-0001"

    def __init__(self, host, options):
        super().__init__(host, options)
        self.gate = Deferred()

    @on(OUTGOING, Stage.GUARD)
    def wait(self, passing):
        if passing.stanza.id == "slow":
            return self.later()
        if passing.stanza.id == "refused":
            raise StanzaError("forbidden", text="no")
        if passing.stanza.id == "ends":
            raise StreamError("policy-violation")
        return None

    async def later(self):
        await self.gate

    @on(DELIVERING, Stage.AMEND)
    def mark(self, passing):
        return passing.stanza.plus(b"<mark xmlns='urn:mark'/>", "urn:mark}mark")


def gate(clients):
    return clients.host.features["gate"].gate


def test_order_is_kept_behind_a_stanza_that_waits(pair):
    """RFC 6120 §10.1"""
    clients = pair(Gate)
    for id in ("slow", "2", "3"):
        clients.romeo.says(f"<message {TO} id='{id}'/>")
    assert clients.juliet.received == []
    gate(clients).callback(None)
    assert [read(each).get("id") for each in clients.juliet.received] == ["slow", "2", "3"]


def test_a_slow_stanza_holds_back_its_own_stream_only(pair):
    clients = pair(Gate)
    clients.romeo.says(f"<message {TO} id='slow'/>")
    clients.juliet.says("<message to='romeo@example.org/orchard' id='1'/>")
    assert len(clients.romeo.received) == 1
    gate(clients).callback(None)


def test_a_refusal_goes_to_the_sender(pair):
    clients = pair(Gate)
    (got,) = clients.romeo.says(f"<message {TO} id='refused'/>")
    assert holds(
        got,
        "<message type='error' id='refused' from='juliet@example.org/balcony'>"
        "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no</text></error></message>",
    )
    assert clients.juliet.received == []


def test_what_comes_after_a_stream_error_is_not_handled(pair):
    """RFC 6120 §4.9.1.1: stream errors are unrecoverable, also for what queued behind them."""
    clients = pair(Gate)
    for id in ("slow", "ends", "after"):
        clients.romeo.says(f"<message {TO} id='{id}'/>")
    gate(clients).callback(None)
    assert [read(each).get("id") for each in clients.juliet.received] == ["slow"]
    assert clients.romeo.gone
    assert "romeo@example.org/orchard" not in clients.server.router.sessions


def test_what_was_said_before_closing_is_handled(pair):
    clients = pair(Gate)
    clients.romeo.says(f"<message {TO} id='slow'/><message {TO} id='2'/></stream:stream>")
    assert clients.romeo.gone
    gate(clients).callback(None)
    assert [read(each).get("id") for each in clients.juliet.received] == ["slow", "2"]
    assert "romeo@example.org/orchard" not in clients.server.router.sessions


def test_delivering_may_change_the_copy_of_one_session(pair):
    clients = pair(Gate)
    clients.romeo.says(f"<message {TO}/>")
    (got,) = clients.juliet.received
    assert holds(got, "<message><mark xmlns='urn:mark'/></message>")


def test_a_flood_behind_a_slow_stanza_stops_the_reading(pair):
    """Architecture §6: a queue is bounded, and then the transport is paused."""
    clients = pair(Gate)
    clients.romeo.says(f"<message {TO} id='slow'/>")
    for number in range(200):
        clients.romeo.says(f"<message {TO} id='{number}'/>")
    assert clients.romeo.link.paused
    gate(clients).callback(None)
    assert len(clients.juliet.received) == 201
    assert not clients.romeo.link.paused


def test_an_unknown_request_is_answered_once(pair):
    """RFC 6120 §8.2.3, pitfall 18"""
    (got,) = pair().romeo.says("<iq type='get' id='1' to='example.org'><q xmlns='u'/></iq>")
    assert holds(got, iq_error("1", "service-unavailable"))
