"""XEP-0163 §4.3.3, §4.3.4: who is new gets the last items, once."""

import pytest

from imsuite.features.xep0163_pep.interest import MOST_NODES
from imsuite.features.xep0163_pep.last import MINUTE, MOST_GREETINGS
from imsuite.testing.memory import MemoryServer, befriend
from tests.eventing import EVENT, MOOD, TUNE, asks, comes, events, ids, presence, proves, publish
from tests.helpers import holds
from tests.managed import Managed


def online(server, jid, *nodes):
    """Return a client that came online and wants to hear of some nodes, with what it received."""
    client = server.login(jid, available=False)
    comes(client, *nodes)
    return client


def test_contact_that_comes_online_gets_the_last_item(server, friends):
    """§4.3.4: with the time it was published; of the nodes that it wants."""
    romeo, juliet = friends
    romeo.says(publish(TUNE, item="a"))
    romeo.says(publish(TUNE, item="b"))
    romeo.says(publish(MOOD, item="c"))
    server.advance(60)
    chamber = online(server, "juliet@example.org/chamber", TUNE)
    (event,) = events(chamber)
    assert holds(
        event.raw.decode(),
        "<message type='headline' from='romeo@example.org' to='juliet@example.org/chamber'>"
        f"<event xmlns='{EVENT}'><items node='{TUNE}'><item id='b'>"
        f"<tune xmlns='{TUNE}'/></item></items></event>"
        "<delay xmlns='urn:xmpp:delay' stamp='{stamp}'/></message>",
    )
    assert "2026-01-01T00:00:0" in event.raw.decode()
    assert events(juliet) == []


def test_last_item_comes_after_the_presence_of_contacts(server, friends):
    """§4.3.3: a client knows whose it is."""
    romeo, _ = friends
    romeo.says(publish(TUNE))
    online(server, "juliet@example.org/first", TUNE)
    chamber = online(server, "juliet@example.org/chamber", TUNE)
    kinds = [s.kind for s in chamber.stanzas if s.sender and s.sender.startswith("romeo@")]
    assert kinds == ["presence", "message"]


def test_item_of_somebody_offline_is_sent(server, friends):
    """§3, §4.3.4: it does not matter whether the publisher is there."""
    romeo, _ = friends
    romeo.says(publish(TUNE, item="a"))
    romeo.closes()
    server.host.forget("romeo")
    chamber = online(server, "juliet@example.org/chamber", TUNE)
    assert ids(chamber, TUNE) == ["a"]


def test_own_items_are_sent(server, romeo):
    """§4.3.4: including the account owner itself."""
    romeo.says(publish(TUNE, item="a"))
    garden = online(server, "romeo@example.org/garden", TUNE)
    assert ids(garden, TUNE) == ["a"]


def test_later_presence_brings_nothing(friends):
    """§4.3.3: only initial presence does, though the capabilities change."""
    romeo, juliet = friends
    comes(juliet, TUNE)
    romeo.says(publish(TUNE, item="a"))
    romeo.says(publish(MOOD, item="a"))
    juliet.forget()
    comes(juliet, TUNE, more="<show>away</show>")
    comes(juliet, TUNE, MOOD)
    assert events(juliet) == []


def test_item_comes_when_capabilities_become_known(friends):
    """XEP-0115 §6.2: which is after the presence."""
    romeo, juliet = friends
    romeo.says(publish(TUNE, item="a"))
    juliet.says(presence(TUNE))
    assert events(juliet) == []
    assert proves(juliet, TUNE)
    assert ids(juliet, TUNE) == ["a"]


def test_known_capabilities_bring_it_at_once(server, friends):
    """XEP-0115 §5: nobody is asked twice."""
    romeo, juliet = friends
    romeo.says(publish(TUNE, item="a"))
    comes(juliet, TUNE)
    chamber = server.login("juliet@example.org/chamber", available=False)
    chamber.says(presence(TUNE))
    assert ids(chamber, TUNE) == ["a"]


