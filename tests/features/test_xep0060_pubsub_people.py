"""XEP-0060 §8.8, §8.9: owners manage subscriptions and affiliations."""

import random

import pytest

from imsuite.core.service_interfaces import INodes
from imsuite.testing.memory import befriend
from imsuite.xmpp.stanza import child, children
from tests.eventing import CONFIG, OWNER, PUBSUB, asks, form
from tests.owning import (
    NODE,
    SERVICE,
    affiliates,
    configures,
    creates,
    done,
    entries,
    heard,
    listed,
    names,
    owns,
    publishes,
    read,
    refusal,
    states,
    subscribes,
    wants,
)

JULIET = "juliet@example.org"
ROMEO = "romeo@example.org"
REFUSED = ("modify", "not-acceptable")


@pytest.fixture
def node(romeo):
    """A node that romeo owns."""
    creates(romeo)
    return NODE


@pytest.fixture
def mercutio(server):
    return server.login("mercutio@example.org/street")


def sets(client, *people, node=NODE):
    """Let an owner set subscriptions: triples of address, state and SubID, or None."""
    inner = "".join(
        f"<subscription jid='{jid}'"
        + (f" subscription='{state}'" if state else "")
        + (f" subid='{subid}'" if subid else "")
        + "/>"
        for jid, state, subid in people
    )
    return owns(client, f"<subscriptions node='{node}'>{inner}</subscriptions>")


def unchanged(answer, what):
    """Return the entries that an error names."""
    assert refusal(answer) == REFUSED
    return entries(child(read(answer), OWNER, "pubsub"), what)


# subscriptions


def test_owner_sees_subscriptions(romeo, juliet, mercutio, node):
    """§8.8.1.2: each with its SubID, those that are pending not."""
    first = subscribes(juliet)[1]
    second = subscribes(juliet, jid=juliet.jid.full)[1]
    done(configures(romeo, access_model="authorize"))
    subscribes(mercutio)
    answer = read(owns(romeo, f"<subscriptions node='{NODE}'/>", "get"))
    shown = child(child(answer, OWNER, "pubsub"), OWNER, "subscriptions")
    assert shown["node"] == NODE
    assert [
        (each["jid"], each["subid"], each["subscription"])
        for each in children(shown, OWNER, "subscription")
    ] == [(JULIET, first, "subscribed"), (juliet.jid.full, second, "subscribed")]


def test_owner_subscribes_and_unsubscribes_others(romeo, juliet, node):
    """§8.8.2, §8.8.3, §8.8.4: who is told of it."""
    publishes(romeo)
    done(sets(romeo, (JULIET, "subscribed", None)))
    assert states(juliet) == [(NODE, "subscribed")]
    assert names(juliet) == ["subscription", "items"]
    assert listed(romeo, "subscriptions") == [(JULIET, "subscribed")]
    juliet.forget()
    done(sets(romeo, (JULIET, "none", None)))
    assert states(juliet) == [(NODE, "none")]
    assert listed(romeo, "subscriptions") == []


def test_only_the_subscription_that_is_meant(romeo, juliet, node):
    """§8.8.2.4: by its SubID."""
    first = subscribes(juliet, include_body="0")[1]
    second = subscribes(juliet, digest="1")[1]
    assert first != second
    done(sets(romeo, (JULIET, "none", first)))
    answer = owns(romeo, f"<subscriptions node='{NODE}'/>", "get")
    assert first not in answer
    assert second in answer


def test_subscription_that_is_not_said_stays(romeo, juliet, node):
    """§8.8.2.1: without the attribute the value MUST NOT be changed."""
    subscribes(juliet)
    done(sets(romeo, (JULIET, None, None), ("a@example.org", None, None)))
    assert listed(romeo, "subscriptions") == [(JULIET, "subscribed")]
    assert heard(juliet) == []


