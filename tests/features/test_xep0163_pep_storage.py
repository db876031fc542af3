"""XEP-0222 and XEP-0223: things that are kept at accounts, for contacts or for oneself."""

import pytest

from imsuite.testing.memory import MemoryServer
from imsuite.xmpp.stanza import Stanza, child, text_of
from tests.eventing import (
    CONFIG,
    ERRORS,
    OWNER,
    PUBSUB,
    asks,
    comes,
    configure,
    events,
    ids,
    items,
    publish,
)
from tests.helpers import fitting, holds, iq_error

KEYS = "urn:xmpp:tmp:pubkey"
BOOKMARKS = "urn:example:diary"
PUBLIC = {"persist_items": "true", "send_last_published_item": "never"}
PRIVATE = {"persist_items": "true", "access_model": "whitelist"}
KEY = "<key xmlns='urn:xmpp:tmp:pubkey'/>"


def result(client, request):
    """Let a client publish; return the result or error."""
    client.says(request)
    return [s for s in client.received if "id='pub'" in s.partition(">")[0]][-1]


def value(client, node, name):
    """Return the value of a field of the configuration."""
    answer = asks(client, f"<configure node='{node}'/>", ns=OWNER, id=f"c{name}")
    (field,) = (
        each
        for each in Stanza.parse(answer.encode())
        .element.firstChildElement()
        .firstChildElement()
        .firstChildElement()
        .elements()
        if each.getAttribute("var") == f"pubsub#{name}"
    )
    return text_of(child(field, "jabber:x:data", "value"))


# public (XEP-0222)


def test_public_object_is_made_with_its_options(server, friends):
    """XEP-0222 §3: contacts hear of it when it changes, and not when they come online."""
    romeo, juliet = friends
    comes(juliet, KEYS)
    assert holds(result(romeo, publish(KEYS, KEY, item="a", options=PUBLIC)), "<iq type='result'/>")
    assert ids(juliet, KEYS) == ["a"]
    assert value(romeo, KEYS, "send_last_published_item") == "never"
    assert value(romeo, KEYS, "access_model") == "presence"
    chamber = server.login("juliet@example.org/chamber", available=False)
    comes(chamber, KEYS)
    assert events(chamber) == []
    answer = items(chamber, KEYS, to="romeo@example.org")
    assert holds(
        answer,
        f"<iq type='result'><pubsub xmlns='{PUBSUB}'><items><item id='a'/></items></pubsub></iq>",
    )


def test_object_for_a_group(friends):
    """XEP-0222 §1.2"""
    romeo, juliet = friends
    comes(juliet, KEYS)
    options = {**PUBLIC, "access_model": "roster", "roster_groups_allowed": ["Friends"]}
    assert holds(
        result(romeo, publish(KEYS, KEY, item="a", options=options)), "<iq type='result'/>"
    )
    assert events(juliet) == []
    answer = items(juliet, KEYS, to="romeo@example.org")
    assert f"<not-in-roster-group xmlns='{ERRORS}'/>" in answer


