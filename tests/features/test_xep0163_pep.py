"""XEP-0163: Personal Eventing Protocol: whose events reach whom."""

from imsuite.testing.memory import befriend
from tests.eventing import (
    EVENT,
    MOOD,
    OWNER,
    PUBSUB,
    TUNE,
    asks,
    events,
    hear,
    ids,
    items,
    presence,
    proves,
    publishes,
    questions,
)
from tests.helpers import holds, iq_error

BLOCK = "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='{}'/></block></iq>"


# publishing


def test_account_publishes_without_an_address(romeo):
    """§3: to a node that there was not; the server makes it and an id for the item."""
    answer = publishes(romeo, TUNE)
    assert holds(
        answer,
        f"<iq type='result' id='pub'><pubsub xmlns='{PUBSUB}'><publish node='{TUNE}'>"
        "<item id='{made}'/></publish></pubsub></iq>",
    )
    assert holds(
        items(romeo, TUNE),
        f"<iq type='result'><pubsub xmlns='{PUBSUB}'><items node='{TUNE}'>"
        f"<item id='{{made}}'><tune xmlns='{TUNE}'/></item></items></pubsub></iq>",
    )


def test_account_publishes_to_its_own_address(romeo):
    """§3: nothing else than without one."""
    assert holds(publishes(romeo, TUNE, to="romeo@example.org"), "<iq type='result'/>")
    assert holds(items(romeo, TUNE, to="romeo@example.org"), "<iq type='result'/>")


def test_node_has_the_defaults_of_personal_eventing(romeo):
    """§5"""
    publishes(romeo, TUNE)
    answer = asks(romeo, f"<configure node='{TUNE}'/>", ns=OWNER)
    for name, value in (
        ("access_model", "presence"),
        ("send_last_published_item", "on_sub_and_presence"),
        ("persist_items", "true"),
        ("max_items", "1"),
        ("deliver_payloads", "true"),
        ("notification_type", "headline"),
    ):
        assert holds(
            answer,
            f"<iq type='result'><pubsub xmlns='{OWNER}'><configure node='{TUNE}'>"
            f"<x xmlns='jabber:x:data'><field var='pubsub#{name}'><value>{value}</value></field>"
            "</x></configure></pubsub></iq>",
        ), name


def test_one_item_is_kept(romeo):
    """§5: the last one."""
    for item in ("one", "two"):
        publishes(romeo, TUNE, item=item)
    answer = items(romeo, TUNE)
    assert "id='two'" in answer
    assert "id='one'" not in answer


def test_contact_does_not_publish(friends):
    """§2.2: an account's nodes are its own."""
    romeo, juliet = friends
    answer = publishes(juliet, TUNE, to="romeo@example.org")
    assert holds(answer, iq_error("pub", "forbidden"))
    publishes(romeo, TUNE)
    answer = publishes(juliet, TUNE, to="romeo@example.org", id="again")
    assert holds(answer, iq_error("again", "forbidden"))


# who hears


def test_interested_contact_hears(friends):
    """§4.3.1: from the bare JID, as a headline, to the full JID of who wants it."""
    romeo, juliet = friends
    hear(juliet, TUNE)
    publishes(romeo, TUNE, item="a")
    (event,) = events(juliet)
    assert holds(
        event.raw.decode(),
        "<message type='headline' from='romeo@example.org' to='juliet@example.org/balcony'>"
        f"<event xmlns='{EVENT}'><items node='{TUNE}'>"
        f"<item id='a'><tune xmlns='{TUNE}'/></item></items></event></message>",
    )
    assert not event.has("urn:xmpp:delay", "delay")


def test_contact_hears_only_what_it_wants(friends):
    """XEP-0060 §9.2"""
    romeo, juliet = friends
    hear(juliet, MOOD)
    publishes(romeo, TUNE)
    assert events(juliet) == []


def test_contact_without_capabilities_hears_nothing(friends):
    """XEP-0060 §9.2: nothing that was not asked for."""
    romeo, juliet = friends
    publishes(romeo, TUNE)
    assert events(juliet) == []


def test_capabilities_that_are_not_proven_count_for_nothing(friends):
    """XEP-0115 §5.4: the hash is checked."""
    romeo, juliet = friends
    juliet.says(presence(TUNE))
    proves(juliet, MOOD)
    juliet.forget()
    publishes(romeo, TUNE)
    assert events(juliet) == []


def test_own_clients_hear(server, romeo):
    """§4.1: each that is interested, the publisher too."""
    garden, street = (server.login(f"romeo@example.org/{name}") for name in ("garden", "street"))
    for client in (romeo, garden):
        hear(client, TUNE)
    publishes(romeo, TUNE, item="a")
    assert ids(romeo, TUNE) == ["a"]
    assert ids(garden, TUNE) == ["a"]
    assert events(street) == []


def test_who_is_not_available_hears_nothing(server, friends):
    """§4.3.2: a client that went."""
    romeo, juliet = friends
    hear(juliet, TUNE)
    juliet.says("<presence type='unavailable'/>")
    publishes(romeo, TUNE)
    assert events(juliet) == []


def test_stranger_hears_nothing(romeo, juliet):
    """§4: the default is the presence access model."""
    hear(juliet, TUNE)
    publishes(romeo, TUNE)
    assert events(juliet) == []


def test_subscriber_in_one_direction_hears(romeo, juliet):
    """§4.1: whoever may see the presence of the account."""
    juliet.says("<presence type='subscribe' to='romeo@example.org'/>")
    romeo.says("<presence type='subscribed' to='juliet@example.org'/>")
    hear(juliet, TUNE)
    publishes(romeo, TUNE, item="a")
    assert ids(juliet, TUNE) == ["a"]
    hear(romeo, TUNE)
    publishes(juliet, TUNE, item="b")
    assert "b" not in ids(romeo, TUNE)


