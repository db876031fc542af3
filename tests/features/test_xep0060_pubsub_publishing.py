"""XEP-0060 §7: items come to nodes and are taken back."""

import pytest

from imsuite.core.hooks import PUBLISHED, RETRACTED, Stage, Step
from imsuite.core.service_interfaces import INodes
from imsuite.features.xep0060_pubsub.publishing import options_form
from imsuite.testing.memory import now
from imsuite.xmpp.address import parse
from imsuite.xmpp.build import build
from tests.eventing import EVENT, OPTIONS, PUBSUB, events, form, ids
from tests.helpers import holds, value
from tests.owning import SERVICE, creates, done, names, owns, refusal, subscribes, wants

ENTRY = "<entry xmlns='http://www.w3.org/2005/Atom'><title>Soliloquy</title></entry>"
FORBIDDEN = ("auth", "forbidden")


def publishes(client, node="n", item="a", payload=ENTRY, options=None):
    """Let a client publish; return the answer. item: None for none, "" for one without an id."""
    more = "" if options is None else options
    one = "" if item is None else f"<item id='{item}'>{payload}</item>" if item else ""
    if item == "":
        one = f"<item>{payload}</item>"
    return wants(client, f"<publish node='{node}'>{one}</publish>{more}")


def retracts(client, *items, node="n", notify=""):
    inner = "".join(f"<item id='{item}'/>" for item in items)
    return wants(client, f"<retract node='{node}'{notify}>{inner}</retract>")


def kept(client, node="n"):
    """Return the ids of the items of a node, oldest first."""
    answer = done(wants(client, f"<items node='{node}'/>", "get"))
    found = build(answer.encode(), "jabber:client")
    return [
        item["id"]
        for pubsub in found.elements()
        for items in pubsub.elements()
        for item in items.elements()
        if item.name == "item"
    ]


def condition(options):
    return f"<publish-options>{form(OPTIONS, options)}</publish-options>"


@pytest.fixture
def told(host):
    """What PUBLISHED and RETRACTED told: name of the hook, node, items and who."""
    found = []
    for hook in (PUBLISHED, RETRACTED):

        def note(event, name=hook.name):
            given = [(id, payload and payload.name) for id, payload in event.items]
            found.append((name, event.node, given, event.by))

        switch = host.switch(hook)
        switch.steps.append(Step(hook, Stage.RECORD, None, note, "test"))
    return found


# success


def test_publisher_is_told_the_id(romeo):
    """§7.1.2"""
    creates(romeo, "n")
    item = "<publish node='n'><item id='{id}'/></publish>"
    pattern = f"<iq><pubsub xmlns='{PUBSUB}'>{item}</pubsub></iq>"
    assert value(publishes(romeo, item="mine"), pattern) == "mine"
    one, other = (
        value(publishes(romeo, item=""), pattern),
        value(publishes(romeo, item=""), pattern),
    )
    assert one != other
    assert kept(romeo) == ["mine", one, other]


def test_subscribers_get_the_payload(romeo, juliet):
    """§7.1.2.1"""
    creates(romeo, "n")
    subscribes(juliet, "n")
    publishes(romeo)
    (event,) = events(juliet)
    assert holds(
        event.raw.decode(),
        f"<message type='headline' from='{SERVICE}' to='juliet@example.org' id='{{id}}'>"
        f"<event xmlns='{EVENT}'><items node='n'><item id='a'>{ENTRY}</item></items></event>"
        "</message>",
    )


def test_item_is_published_over_the_old_one(romeo, juliet):
    """§7.1.3, §12.8: it is the newest then, and subscribers hear of it."""
    creates(romeo, "n")
    subscribes(juliet, "n")
    for item in "aba":
        publishes(romeo, item=item)
    assert ids(juliet, "n") == ["a", "b", "a"]
    assert kept(romeo) == ["b", "a"]


