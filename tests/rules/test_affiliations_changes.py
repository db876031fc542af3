"""XEP-0045 §5.2.2, §9, §10: who may change whose affiliation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules.affiliations import (
    Affiliation,
    Lists,
    affiliation_of,
    changes_by_lists,
    may_change_affiliation,
    may_change_affiliations,
)
from imsuite.xmpp.address import parse

OUTCAST, NO_AFFILIATION, MEMBER, ADMIN, OWNER = Affiliation
ROMEO, JULIET = parse("romeo@example.org/orchard"), parse("juliet@example.org/balcony")

affiliations = st.sampled_from(Affiliation)


def condition(error):
    """Return the condition of an error, None if there is none."""
    return None if error is None else error.condition


@pytest.mark.parametrize(
    ("actor", "old", "new", "expected"),
    [
        # §9.1, §9.2 bans
        (ADMIN, NO_AFFILIATION, OUTCAST, None),
        (ADMIN, MEMBER, OUTCAST, None),
        (ADMIN, ADMIN, OUTCAST, "not-allowed"),
        (ADMIN, OWNER, OUTCAST, "not-allowed"),
        (OWNER, ADMIN, OUTCAST, None),
        (OWNER, OWNER, OUTCAST, None),
        (MEMBER, NO_AFFILIATION, OUTCAST, "forbidden"),
        (NO_AFFILIATION, OWNER, OUTCAST, "forbidden"),
        (ADMIN, OUTCAST, NO_AFFILIATION, None),
        (ADMIN, OUTCAST, MEMBER, None),
        (ADMIN, OUTCAST, ADMIN, "forbidden"),
        # §9.3-§9.5 members
        (ADMIN, NO_AFFILIATION, MEMBER, None),
        (ADMIN, MEMBER, NO_AFFILIATION, None),
        (MEMBER, NO_AFFILIATION, MEMBER, "forbidden"),
        (ADMIN, ADMIN, MEMBER, "forbidden"),
        # §10.3-§10.8 admins and owners
        (ADMIN, MEMBER, ADMIN, "forbidden"),
        (ADMIN, MEMBER, OWNER, "forbidden"),
        (ADMIN, OWNER, ADMIN, "forbidden"),
        (ADMIN, ADMIN, NO_AFFILIATION, "forbidden"),
        (OWNER, NO_AFFILIATION, ADMIN, None),
        (OWNER, OUTCAST, OWNER, None),
        (OWNER, ADMIN, MEMBER, None),
        (OWNER, OWNER, NO_AFFILIATION, None),
    ],
)
def test_who_may_change_affiliations(actor, old, new, expected):
    """§5.2.2, §9, §10"""
    assert condition(may_change_affiliation(actor, old, new)) == expected


@pytest.mark.parametrize("own", [ADMIN, OWNER])
def test_nobody_bans_oneself(own):
    """§9.1"""
    error = may_change_affiliation(own, own, OUTCAST, same_person=True, owners_left=1)
    assert condition(error) == "conflict"


@pytest.mark.parametrize("new", [OUTCAST, NO_AFFILIATION, MEMBER, ADMIN])
def test_the_last_owner_stays(new):
    """§10.4"""
    error = may_change_affiliation(OWNER, OWNER, new, same_person=True, owners_left=0)
    assert condition(error) == "conflict"


def test_an_owner_leaves_where_there_is_another():
    """§10.4"""
    assert may_change_affiliation(OWNER, OWNER, ADMIN, same_person=True, owners_left=1) is None


def test_an_owner_hands_the_room_over_in_one_list():
    """§10.5: the list is one change, in whatever order."""
    known = {ROMEO.bare: OWNER}
    step_down, other = {ROMEO.bare: ADMIN}, {JULIET.bare: OWNER}
    assert may_change_affiliations(ROMEO, known, {**step_down, **other}) is None
    assert may_change_affiliations(ROMEO, known, {**other, **step_down}) is None
    assert condition(may_change_affiliations(ROMEO, known, step_down)) == "conflict"


def test_one_wrong_item_refuses_the_list():
    """§9.2: none of the changes is applied."""
    known = {ROMEO.bare: OWNER, JULIET.bare: ADMIN}
    changes = {"a@example.org": OUTCAST, ROMEO.bare: OUTCAST}
    assert condition(may_change_affiliations(JULIET, known, changes)) == "not-allowed"
    changes = {"a@example.org": OUTCAST, JULIET.bare: OUTCAST}
    assert condition(may_change_affiliations(JULIET, known, changes)) == "conflict"


FIRST = "o@example.org"
people = st.sampled_from([FIRST, *(f"p{n}@example.org" for n in range(5))])
rooms = st.dictionaries(people, affiliations, max_size=5).map(lambda d: {**d, FIRST: OWNER})
steps = st.lists(st.tuples(people, st.dictionaries(people, affiliations, min_size=1)), max_size=20)


@given(rooms, steps)
def test_no_sequence_of_changes_breaks_the_hierarchy(known, sequence):
    """§5.2.2, §9.1, §10.4: what every change that is allowed has in common"""
    for who, changes in sequence:
        actor = parse(who)
        own = affiliation_of(known, actor)
        before = dict(known)
        if may_change_affiliations(actor, known, changes) is not None:
            continue
        known.update(changes)
        assert own >= ADMIN
        assert known[who] is not OUTCAST
        assert OWNER in known.values()
        for jid, new in changes.items():
            old = before.get(jid, NO_AFFILIATION)
            assert own is OWNER or old is new or max(old, new) < ADMIN


KNOWN = {
    "o1@x": OWNER,
    "o2@x": OWNER,
    "a1@x": ADMIN,
    "m1@x": MEMBER,
    "b1@x": OUTCAST,
}


@pytest.mark.parametrize(
    ("lists", "changes"),
    [
        (Lists(), {}),
        (Lists(("o1@x", "o2@x"), ("a1@x",)), {}),
        (Lists(owners=("o1@x",)), {"o2@x": ADMIN}),
        (Lists(owners=("o1@x", "o2@x", "m1@x")), {"m1@x": OWNER}),
        (Lists(admins=()), {"a1@x": MEMBER}),
        (Lists(admins=("a1@x", "n@x")), {"n@x": ADMIN}),
        (Lists(owners=("o1@x",), admins=("a1@x", "o2@x")), {"o2@x": ADMIN}),
        (Lists(owners=("o1@x", "o2@x", "a1@x"), admins=()), {"a1@x": OWNER}),
        (Lists(owners=("o1@x", "o2@x", "n@x"), admins=("a1@x", "n@x")), {"n@x": OWNER}),
        (Lists(admins=("a1@x", "o1@x")), {}),
        (Lists(owners=()), {"o1@x": ADMIN, "o2@x": ADMIN}),
    ],
)
def test_changes_by_full_lists(lists, changes):
    """§10.2: the form has the full lists, not what changed."""
    assert changes_by_lists(KNOWN, lists) == changes


def test_a_form_without_owners_is_refused():
    """§10.2, §10.4"""
    changes = changes_by_lists(KNOWN, Lists(owners=()))
    assert condition(may_change_affiliations(parse("o1@x/r"), KNOWN, changes)) == "conflict"
