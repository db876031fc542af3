"""XEP-0060 §12.2-§12.8: who is notified of an event, and how."""

import pytest

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import INCOMING, Stage
from imsuite.testing.memory import MemoryServer, befriend
from tests.eventing import EVENT, events, ids
from tests.helpers import fitting, holds
from tests.owning import (
    SERVICE,
    affiliates,
    configures,
    creates,
    done,
    headers,
    names,
    publishes,
    subscribes,
    wants,
)

JULIET = "juliet@example.org"


def error(client, message, inner):
    """Let a client send back a notification with an error."""
    id = message.attrs["id"]
    client.says(f"<message type='error' to='{SERVICE}' id='{id}'>{inner}</message>")


def condition(type, name):
    return f"<error type='{type}'><{name} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"


def comes(server, resource):
    """Let juliet come with another client, that becomes available."""
    client = server.login(f"{JULIET}/{resource}", available=False)
    client.says("<presence/>")
    return client


def subscribed(client):
    return "<subscription " in wants(client, "<subscriptions/>", "get")


# to whom


def test_bare_address_is_all_that_are_there(server, romeo, juliet):
    """§12.3: the service sends to the address subscribed; what that means is RFC 6121's to say."""
    phone = server.login(f"{JULIET}/phone")
    creates(romeo, "n")
    subscribes(juliet, "n")
    publishes(romeo, "n", "a")
    for client in (juliet, phone):
        (message,) = events(client)
        assert message.attrs["to"] == JULIET


def test_full_address_is_that_one(server, romeo, juliet):
    """§12.3"""
    phone = server.login(f"{JULIET}/phone")
    creates(romeo, "n")
    subscribes(juliet, "n", jid=f"{JULIET}/phone")
    publishes(romeo, "n", "a")
    assert ids(phone, "n") == ["a"]
    assert events(juliet) == []


def test_all_get_one_message(server, romeo):
    """§7.1.2: which is made once for all of them."""
    creates(romeo, "n")
    clients = [server.login(f"u{number}@example.org/x") for number in range(50)]
    for client in clients:
        subscribes(client, "n", jid=client.jid.full)
    publishes(romeo, "n", "a")
    assert len({events(client)[0].attrs["id"] for client in clients}) == 1
    assert len({events(client)[0].attrs["to"] for client in clients}) == 50


def test_events_come_in_order(romeo, juliet):
    """Of the commits."""
    creates(romeo, "n")
    subscribes(juliet, "n")
    wanted = [f"i{number}" for number in range(30)]
    for item in wanted:
        publishes(romeo, "n", item)
    assert ids(juliet, "n") == wanted


def test_who_lost_access_hears_nothing(romeo, juliet):
    """§15.3: the access model is obeyed for notifications too."""
    befriend(romeo, juliet)
    creates(romeo, "n", access_model="presence")
    subscribes(juliet, "n")
    publishes(romeo, "n", "a")
    romeo.says(f"<presence to='{JULIET}' type='unsubscribed'/>")
    publishes(romeo, "n", "b")
    assert ids(juliet, "n") == ["a"]


def test_owner_turns_notifications_off(romeo, juliet):
    """§8.2.2, pubsub#deliver_notifications"""
    creates(romeo, "n", deliver_notifications="0")
    subscribes(juliet, "n")
    publishes(romeo, "n", "a")
    assert events(juliet) == []


@pytest.mark.parametrize("based", ["0", "1"])
def test_delivery_may_follow_presence(server, romeo, juliet, based):
    """§12.5: also messages that would be kept are for those only who are there."""
    creates(romeo, "n", presence_based_delivery=based, notification_type="normal")
    subscribes(juliet, "n")
    juliet.says("<presence type='unavailable'/>")
    juliet.vanishes()
    publishes(romeo, "n", "a", "<x xmlns='urn:x'/>")
    publishes(romeo, "n", "b", "<x xmlns='urn:x'/>")
    again = comes(server, "again")
    # without what waited, the last item is sent to who comes
    assert (len(events(again)) > 1) is (based == "0")
    again.forget()
    publishes(romeo, "n", "c")
    assert ids(again, "n") == ["c"]