def test_object_is_there_after_a_restart():
    """XEP-0222 §3: persistent."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    romeo.says(publish(KEYS, KEY, item="a", options=PUBLIC))
    romeo.closes()
    again = server.restart()
    romeo = again.login("romeo@example.org/orchard")
    assert "id='a'" in items(romeo, KEYS)
    again.stop()


# private (XEP-0223)


def test_private_object_is_for_nobody_else(server, friends):
    """XEP-0223 §1.2: and all own clients hear of it."""
    romeo, juliet = friends
    garden = server.login("romeo@example.org/garden")
    for client in (romeo, garden, juliet):
        comes(client, BOOKMARKS)
        client.forget()
    assert holds(
        result(romeo, publish(BOOKMARKS, KEY, item="a", options=PRIVATE)), "<iq type='result'/>"
    )
    assert ids(romeo, BOOKMARKS) == ["a"]
    assert ids(garden, BOOKMARKS) == ["a"]
    assert events(juliet) == []
    answer = items(juliet, BOOKMARKS, to="romeo@example.org")
    assert f"<closed-node xmlns='{ERRORS}'/>" in answer
    subscribe = f"<subscribe node='{BOOKMARKS}' jid='juliet@example.org'/>"
    assert "closed-node" in asks(juliet, subscribe, "set", "romeo@example.org", id="s")


def test_private_node_stays_private(friends):
    """XEP-0223 §3: whatever is published to it later."""
    romeo, juliet = friends
    result(romeo, publish(BOOKMARKS, KEY, item="a", options=PRIVATE))
    result(romeo, publish(BOOKMARKS, KEY, item="b"))
    open = {"access_model": "open"}
    answer = result(romeo, publish(BOOKMARKS, KEY, item="c", options=open))
    assert holds(answer, iq_error("pub", "conflict"))
    assert f"<precondition-not-met xmlns='{ERRORS}'/>" in answer
    assert value(romeo, BOOKMARKS, "access_model") == "whitelist"
    assert "closed-node" in items(juliet, BOOKMARKS, to="romeo@example.org")
    assert "id='c'" not in items(romeo, BOOKMARKS)


def test_private_node_opens_when_its_owner_says_so(friends):
    """XEP-0060 §8.2: by configuration."""
    romeo, juliet = friends
    result(romeo, publish(BOOKMARKS, KEY, item="a", options=PRIVATE))
    assert holds(configure(romeo, BOOKMARKS, access_model="presence"), "<iq type='result'/>")
    assert "id='a'" in items(juliet, BOOKMARKS, to="romeo@example.org")


# publish-options (XEP-0060 §7.1.5)


@pytest.mark.parametrize(
    "options",
    [
        {"access_model": "open"},
        {"max_items": "2"},
        {"persist_items": "false"},
        {"send_last_published_item": "never"},
        {"no_such_field": "1"},
        {"max_items": "many"},
        {"access_model": "presence", "persist_items": "0"},
    ],
)
def test_condition_that_is_not_met_changes_nothing(romeo, options):
    """§7.1.5: conflict, and the node is as it was."""
    result(romeo, publish(KEYS, KEY, item="a"))
    before = asks(romeo, f"<configure node='{KEYS}'/>", ns=OWNER, id="before")
    answer = result(romeo, publish(KEYS, KEY, item="b", options=options))
    assert holds(answer, iq_error("pub", "conflict"))
    assert f"<precondition-not-met xmlns='{ERRORS}'/>" in answer
    after = asks(romeo, f"<configure node='{KEYS}'/>", ns=OWNER, id="before")
    assert before == after
    assert "id='b'" not in items(romeo, KEYS)


@pytest.mark.parametrize(
    "options",
    [
        {"access_model": "presence"},
        {"max_items": "1", "persist_items": "1"},
        {"persist_items": "true", "send_last_published_item": "on_sub_and_presence"},
        {},
    ],
)
def test_condition_that_is_met(romeo, options):
    """§7.1.5"""
    result(romeo, publish(KEYS, KEY, item="a"))
    answer = result(romeo, publish(KEYS, KEY, item="b", options=options))
    assert holds(answer, "<iq type='result'/>")
    assert "id='b'" in items(romeo, KEYS)


def test_unknown_option_makes_no_node(romeo):
    """§7.1.5: the publication is rejected."""
    answer = result(romeo, publish(KEYS, KEY, item="a", options={"no_such_field": "1"}))
    assert holds(answer, "<iq type='error'/>")
    assert holds(items(romeo, KEYS), iq_error("items", "item-not-found"))


def test_as_many_items_as_possible(romeo):
    """§7.1.5, pubsub#config-node-max: 'max' is a value of its own."""
    options = {"max_items": "max", "persist_items": "true"}
    for n in range(12):
        answer = result(romeo, publish(KEYS, KEY, item=f"i{n}", options=options))
        assert holds(answer, "<iq type='result'/>")
    assert value(romeo, KEYS, "max_items") == "max"
    answer = items(romeo, KEYS)
    assert all(f"id='i{n}'" in answer for n in range(12))


@pytest.mark.server(options={"pep": {"items": 3}})
def test_not_more_items_than_the_operator_wants(romeo):
    """§16.4.4: what 'max' means."""
    for n in range(5):
        result(romeo, publish(KEYS, KEY, item=f"i{n}", options={"max_items": "max"}))
    answer = items(romeo, KEYS)
    assert [f"id='i{n}'" in answer for n in range(5)] == [False, False, True, True, True]
    answer = configure(romeo, KEYS, max_items="4")
    assert holds(answer, "<iq type='error'/>")


@pytest.mark.server(options={"pep": {"longest": 2000}})
def test_item_that_is_too_big(romeo):
    """XEP-0060 §7.1.3.4"""
    big = f"<key xmlns='urn:xmpp:tmp:pubkey'>{'x' * 2000}</key>"
    answer = result(romeo, publish(KEYS, big, item="a"))
    assert holds(answer, iq_error("pub", "not-acceptable"))
    assert f"<payload-too-big xmlns='{ERRORS}'/>" in answer
    fits = f"<key xmlns='urn:xmpp:tmp:pubkey'>{'x' * 1900}</key>"
    assert holds(result(romeo, publish(KEYS, fits, item="a")), "<iq type='result'/>")


