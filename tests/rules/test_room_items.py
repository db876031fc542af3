"""XEP-0045 §8, §9, §17.4: items of requests about roles and affiliations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.words.xish.domish import Element

from imsuite.rules.affiliations import Affiliation, Role
from imsuite.rules.room_items import LONGEST_REASON, NS_ADMIN, Change, read_changes, read_list
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError


def query(*items):
    """Return a payload; items: attributes, "reason" for the element."""
    element = Element((NS_ADMIN, "query"))
    for attributes in items:
        reason = attributes.pop("reason", None)
        item = element.addElement((NS_ADMIN, "item"))
        item.attributes.update(attributes)
        if reason is not None:
            item.addElement((NS_ADMIN, "reason"), content=reason)
    return element


def refused(read, element):
    """Return the condition with which a payload is refused."""
    with pytest.raises(StanzaError) as caught:
        read(element)
    return caught.value.condition


@pytest.mark.parametrize(
    ("item", "change"),
    [
        (
            {"nick": "pistol", "role": "none", "reason": " Avaunt! "},
            Change(role=Role.NONE, nick="pistol", reason="Avaunt!"),
        ),
        (
            {"jid": "Hag66@shakespeare.lit/pda", "role": "visitor"},
            Change(role=Role.VISITOR, jid=parse("hag66@shakespeare.lit/pda")),
        ),
        (
            {"jid": "hag66@shakespeare.lit", "affiliation": "member", "nick": ""},
            Change(affiliation=Affiliation.MEMBER, jid=parse("hag66@shakespeare.lit"), nick=""),
        ),
        (
            {"jid": "shakespeare.lit", "affiliation": "outcast"},
            Change(affiliation=Affiliation.OUTCAST, jid=parse("shakespeare.lit")),
        ),
        (
            {"nick": "pistol", "affiliation": "outcast"},
            Change(affiliation=Affiliation.OUTCAST, nick="pistol"),
        ),
    ],
)
def test_changes_are_read(item, change):
    """§8.2, §9.1, §9.3, §9.5"""
    assert read_changes(query(item)) == (change,)


def test_changes_keep_their_order():
    """§8.5"""
    changes = read_changes(query(*({"nick": n, "role": "visitor"} for n in "cab")))
    assert [change.nick for change in changes] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, "bad-request"),
        ({"nick": "a"}, "bad-request"),
        ({"role": "none"}, "bad-request"),
        ({"role": "none", "nick": ""}, "bad-request"),
        ({"affiliation": "member", "jid": ""}, "bad-request"),
        ({"nick": "a", "role": "none", "affiliation": "none"}, "bad-request"),
        ({"nick": "a", "role": "None"}, "bad-request"),
        ({"nick": "a", "role": ""}, "bad-request"),
        ({"jid": "a@b", "affiliation": "moderator"}, "bad-request"),
        ({"jid": "a@@b", "affiliation": "member"}, "jid-malformed"),
        ({"nick": "a", "role": "none", "reason": "x" * (LONGEST_REASON + 1)}, "not-acceptable"),
    ],
)
def test_wrong_items_are_refused(item, expected):
    """§17.4"""
    assert refused(read_changes, query({"nick": "b", "role": "visitor"}, item)) == expected


def test_nothing_to_do_is_a_bad_request():
    """§17.4"""
    assert refused(read_changes, query()) == refused(read_list, query()) == "bad-request"


def test_lists_are_read():
    """§8.5, §9.2: each once"""
    wanted = read_list(
        query({"role": "participant"}, {"affiliation": "outcast"}, {"role": "participant"})
    )
    assert wanted == (Role.PARTICIPANT, Affiliation.OUTCAST)


@pytest.mark.parametrize(
    "item",
    [
        {"role": "none"},
        {"affiliation": "none"},
        {"role": "participant", "affiliation": "member"},
        {"role": "king"},
        {},
    ],
)
def test_there_are_lists_of_what_there_is(item):
    """§5.2: none is the absence of an affiliation."""
    assert refused(read_list, query(item)) == "bad-request"


words = st.one_of(st.text(max_size=5), st.sampled_from(["none", "member", "moderator", "a@b"]))
items = st.dictionaries(
    st.sampled_from(["role", "affiliation", "jid", "nick", "reason", "actor"]), words
)


@given(st.lists(items, max_size=4))
def test_no_request_is_a_surprise(given):
    """What is read names somebody and wants one thing; all else has a condition."""
    try:
        changes = read_changes(query(*given))
    except StanzaError:
        return
    for change in changes:
        assert (change.role is None) != (change.affiliation is None)
        assert change.jid or change.nick
