"""XEP-0060 §6.1, §6.2, §5.6, §5.7: entities subscribe, and see what they are to which nodes."""

import pytest

from imsuite.testing.memory import befriend
from tests.eventing import EVENT, PUBSUB, ids
from tests.helpers import fitting, holds
from tests.owning import SERVICE, affiliates, creates, done, publishes, refusal, subscribes, wants

JULIET = "juliet@example.org"


def subscription(answer, **attributes):
    """Tell whether an answer has a subscription with these attributes."""
    said = "".join(f" {name}='{value}'" for name, value in attributes.items())
    inside = f"<pubsub xmlns='{PUBSUB}'><subscription{said}/></pubsub>"
    return holds(answer, f"<iq type='result'>{inside}</iq>")


def subscribe(client, jid, node="n", options=""):
    return wants(client, f"<subscribe node='{node}' jid='{jid}'/>{options}")


def unsubscribe(client, jid, node="n", subid=None):
    more = "" if subid is None else f" subid='{subid}'"
    return wants(client, f"<unsubscribe node='{node}' jid='{jid}'{more}/>")


# §6.1


@pytest.mark.parametrize("jid", [JULIET, f"{JULIET}/balcony", f"{JULIET}/elsewhere"])
def test_subscriber_says_its_address(romeo, juliet, jid):
    """§6.1.1, §6.1.2: bare or full, and gets a SubID."""
    creates(romeo, "n")
    answer = subscribe(juliet, jid)
    assert subscription(answer, node="n", jid=jid, subscription="subscribed", subid="{id}")


@pytest.mark.parametrize("jid", ["romeo@example.org", "example.org", "@@"])
def test_addresses_match(romeo, juliet, jid):
    """§6.1.3.1"""
    creates(romeo, "n")
    assert refusal(subscribe(juliet, jid)) == ("modify", "bad-request", "invalid-jid")


def test_address_is_needed(romeo):
    """§6.1.1: MUST possess a 'jid'."""
    creates(romeo, "n")
    assert refusal(wants(romeo, "<subscribe node='n'/>"))[1:] == ("bad-request", "jid-required")


def test_presence_of_the_owner_is_needed(romeo, juliet):
    """§6.1.3.2: of an owner who has an account here."""
    creates(romeo, "n", access_model="presence")
    error = ("auth", "not-authorized", "presence-subscription-required")
    assert refusal(subscribe(juliet, JULIET)) == error
    assert refusal(wants(juliet, "<items node='n'/>", "get")) == error
    befriend(romeo, juliet)
    done(subscribe(juliet, JULIET))


def test_roster_group_is_needed(romeo, juliet):
    """§6.1.3.3"""
    creates(romeo, "n", access_model="roster", roster_groups_allowed="Friends")
    befriend(romeo, juliet)
    assert refusal(subscribe(juliet, JULIET)) == ("auth", "not-authorized", "not-in-roster-group")
    romeo.says(
        f"<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='{JULIET}'>"
        "<group>Friends</group></item></query></iq>"
    )
    done(subscribe(juliet, JULIET))


def test_whitelist_is_closed(romeo, juliet):
    """§6.1.3.4"""
    creates(romeo, "n", access_model="whitelist")
    assert refusal(subscribe(juliet, JULIET)) == ("cancel", "not-allowed", "closed-node")
    done(affiliates(romeo, "n", juliet="member"))
    done(subscribe(juliet, JULIET))


def test_approval_is_waited_for(romeo, juliet):
    """§6.1.4, §6.1.3.7: once; nothing is told meanwhile."""
    creates(romeo, "n", access_model="authorize")
    answer = subscribe(juliet, JULIET)
    assert subscription(answer, node="n", jid=JULIET, subscription="pending")
    error = ("auth", "not-authorized", "pending-subscription")
    assert refusal(subscribe(juliet, JULIET)) == error
    assert fitting(romeo.received, "<message><x xmlns='jabber:x:data' type='form'/></message>")
    juliet.forget()
    publishes(romeo, "n")
    assert juliet.received == []
    assert refusal(wants(juliet, "<items node='n'/>", "get"))[1:] == (
        "not-authorized",
        "not-subscribed",
    )


@pytest.mark.parametrize("affiliation", ["outcast", "publish_only"])
def test_blocked_entity_is_forbidden(romeo, juliet, affiliation):
    """§6.1.3.8"""
    creates(romeo, "n")
    done(affiliates(romeo, "n", juliet=affiliation))
    assert refusal(subscribe(juliet, JULIET)) == ("auth", "forbidden")


@pytest.mark.server(options={"pubsub": {"subscriptions": 2}})
def test_subscriptions_have_a_limit(romeo, juliet):
    """§6.1.3.9. [features.pubsub] subscriptions."""
    creates(romeo, "n")
    done(subscribe(juliet, JULIET))
    done(subscribe(juliet, f"{JULIET}/balcony"))
    error = ("wait", "policy-violation", "too-many-subscriptions")
    assert refusal(subscribe(juliet, f"{JULIET}/other")) == error
    done(unsubscribe(juliet, JULIET))
    done(subscribe(juliet, f"{JULIET}/other"))


def test_node_may_have_no_subscribers(romeo, juliet):
    """§6.1.3.10"""
    creates(romeo, "n", subscribe="0")
    error = ("cancel", "feature-not-implemented", "unsupported", "subscribe")
    assert refusal(subscribe(juliet, JULIET)) == error


def test_node_that_is_not_there(juliet):
    """§6.1.3.12, §6.2.3.4"""
    assert refusal(subscribe(juliet, JULIET)) == ("cancel", "item-not-found")
    assert refusal(unsubscribe(juliet, JULIET)) == ("cancel", "item-not-found")


