"""RFC 6121 §4: presence of contacts and of one's own resources."""

import pytest

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import AVAILABLE, INCOMING, UNAVAILABLE, Passing
from imsuite.testing.memory import befriend, now
from imsuite.testing.patterns import read
from imsuite.xmpp.address import parse
from imsuite.xmpp.stanza import make
from tests.helpers import fitting, holds

CORE = ["bind", "roster", "presence", "messages"]
pytestmark = pytest.mark.server(features=CORE)

HERE = "<presence from='{}'/>"
GONE = "<presence from='{}' type='unavailable'/>"
DELAY = "<delay xmlns='urn:xmpp:delay'/>"
FAR = "juliet@far.example"


def here(stanzas, jid):
    """Return the available presences from an address."""
    return [each for each in fitting(stanzas, HERE.format(jid)) if "type=" not in each[:200]]


def gone(stanzas, jid):
    return fitting(stanzas, GONE.format(jid))


class Remote:
    """Other servers: notes what goes there."""

    def __init__(self):
        self.sent = []

    def receive(self, passing):
        self.sent.append(passing.stanza.raw.decode())


@pytest.fixture
def far(server):
    server.router.remote = Remote()
    return server.router.remote


def arrive(server, kind, to="romeo@example.org", sender=FAR):
    """Let a presence of another server come in."""
    stanza = make("presence", {"type": kind, "from": sender, "to": to})
    later = server.router.route(Passing(stanza, None, parse(sender)))
    if later is not None:
        now(later)
    server.settle()


# initial presence


def test_initial_presence_reaches_contacts_and_oneself(server, friends):
    """§4.2.2, pitfall 25"""
    romeo, juliet = friends
    phone = server.login("romeo@example.org/phone", available=False)
    got = phone.says("<presence id='p'><show>away</show><status>busy</status></presence>")
    whole = (
        "<presence from='romeo@example.org/phone' id='p'><show>away</show>"
        "<status>busy</status></presence>"
    )
    assert len(fitting(juliet.received, whole)) == 1
    assert len(fitting(romeo.received, whole)) == 1
    assert len(fitting(got, whole)) == 1
    assert read(fitting(juliet.received, whole)[0]).get("to") == "juliet@example.org"


def test_newcomer_sees_who_is_there(server, friends):
    """§4.2.2, §4.3.2: contacts and own resources, with the time of their presence."""
    romeo, _ = friends
    romeo.says("<presence><show>dnd</show></presence>")
    server.advance(60)
    juliet = server.login("juliet@example.org/late", available=False)
    got = juliet.says("<presence/>")
    stamp = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>"
    for jid in ("romeo@example.org/orchard", "juliet@example.org/balcony"):
        (presence,) = here(got, jid)
        assert holds(presence, f"<presence to='juliet@example.org'>{DELAY}</presence>")
        assert "2026-01-01T00:00:00" in presence, stamp
    assert len(here(got, "juliet@example.org/late")) == 1
    assert not holds(here(got, "juliet@example.org/late")[0], f"<presence>{DELAY}</presence>")


def test_stamp_of_the_client_stays(server, romeo):
    """§4.3.2: its own stamp tells since when."""
    romeo.says("<presence><delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/></presence>")
    late = server.login("romeo@example.org/late", available=False)
    (got,) = here(late.says("<presence/>"), "romeo@example.org/orchard")
    assert got.count("<delay") == 1
    assert "2020-01-01" in got


def test_later_presence_asks_for_nothing_again(server, friends):
    """§4.4.2: it is broadcast, and brings nobody's presence."""
    romeo, juliet = friends
    juliet.forget()
    got = romeo.says("<presence><show>xa</show></presence>")
    assert len(here(juliet.received, romeo.jid)) == 1
    assert len(got) == 1  # one's own


def test_strangers_and_one_sided_contacts(server, romeo, juliet):
    """§4.2.2: presence goes from whom "from" or "both" says, and to nobody else."""
    stranger = server.login("tybalt@example.org/x")
    juliet.says("<presence type='subscribe' to='romeo@example.org'/>")
    romeo.says("<presence type='subscribed' to='juliet@example.org'/>")
    romeo.forget()
    juliet.forget()
    romeo.says("<presence><show>away</show></presence>")
    assert len(here(juliet.received, romeo.jid)) == 1
    romeo.forget()
    juliet.says("<presence><show>away</show></presence>")
    assert romeo.received == []
    assert stranger.received == []


def test_contacts_of_other_servers_are_probed_once(server, far, romeo):
    """§4.3.1: from the bare JID; later presences do not."""
    romeo.says(f"<presence type='subscribe' to='{FAR}'/>")
    arrive(server, "subscribed")
    far.sent.clear()
    phone = server.login("romeo@example.org/phone", available=False)
    phone.says("<presence/>")
    phone.says("<presence><show>away</show></presence>")
    (probe,) = far.sent
    assert holds(probe, f"<presence type='probe' from='romeo@example.org' to='{FAR}'/>")


@pytest.mark.parametrize("priority", ["-129", "128", "x", "1.5", "٣", "1e2", "--1"])
def test_priority_that_is_none_is_a_bad_request(friends, priority):
    """§4.7.2.3: and nobody hears of it."""
    romeo, juliet = friends
    (got,) = romeo.says(f"<presence id='p'><priority>{priority}</priority></presence>")
    assert holds(got, "<presence type='error' id='p'><error type='modify'/></presence>")
    assert "bad-request" in got
    assert juliet.received == []


