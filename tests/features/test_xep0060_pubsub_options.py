"""XEP-0060 §6.3, §6.4: what subscribers want of their subscriptions."""

import pytest

from imsuite.testing.memory import befriend
from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import child
from tests.eventing import CONFIG, PUBSUB, asks, form
from tests.owning import (
    NODE,
    SUBSCRIBE_OPTIONS,
    affiliates,
    configures,
    creates,
    done,
    fields,
    headers,
    heard,
    names,
    publishes,
    read,
    refusal,
    subscribes,
    wants,
)

JULIET = "juliet@example.org"
INVALID = ("modify", "bad-request", "invalid-options")
ATOM = "http://www.w3.org/2005/Atom"


@pytest.fixture
def node(romeo):
    """A node that romeo owns."""
    creates(romeo)
    return NODE


def gets(client, node=NODE, jid=JULIET, subid=None):
    """Let a client ask for options; return the answer."""
    more = f" subid='{subid}'" if subid else ""
    who = f" jid='{jid}'" if jid else ""
    about = f" node='{node}'" if node else ""
    return wants(client, f"<options{about}{who}{more}/>", "get")


def sets(client, node=NODE, jid=JULIET, subid=None, **options):
    """Let a client set options; return the answer."""
    more = f" subid='{subid}'" if subid else ""
    submission = form(SUBSCRIBE_OPTIONS, options)
    return wants(client, f"<options node='{node}' jid='{jid}'{more}>{submission}</options>")


def options(answer, name="options"):
    """Return the fields of an answer's form, and its type."""
    element = child(child(read(done(answer)), PUBSUB, "pubsub"), PUBSUB, name)
    found = child(element, NS.DATA, "x")
    return fields(found), found["type"]


def test_subscriber_sees_and_sets_options(juliet, node):
    """§6.3.3, §6.3.6.1: what is not in the form stays."""
    subscribes(juliet)
    shown, type = options(gets(juliet))
    assert type == "form"
    assert shown["FORM_TYPE"] == SUBSCRIBE_OPTIONS
    assert (shown["deliver"], shown["digest"], shown["expire"]) == ("true", "false", [])
    done(sets(juliet, **{"deliver": "0", "show-values": ["chat", "online"]}))
    done(sets(juliet, digest="1"))
    shown, _ = options(gets(juliet))
    assert (shown["deliver"], shown["digest"]) == ("false", "true")
    assert shown["show-values"] == ["chat", "online"]


def test_delivery_can_be_switched_off(romeo, juliet, node):
    """§16.4.2: pubsub#deliver"""
    subscribes(juliet)
    done(sets(juliet, deliver="0"))
    publishes(romeo, item="a")
    assert heard(juliet) == []
    done(sets(juliet, deliver="1"))
    publishes(romeo, item="b")
    assert names(juliet) == ["items"]


@pytest.mark.parametrize(("show", "delivered"), [("", True), ("dnd", False), ("away", True)])
def test_events_come_in_the_presence_that_was_chosen(romeo, juliet, node, show, delivered):
    """§16.4.2: pubsub#show-values"""
    subscribes(juliet, **{"show-values": ["online", "away"]})
    juliet.says(f"<presence><show>{show}</show></presence>" if show else "<presence/>")
    juliet.forget()
    publishes(romeo)
    assert bool(heard(juliet)) is delivered


def test_no_event_is_kept_for_who_is_away_and_does_not_want_it(romeo, juliet):
    """§16.4.2: unavailable is in no list of shows."""
    creates(romeo, notification_type="normal")
    subscribes(juliet, **{"show-values": ["online"]})
    juliet.says("<presence type='unavailable'/>")
    publishes(romeo)
    juliet.forget()
    juliet.says("<presence/>")
    assert names(juliet) in ([], ["items"])
    assert all("delay" in s for s in juliet.received if "'urn:x'" in s)


