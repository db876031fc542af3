"""XEP-0045: the header: options, the domain of the rooms, and how they begin and end with it."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core import services
from imsuite.core.hooks import STOPPING
from imsuite.core.host import FeatureConflict
from imsuite.core.options import WrongValue
from imsuite.core.service_interfaces import IRooms
from imsuite.features.xep0045_muc import Options
from imsuite.testing.memory import now
from tests.covens import COVEN, enters, heard, meets, tells
from tests.helpers import holds
from tests.paced import Pace

NS_INFO = "http://jabber.org/protocol/disco#info"
NS_ITEMS = "http://jabber.org/protocol/disco#items"
TAKEN = r"example.org: feature muc wants to serve conference.example.org, .*\[features.muc\]"
BOTH = pytest.mark.server(domains=("example.org", "example.net"))


def asks(client, to, ns, id="q"):
    """Ask an address what it is or has; return the answer."""
    (answer,) = client.says(f"<iq type='get' id='{id}' to='{to}'><query xmlns='{ns}'/></iq>")
    return answer


def test_options_have_bounds():
    """[features.muc]"""
    assert Options().subdomain == "conference"
    for wrong in ({"most": 0}, {"longest_nick": 1024}, {"makers": "friends"}):
        with pytest.raises(WrongValue):
            Options(**wrong)


def test_rooms_have_a_domain_of_their_own(server, host):
    """§4.1"""
    muc = host.find_feature(IRooms)
    ((domain, route),) = muc.serves()
    assert domain == muc.domain == "conference.example.org"
    assert server.router.services[domain] is route


@pytest.mark.server(options={"muc": {"subdomain": "rooms"}})
def test_the_domain_is_an_option(server, host, juliet):
    """[features.muc] subdomain"""
    assert host.find_feature(IRooms).domain == "rooms.example.org"
    (presence, *_) = enters(juliet, "coven@rooms.example.org")
    assert holds(presence, "<presence from='coven@rooms.example.org/balcony'/>")


@pytest.mark.server(features=["bind", "disco"])
def test_without_rooms_there_is_no_such_domain(server, romeo):
    assert server.router.services == {}
    assert "remote-server-not-found" in asks(romeo, "conference.example.org", NS_INFO)


def test_a_domain_that_is_served_already_stops_the_start(server, host):
    """One line says who wants which domain, and what to write where."""
    with pytest.raises(FeatureConflict, match=TAKEN):
        services.enter(host)


@pytest.mark.parametrize("word", ["services", "hosts"])
def test_so_does_one_that_the_configuration_gives_away(server, host, word):
    """[services."conference.example.org"], or a host of that name."""
    domain = "conference.example.org"
    del server.router.services[domain]
    if word == "hosts":
        server.router.hosts[domain] = host
    with pytest.raises(FeatureConflict, match=TAKEN):
        services.enter(host, {domain} if word == "services" else ())
    assert domain not in server.router.services
    server.router.hosts.pop(domain, None)


@BOTH
def test_each_host_has_its_own_rooms(server, romeo):
    """§4.1: of one name, they are two; whoever can reach both can be in both."""
    other = COVEN.replace("example.org", "example.net")
    juliet = server.login("juliet@example.net/balcony")
    meets(server, romeo)
    assert "item-not-found" in asks(juliet, other, NS_INFO)
    enters(juliet, other)
    romeo.forget()
    juliet.forget()
    tells(romeo, "here")
    assert [stanza.attrs["from"] for stanza in heard(romeo)] == [f"{COVEN}/orchard"]
    assert heard(juliet) == []
    enters(juliet)
    juliet.forget()
    tells(romeo, "both of us")
    assert [stanza.attrs["from"] for stanza in heard(juliet)] == [f"{COVEN}/orchard"]


@BOTH
def test_each_domain_shows_its_own_service(server, romeo):
    """§6.1, §6.2"""
    for domain in ("example.org", "example.net"):
        listed = asks(romeo, domain, NS_ITEMS)
        shown = [name for name in ("org", "net") if f"conference.example.{name}'" in listed]
        assert shown == [domain.removeprefix("example.")]
        assert holds(
            asks(romeo, f"conference.{domain}", NS_INFO),
            f"<iq type='result' from='conference.{domain}'><query xmlns='{NS_INFO}'>"
            "<identity category='conference' type='text' name='Rooms'/>"
            "<feature var='http://jabber.org/protocol/muc'/>"
            "<feature var='http://jabber.org/protocol/muc#stable_id'/></query></iq>",
        )


def test_the_end_waits_for_rooms_that_are_ending(server, host, romeo):
    """§10.9: nobody is in a temporary room any more; it goes from the store before that closes."""
    meets(server, romeo)
    pace = Pace(host.store)
    pace.held = True
    romeo.says(f"<presence type='unavailable' to='{COVEN}/orchard'/>")
    assert pace.waiting
    stopped = Deferred.fromCoroutine(host.switch(STOPPING).tell(host))
    while not stopped.called:
        assert pace.step() or pace.step(reading=True)
    assert not pace.waiting
    pace.go_on()
    assert now(host.store.query("SELECT 1 FROM room")) == []
