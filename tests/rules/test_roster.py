"""RFC 6121 §2: the roster."""

import pytest
from twisted.words.xish.domish import Element

from imsuite.rules import roster
from imsuite.rules.roster import Fetch, Limits, RosterItem, RosterSet
from imsuite.rules.subscription import State
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError

ROMEO = parse("romeo@example.org")
JULIET = parse("juliet@example.org")


def query(*items):
    """Return the payload of a roster set."""
    element = Element((NS.ROSTER, "query"))
    for item in items:
        element.addChild(item)
    return element


def item(jid="juliet@example.org", groups=(), ns=NS.ROSTER, **attributes):
    """Return an item as a client sends it."""
    element = Element((ns, "item"))
    if jid is not None:
        element["jid"] = jid
    element.attributes.update(attributes)
    for group in groups:
        element.addElement((NS.ROSTER, "group"), content=group)
    return element


DEFAULT_LIMITS = Limits()


def parsed(*items, limits=DEFAULT_LIMITS):
    """Return what Romeo's roster set asks for."""
    return roster.parse_set(query(*items), limits, ROMEO)


def test_set_keeps_a_contact_under_a_name_and_in_groups():
    """§2.3.1"""
    wanted = parsed(item("Juliet@example.org", ["Friends", "Verona"], name="Juliet"))
    assert wanted == RosterSet(JULIET, "Juliet", ("Friends", "Verona"))
    assert parsed(item()) == RosterSet(JULIET)


def test_contact_may_be_a_domain():
    """§2.1.2.3"""
    assert parsed(item("rss.example.org")).jid == parse("rss.example.org")


@pytest.mark.parametrize("subscription", ["none", "to", "from", "both", "Remove", ""])
def test_other_attributes_are_ignored(subscription):
    """§2.1.2.1, §2.1.2.2, §2.1.2.5"""
    sent = item(subscription=subscription, ask="subscribe", approved="true")
    assert parsed(sent) == RosterSet(JULIET)


def test_removal():
    """§2.5.1; name and groups do not matter."""
    assert parsed(item(subscription="remove")) == RosterSet(JULIET, remove=True)
    assert parsed(item(groups=["a", "a"], subscription="remove")).remove


@pytest.mark.parametrize(
    ("condition", "items"),
    [
        ("bad-request", []),
        ("bad-request", [item(), item("nurse@example.org")]),
        ("bad-request", [item(ns="urn:example")]),
        ("bad-request", [item(None)]),
        ("bad-request", [item("juliet@example.org/balcony")]),
        ("bad-request", [item(groups=["Friends", "Friends"])]),
        ("jid-malformed", [item("@example.org")]),
        ("jid-malformed", [item("")]),
        ("not-acceptable", [item(groups=["Friends", ""])]),
        ("not-acceptable", [item(groups=["g" * 11])]),
        ("not-acceptable", [item(groups=["1", "2", "3", "4"])]),
        ("not-acceptable", [item(name="n" * 21)]),
        ("not-allowed", [item("Romeo@example.org")]),
    ],
)
def test_wrong_sets_are_refused(condition, items):
    """§2.3.3"""
    with pytest.raises(StanzaError) as caught:
        parsed(*items, limits=Limits(name=20, group=10, groups=3))
    assert caught.value.condition == condition


def test_limits_may_be_reached():
    """§2.3.3"""
    limits = Limits(name=20, group=10, groups=3)
    wanted = parsed(item(groups=["g" * 10, "2", "3"], name="n" * 20), limits=limits)
    assert len(wanted.groups) == 3


def test_foreign_item_beside_the_contact_does_not_matter():
    assert parsed(item(ns="urn:example"), item()) == RosterSet(JULIET)


def test_set_changes_name_and_groups_and_nothing_else():
    """§2.4.1"""
    before = RosterItem(JULIET, "Jule", ("Friends",), State.BOTH, approved=True)
    after = roster.apply(before, RosterSet(JULIET, "", ("Verona",)))
    assert after == RosterItem(JULIET, "", ("Verona",), State.BOTH, approved=True)
    assert roster.apply(None, RosterSet(JULIET, "Juliet")) == RosterItem(JULIET, "Juliet")


def test_unknown_contact_cannot_be_removed():
    """§2.5.3"""
    with pytest.raises(StanzaError) as caught:
        roster.check_removal(None)
    assert caught.value.condition == "item-not-found"
    kept = RosterItem(JULIET)
    assert roster.check_removal(kept) is kept


@pytest.mark.parametrize("state", State)
def test_item_shows_the_subscription(state):
    """§2.1.2.2, §2.1.2.5; A.1: a request of the contact is not shown."""
    element = roster.to_element(RosterItem(JULIET, state=state))
    assert (element.uri, element.name) == (NS.ROSTER, "item")
    expected = {"jid": "juliet@example.org", "subscription": state.subscription}
    if state.pending_out:
        expected["ask"] = "subscribe"
    assert element.attributes == expected


def test_item_shows_name_groups_and_pre_approval():
    """§2.1.2.1, §2.1.2.4, §2.1.2.6"""
    element = roster.to_element(RosterItem(JULIET, "J & R", ("Friends", "<>"), approved=True))
    assert element["name"] == "J & R"
    assert element["approved"] == "true"
    assert [str(group) for group in element.elements()] == ["Friends", "<>"]


def test_item_that_was_shown_can_be_set_again():
    shown = roster.to_element(RosterItem(JULIET, "Juliet", ("Friends",), State.TO))
    assert parsed(shown) == RosterSet(JULIET, "Juliet", ("Friends",))


def test_push_carries_one_item_and_the_version():
    """§2.1.6, §2.5.1, §2.6.2"""
    push = roster.query_element((roster.removed_element(JULIET),), version=7)
    assert push["ver"] == "7"
    (gone,) = push.elements()
    assert gone.attributes == {"jid": "juliet@example.org", "subscription": "remove"}
    assert not roster.query_element(()).hasAttribute("ver")


@pytest.mark.parametrize(
    ("ver", "answer"),
    [
        (None, (Fetch.PLAIN, 20)),
        ("", (Fetch.WHOLE, 20)),
        ("20", (Fetch.CURRENT, 20)),
        ("19", (Fetch.CHANGES, 19)),
        ("10", (Fetch.CHANGES, 10)),
        ("9", (Fetch.WHOLE, 20)),
        ("21", (Fetch.WHOLE, 20)),
        ("-1", (Fetch.WHOLE, 20)),
        ("ver7", (Fetch.WHOLE, 20)),
        ("\u0662\u0660", (Fetch.WHOLE, 20)),
        ("9" * 5000, (Fetch.WHOLE, 20)),
    ],
)
def test_answer_depends_on_the_version_the_client_knows(ver, answer):
    """§2.6.3: all changes after version 10 are known."""
    assert roster.fetch(ver, current=20, oldest=10) == answer
