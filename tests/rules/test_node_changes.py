"""XEP-0060 §4, §8.6, §8.8, §8.9: what owners may change, and what follows."""

import itertools
import random

import pytest

from imsuite.rules import node_changes
from imsuite.rules.node_access import AccessModel, Affiliation, Subscribed
from imsuite.rules.node_changes import Refusal

# §4.1, "Affiliation State Chart", as it is printed: rows are before, columns after
COLUMNS = ("outcast", "none", "member", "publisher", "owner")
CHART = """
outcast    --   yes  yes  yes  yes
none       yes  --   yes  yes  yes
member     yes  yes  --   yes  yes
publisher  yes  yes  n/a  --   yes
owner      n/a  yes  n/a  n/a  --
"""
CELLS = [
    (row.split()[0], column, cell)
    for row in CHART.strip().splitlines()
    for column, cell in zip(COLUMNS, row.split()[1:], strict=True)
]


def refused_affiliation(before, after, owners, himself, supreme):
    """Ask the rule in words."""
    pair = Affiliation(before), Affiliation(after)
    return node_changes.refused_affiliation(*pair, owners, himself, supreme)


def refused_subscription(before, after, affiliation):
    """Ask the rule in words."""
    return node_changes.refused_subscription(
        Subscribed(before), Subscribed(after), Affiliation(affiliation)
    )


def subscription_after(state, affiliation, access, allowed):
    """Ask the rule in words."""
    return node_changes.subscription_after(
        Subscribed(state), Affiliation(affiliation), AccessModel(access), allowed
    )


@pytest.mark.parametrize(("before", "after", "cell"), CELLS)
def test_affiliation_state_chart(before, after, cell):
    """§4.1: every cell, where there are owners enough and he who changes it is the right one."""
    expected = Refusal.NOT_IN_CHART if cell == "n/a" else None
    assert refused_affiliation(before, after, 2, True, False) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("publish-only", "publisher", None),
        ("publisher", "publish-only", None),
        ("none", "publish-only", None),
        ("publish-only", "none", None),
        ("publish-only", "outcast", None),
        ("publish-only", "member", Refusal.NOT_IN_CHART),
        ("owner", "publish-only", Refusal.NOT_IN_CHART),
    ],
)
def test_publish_only_stands_where_publisher_does(before, after, expected):
    """§4.1: the chart does not have it."""
    assert refused_affiliation(before, after, 2, True, False) is expected


@pytest.mark.parametrize(
    ("owners", "himself", "supreme", "expected"),
    [
        (2, True, False, None),
        (2, False, False, Refusal.NOT_OTHERS),
        (2, False, True, None),
        (1, True, False, Refusal.LAST_OWNER),
        (1, False, True, Refusal.LAST_OWNER),
    ],
)
def test_owner_resigns(owners, himself, supreme, expected):
    """§4.1, §8.9.2.4"""
    assert refused_affiliation("owner", "none", owners, himself, supreme) is expected


@pytest.mark.parametrize(
    ("before", "after", "affiliation", "expected"),
    [
        ("none", "subscribed", "none", None),
        ("none", "subscribed", "member", None),
        ("none", "subscribed", "outcast", Refusal.NOT_IN_CHART),
        ("none", "subscribed", "publish-only", Refusal.NOT_IN_CHART),
        ("subscribed", "none", "none", None),
        ("pending", "subscribed", "none", None),
        ("pending", "none", "none", None),
        ("none", "pending", "none", Refusal.NOT_IN_CHART),
        ("subscribed", "unconfigured", "none", Refusal.NOT_IN_CHART),
        ("subscribed", "subscribed", "outcast", None),
    ],
)
def test_subscriptions_an_owner_sets(before, after, affiliation, expected):
    """§8.8.2"""
    assert refused_subscription(before, after, affiliation) is expected


@pytest.mark.parametrize(
    ("affiliation", "after"),
    [
        ("owner", "subscribed"),
        ("publisher", "subscribed"),
        ("member", "subscribed"),
        ("none", "pending"),
        ("outcast", "none"),
        ("publish-only", "none"),
    ],
)
def test_affiliation_settles_a_pending_request(affiliation, after):
    """§8.6: approved for owners and publishers, rejected for outcasts."""
    assert subscription_after("pending", affiliation, "authorize", False) == after


@pytest.mark.parametrize("access", AccessModel)
@pytest.mark.parametrize("state", Subscribed)
def test_stricter_access_ends_what_it_does_not_allow(access, state):
    """§4.5: authorization that there was once is not asked for again."""
    after = subscription_after(state, "none", access, False)
    assert after == (state if access == "authorize" else "none")


@pytest.mark.parametrize("access", AccessModel)
def test_access_settles_a_pending_request(access):
    """§8.6: nobody waits for what needs no approval any more."""
    assert subscription_after("pending", "none", access, True) == "subscribed"


@pytest.mark.parametrize("seed", range(20))
def test_long_lives_of_nodes_obey_the_tables(seed):
    """§4.1, §4.2: whatever owners ask for, in any order, nothing happens that no table has."""
    chance = random.Random(seed)
    people = {f"p{number}": "none" for number in range(6)} | {"p0": "owner"}
    states = dict.fromkeys(people, "none")
    access = "open"
    allowed_cells = {(a, b) for a, b, cell in CELLS if cell != "n/a"}
    for _ in range(500):
        who, by = chance.choice(list(people)), chance.choice(list(people))
        if people[by] != "owner":
            continue
        action = chance.choice(("affiliation", "subscription", "access"))
        if action == "affiliation":
            before, after = people[who], chance.choice(list(Affiliation))
            owners = list(people.values()).count("owner")
            if refused_affiliation(before, after, owners, who == by, False) is None:
                people[who] = after
                assert "publish-only" in (before, after) or (before, after) in allowed_cells
        elif action == "subscription":
            after = chance.choice(list(Subscribed))
            if refused_subscription(states[who], after, people[who]) is None:
                states[who] = after
        else:
            access = chance.choice(list(AccessModel))
            if access == "authorize" and states[who] == "none":
                states[who] = "pending" if people[who] == "none" else "none"
        for each, state in states.items():
            states[each] = subscription_after(state, people[each], access, access == "open")
        assert "owner" in people.values()
        for each, state in states.items():
            if people[each] in ("outcast", "publish-only"):
                assert state == "none"
            if people[each] in ("owner", "publisher", "member"):
                assert state != "pending"
            if state == "pending":
                assert access == "authorize"
            if access in ("whitelist", "presence", "roster") and people[each] == "none":
                assert state == "none"


@pytest.mark.parametrize(
    ("state", "affiliation", "access", "allowed"),
    list(itertools.product(Subscribed, Affiliation, AccessModel, (True, False))),
)
def test_what_was_settled_stays_settled(state, affiliation, access, allowed):
    """Nothing changes when the same is looked at again."""
    once = subscription_after(state, affiliation, access, allowed)
    assert subscription_after(once, affiliation, access, allowed) == once