def test_what_can_not_be_set_is_returned(romeo, juliet, mercutio, node):
    """§8.8.2.4: as it is; the others are changed."""
    subscribes(juliet)
    done(affiliates(romeo, mercutio="outcast"))
    answer = sets(
        romeo,
        (JULIET, "pending", None),
        ("mercutio@example.org", "subscribed", None),
        ("benvolio@example.org", "devoted", None),
        ("tybalt@example.org", "subscribed", None),
    )
    assert unchanged(answer, "subscriptions") == [
        (JULIET, "subscribed"),
        ("mercutio@example.org", "none"),
        ("benvolio@example.org", "none"),
    ]
    assert listed(romeo, "subscriptions") == [
        (JULIET, "subscribed"),
        ("tybalt@example.org", "subscribed"),
    ]


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("", ("modify", "bad-request")),
        ("<subscription subscription='none'/>", ("modify", "bad-request", "jid-required")),
        ("<subscription jid='@' subscription='none'/>", ("modify", "jid-malformed")),
        (f"<subscription jid='{JULIET}' subscription='none'/>" * 2, ("modify", "bad-request")),
        (
            "".join(
                f"<subscription jid='p{n}@example.org' subscription='none'/>" for n in range(1001)
            ),
            ("modify", "policy-violation"),
        ),
    ],
)
def test_lists_that_can_not_be_read(romeo, node, inner, expected):
    """§8.8.2.4"""
    answer = owns(romeo, f"<subscriptions node='{NODE}'>{inner}</subscriptions>")
    assert refusal(answer) == expected
    what = inner.replace("subscription", "affiliation")
    assert refusal(owns(romeo, f"<affiliations node='{NODE}'>{what}</affiliations>")) == expected


def test_owners_hear_of_subscribers(romeo, juliet):
    """§16.4.4: pubsub#notify_sub"""
    creates(romeo, notify_sub="1")
    done(sets(romeo, (JULIET, "subscribed", None)))
    (event,) = heard(romeo)
    assert (event.name, event["jid"]) == ("subscription", JULIET)


@pytest.mark.server(options={"pubsub": {"subscriptions": 2}})
def test_owner_does_not_subscribe_somebody_too_often(romeo, node):
    """§6.1.3.9: the limit holds for owners, too."""
    for resource in "ab":
        done(sets(romeo, (f"{JULIET}/{resource}", "subscribed", None)))
    answer = sets(romeo, (f"{JULIET}/c", "subscribed", None))
    assert unchanged(answer, "subscriptions") == [(f"{JULIET}/c", "none")]


@pytest.mark.server(options={"pubsub": {"subscriptions": 2}})
def test_limit_counts_within_one_request(romeo, node):
    """§6.1.3.9, §8.8.2.4"""
    answer = sets(romeo, *((f"{JULIET}/{resource}", "subscribed", None) for resource in "abc"))
    assert unchanged(answer, "subscriptions") == [(f"{JULIET}/c", "none")]
    assert len(listed(romeo, "subscriptions")) == 2


def test_owner_subscribes_nobody_who_has_no_access(romeo, juliet):
    """§4.5: the whitelist is made of affiliations."""
    creates(romeo, access_model="whitelist")
    answer = sets(romeo, (JULIET, "subscribed", None))
    assert unchanged(answer, "subscriptions") == [(JULIET, "none")]
    done(affiliates(romeo, juliet="member"))
    done(sets(romeo, (JULIET, "subscribed", None)))


def test_owner_can_not_make_temporary_what_would_never_end(romeo):
    """§12.4: the presence of others' users is not known."""
    creates(romeo, tempsub="1")
    answer = sets(romeo, ("a@elsewhere.example", "subscribed", None))
    assert unchanged(answer, "subscriptions") == [("a@elsewhere.example", "none")]


# affiliations


def test_owner_sees_and_sets_affiliations(romeo, juliet, node):
    """§8.9.1.2, §8.9.2.2, §8.9.3: nobody who is nothing; §8.9.4: it is told."""
    assert listed(romeo, "affiliations") == [(ROMEO, "owner")]
    done(affiliates(romeo, juliet="publish_only", tybalt="outcast"))
    assert sorted(listed(romeo, "affiliations")) == [
        (JULIET, "publish-only"),
        (ROMEO, "owner"),
        ("tybalt@example.org", "outcast"),
    ]
    told = juliet.stanzas[-1].child(PUBSUB, "pubsub")
    assert entries(told, "affiliations") == [(JULIET, "publish-only")]
    assert child(told, PUBSUB, "affiliations")["node"] == NODE
    done(affiliates(romeo, juliet="none", tybalt="none"))
    assert listed(romeo, "affiliations") == [(ROMEO, "owner")]