@pytest.mark.parametrize(("type", "kept"), [("normal", ["a"]), ("headline", [])])
def test_headlines_are_not_kept(server, romeo, juliet, type, kept):
    """§12.6, pubsub#notification_type"""
    creates(romeo, "n", notification_type=type, send_last_published_item="never")
    subscribes(juliet, "n")
    juliet.closes()
    publishes(romeo, "n", "a")
    assert ids(comes(server, "again"), "n") == kept


def test_normal_notifications_have_no_type(romeo, juliet):
    """RFC 6121 §5.2.2"""
    creates(romeo, "n", notification_type="normal")
    subscribes(juliet, "n")
    publishes(romeo, "n", "a")
    assert "type" not in events(juliet)[0].attrs


# headers


def test_subids_where_there_are_several(romeo, juliet):
    """§7.1.2.4, §12.15: one message that names them, and none where there is one only."""
    creates(romeo, "n")
    _, one = subscribes(juliet, "n")
    publishes(romeo, "n", "a")
    assert headers(juliet, "SubID") == []
    _, other = subscribes(juliet, "n", expire="2030-01-01T00:00:00Z")
    juliet.forget()
    publishes(romeo, "n", "b")
    (message,) = events(juliet)
    assert headers(juliet, "SubID") == [one, other]
    assert message.children[-1] == "http://jabber.org/protocol/shim}headers"


def test_change_of_configuration_has_no_subids(romeo, juliet):
    """§12.15, §8.2.5.3"""
    creates(romeo, "n", notify_config="1")
    subscribes(juliet, "n")
    done(configures(romeo, "n", title="x"))
    assert names(juliet) == ["configuration"]
    assert headers(juliet, "SubID") == []


# the last item


def test_last_item_comes_with_presence(server, romeo, juliet):
    """§12.2: once, when a client becomes available; with its time."""
    creates(romeo, "n")
    subscribes(juliet, "n")
    publishes(romeo, "n", "a")
    phone = comes(server, "phone")
    (message,) = events(phone)
    assert message.attrs["to"] == f"{JULIET}/phone"
    pattern = f"<message><event xmlns='{EVENT}'/><delay xmlns='urn:xmpp:delay'/></message>"
    assert holds(message.raw.decode(), pattern)
    phone.says("<presence><show>away</show></presence>")
    assert len(events(phone)) == 1
    assert ids(juliet, "n") == ["a"]


@pytest.mark.parametrize("when", ["never", "on_sub"])
def test_last_item_does_not_come_with_presence(server, romeo, juliet, when):
    """pubsub#send_last_published_item"""
    creates(romeo, "n", send_last_published_item=when)
    subscribes(juliet, "n")
    publishes(romeo, "n", "a")
    assert events(comes(server, "phone")) == []


def test_last_item_is_for_whom_it_concerns(server, romeo, juliet):
    """§12.2, §6.3: not for other resources, not for who wants no notifications or has no access."""
    for node in ("other", "off", "out"):
        creates(romeo, node)
        publishes(romeo, node, node)
    subscribes(juliet, "other", jid=f"{JULIET}/balcony")
    subscribes(juliet, "off", deliver="0")
    subscribes(juliet, "out")
    done(affiliates(romeo, "out", juliet="outcast"))
    assert events(comes(server, "phone")) == []


def test_last_item_is_gone_when_it_was_retracted(server, romeo, juliet):
    """§12.9: the one before it is the last then."""
    creates(romeo, "n")
    subscribes(juliet, "n")
    publishes(romeo, "n", "a")
    publishes(romeo, "n", "b")
    done(wants(romeo, "<retract node='n'><item id='b'/></retract>"))
    assert ids(comes(server, "phone"), "n") == ["a"]
    done(wants(romeo, "<retract node='n'><item id='a'/></retract>"))
    assert ids(comes(server, "tablet"), "n") == []