def test_body_is_made_of_what_is_understood(romeo, juliet):
    """§12.7: pubsub#include_body, for payloads that say something in words."""
    creates(romeo, type=ATOM)
    subscribes(juliet, include_body="1")
    publishes(romeo, payload=f"<entry xmlns='{ATOM}'><title>To be</title></entry>")
    body = child(juliet.stanzas[-1].element, NS.CLIENT, "body")
    assert "".join(body.children) == "To be"
    publishes(romeo, item="j", payload="<other xmlns='urn:x'/>")
    assert child(juliet.stanzas[-1].element, NS.CLIENT, "body") is None


def test_body_is_not_offered_for_other_nodes(juliet, node):
    """§12.7: MUST NOT"""
    subscribes(juliet)
    assert "include_body" not in options(gets(juliet))[0]
    assert refusal(sets(juliet, include_body="1")) == INVALID


@pytest.mark.parametrize(
    "given",
    [{"deliver": "so"}, {"expire": "soon"}, {"show-values": "hidden"}, {"subscription_depth": "2"}],
)
def test_invalid_options(juliet, node, given):
    """§6.3.6.2: nothing is changed."""
    subscribes(juliet)
    before = options(gets(juliet))
    assert refusal(sets(juliet, **({"digest": "1"} | given))) == INVALID
    assert options(gets(juliet)) == before


# who asks for what


@pytest.mark.parametrize("ask", [gets, sets])
def test_options_of_somebody_else(romeo, juliet, node, ask):
    """§6.3.4.1: forbidden, also for the owner of the node."""
    subscribes(juliet)
    assert refusal(ask(romeo)) == ("auth", "forbidden")


@pytest.mark.parametrize("ask", [gets, sets])
def test_options_without_a_subscription(romeo, juliet, ask):
    """§6.3.4.2: one that is pending is none."""
    creates(romeo, access_model="authorize")
    expected = ("modify", "unexpected-request", "not-subscribed")
    assert refusal(ask(juliet)) == expected
    subscribes(juliet)
    assert refusal(ask(juliet)) == expected
    assert refusal(ask(juliet, jid=juliet.jid.full)) == expected


def test_options_without_a_jid(juliet, node):
    """§6.3.4.3"""
    subscribes(juliet)
    assert refusal(gets(juliet, jid=None)) == ("modify", "bad-request", "jid-required")


@pytest.mark.parametrize("ask", [gets, sets])
def test_options_of_one_of_several_subscriptions(juliet, node, ask):
    """§6.3.4.4, §6.3.4.5"""
    first = subscribes(juliet)[1]
    second = subscribes(juliet, digest="1")[1]
    assert refusal(ask(juliet)) == ("modify", "bad-request", "subid-required")
    expected = ("modify", "not-acceptable", "invalid-subid")
    assert refusal(ask(juliet, subid="neither")) == expected
    done(sets(juliet, subid=first, deliver="0"))
    assert options(gets(juliet, subid=first))[0]["deliver"] == "false"
    assert options(gets(juliet, subid=second))[0]["deliver"] == "true"


@pytest.mark.parametrize("ask", [gets, sets])
def test_options_of_no_node(juliet, ask):
    """§6.3.4.7"""
    assert refusal(ask(juliet, node="nowhere")) == ("cancel", "item-not-found")


def test_one_notification_names_all_subscriptions(romeo, juliet, node):
    """§6.1.6, §7.1.2.4: SubIDs in SHIM headers, where there are several."""
    first = subscribes(juliet)[1]
    publishes(romeo, item="a")
    assert headers(juliet, "SubID") == []
    second = subscribes(juliet, **{"show-values": ["online"]})[1]
    juliet.forget()
    publishes(romeo, item="b")
    assert names(juliet) == ["items"]
    assert headers(juliet, "SubID") == [first, second]


# subscribe and configure


def test_subscribing_with_options(juliet, node):
    """§6.3.7: the answer has the options that came of it."""
    more = f"<options>{form(SUBSCRIBE_OPTIONS, {'deliver': '0'})}</options>"
    answer = wants(juliet, f"<subscribe node='{NODE}' jid='{JULIET}'/>{more}")
    shown, type = options(answer)
    assert type == "result"
    assert shown["deliver"] == "false"
    assert options(gets(juliet))[0]["deliver"] == "false"