def test_affiliation_is_of_the_bare_jid(romeo, juliet, node):
    """§4.1: MUST"""
    inner = f"<affiliation jid='{juliet.jid.full}' affiliation='publisher'/>"
    done(owns(romeo, f"<affiliations node='{NODE}'>{inner}</affiliations>"))
    assert (JULIET, "publisher") in listed(romeo, "affiliations")
    both = inner + f"<affiliation jid='{JULIET}' affiliation='none'/>"
    answer = owns(romeo, f"<affiliations node='{NODE}'>{both}</affiliations>")
    assert refusal(answer) == ("modify", "bad-request")


def test_affiliation_that_is_not_said_stays(romeo, node):
    """§8.9.2.1: without the attribute the value MUST NOT be changed."""
    inner = f"<affiliation jid='{ROMEO}'/><affiliation jid='{JULIET}'/>"
    done(owns(romeo, f"<affiliations node='{NODE}'>{inner}</affiliations>"))
    assert listed(romeo, "affiliations") == [(ROMEO, "owner")]


def test_last_owner_stays(romeo, juliet, node):
    """§8.9.2.4: MUST NOT be allowed; the others are changed."""
    done(affiliates(romeo, juliet="member"))
    answer = affiliates(romeo, romeo="none", juliet="none", tybalt="publisher")
    assert unchanged(answer, "affiliations") == [(ROMEO, "owner")]
    assert listed(romeo, "affiliations") == [
        (ROMEO, "owner"),
        ("tybalt@example.org", "publisher"),
    ]


def test_owner_may_resign_after_making_another(romeo, juliet, node):
    """§4.1: "Owner resigns", also in one request."""
    done(affiliates(romeo, juliet="owner", romeo="none"))
    assert listed(juliet, "affiliations") == [(JULIET, "owner")]
    assert refusal(owns(romeo, f"<affiliations node='{NODE}'/>", "get")) == ("auth", "forbidden")


def test_owners_can_not_both_resign_at_once(romeo, juliet, node):
    """§8.9.2.4: what is asked for before counts."""
    done(affiliates(romeo, juliet="owner"))
    assert unchanged(affiliates(romeo, romeo="none", juliet="none"), "affiliations") == [
        (JULIET, "owner")
    ]
    assert listed(juliet, "affiliations") == [(JULIET, "owner")]


@pytest.mark.parametrize(
    ("before", "after"),
    [("publisher", "member"), ("member", "emperor"), ("publish_only", "member")],
)
def test_changes_that_are_not_in_the_chart(romeo, node, before, after):
    """§4.1: n/a"""
    done(affiliates(romeo, juliet=before))
    answer = affiliates(romeo, juliet=after)
    assert unchanged(answer, "affiliations") == [(JULIET, before.replace("_", "-"))]


def test_owner_does_not_dismiss_another(romeo, juliet, node):
    """§4.1: an owner resigns."""
    done(affiliates(romeo, juliet="owner"))
    assert unchanged(affiliates(romeo, juliet="none"), "affiliations") == [(JULIET, "owner")]


def test_account_stays_owner_of_its_nodes(romeo, juliet):
    """XEP-0163 §4: whoever else owns them."""
    done(asks(romeo, "<create node='mine'/>", "set"))
    inner = f"<affiliation jid='{JULIET}' affiliation='owner'/>"
    done(asks(romeo, f"<affiliations node='mine'>{inner}</affiliations>", "set", ns=OWNER))
    inner = f"<affiliation jid='{ROMEO}' affiliation='none'/>"
    answer = asks(romeo, f"<affiliations node='mine'>{inner}</affiliations>", "set", ns=OWNER)
    assert unchanged(answer, "affiliations") == [(ROMEO, "owner")]


# what follows from affiliations


@pytest.mark.parametrize("word", ["outcast", "publish_only"])
def test_who_may_not_subscribe_is_unsubscribed(romeo, juliet, node, word):
    """§4.1, §12.14"""
    subscribes(juliet)
    done(affiliates(romeo, juliet=word))
    assert states(juliet) == [(NODE, "none")]
    juliet.forget()
    publishes(romeo)
    assert heard(juliet) == []
    refused = wants(juliet, f"<subscribe node='{NODE}' jid='{JULIET}'/>")
    assert refusal(refused) == ("auth", "forbidden")