# what comes back


@pytest.mark.parametrize(
    ("type", "name", "ends"),
    [
        ("cancel", "item-not-found", True),
        ("cancel", "gone", True),
        ("modify", "gone", True),
        ("cancel", "service-unavailable", False),
        ("wait", "recipient-unavailable", False),
        ("auth", "not-authorized", False),
    ],
)
def test_address_that_is_gone_is_no_subscriber(romeo, juliet, type, name, ends):
    """§12.4"""
    creates(romeo, "n")
    subscribes(juliet, "n", jid=f"{JULIET}/balcony")
    publishes(romeo, "n", "a")
    (message,) = events(juliet)
    error(juliet, message, condition(type, name))
    assert subscribed(juliet) is not ends


def test_nobody_else_ends_a_subscription(romeo, juliet):
    """§12.4: errors count for who sends them, and only about what was sent."""
    creates(romeo, "n")
    subscribes(juliet, "n", jid=f"{JULIET}/balcony")
    publishes(romeo, "n", "a")
    (message,) = events(juliet)
    gone = condition("cancel", "gone")
    error(romeo, message, gone)
    juliet.says(f"<message type='error' to='{SERVICE}' id='x'>{gone}</message>")
    juliet.says(f"<message type='error' to='{SERVICE}'/>")
    error(juliet, message, "")
    assert subscribed(juliet)


def test_subscriber_with_two_addresses_hears_twice(server, romeo, juliet):
    """§6.1.6: different full JIDs are different subscribers."""
    phone = server.login(f"{JULIET}/phone")
    creates(romeo, "n")
    for client in (juliet, phone):
        subscribes(juliet, "n", jid=client.jid.full)
    publishes(romeo, "n", "a")
    for client in (juliet, phone):
        pattern = f"<message to='{client.jid.full}'><event xmlns='{EVENT}'/></message>"
        assert len(fitting(client.received, pattern)) == 1


class Broken(Feature):
    """Does not know what to do with events for Juliet, at once or later."""

    spec = "none"

    @on(INCOMING, Stage.GUARD, kind="message", child=(EVENT, "event"))
    def fail(self, passing):
        if passing.account.jid.local == "juliet":
            raise RuntimeError("at once")

    @on(INCOMING, Stage.AMEND, kind="message", child=(EVENT, "event"))
    async def fail_later(self, passing):
        if passing.account.jid.local == "paris":
            raise RuntimeError("later")


def test_one_who_can_not_be_told_is_no_fault_of_others():
    """§7.1.2: the publisher has its result, once, and all others their notification."""
    server = MemoryServer(features=["default", Broken])
    romeo = server.login("romeo@example.org/orchard")
    people = [server.login(f"{name}@example.org/r") for name in ("juliet", "paris", "benvolio")]
    creates(romeo, "n")
    publishes(romeo, "n", "before")
    for person in people:
        wants(person, f"<subscribe node='n' jid='{person.jid.full}'/>")
        answers = [stanza for stanza in person.stanzas if stanza.kind == "iq"]
        assert [stanza.type for stanza in answers] == ["result"]
        person.forget()
    romeo.forget()
    publishes(romeo, "n", "a")
    assert ids(people[-1], "n") == ["a"]
    assert len([each for each in romeo.stanzas if each.id == "publish"]) == 1
    assert len(server.failures.take()) == 4
    server.stop()


@pytest.mark.parametrize("ns", ["urn:imsuite:none", "", EVENT, "jabber:client"])
def test_payload_keeps_its_namespace(romeo, ns):
    """§7.1.2: whatever it is, and wherever it is put."""
    creates(romeo, "n")
    subscribes(romeo, "n")
    publishes(romeo, "n", "a", f"<e xmlns='{ns}'><k/></e>")
    (event,) = events(romeo, "n")
    payload = f"<item id='a'><e xmlns='{ns}'><k/></e></item>"
    assert payload in event.raw.decode()
    assert payload in wants(romeo, "<items node='n'/>", "get")
