"""XEP-0163 §5, XEP-0060 §4.5: who has access; and who may not even know what there is."""

import pytest

from tests.eventing import (
    ERRORS,
    MOOD,
    OWNER,
    PUBSUB,
    TUNE,
    asks,
    events,
    hear,
    ids,
    items,
    publishes,
)
from tests.helpers import holds, iq_error


def in_group(client, contact, *groups):
    names = "".join(f"<group>{group}</group>" for group in groups)
    client.says(
        "<iq type='set' id='group'><query xmlns='jabber:iq:roster'>"
        f"<item jid='{contact}'>{names}</item></query></iq>"
    )


FRIENDS = {"access_model": "roster", "roster_groups_allowed": ["Friends", "Family"]}


def test_roster_access_is_for_groups(friends):
    """XEP-0060 §4.5: whoever is in one of them."""
    romeo, juliet = friends
    hear(juliet, TUNE)
    in_group(romeo, "juliet@example.org", "Servants")
    publishes(romeo, TUNE, item="a", options=FRIENDS)
    assert events(juliet) == []
    answer = items(juliet, TUNE, to="romeo@example.org")
    assert holds(answer, iq_error("items", "not-authorized"))
    assert "not-in-roster-group" in answer
    in_group(romeo, "juliet@example.org", "Servants", "Family")
    publishes(romeo, TUNE, item="b")
    assert ids(juliet, TUNE) == ["b"]
    assert holds(items(juliet, TUNE, to="romeo@example.org", id="i2"), "<iq type='result'/>")


def test_who_leaves_the_group_hears_no_more(friends):
    """§7.1: a roster item is modified."""
    romeo, juliet = friends
    hear(juliet, TUNE)
    in_group(romeo, "juliet@example.org", "Friends")
    publishes(romeo, TUNE, item="a", options=FRIENDS)
    subscribe = f"<subscribe node='{TUNE}' jid='juliet@example.org'/>"
    assert holds(asks(juliet, subscribe, "set", "romeo@example.org"), "<iq type='result'/>")
    in_group(romeo, "juliet@example.org", "Servants")
    publishes(romeo, TUNE, item="b")
    assert "b" not in ids(juliet, TUNE)
    answer = asks(romeo, f"<subscriptions node='{TUNE}'/>", ns=OWNER, id="subs")
    assert "juliet@example.org" not in answer


def test_whitelist_is_for_those_on_it(friends):
    """XEP-0060 §4.5: the owner is on it; a member that the owner names, too."""
    romeo, juliet = friends
    hear(juliet, TUNE)
    hear(romeo, TUNE)
    publishes(romeo, TUNE, item="a", options={"access_model": "whitelist"})
    assert events(juliet) == []
    assert ids(romeo, TUNE) == ["a"]
    answer = items(juliet, TUNE, to="romeo@example.org")
    assert holds(answer, iq_error("items", "not-allowed"))
    assert "closed-node" in answer
    asks(
        romeo,
        f"<affiliations node='{TUNE}'>"
        "<affiliation jid='juliet@example.org' affiliation='member'/></affiliations>",
        "set",
        ns=OWNER,
    )
    juliet.forget()
    publishes(romeo, TUNE, item="b", id="b")
    assert ids(juliet, TUNE) == ["b"]


def test_open_node_is_read_by_strangers(romeo, juliet):
    """XEP-0060 §4.5"""
    publishes(romeo, TUNE, item="a", options={"access_model": "open"})
    answer = items(juliet, TUNE, to="romeo@example.org")
    assert holds(
        answer,
        "<iq type='result' from='romeo@example.org'>"
        f"<pubsub xmlns='{PUBSUB}'><items node='{TUNE}'><item id='a'/></items></pubsub></iq>",
    )


def test_stranger_subscribes_to_an_open_node(romeo, juliet):
    """§4 item 1: explicitly; without presence of theirs, the event goes to what subscribed."""
    publishes(romeo, TUNE, item="a", options={"access_model": "open"})
    subscribe = f"<subscribe node='{TUNE}' jid='{juliet.jid}'/>"
    assert holds(asks(juliet, subscribe, "set", "romeo@example.org"), "<iq type='result'/>")
    juliet.forget()
    publishes(romeo, TUNE, item="b", id="b")
    assert ids(juliet, TUNE) == ["b"]


def test_who_sends_presence_hears_of_open_nodes(romeo, juliet):
    """XEP-0060 §9.1.3: without any subscription, until that presence ends."""
    hear(juliet, TUNE, MOOD)
    publishes(romeo, TUNE, item="a", options={"access_model": "open"})
    publishes(romeo, MOOD, item="a", id="mood")
    assert events(juliet) == []
    juliet.says("<presence to='romeo@example.org'/>")
    assert ids(juliet, TUNE) == ["a"]
    publishes(romeo, TUNE, item="b", id="b")
    publishes(romeo, MOOD, item="b", id="mood2")
    assert ids(juliet, TUNE) == ["a", "b"]
    assert events(juliet, MOOD) == []
    juliet.says("<presence to='romeo@example.org' type='unavailable'/>")
    publishes(romeo, TUNE, item="c", id="c")
    assert ids(juliet, TUNE) == ["a", "b"]