@pytest.mark.parametrize("word", ["owner", "publisher", "member"])
def test_pending_request_is_approved_by_affiliation(romeo, juliet, word):
    """§8.6"""
    creates(romeo, access_model="authorize")
    subscribes(juliet)
    done(affiliates(romeo, juliet=word))
    assert states(juliet) == [(NODE, "subscribed")]


def test_pending_request_is_denied_to_an_outcast(romeo, juliet):
    """§8.6"""
    creates(romeo, access_model="authorize")
    subscribes(juliet)
    done(affiliates(romeo, juliet="outcast"))
    assert states(juliet) == [(NODE, "none")]


def test_who_leaves_the_whitelist_is_unsubscribed(romeo, juliet):
    """§4.5"""
    creates(romeo, access_model="whitelist")
    refused = wants(juliet, f"<subscribe node='{NODE}' jid='{JULIET}'/>")
    assert refusal(refused) == ("cancel", "not-allowed", "closed-node")
    done(affiliates(romeo, juliet="member"))
    subscribes(juliet)
    done(affiliates(romeo, juliet="none"))
    assert states(juliet) == [(NODE, "none")]


def test_who_loses_sight_of_an_account_is_unsubscribed(romeo, juliet):
    """XEP-0163 §7.1, XEP-0060 §12.14: access model presence."""
    befriend(romeo, juliet)
    config = f"<configure>{form(CONFIG, {'access_model': 'presence'})}</configure>"
    done(asks(romeo, f"<create node='mine'/>{config}", "set"))
    done(asks(juliet, f"<subscribe node='mine' jid='{JULIET}'/>", "set", to=ROMEO))
    juliet.forget()
    romeo.says(f"<presence type='unsubscribed' to='{JULIET}'/>")
    assert states(juliet) == [("mine", "none")]
    answer = asks(romeo, "<subscriptions node='mine'/>", ns=OWNER)
    assert entries(child(read(answer), OWNER, "pubsub"), "subscriptions") == []


# all of it together


@pytest.mark.parametrize("seed", range(5))
def test_store_and_memory_agree_whatever_owners_do(server, seed):
    """§4.1, §4.2: what is loaded anew is what everybody saw before, and obeys the tables."""
    chance = random.Random(seed)
    people = [server.login(f"p{number}@example.org/r") for number in range(4)]
    creates(people[0])
    affiliations = ("owner", "publisher", "publish-only", "member", "none", "outcast")
    for _ in range(120):
        by, whom = chance.choice(people), chance.choice(people)
        match chance.randrange(5):
            case 0:
                affiliates(by, **{whom.jid.local: chance.choice(affiliations)})
            case 1:
                sets(by, (whom.jid.bare, chance.choice(("none", "subscribed", "pending")), None))
            case 2:
                model = chance.choice(("open", "presence", "roster", "authorize", "whitelist"))
                configures(by, access_model=model)
            case 3:
                wants(by, f"<subscribe node='{NODE}' jid='{by.jid.bare}'/>")
            case 4:
                wants(by, f"<unsubscribe node='{NODE}' jid='{by.jid.bare}'/>")
    nodes = server.host.find_feature(INodes).nodes
    node = nodes.cached((SERVICE, NODE))
    affiliated, subscribed = dict(node.affiliations), dict(node.subscriptions)
    model = node.config.access_model
    nodes.forget_service(SERVICE)
    owner = next(p for p in people if affiliated.get(p.jid.bare) == "owner")
    listed(owner, "affiliations")
    again = nodes.cached((SERVICE, NODE))
    assert again is not node
    assert (again.affiliations, again.subscriptions) == (affiliated, subscribed)
    for each in subscribed.values():
        affiliation = affiliated.get(each.bare, "none")
        assert affiliation not in ("outcast", "publish-only")
        if each.state == "pending":
            assert model == "authorize"
            assert affiliation == "none"
        if model in ("presence", "roster", "whitelist"):
            assert affiliation != "none"