@pytest.mark.parametrize("payload", [
    "<x xmlns='urn:x'>&lt;&amp;ü<y xmlns=''/><z/></x>",
    "<p:x xmlns:p='urn:p' p:a='1' b='&quot;'/>",
    "<body xmlns='jabber:client'>hi</body>",
    "<plain/>",
    f"<event xmlns='{EVENT}'><items node='other'/></event>",
])  # fmt: skip
def test_payload_stays_what_it_is(romeo, juliet, payload):
    """§7.1.2.1: whatever namespaces it has, in notifications and in answers."""
    creates(romeo, "n")
    subscribes(juliet, "n")
    done(publishes(romeo, payload=payload))
    sent = next(build(f"<item xmlns='{PUBSUB}'>{payload}</item>".encode(), PUBSUB).elements())
    (event,) = events(juliet)
    answer = build(wants(juliet, "<items node='n'/>", "get").encode(), "jabber:client")
    for got in (event.element, answer):
        for _ in range(4):  # <event/> or <pubsub/>, <items/>, <item/>, and what is in it
            got = next(got.elements())
        assert (got.uri, got.name, got.attributes) == (sent.uri, sent.name, sent.attributes)
        assert [_names(each) for each in got.elements()] == [
            _names(each) for each in sent.elements()
        ]
        assert str(got) == str(sent)


def _names(element):
    return element.uri, element.name


def test_several_items_are_one_batch(romeo, juliet):
    """§12.10: all or none."""
    creates(romeo, "n")
    subscribes(juliet, "n")
    two = f"<publish node='n'><item id='a'>{ENTRY}</item><item id='b'>{ENTRY}</item></publish>"
    done(wants(romeo, two))
    assert ids(juliet, "n") == ["a", "b"]
    assert len(events(juliet)) == 1
    wrong = f"<publish node='n'><item id='c'>{ENTRY}</item><item id='d'/></publish>"
    assert refusal(wants(romeo, wrong))[2] == "payload-required"
    assert kept(romeo) == ["a", "b"]


def test_batch_fits_into_the_node(romeo):
    """§12.10"""
    creates(romeo, "n", max_items="1")
    two = f"<publish node='n'><item>{ENTRY}</item><item>{ENTRY}</item></publish>"
    assert refusal(wants(romeo, two)) == ("cancel", "not-allowed", "max-items-exceeded")


# errors


def test_node_is_needed(romeo):
    """§7.1.3.3, §7.2.3.3"""
    assert refusal(wants(romeo, "<publish/>")) == ("modify", "bad-request", "nodeid-required")
    assert refusal(publishes(romeo, "nothing")) == ("cancel", "item-not-found")
    assert refusal(wants(romeo, "<retract><item id='a'/></retract>"))[2] == "nodeid-required"
    assert refusal(retracts(romeo, "a", node="nothing")) == ("cancel", "item-not-found")


@pytest.mark.parametrize(
    ("model", "subscribed", "allowed"),
    [
        ("publishers", True, False),
        ("subscribers", False, False),
        ("subscribers", True, True),
        ("open", False, True),
    ],
)
def test_publish_model_holds(romeo, juliet, model, subscribed, allowed):
    """§7.1.3.1"""
    creates(romeo, "n", publish_model=model)
    if subscribed:
        subscribes(juliet, "n")
    answer = publishes(juliet)
    assert allowed is ("type='result'" in answer)
    if not allowed:
        assert refusal(answer) == FORBIDDEN


@pytest.mark.parametrize(
    ("affiliation", "allowed"),
    [("publisher", True), ("publish-only", True), ("member", False), ("outcast", False)],
)
def test_affiliations_publish(romeo, juliet, affiliation, allowed):
    """§4.1"""
    creates(romeo, "n")
    entry = f"<affiliation jid='juliet@example.org' affiliation='{affiliation}'/>"
    done(owns(romeo, f"<affiliations node='n'>{entry}</affiliations>"))
    assert ("type='result'" in publishes(juliet)) is allowed


