"""XEP-0045 §5: roles and affiliations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules.affiliations import (
    AFFILIATION_PRIVILEGES,
    ROLE_PRIVILEGES,
    Affiliation,
    Grant,
    Removal,
    Role,
    affiliation,
    affiliation_of,
    initial_role,
    may_change_affiliation,
    may_change_role,
    removal,
    removal_by_configuration,
    role,
    role_after,
    role_after_moderation,
)
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError

VISITOR, PARTICIPANT, MODERATOR = Role.VISITOR, Role.PARTICIPANT, Role.MODERATOR
OUTCAST, MEMBER, ADMIN, OWNER = (
    Affiliation.OUTCAST,
    Affiliation.MEMBER,
    Affiliation.ADMIN,
    Affiliation.OWNER,
)
NO_ROLE, NO_AFFILIATION = Role.NONE, Affiliation.NONE

roles = st.sampled_from(Role)
affiliations = st.sampled_from(Affiliation)


def condition(error):
    """Return the condition of an error, None if there is none."""
    return None if error is None else error.condition


# order and words


def test_roles_and_affiliations_are_ordered_by_power():
    """§5.1, §5.2"""
    assert sorted(Role) == [NO_ROLE, VISITOR, PARTICIPANT, MODERATOR]
    assert sorted(Affiliation) == [OUTCAST, NO_AFFILIATION, MEMBER, ADMIN, OWNER]
    assert max(PARTICIPANT, MODERATOR) is MODERATOR
    assert OWNER >= OWNER
    assert OWNER <= OWNER
    assert not OWNER > OWNER


def test_roles_do_not_compare_with_affiliations():
    """§5: they are two things."""
    assert NO_ROLE != NO_AFFILIATION
    for compare in (
        lambda: NO_ROLE < OWNER,
        lambda: NO_ROLE <= OWNER,
        lambda: MODERATOR > MEMBER,
        lambda: MODERATOR >= MEMBER,
    ):
        with pytest.raises(TypeError):
            compare()


@pytest.mark.parametrize("each", [*Role, *Affiliation])
def test_words_are_read(each):
    """§15: the words of the schemas"""
    assert (role if isinstance(each, Role) else affiliation)(each.value) is each


@pytest.mark.parametrize("word", ["king", "", None, "OWNER"])
def test_other_words_are_bad_requests(word):
    """RFC 6120 §8.3.3.1"""
    for read in (role, affiliation):
        with pytest.raises(StanzaError) as caught:
            read(word)
        assert caught.value.condition == "bad-request"


# §5.1.1, §5.2.1


def test_each_role_has_the_privileges_of_the_next_lowest():
    """§5.1.1: roles exist in a hierarchy."""
    strength = {Grant.NO: 0, Grant.DEFAULT_NO: 1, Grant.DEFAULT_YES: 2, Grant.YES: 3}
    for row in ROLE_PRIVILEGES.values():
        cells = [strength[row[each]] for each in sorted(Role)]
        assert cells == sorted(cells)


def test_each_affiliation_has_the_privileges_of_the_next_lowest():
    """§5.2.1: affiliations exist in a hierarchy; who is affiliated need not register."""
    strength = {Grant.NO: 0, Grant.DEFAULT_NO: 1, Grant.DEFAULT_YES: 2, Grant.YES: 3}
    for name, row in AFFILIATION_PRIVILEGES.items():
        if name != "Register with Open Room":
            cells = [strength[row[each]] for each in sorted(Affiliation)]
            assert cells == sorted(cells)


@pytest.mark.parametrize("actor", Role)
def test_decisions_agree_with_the_table_of_roles(actor):
    """§5.1.1: kick, grant voice, revoke voice, of and to people without affiliation"""
    for name, target, new in (
        ("Kick Participants and Visitors", PARTICIPANT, NO_ROLE),
        ("Kick Participants and Visitors", VISITOR, NO_ROLE),
        ("Grant Voice", VISITOR, PARTICIPANT),
        ("Revoke Voice", PARTICIPANT, VISITOR),
    ):
        wrong = may_change_role(actor, NO_AFFILIATION, target, NO_AFFILIATION, new)
        assert (wrong is None) == (ROLE_PRIVILEGES[name][actor] is Grant.YES)


@pytest.mark.parametrize("actor", Affiliation)
def test_decisions_agree_with_the_table_of_affiliations(actor):
    """§5.2.1: ban, edit the lists, assign and remove moderators"""
    for name, old, new in (
        ("Ban Members and Unaffiliated Users", MEMBER, OUTCAST),
        ("Ban Members and Unaffiliated Users", NO_AFFILIATION, OUTCAST),
        ("Edit Member List", NO_AFFILIATION, MEMBER),
        ("Edit Member List", MEMBER, NO_AFFILIATION),
        ("Edit Admin List", MEMBER, ADMIN),
        ("Edit Admin List", ADMIN, NO_AFFILIATION),
        ("Edit Owner List", ADMIN, OWNER),
        ("Edit Owner List", OWNER, MEMBER),
    ):
        wrong = may_change_affiliation(actor, old, new)
        assert (wrong is None) == (AFFILIATION_PRIVILEGES[name][actor] is Grant.YES)
    for old, new in ((PARTICIPANT, MODERATOR), (MODERATOR, PARTICIPANT)):
        wrong = may_change_role(PARTICIPANT, actor, old, NO_AFFILIATION, new)
        cell = AFFILIATION_PRIVILEGES["Assign and Remove Moderator Role"][actor]
        assert (wrong is None) == (cell is Grant.YES)


# §5.1.2, §5.1.3


@pytest.mark.parametrize(
    ("who", "unmoderated", "moderated"),
    [
        (NO_AFFILIATION, PARTICIPANT, VISITOR),
        (MEMBER, PARTICIPANT, PARTICIPANT),
        (ADMIN, MODERATOR, MODERATOR),
        (OWNER, MODERATOR, MODERATOR),
        (OUTCAST, NO_ROLE, NO_ROLE),
    ],
)
def test_initial_roles(who, unmoderated, moderated):
    """§5.1.2"""
    assert initial_role(who, False) is unmoderated
    assert initial_role(who, True) is moderated


@pytest.mark.parametrize(
    ("old", "new", "before", "moderated", "after"),
    [
        (NO_AFFILIATION, ADMIN, VISITOR, True, MODERATOR),  # §10.6
        (MEMBER, OWNER, PARTICIPANT, False, MODERATOR),  # §10.3
        (NO_AFFILIATION, MEMBER, VISITOR, True, PARTICIPANT),  # §9.3
        (NO_AFFILIATION, MEMBER, MODERATOR, True, MODERATOR),
        (NO_AFFILIATION, MEMBER, VISITOR, False, PARTICIPANT),
        (ADMIN, NO_AFFILIATION, MODERATOR, False, PARTICIPANT),  # §10.7
        (ADMIN, MEMBER, MODERATOR, True, PARTICIPANT),
        (ADMIN, NO_AFFILIATION, MODERATOR, True, VISITOR),
        (OWNER, ADMIN, MODERATOR, False, MODERATOR),  # §10.4
        (MEMBER, NO_AFFILIATION, PARTICIPANT, False, PARTICIPANT),  # §9.4
        (MEMBER, NO_AFFILIATION, PARTICIPANT, True, VISITOR),
        (MEMBER, NO_AFFILIATION, VISITOR, False, VISITOR),
        (MEMBER, NO_AFFILIATION, MODERATOR, True, MODERATOR),
        (OWNER, OUTCAST, MODERATOR, False, NO_ROLE),  # §9.1
        (NO_AFFILIATION, OWNER, NO_ROLE, False, NO_ROLE),  # not in the room
    ],
)
def test_role_after_a_change_of_affiliation(old, new, before, moderated, after):
    """§5.1.3"""
    assert role_after(new, old, before, moderated) is after


@given(affiliations, affiliations, roles, st.booleans())
def test_admins_in_a_room_are_moderators(old, new, before, moderated):
    """§5.1.3: an admin or owner is automatically a moderator; nobody enters by it."""
    after = role_after(new, old, before, moderated)
    if before is NO_ROLE or new is OUTCAST:
        assert after is NO_ROLE
    elif new >= ADMIN:
        assert after is MODERATOR
    else:
        assert after is not NO_ROLE
        assert old >= ADMIN or after is not MODERATOR or before is MODERATOR


@pytest.mark.parametrize(
    ("before", "moderated", "after"),
    [
        (VISITOR, False, PARTICIPANT),
        (VISITOR, True, VISITOR),
        (PARTICIPANT, True, PARTICIPANT),
        (MODERATOR, False, MODERATOR),
        (NO_ROLE, False, NO_ROLE),
    ],
)
def test_role_after_a_change_of_moderation(before, moderated, after):
    """§5.1.1: in an unmoderated room everyone speaks."""
    assert role_after_moderation(before, moderated) is after


# who may change roles


@pytest.mark.parametrize(
    ("actor", "target", "new", "expected"),
    [
        # §8.2 kicking
        ((MODERATOR, NO_AFFILIATION), (PARTICIPANT, NO_AFFILIATION), NO_ROLE, None),
        ((MODERATOR, NO_AFFILIATION), (VISITOR, NO_AFFILIATION), NO_ROLE, None),
        ((MODERATOR, NO_AFFILIATION), (PARTICIPANT, MEMBER), NO_ROLE, "not-allowed"),
        ((MODERATOR, MEMBER), (PARTICIPANT, MEMBER), NO_ROLE, None),
        ((MODERATOR, MEMBER), (MODERATOR, ADMIN), NO_ROLE, "not-allowed"),
        ((MODERATOR, MEMBER), (MODERATOR, NO_AFFILIATION), NO_ROLE, "not-allowed"),
        ((MODERATOR, ADMIN), (MODERATOR, MEMBER), NO_ROLE, None),
        ((MODERATOR, ADMIN), (MODERATOR, ADMIN), NO_ROLE, None),
        ((MODERATOR, ADMIN), (MODERATOR, OWNER), NO_ROLE, "not-allowed"),
        ((MODERATOR, OWNER), (MODERATOR, OWNER), NO_ROLE, None),
        ((PARTICIPANT, NO_AFFILIATION), (VISITOR, NO_AFFILIATION), NO_ROLE, "forbidden"),
        ((PARTICIPANT, MEMBER), (MODERATOR, OWNER), NO_ROLE, "forbidden"),
        ((NO_ROLE, MEMBER), (VISITOR, NO_AFFILIATION), NO_ROLE, "forbidden"),
        ((NO_ROLE, ADMIN), (PARTICIPANT, NO_AFFILIATION), NO_ROLE, None),
        ((MODERATOR, OWNER), (NO_ROLE, NO_AFFILIATION), NO_ROLE, "item-not-found"),
        # §8.3 granting voice
        ((MODERATOR, NO_AFFILIATION), (VISITOR, NO_AFFILIATION), PARTICIPANT, None),
        ((MODERATOR, NO_AFFILIATION), (VISITOR, MEMBER), PARTICIPANT, None),
        ((VISITOR, NO_AFFILIATION), (VISITOR, NO_AFFILIATION), PARTICIPANT, "forbidden"),
        ((MODERATOR, OWNER), (NO_ROLE, NO_AFFILIATION), PARTICIPANT, "item-not-found"),
        # §8.4 revoking voice
        ((MODERATOR, NO_AFFILIATION), (PARTICIPANT, NO_AFFILIATION), VISITOR, None),
        ((MODERATOR, NO_AFFILIATION), (PARTICIPANT, MEMBER), VISITOR, "not-allowed"),
        ((MODERATOR, MEMBER), (PARTICIPANT, MEMBER), VISITOR, "not-allowed"),
        ((MODERATOR, MEMBER), (PARTICIPANT, NO_AFFILIATION), VISITOR, None),
        ((MODERATOR, ADMIN), (PARTICIPANT, MEMBER), VISITOR, None),
        ((MODERATOR, OWNER), (MODERATOR, ADMIN), VISITOR, "not-allowed"),
        ((MODERATOR, OWNER), (MODERATOR, OWNER), VISITOR, "not-allowed"),
        ((MODERATOR, ADMIN), (MODERATOR, MEMBER), VISITOR, None),
        # §9.6 granting moderator status
        ((MODERATOR, ADMIN), (PARTICIPANT, NO_AFFILIATION), MODERATOR, None),
        ((NO_ROLE, OWNER), (VISITOR, NO_AFFILIATION), MODERATOR, None),
        ((MODERATOR, MEMBER), (PARTICIPANT, NO_AFFILIATION), MODERATOR, "forbidden"),
        # §9.7 revoking it
        ((MODERATOR, ADMIN), (MODERATOR, MEMBER), PARTICIPANT, None),
        ((MODERATOR, ADMIN), (MODERATOR, NO_AFFILIATION), PARTICIPANT, None),
        ((MODERATOR, ADMIN), (MODERATOR, ADMIN), PARTICIPANT, "not-allowed"),
        ((MODERATOR, OWNER), (MODERATOR, ADMIN), PARTICIPANT, "not-allowed"),
        ((MODERATOR, MEMBER), (MODERATOR, NO_AFFILIATION), PARTICIPANT, "forbidden"),
    ],
)
def test_who_may_change_roles(actor, target, new, expected):
    """§8.2-§8.5, §9.6-§9.8"""
    assert condition(may_change_role(*actor, *target, new)) == expected


@pytest.mark.parametrize("own", [(MODERATOR, MEMBER), (MODERATOR, OWNER)])
def test_moderators_may_kick_themselves(own):
    """§8.2"""
    assert may_change_role(*own, *own, NO_ROLE, same_person=True) is None


@pytest.mark.parametrize("own", [(PARTICIPANT, MEMBER), (VISITOR, NO_AFFILIATION)])
def test_others_may_not_kick_even_themselves(own):
    """§8: only moderators send such requests."""
    error = may_change_role(*own, *own, NO_ROLE, same_person=True)
    assert condition(error) == "forbidden"


@given(roles, affiliations, roles, affiliations, roles, st.booleans())
def test_no_role_is_taken_by_who_is_below(actor_role, actor, target_role, target, new, same):
    """§5.1.3, §8.2, §8.4, §9.7"""
    if may_change_role(actor_role, actor, target_role, target, new, same) is not None:
        return
    assert actor_role is MODERATOR or actor >= ADMIN
    assert target_role is not NO_ROLE
    assert new is not MODERATOR or actor >= ADMIN
    if new < target_role and not same:
        assert target <= actor
        assert target_role is not MODERATOR or actor >= ADMIN
    if NO_ROLE < new < target_role:
        assert target < ADMIN


# what an address is to a room

ROMEO, JULIET = parse("romeo@example.org/orchard"), parse("juliet@example.org/balcony")


def test_a_banned_domain_bans_its_users():
    """§9.2: first the bare JID, then the domain"""
    known = {"example.org": OUTCAST, ROMEO.bare: MEMBER}
    assert affiliation_of(known, ROMEO) is MEMBER
    assert affiliation_of(known, JULIET) is OUTCAST
    assert affiliation_of(known, parse("example.org")) is OUTCAST
    assert affiliation_of(known, parse("romeo@example.net")) is NO_AFFILIATION


@pytest.mark.parametrize("what", [MEMBER, ADMIN, OWNER])
def test_nothing_else_of_a_domain_is_its_users(what):
    """§5.2: affiliations belong to bare JIDs."""
    known = {"example.org": what}
    assert affiliation_of(known, JULIET) is NO_AFFILIATION
    assert affiliation_of(known, parse("example.org")) is what


# leaving


@pytest.mark.parametrize(
    ("why", "codes"),
    [
        (Removal.LEFT, ()),
        (Removal.BANNED, (301,)),
        (Removal.KICKED, (307,)),
        (Removal.MEMBERSHIP_LOST, (321,)),
        (Removal.MEMBERS_ONLY, (322,)),
        (Removal.SHUTDOWN, (332,)),
        (Removal.TECHNICAL, (333,)),
        (Removal.NEVER_IN, (307, 333)),
    ],
)
def test_codes_of_a_removal(why, codes):
    """§7.14, §15.6.2: who leaves gets 110 as well."""
    assert why.codes(own=False) == codes
    assert why.codes(own=True) == (110, *codes)


@pytest.mark.parametrize(
    ("new", "members_only", "expected"),
    [
        (OUTCAST, False, Removal.BANNED),
        (OUTCAST, True, Removal.BANNED),
        (NO_AFFILIATION, True, Removal.MEMBERSHIP_LOST),
        (NO_AFFILIATION, False, None),
        (MEMBER, True, None),
        (ADMIN, True, None),
    ],
)
def test_removal_by_a_change_of_affiliation(new, members_only, expected):
    """§9.1, §9.4"""
    assert removal(new, members_only) is expected


@pytest.mark.parametrize(
    ("who", "was", "now", "expected"),
    [
        (NO_AFFILIATION, False, True, Removal.MEMBERS_ONLY),
        (MEMBER, False, True, None),
        (OWNER, False, True, None),
        (NO_AFFILIATION, True, True, None),
        (NO_AFFILIATION, True, False, None),
    ],
)
def test_removal_by_configuration(who, was, now, expected):
    """§10.2"""
    assert removal_by_configuration(who, was, now) is expected