@pytest.mark.server(options={"pep": {"nodes": 3}})
def test_not_more_nodes_than_the_operator_wants(romeo):
    """XEP-0060 §8.1.1"""
    for n in range(3):
        assert holds(result(romeo, publish(f"urn:n:{n}", KEY)), "<iq type='result'/>")
    answer = result(romeo, publish("urn:n:3", KEY))
    assert f"<max-nodes-exceeded xmlns='{ERRORS}'/>" in answer
    assert holds(result(romeo, publish("urn:n:0", KEY, item="again")), "<iq type='result'/>")


# nodes that go


def delete(client, node):
    return asks(client, f"<delete node='{node}'/>", "set", ns=OWNER, id="del")


def test_deleted_node_forgets_its_configuration(friends):
    """Pitfall 36: a new one has the defaults."""
    romeo, juliet = friends
    comes(juliet, BOOKMARKS)
    result(romeo, publish(BOOKMARKS, KEY, item="a", options={**PRIVATE, "max_items": "max"}))
    assert holds(delete(romeo, BOOKMARKS), "<iq type='result'/>")
    result(romeo, publish(BOOKMARKS, KEY, item="b"))
    assert value(romeo, BOOKMARKS, "access_model") == "presence"
    assert value(romeo, BOOKMARKS, "max_items") == "1"
    assert ids(juliet, BOOKMARKS) == ["b"]
    assert "id='a'" not in items(romeo, BOOKMARKS)


def test_who_is_interested_hears_of_the_end_of_a_node(friends):
    """XEP-0060 §8.4.2"""
    romeo, juliet = friends
    comes(juliet, KEYS)
    result(romeo, publish(KEYS, KEY, item="a"))
    juliet.forget()
    delete(romeo, KEYS)
    (event,) = events(juliet)
    assert holds(
        event.raw.decode(),
        "<message from='romeo@example.org'><event xmlns='http://jabber.org/protocol/pubsub#event'>"
        f"<delete node='{KEYS}'/></event></message>",
    )


def test_retraction_is_told(friends):
    """XEP-0060 §7.2.2.1: to who hears of the node."""
    romeo, juliet = friends
    comes(juliet, KEYS)
    result(romeo, publish(KEYS, KEY, item="a"))
    juliet.forget()
    retract = f"<retract node='{KEYS}' notify='true'><item id='a'/></retract>"
    assert holds(asks(romeo, retract, "set"), "<iq type='result'/>")
    (event,) = events(juliet)
    assert holds(
        event.raw.decode(),
        "<message><event xmlns='http://jabber.org/protocol/pubsub#event'>"
        f"<items node='{KEYS}'><retract id='a'/></items></event></message>",
    )


def test_node_is_made_before_something_is_published(friends):
    """XEP-0163 §3: the owner may also follow XEP-0060."""
    romeo, juliet = friends
    comes(juliet, KEYS)
    create = f"<create node='{KEYS}'/><configure>" + "</configure>"
    assert holds(asks(romeo, create, "set"), "<iq type='result'/>")
    assert value(romeo, KEYS, "access_model") == "presence"
    result(romeo, publish(KEYS, KEY, item="a"))
    assert ids(juliet, KEYS) == ["a"]


def test_transient_event_is_not_kept(friends):
    """XEP-0060 §4.3: a node may say so."""
    romeo, juliet = friends
    comes(juliet, KEYS)
    result(romeo, publish(KEYS, KEY, item="a", options={"persist_items": "false"}))
    assert ids(juliet, KEYS) == ["a"]


def test_subscription_is_asked_for_and_granted(romeo, juliet):
    """XEP-0060 §8.6: the owner of an account is asked, and says yes."""
    result(romeo, publish(KEYS, KEY, item="a", options={"access_model": "authorize"}))
    romeo.forget()
    subscribe = f"<subscribe node='{KEYS}' jid='juliet@example.org'/>"
    answer = asks(juliet, subscribe, "set", "romeo@example.org", id="s")
    assert "subscription='pending'" in answer
    asked = fitting(
        romeo.received, "<message from='romeo@example.org'><x xmlns='jabber:x:data'/></message>"
    )
    assert len(asked) == 1
    form = asked[0].partition("<x ")[2].rpartition("</x>")[0]
    assert "subscribe_authorization" in form
    subid = form.partition("var='pubsub#subid'")[2].partition("<value>")[2].partition("<")[0]
    fields = "".join(
        f"<field var='pubsub#{name}'><value>{text}</value></field>"
        for name, text in (
            ("node", KEYS),
            ("subscriber_jid", "juliet@example.org"),
            ("allow", "true"),
            ("subid", subid),
        )
        if text
    )
    romeo.says(
        "<message to='romeo@example.org'><x xmlns='jabber:x:data' type='submit'>"
        "<field var='FORM_TYPE' type='hidden'>"
        "<value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field>"
        f"{fields}</x></message>"
    )
    assert "id='a'" in items(juliet, KEYS, to="romeo@example.org")
    assert CONFIG not in "".join(romeo.received)