def test_who_is_blocked_hears_nothing(friends):
    """§4.3.3"""
    romeo, juliet = friends
    hear(juliet, TUNE)
    romeo.says(BLOCK.format("juliet@example.org"))
    publishes(romeo, TUNE)
    assert events(juliet) == []


def test_blocked_subscriber_hears_nothing(server, friends):
    """§4.3.3: nor does he who subscribed to the node itself, now or when he comes back."""
    romeo, juliet = friends
    publishes(romeo, TUNE, item="a")
    for jid in ("juliet@example.org", juliet.jid):
        subscribe = f"<subscribe node='{TUNE}' jid='{jid}'/>"
        assert holds(asks(juliet, subscribe, "set", "romeo@example.org"), "<iq type='result'/>")
    romeo.says(BLOCK.format("juliet@example.org"))
    juliet.forget()
    publishes(romeo, TUNE, item="b")
    juliet.says("<presence type='unavailable'/>")
    juliet.says("<presence/>")
    assert events(juliet) == []


def test_who_blocks_hears_nothing(friends):
    """XEP-0191 §3.3, and the publisher learns nothing of it."""
    romeo, juliet = friends
    hear(juliet, TUNE)
    juliet.says(BLOCK.format("romeo@example.org"))
    romeo.forget()
    publishes(romeo, TUNE)
    assert events(juliet) == []
    assert len(romeo.received) == 1


def test_end_of_a_subscription_ends_access(friends):
    """§7.1"""
    romeo, juliet = friends
    hear(juliet, TUNE)
    publishes(romeo, TUNE, item="a")
    romeo.says("<presence type='unsubscribed' to='juliet@example.org'/>")
    juliet.forget()
    publishes(romeo, TUNE, item="b")
    assert events(juliet) == []
    answer = items(juliet, TUNE, to="romeo@example.org")
    assert holds(answer, iq_error("items", "not-authorized"))


def test_end_of_a_subscription_ends_explicit_subscriptions(server, friends):
    """§7.1: the service cancels them; a new one does not bring them back."""
    romeo, juliet = friends
    publishes(romeo, TUNE, item="a")
    subscribe = f"<subscribe node='{TUNE}' jid='juliet@example.org'/>"
    assert holds(asks(juliet, subscribe, "set", "romeo@example.org"), "<iq type='result'/>")
    romeo.says("<presence type='unsubscribed' to='juliet@example.org'/>")
    answer = asks(romeo, f"<subscriptions node='{TUNE}'/>", ns=OWNER, id="subs")
    assert "juliet@example.org" not in answer
    romeo.says("<presence type='subscribed' to='juliet@example.org'/>")
    juliet.says("<presence type='subscribe' to='romeo@example.org'/>")
    answer = asks(romeo, f"<subscriptions node='{TUNE}'/>", ns=OWNER, id="again")
    assert "juliet@example.org" not in answer


def test_removal_of_a_contact_ends_access(friends):
    """§7.1, RFC 6121 §2.5.2"""
    romeo, juliet = friends
    hear(juliet, TUNE)
    romeo.says(
        "<iq type='set' id='r'><query xmlns='jabber:iq:roster'>"
        "<item jid='juliet@example.org' subscription='remove'/></query></iq>"
    )
    publishes(romeo, TUNE)
    assert events(juliet) == []


def test_errors_stay_with_the_service(friends):
    """§4.3.1: what bounces does not reach the publisher."""
    romeo, juliet = friends
    hear(juliet, TUNE)
    publishes(romeo, TUNE)
    (event,) = events(juliet)
    romeo.forget()
    juliet.says(
        f"<message type='error' to='romeo@example.org' id='{event.id or 'x'}'>"
        "<error type='cancel'><service-unavailable "
        "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )
    assert romeo.received == []


def test_events_are_kept_for_nobody(server, friends):
    """§4.3: a headline is for those who are there."""
    romeo, juliet = friends
    hear(juliet, TUNE)
    juliet.closes()
    publishes(romeo, TUNE)
    again = server.login("juliet@example.org/balcony")
    assert events(again) == []


# accounts that end


def test_nodes_go_with_the_account(server, friends):
    """XEP-0077 §3.2: who takes the name later finds nothing."""
    romeo, juliet = friends
    publishes(romeo, TUNE, item="a")
    romeo.says("<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>")
    again = server.login("romeo@example.org/orchard")
    assert holds(items(again, TUNE), iq_error("items", "item-not-found"))
    befriend(again, juliet)
    assert events(juliet, TUNE) == []


def test_guest_has_no_nodes(server):
    """XEP-0175 §4: nothing of an account that ends with its session is stored."""
    server.host.temporary_account("visitor")
    visitor = server.login("visitor@example.org/hall")
    answer = publishes(visitor, TUNE)
    assert holds(answer, iq_error("pub", "not-allowed"))
    answer = items(visitor, TUNE)
    assert holds(answer, iq_error("items", "item-not-found"))


def test_every_contact_hears_once(server):
    """Architecture §6: and each event is made once."""
    romeo = server.login("romeo@example.org/orchard")
    crowd = [server.login(f"person{n}@example.org/phone") for n in range(30)]
    for each in crowd:
        befriend(romeo, each)
    hear(crowd[0], TUNE)
    for each in crowd[1:]:
        each.says(presence(TUNE))
        assert not questions(each)
        each.forget()
    publishes(romeo, TUNE, item="a")
    assert all(ids(each, TUNE) == ["a"] for each in crowd)