def test_collection_takes_no_items(romeo):
    """§7.1.3.2, §7.2.3.5"""
    creates(romeo, "c", node_type="collection")
    no = ("cancel", "feature-not-implemented", "unsupported")
    assert refusal(publishes(romeo, "c")) == (*no, "publish")
    assert refusal(retracts(romeo, "a", node="c")) == (*no, "persistent-items")


@pytest.mark.parametrize(
    ("config", "item", "payload", "word"),
    [
        ({}, None, "", "item-required"),
        ({"deliver_payloads": "0"}, None, "", "item-required"),
        ({"persist_items": "0"}, None, "", "payload-required"),
        ({}, "a", "", "payload-required"),
        ({"persist_items": "0"}, "a", "", "payload-required"),
        ({"persist_items": "0", "deliver_payloads": "0"}, "a", "", "item-forbidden"),
        ({"persist_items": "0", "deliver_payloads": "0"}, "a", ENTRY, "item-forbidden"),
        ({}, "a", ENTRY + ENTRY, "invalid-payload"),
    ],
)
def test_request_matches_the_configuration(romeo, config, item, payload, word):
    """§4.3, §7.1.3.5, §7.1.3.6"""
    creates(romeo, "n", **config)
    assert refusal(publishes(romeo, item=item, payload=payload)) == ("modify", "bad-request", word)


@pytest.mark.parametrize(
    ("config", "item", "payload", "heard"),
    [
        ({"deliver_payloads": "0"}, "a", "", "<item id='a'/>"),
        ({"deliver_payloads": "0"}, "a", ENTRY, "<item id='a'/>"),
        ({"persist_items": "0", "deliver_payloads": "0"}, None, "", ""),
        ({"persist_items": "0"}, "a", ENTRY, f"<item id='a'>{ENTRY}</item>"),
    ],
)
def test_events_match_the_configuration(romeo, juliet, config, item, payload, heard):
    """§4.3, the table; §7.1.2.2"""
    creates(romeo, "n", **config)
    subscribes(juliet, "n")
    done(publishes(romeo, item=item, payload=payload))
    (event,) = events(juliet)
    expected = f"<message><event xmlns='{EVENT}'><items node='n'>{heard}</items></event></message>"
    assert holds(event.raw.decode(), expected)
    assert ("entry" in event.raw.decode()) is ("entry" in heard)


def test_payload_has_a_limit(romeo):
    """§7.1.3.4: of the node, exactly."""
    creates(romeo, "n", max_payload_size="30")
    fits = "<x xmlns='urn:x'>" + "y" * 9 + "</x>"
    assert len(fits) == 30
    done(publishes(romeo, payload=fits))
    longer = fits.replace("y", "yy", 1)
    too_big = ("modify", "not-acceptable", "payload-too-big")
    assert refusal(publishes(romeo, payload=longer)) == too_big


@pytest.mark.server(options={"pubsub": {"item_size": 1024, "items": 2}})
def test_service_has_limits_too(romeo):
    """[features.pubsub] item_size, items: whatever the node says."""
    creates(romeo, "n", max_items="max")
    assert refusal(publishes(romeo, payload=f"<x xmlns='urn:x'>{'y' * 1024}</x>"))[2] == (
        "payload-too-big"
    )
    for item in "abc":
        done(publishes(romeo, item=item))
    assert kept(romeo) == ["b", "c"]


def test_id_has_a_limit(romeo):
    """§12.8: it is a key."""
    creates(romeo, "n")
    done(publishes(romeo, item="x" * 1023))
    assert refusal(publishes(romeo, item="x" * 1024)) == ("modify", "not-acceptable")


# full nodes


@pytest.mark.parametrize(
    ("full", "events_"),
    [("retract-oldest", ["items", "items"]), ("discard-oldest", ["items"])],
)
def test_oldest_item_makes_room(romeo, juliet, full, events_):
    """§7.1.2.5"""
    creates(romeo, "n", max_items="2", publish_node_full=full)
    publishes(romeo, item="a")
    publishes(romeo, item="b")
    subscribes(juliet, "n")
    juliet.forget()
    publishes(romeo, item="c")
    assert kept(romeo) == ["b", "c"]
    assert names(juliet) == events_
    retracted = (
        f"<message><event xmlns='{EVENT}'><items><retract id='a'/></items></event></message>"
    )
    assert any(holds(e.raw.decode(), retracted) for e in events(juliet)) is (len(events_) == 2)