def test_subscriber_who_is_interested_hears_once(friends):
    """§4.3.2: an explicit subscription by the bare JID adds nothing."""
    romeo, juliet = friends
    hear(juliet, TUNE)
    publishes(romeo, TUNE, item="a")
    subscribe = f"<subscribe node='{TUNE}' jid='juliet@example.org'/>"
    asks(juliet, subscribe, "set", "romeo@example.org")
    juliet.forget()
    publishes(romeo, TUNE, item="b", id="b")
    assert ids(juliet, TUNE) == ["b"]


# strangers and nobody


@pytest.mark.parametrize("whom", ["romeo@example.org", "nobody@example.org"])
@pytest.mark.parametrize("node", [TUNE, MOOD, "whitelisted"])
def test_stranger_learns_nothing(romeo, juliet, whom, node):
    """Pitfall 20: who may not know is told the same, whether or not there is an account or node."""
    publishes(romeo, TUNE)
    publishes(romeo, "whitelisted", id="w", options={"access_model": "whitelist"})
    answer = items(juliet, node, to=whom)
    assert holds(answer, iq_error("items", "not-authorized"))
    assert f"<presence-subscription-required xmlns='{ERRORS}'/>" in answer
    subscribe = f"<subscribe node='{node}' jid='juliet@example.org'/>"
    answer = asks(juliet, subscribe, "set", whom)
    assert holds(answer, iq_error("q", "not-authorized"))
    assert f"<presence-subscription-required xmlns='{ERRORS}'/>" in answer


REQUESTS = [
    ("get", PUBSUB, "<items node='{}'/>"),
    ("get", PUBSUB, "<items node='{}' max_items='1'/>"),
    ("get", PUBSUB, "<items node='{}'><item id='a'/></items>"),
    ("get", PUBSUB, "<items/>"),
    ("get", PUBSUB, "<subscriptions/>"),
    ("get", PUBSUB, "<subscriptions node='{}'/>"),
    ("get", PUBSUB, "<affiliations/>"),
    ("get", PUBSUB, "<affiliations node='{}'/>"),
    ("get", PUBSUB, "<default node='{}'/>"),
    ("get", PUBSUB, "<default/>"),
    ("get", PUBSUB, "<options node='{}' jid='juliet@example.org'/>"),
    ("get", PUBSUB, "<nonsense/>"),
    ("set", PUBSUB, "<subscribe node='{}' jid='juliet@example.org'/>"),
    ("set", PUBSUB, "<subscribe node='{}' jid='paris@example.org'/>"),
    ("set", PUBSUB, "<subscribe node='{}'/>"),
    ("set", PUBSUB, "<unsubscribe node='{}' jid='juliet@example.org'/>"),
    ("set", PUBSUB, "<unsubscribe node='{}' jid='paris@example.org'/>"),
    ("set", PUBSUB, "<publish node='{}'><item id='a'><x xmlns='urn:x'/></item></publish>"),
    ("set", PUBSUB, "<publish node='{}'><item/></publish>"),
    ("set", PUBSUB, "<publish/>"),
    ("set", PUBSUB, "<retract node='{}'><item id='a'/></retract>"),
    ("set", PUBSUB, "<retract node='{}'/>"),
    ("set", PUBSUB, "<create node='{}'/>"),
    ("set", PUBSUB, "<create/>"),
    ("get", OWNER, "<configure node='{}'/>"),
    ("get", OWNER, "<default/>"),
    ("get", OWNER, "<affiliations node='{}'/>"),
    ("get", OWNER, "<subscriptions node='{}'/>"),
    ("set", OWNER, "<delete node='{}'/>"),
    ("set", OWNER, "<purge node='{}'/>"),
    ("set", OWNER, "<configure node='{}'/>"),
    ("set", OWNER, "<nonsense node='{}'/>"),
]


@pytest.mark.parametrize(("type", "ns", "inner"), REQUESTS)
def test_answers_do_not_betray_what_there_is(romeo, juliet, type, ns, inner):
    """Pitfall 20: byte for byte, apart from whom was asked and what for."""
    publishes(romeo, TUNE, item="a")
    publishes(romeo, MOOD, item="a", id="w", options={"access_model": "whitelist"})
    answers = {
        asks(juliet, inner.format(node), type, whom, ns).replace(whom, "WHOM").replace(node, "NODE")
        for whom in ("romeo@example.org", "nobody@example.org")
        for node in (TUNE, MOOD, "urn:there-is-none")
    }
    assert len(answers) == 1, answers


def test_friend_is_told_what_is_wrong(friends):
    """XEP-0060 §6.5.9.11: those who may know get the errors that say it."""
    romeo, juliet = friends
    publishes(romeo, MOOD, item="a", options={"access_model": "whitelist"})
    absent = items(juliet, TUNE, to="romeo@example.org")
    assert holds(absent, iq_error("items", "item-not-found"))
    assert "closed-node" in items(juliet, MOOD, to="romeo@example.org", id="i2")