def test_who_comes_back_is_new(friends):
    """§4.3.3, note: initial is what comes after unavailable."""
    romeo, juliet = friends
    romeo.says(publish(TUNE, item="a"))
    comes(juliet, TUNE)
    juliet.says("<presence type='unavailable'/>")
    juliet.forget()
    juliet.says(presence(TUNE))
    assert ids(juliet, TUNE) == ["a"]


def test_new_contact_gets_the_last_item(romeo, juliet):
    """§4.3.4: all new subscribers do."""
    romeo.says(publish(TUNE, item="a"))
    comes(juliet, TUNE)
    juliet.says("<presence type='subscribe' to='romeo@example.org'/>")
    assert events(juliet) == []
    romeo.says("<presence type='subscribed' to='juliet@example.org'/>")
    assert ids(juliet, TUNE) == ["a"]
    juliet.forget()
    romeo.says("<presence type='subscribe' to='juliet@example.org'/>")
    juliet.says("<presence type='subscribed' to='romeo@example.org'/>")
    assert ids(juliet, TUNE) == []


def test_contact_that_was_approved_before_gets_it(romeo, juliet):
    """RFC 6121 §3.4: the server answers."""
    romeo.says(publish(TUNE, item="a"))
    comes(juliet, TUNE)
    romeo.says("<presence type='subscribed' to='juliet@example.org'/>")
    assert events(juliet) == []
    juliet.says("<presence type='subscribe' to='romeo@example.org'/>")
    assert ids(juliet, TUNE) == ["a"]


def test_explicit_subscription_brings_the_last_item(romeo, juliet):
    """XEP-0060 §6.1.7"""
    romeo.says(publish(TUNE, item="a", options={"access_model": "open"}))
    subscribe = f"<subscribe node='{TUNE}' jid='{juliet.jid}'/>"
    asks(juliet, subscribe, "set", "romeo@example.org")
    assert ids(juliet, TUNE) == ["a"]


def test_nothing_is_sent_where_the_node_says_never(server, friends):
    """XEP-0222 §3"""
    romeo, _ = friends
    romeo.says(publish(TUNE, options={"send_last_published_item": "never"}))
    assert events(online(server, "juliet@example.org/chamber", TUNE)) == []


def test_nothing_is_sent_that_may_not_be_read(server, friends):
    """§4: access is looked at."""
    romeo, _ = friends
    romeo.says(publish(TUNE, options={"access_model": "whitelist"}))
    assert events(online(server, "juliet@example.org/chamber", TUNE)) == []
    assert len(events(online(server, "romeo@example.org/garden", TUNE))) == 1


def test_blocked_contact_gets_nothing(server, friends):
    """§4.3.3"""
    romeo, juliet = friends
    romeo.says(publish(TUNE))
    block = "<block xmlns='urn:xmpp:blocking'><item jid='{}'/></block>"
    romeo.says(f"<iq type='set' id='b'>{block.format('juliet@example.org')}</iq>")
    assert events(online(server, "juliet@example.org/chamber", TUNE)) == []
    romeo.says("<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'/></iq>")
    juliet.says(f"<iq type='set' id='b'>{block.format('romeo@example.org')}</iq>")
    assert events(online(server, "juliet@example.org/street", TUNE)) == []


def test_stranger_gets_nothing_even_of_open_nodes(server, romeo):
    """XEP-0060 §9.1: who comes online tells only contacts."""
    romeo.says(publish(TUNE, options={"access_model": "open"}))
    assert events(online(server, "juliet@example.org/chamber", TUNE)) == []


@pytest.fixture(params=["restart", "crash"])
def again(request):
    """Return a function that ends a server, in order or by kill -9, and starts the next."""
    servers = []

    def again(server):
        servers.append(getattr(server, request.param)())
        return servers[-1]

    yield again
    servers[-1].stop()
    assert servers[-1].failures.take() == []


def heard(person):
    """Return how often somebody got the event."""
    person.reads()
    return sum(EVENT in text for text in person.got)