def test_single_item_is_replaced_without_retraction(romeo, juliet):
    """§12.21: where there is one item at most the new one says enough."""
    creates(romeo, "n", max_items="1")
    subscribes(juliet, "n")
    publishes(romeo, item="a")
    publishes(romeo, item="b")
    assert ids(juliet, "n") == ["a", "b"]
    assert kept(romeo) == ["b"]
    assert all("retract" not in event.raw.decode() for event in events(juliet))


def test_full_node_may_refuse(romeo):
    """§7.1.3.3: what is there already may be published again."""
    creates(romeo, "n", max_items="2", publish_node_full="reject")
    for item in "aba":
        done(publishes(romeo, item=item))
    assert refusal(publishes(romeo, item="c")) == ("cancel", "conflict", "node-full")
    assert kept(romeo) == ["b", "a"]
    done(retracts(romeo, "a"))
    done(publishes(romeo, item="c"))


# publish-options


def test_preconditions_are_checked(romeo):
    """§7.1.5"""
    creates(romeo, "n", access_model="whitelist")
    done(publishes(romeo, options=condition({"access_model": "whitelist", "max_items": "100"})))
    not_met = ("cancel", "conflict", "precondition-not-met")
    for wrong in ({"access_model": "open"}, {"shape": "round"}, {"max_items": "x"}):
        assert refusal(publishes(romeo, item="b", options=condition(wrong))) == not_met
    assert kept(romeo) == ["a"]


@pytest.mark.parametrize(
    "wrong",
    [
        "<publish-options/>",
        f"<publish-options>{form(PUBSUB + '#node_config', {})}</publish-options>",
        "<publish-options><x xmlns='jabber:x:data' type='submit'/></publish-options>",
        "<publish-options><x xmlns='jabber:x:data' type='cancel'/></publish-options>",
    ],
)
def test_preconditions_are_a_form(romeo, wrong):
    """§7.1.5: whose FORM_TYPE is publish-options."""
    creates(romeo, "n")
    assert refusal(publishes(romeo, options=wrong)) == ("modify", "bad-request")


@pytest.mark.server(options={"pubsub": {"auto_create": True}})
def test_node_is_made_by_publishing(romeo, juliet):
    """§7.1.4, §7.1.5: as the preconditions say, or not at all."""
    assert refusal(publishes(romeo, options=condition({"shape": "round"})))[2] == (
        "precondition-not-met"
    )
    assert refusal(publishes(romeo, payload=""))[2] == "payload-required"
    assert refusal(wants(romeo, "<items node='n'/>", "get")) == ("cancel", "item-not-found")
    done(publishes(romeo, options=condition({"access_model": "whitelist"})))
    assert refusal(wants(juliet, "<items node='n'/>", "get"))[2] == "closed-node"
    assert kept(romeo) == ["a"]


# taking back


def test_item_is_retracted(romeo, juliet):
    """§7.2.2: subscribers are told if the request or the node wants that."""
    creates(romeo, "n", notify_retract="0")
    subscribes(juliet, "n")
    publishes(romeo, item="a")
    publishes(romeo, item="b")
    juliet.forget()
    done(retracts(romeo, "a"))
    assert juliet.received == []
    done(retracts(romeo, "b", notify=" notify='true'"))
    (event,) = events(juliet)
    retracted = "<items node='n'><retract id='b'/></items>"
    expected = f"<message><event xmlns='{EVENT}'>{retracted}</event></message>"
    assert holds(event.raw.decode(), expected)
    assert kept(romeo) == []


def test_several_items_are_retracted_or_none(romeo):
    """§12.10"""
    creates(romeo, "n")
    for item in "abc":
        publishes(romeo, item=item)
    assert refusal(retracts(romeo, "a", "x")) == ("cancel", "item-not-found")
    assert kept(romeo) == ["a", "b", "c"]
    done(retracts(romeo, "a", "b"))
    assert kept(romeo) == ["c"]