def test_last_item_follows_the_answer(romeo, juliet):
    """§6.1.7: with the time when it was published."""
    creates(romeo, "n")
    publishes(romeo, "n", "old")
    publishes(romeo, "n", "last")
    juliet.forget()
    subscribe(juliet, JULIET)
    answer, message = juliet.received
    assert "subscribed" in answer
    assert holds(
        message,
        f"<message type='headline'><event xmlns='{EVENT}'><items node='n'><item id='last'/>"
        "</items></event><delay xmlns='urn:xmpp:delay'/></message>",
    )


@pytest.mark.parametrize(("when", "sent"), [("never", []), ("on_sub", ["a"])])
def test_owner_says_when_the_last_item_is_sent(romeo, juliet, when, sent):
    """§8.2.2, pubsub#send_last_published_item"""
    creates(romeo, "n", send_last_published_item=when)
    publishes(romeo, "n", "a")
    subscribe(juliet, JULIET)
    assert ids(juliet, "n") == sent


def test_same_request_makes_no_second_subscription(romeo, juliet):
    """§6.1.6: only with other options there are several."""
    creates(romeo, "n")
    assert subscribes(juliet, "n") == subscribes(juliet, "n")
    other = subscribes(juliet, "n", deliver="0")
    assert other != subscribes(juliet, "n")


# §6.2


def test_subscriber_goes(romeo, juliet):
    """§6.2.2"""
    creates(romeo, "n")
    _, subid = subscribes(juliet, "n")
    answer = unsubscribe(juliet, JULIET)
    assert subscription(answer, node="n", jid=JULIET, subscription="none", subid=subid)
    juliet.forget()
    publishes(romeo, "n")
    assert juliet.received == []


def test_subid_says_which_subscription_ends(romeo, juliet):
    """§6.2.3.1, §6.2.3.5"""
    creates(romeo, "n")
    _, one = subscribes(juliet, "n")
    _, other = subscribes(juliet, "n", deliver="0")
    assert refusal(unsubscribe(juliet, JULIET)) == ("modify", "bad-request", "subid-required")
    wrong = ("modify", "not-acceptable", "invalid-subid")
    assert refusal(unsubscribe(juliet, JULIET, subid="x")) == wrong
    done(unsubscribe(juliet, JULIET, subid=other))
    done(unsubscribe(juliet, JULIET, subid=one))


def test_who_is_no_subscriber_does_not_go(romeo, juliet):
    """§6.2.3.2: the address is the exact one."""
    creates(romeo, "n")
    error = ("cancel", "unexpected-request", "not-subscribed")
    assert refusal(unsubscribe(juliet, JULIET)) == error
    subscribes(juliet, "n")
    assert refusal(unsubscribe(juliet, f"{JULIET}/balcony")) == error


def test_nobody_ends_the_subscription_of_others(romeo, juliet):
    """§6.2.3.3"""
    creates(romeo, "n")
    subscribes(romeo, "n")
    assert refusal(unsubscribe(juliet, "romeo@example.org")) == ("auth", "forbidden")


def test_owners_are_told_of_subscribers(romeo, juliet):
    """pubsub#notify_sub"""
    creates(romeo, "n", notify_sub="1")
    subscribe(juliet, JULIET)
    unsubscribe(juliet, JULIET)
    for state in ("subscribed", "none"):
        said = f"<subscription node='n' jid='{JULIET}' subscription='{state}'/>"
        assert fitting(romeo.received, f"<message><event xmlns='{EVENT}'>{said}</event></message>")


# §5.6, §5.7


def lists(client, what, node=None):
    about = "" if node is None else f" node='{node}'"
    return done(wants(client, f"<{what}{about}/>", "get"))


def test_subscriber_sees_its_subscriptions(romeo, juliet):
    """§5.6: those of all its resources, pending ones too, and those of nobody else."""
    creates(romeo, "a")
    creates(romeo, "b", access_model="authorize")
    subscribes(romeo, "a")
    assert "<subscription " not in lists(juliet, "subscriptions")
    _, subid = subscribes(juliet, "a")
    subscribes(juliet, "a", jid=f"{JULIET}/other")
    subscribes(juliet, "b")
    answer = lists(juliet, "subscriptions")
    entries = (
        f"<subscription node='a' jid='{JULIET}' subscription='subscribed' subid='{subid}'/>"
        f"<subscription node='a' jid='{JULIET}/other' subscription='subscribed'/>"
        f"<subscription node='b' jid='{JULIET}' subscription='pending'/>"
    )
    whole = f"<pubsub xmlns='{PUBSUB}'><subscriptions>{entries}</subscriptions></pubsub>"
    assert holds(answer, f"<iq from='{SERVICE}' type='result'>{whole}</iq>")
    assert "romeo@example.org'" not in answer
    assert "node='a'" not in lists(juliet, "subscriptions", "b")
    nowhere = wants(juliet, "<subscriptions node='x'/>", "get")
    assert refusal(nowhere) == ("cancel", "item-not-found")


def test_entity_sees_its_affiliations(romeo, juliet):
    """§5.7"""
    for node in "abc":
        creates(romeo, node)
    done(affiliates(romeo, "a", juliet="publisher"))
    done(affiliates(romeo, "b", juliet="outcast"))
    answer = lists(juliet, "affiliations")
    entries = (
        "<affiliation node='a' affiliation='publisher'/>"
        "<affiliation node='b' affiliation='outcast'/>"
    )
    whole = f"<pubsub xmlns='{PUBSUB}'><affiliations>{entries}</affiliations></pubsub>"
    assert holds(answer, f"<iq>{whole}</iq>")
    assert "<affiliation " not in lists(juliet, "affiliations", "c")
    assert "node='a'" in lists(juliet, "affiliations", "a")