def test_resumed_session_gets_nothing_again(again):
    """XEP-0198 §5: it has never been away, though the server was."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    juliet = Managed(server, "juliet@example.org/balcony")
    befriend(romeo, juliet.client)
    juliet.counted = juliet.client.session.tracker.sent
    romeo.says(publish(TUNE, item="a"))
    comes(juliet.client, TUNE)
    assert heard(juliet) == 1
    juliet.asks()
    second = again(server)
    assert juliet.resumes(second).kind == "resumed"
    assert heard(juliet) == 1
    assert proves(juliet.client, TUNE) is False
    again_romeo = second.login("romeo@example.org/orchard")
    again_romeo.says(publish(TUNE, item="b"))
    assert heard(juliet) == 2


def test_who_was_away_when_it_became_known_gets_it_later(server):
    """§4.3.3: once there is a client to send it to."""
    romeo = server.login("romeo@example.org/orchard")
    juliet = Managed(server, "juliet@example.org/balcony")
    befriend(romeo, juliet.client)
    juliet.counted = juliet.client.session.tracker.sent
    romeo.says(publish(TUNE, item="a"))
    juliet.says(presence(TUNE))
    juliet.vanishes()
    server.advance(25)  # the question was not answered
    comes(romeo, TUNE)
    assert juliet.resumes().kind == "resumed"
    assert heard(juliet) == 1
    juliet.vanishes()
    assert juliet.resumes().kind == "resumed"
    assert heard(juliet) == 1


@pytest.mark.server(domains=("example.org", "example.net"))
def test_accounts_of_another_domain_here_are_as_near(server):
    """§4: contacts at another host of the same server."""
    romeo = server.login("romeo@example.org/orchard")
    paris = server.login("paris@example.net/yard")
    befriend(romeo, paris)
    comes(paris, TUNE)
    comes(romeo, TUNE)
    romeo.says(publish(TUNE, item="a"))
    paris.says(publish(TUNE, item="b"))
    assert ids(paris, TUNE) == ids(romeo, TUNE) == ["a", "b"]
    assert sorted(ids(online(server, "romeo@example.org/garden", TUNE), TUNE)) == ["a", "b"]


def test_nobody_reads_the_store_for_contacts_without_nodes(server):
    """Architecture §6: one question, however many contacts there are."""
    romeo = server.login("romeo@example.org/orchard")
    for n in range(20):
        friend = server.login(f"person{n}@example.org/phone")
        befriend(romeo, friend)
        friend.closes()
    comes(romeo, TUNE)
    asked = []
    store = server.store
    read, query = store.read, store.query

    def noting(function):
        def noted(*given):
            asked.append(given)
            return function(*given)

        return noted

    store.read, store.query = noting(read), noting(query)
    garden = online(server, "romeo@example.org/garden", TUNE)
    store.read, store.query = read, query
    assert events(garden) == []
    assert len(asked) <= 3, asked


def test_who_comes_and_goes_all_the_time_waits(server, friends):
    """§4.3.3: each time is a look at the store, so it is done a few times a minute."""
    romeo, juliet = friends
    romeo.says(publish(TUNE, item="a"))
    comes(juliet, TUNE)
    juliet.forget()
    for _ in range(100):
        juliet.says("<presence type='unavailable'/>")
        juliet.says(presence(TUNE))
    assert 1 <= len(ids(juliet, TUNE)) <= MOST_GREETINGS
    juliet.forget()
    server.advance(MINUTE)
    assert ids(juliet, TUNE) == ["a"]
    juliet.says("<presence type='unavailable'/>")
    for _ in range(10):
        juliet.says(presence(TUNE))
        juliet.says("<presence type='unavailable'/>")
    juliet.says(presence(TUNE))
    juliet.closes()
    last = server.host.features["pep"]._last
    assert last._calls == {}
    assert juliet.jid.full not in {session.full for session in last._began}


def test_client_hears_of_so_many_nodes(server, friends):
    """A list of capabilities without an end costs no questions without an end."""
    romeo, _ = friends
    nodes = [f"urn:n{number:04}" for number in range(MOST_NODES + 50)]
    comes(romeo, *nodes)
    found = server.host.features["pep"]._interests.of(romeo.session)
    assert len(found) == MOST_NODES