@pytest.mark.parametrize("inner", ["", "<item/>", "<item id=''/>"])
def test_item_is_needed(romeo, inner):
    """§7.2.3.4"""
    creates(romeo, "n")
    wrong = refusal(wants(romeo, f"<retract node='n'>{inner}</retract>"))
    assert wrong == ("modify", "bad-request", "item-required")


def test_notify_is_a_boolean(romeo):
    """§7.2.2.1"""
    creates(romeo, "n")
    assert refusal(retracts(romeo, "a", notify=" notify='maybe'")) == ("modify", "bad-request")


def test_publishers_take_back_their_own(romeo, juliet):
    """§4.1, §7.2.3.1: the owner takes back everybody's."""
    creates(romeo, "n", publish_model="open")
    publishes(romeo, item="his")
    publishes(juliet, item="hers")
    assert refusal(retracts(juliet, "his")) == FORBIDDEN
    done(retracts(juliet, "hers"))
    publishes(juliet, item="hers")
    done(retracts(romeo, "his", "hers"))


def test_nothing_is_taken_back_where_nothing_is_kept(romeo):
    """§7.2.3.5"""
    creates(romeo, "n", persist_items="0")
    publishes(romeo)
    error = refusal(retracts(romeo, "a"))
    assert error == ("cancel", "feature-not-implemented", "unsupported", "persistent-items")


# other features


def test_features_are_told(romeo, told):
    """PUBLISHED and RETRACTED: what, and by whom."""
    creates(romeo, "n", max_items="2")
    for item in "abc":
        publishes(romeo, item=item)
    retracts(romeo, "b")
    by = "romeo@example.org/orchard"
    assert told == [
        ("PUBLISHED", "n", [("a", "entry")], by),
        ("PUBLISHED", "n", [("b", "entry")], by),
        ("PUBLISHED", "n", [("c", "entry")], by),
        ("RETRACTED", "n", [("a", None)], by),
        ("RETRACTED", "n", [("b", "entry")], by),
    ]


def test_feature_that_fails_does_not_undo_a_publish(server, romeo, told):
    """What is durable is answered as such."""

    def fail(event):
        raise ZeroDivisionError

    step = Step(PUBLISHED, Stage.RECORD, None, fail, "test")
    server.host.switch(PUBLISHED).steps.append(step)
    creates(romeo, "n")
    done(publishes(romeo))
    assert len(server.failures.take()) == 1


def test_features_publish(host, romeo, juliet):
    """INodes: publish, items, retract, config, delete."""
    engine = host.find_feature(INodes)
    site, by = engine.service, parse("romeo@example.org")
    creates(romeo, "n")
    subscribes(juliet, "n")
    payload = build(ENTRY.encode(), PUBSUB)
    given = {"pubsub#access_model": "open"}
    assert now(engine.publish(site, "n", [("a", payload), (None, payload)], by, given))[0] == "a"
    found = now(engine.items(site, "n", ["a"]))
    assert [(id, element.name, by_) for id, element, by_, _ in found] == [
        ("a", "entry", "romeo@example.org")
    ]
    assert len(now(engine.items(site, "n", most=1))) == 1
    assert now(engine.items(site, "nothing")) == []
    assert now(engine.config(site, "n")).max_items == 100
    assert now(engine.config(site, "nothing")) is None
    now(engine.retract(site, "n", ["a"], by))
    now(engine.delete(site, "n"))
    now(engine.delete(site, "n"))
    assert names(juliet) == ["items", "items", "delete"]


def test_options_of_features_are_a_form():
    """INodes.publish takes texts and lists of texts."""
    made = options_form(
        {"pubsub#access_model": "roster", "pubsub#roster_groups_allowed": ["a", "b"]}
    )
    assert made.formNamespace == OPTIONS
    assert made.fields["pubsub#roster_groups_allowed"].values == ["a", "b"]