SUBSCRIBE = f"<subscribe node='{NODE}' jid='{JULIET}'/>"
SUBMISSION = form(SUBSCRIBE_OPTIONS, {"deliver": "0"})


@pytest.mark.parametrize(
    "inner",
    [
        f"<options>{SUBMISSION}</options>{SUBSCRIBE}",
        f"{SUBSCRIBE}<options node='{NODE}'>{SUBMISSION}</options>",
        f"{SUBSCRIBE}<options jid='{JULIET}'>{SUBMISSION}</options>",
        f"{SUBSCRIBE}<options>{SUBMISSION}</options><options>{SUBMISSION}</options>",
        f"{SUBSCRIBE}<options/>",
    ],
)
def test_options_in_the_wrong_place(romeo, juliet, node, inner):
    """§6.3.7: MUST return bad-request; nobody is subscribed."""
    assert refusal(wants(juliet, inner))[:2] == ("modify", "bad-request")
    assert "<subscription " not in wants(juliet, "<subscriptions/>", "get")


def test_subscribing_with_invalid_options(juliet, node):
    """§6.3.6.2: nobody is subscribed."""
    more = f"<options>{form(SUBSCRIBE_OPTIONS, {'deliver': 'x'})}</options>"
    assert refusal(wants(juliet, SUBSCRIBE + more)) == INVALID
    assert "<subscription " not in wants(juliet, "<subscriptions/>", "get")


# defaults


@pytest.mark.parametrize("about", ["", f" node='{NODE}'"])
def test_default_options(juliet, node, about):
    """§6.4.2: of a node, and of all leaves."""
    shown, type = options(wants(juliet, f"<default{about}/>", "get"), "default")
    assert type == "result"
    assert (shown["deliver"], shown["digest"]) == ("true", "false")


def test_default_options_of_a_collection(romeo, juliet):
    """XEP-0248 §5.1: nodes, to a depth of 1."""
    creates(romeo, node_type="collection")
    shown, _ = options(wants(juliet, f"<default node='{NODE}'/>", "get"), "default")
    assert (shown["subscription_type"], shown["subscription_depth"]) == ("nodes", "1")


def test_default_options_of_what_is_not_for_everybody(romeo, juliet):
    """§6.4.3, §6.1.3"""
    expected = ("cancel", "item-not-found")
    assert refusal(wants(juliet, f"<default node='{NODE}'/>", "get")) == expected
    creates(romeo)
    done(affiliates(romeo, juliet="outcast"))
    assert refusal(wants(juliet, f"<default node='{NODE}'/>", "get")) == ("auth", "forbidden")
    assert refusal(wants(juliet, "<default/>"))[:2] == ("modify", "bad-request")


# nodes whose subscriptions are temporary


def test_node_makes_subscriptions_temporary(romeo, juliet):
    """§12.4: pubsub#tempsub, whatever the subscriber says."""
    creates(romeo, tempsub="1")
    subscribes(juliet)
    assert options(gets(juliet))[0]["expire"] == "presence"
    done(sets(juliet, expire=""))
    assert options(gets(juliet))[0]["expire"] == "presence"
    done(configures(romeo, tempsub="0"))
    done(sets(juliet, expire=""))
    assert options(gets(juliet))[0]["expire"] == []
    done(configures(romeo, tempsub="1"))
    assert options(gets(juliet))[0]["expire"] == "presence"


def test_options_at_an_account(romeo, juliet):
    """XEP-0163 §4.1: an explicit subscription has them as well."""
    befriend(romeo, juliet)
    config = f"<configure>{form(CONFIG, {'access_model': 'open'})}</configure>"
    done(asks(romeo, f"<create node='mine'/>{config}", "set"))
    done(asks(juliet, f"<subscribe node='mine' jid='{JULIET}'/>", "set", to=romeo.jid.bare))
    inner = f"<options node='mine' jid='{JULIET}'/>"
    assert options(asks(juliet, inner, to=romeo.jid.bare))[0]["deliver"] == "true"