@pytest.mark.parametrize(
    "inner", ["<show>here</show>", "<show>away</show><show>dnd</show>", "<show> away</show>"]
)
def test_show_that_is_none_is_a_bad_request(friends, inner):
    """§4.7.2.1"""
    romeo, juliet = friends
    (got,) = romeo.says(f"<presence>{inner}</presence>")
    assert "bad-request" in got
    assert juliet.received == []


def test_priority_may_change(server, romeo, juliet):
    """§4.4.2: it decides from the next message on."""
    for priority, count in ((-1, 0), (0, 1), (-128, 0), (127, 1)):
        romeo.says(f"<presence><priority>{priority}</priority></presence>")
        romeo.forget()
        juliet.says("<message to='romeo@example.org' type='chat'><body>x</body></message>")
        assert len(fitting(romeo.received, "<message/>")) == count


# going away


@pytest.mark.parametrize("way", ["says", "closes", "vanishes", "conflict", "error"])
def test_contacts_hear_once_that_one_is_gone(server, friends, way):
    """§4.5.2, pitfalls 10, 27"""
    romeo, juliet = friends
    other = server.login("romeo@example.org/phone")
    juliet.forget()
    other.forget()
    if way == "says":
        romeo.says("<presence type='unavailable'><status>bye</status></presence>")
        assert "bye" in gone(juliet.received, romeo.jid)[0]
        romeo.closes()  # §4.5.2: not told again
    elif way == "closes":
        romeo.closes()
    elif way == "vanishes":
        romeo.vanishes()
    elif way == "conflict":
        server.login(str(romeo.jid), available=False)
    else:
        romeo.says("<message from='juliet@example.org'/>")
    assert romeo.gone
    assert len(gone(juliet.received, "romeo@example.org/orchard")) == 1
    assert len(gone(other.received, "romeo@example.org/orchard")) == 1


def test_who_says_unavailable_hears_it(friends):
    """§4.5.2: also the resource itself."""
    romeo, _ = friends
    got = romeo.says("<presence type='unavailable'/>")
    assert len(gone(got, romeo.jid)) == 1


def test_unavailable_twice_is_told_once(friends):
    romeo, juliet = friends
    for _ in range(2):
        romeo.says("<presence type='unavailable'/>")
    assert len(gone(juliet.received, romeo.jid)) == 1


def test_who_never_came_does_not_leave(server, friends):
    """§4.5.2: without initial presence nobody is told anything."""
    _, juliet = friends
    phone = server.login("romeo@example.org/phone", available=False)
    juliet.forget()
    phone.says("<presence type='unavailable'/>")
    phone.closes()
    assert juliet.received == []


def test_who_comes_back_is_initially_present_again(friends):
    """§4.2.2"""
    romeo, juliet = friends
    romeo.says("<presence type='unavailable'/>")
    got = romeo.says("<presence/>")
    assert len(here(got, juliet.jid)) == 1
    assert len(here(juliet.received, romeo.jid)) == 1


def test_unavailable_resource_gets_no_presence(friends):
    """§4.3.2, §8.5.2.2.2"""
    romeo, juliet = friends
    romeo.says("<presence type='unavailable'/>")
    romeo.forget()
    juliet.says("<presence><show>away</show></presence>")
    assert romeo.received == []


class Noting(Feature):
    """Notes who comes and goes."""

    __module__ = "tests.xep0001_noting"
    spec = "XEP-0001"

    @on(AVAILABLE)
    def came(self, session):
        self.host.__dict__.setdefault("noted", []).append(f"+{session.resource}")

    @on(UNAVAILABLE)
    def went(self, session):
        self.host.__dict__.setdefault("noted", []).append(f"-{session.resource}")


@pytest.mark.server(features=[*CORE, Noting])
def test_features_hear_once_of_each_coming_and_going(server, romeo):
    """Architecture §4: AVAILABLE, UNAVAILABLE."""
    romeo.says("<presence><show>away</show></presence>")
    romeo.says("<presence type='unavailable'/>")
    romeo.says("<presence type='unavailable'/>")
    romeo.says("<presence/>")
    romeo.closes()
    server.login("romeo@example.org/phone", available=False).closes()
    assert server.host.noted == ["+orchard", "-orchard", "+orchard", "-orchard"]


class Failing(Feature):
    """Fails at the presence of whoever is asked for."""

    __module__ = "tests.xep0002_failing"
    spec = "XEP-0002"

    @on(INCOMING, kind="presence")
    def fail(self, passing):
        if passing.account.jid.local == "aaron" and passing.sender.resource == "bug":
            raise ZeroDivisionError


@pytest.mark.server(features=[*CORE, Failing])
def test_failure_at_one_contact_does_not_hide_one_from_the_others(server):
    """§4.2.2: and is logged, as what nobody foresaw."""
    romeo = server.login("romeo@example.org/orchard")
    others = [server.login(f"{name}@example.org/x") for name in ("aaron", "juliet")]
    for other in others:
        befriend(romeo, other)
    bug = server.login("romeo@example.org/bug")
    bug.vanishes()
    assert len(here(others[1].received, bug.jid)) == 1
    assert len(gone(others[1].received, bug.jid)) == 1
    assert all("ZeroDivisionError" in text for text in server.failures.take())


@pytest.mark.server(domains=("example.org", "example.net"), features=CORE)
def test_contacts_of_another_domain_of_this_server(server):
    """RFC 6120 §4.7.2: several domains share a server, and nothing else."""
    romeo = server.login("romeo@example.org/orchard")
    juliet = server.login("juliet@example.net/balcony")
    befriend(romeo, juliet)
    late = server.login("romeo@example.org/late", available=False)
    assert len(here(late.says("<presence/>"), juliet.jid)) == 1
    assert len(here(juliet.received, late.jid)) == 1
    late.vanishes()
    assert len(gone(juliet.received, late.jid)) == 1
