"""XEP-0463: versions of affiliations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules.affiliation_versions import (
    MOST,
    NS_MAV,
    REMEMBERED,
    Known,
    Part,
    answer,
    mav,
    mav_steps,
    read_token,
    token,
)
from imsuite.rules.affiliations import Affiliation

OUTCAST, NONE, MEMBER, ADMIN, OWNER = Affiliation
SECRET = "known to the room"


def everything(affiliation):
    """An observer who may know all."""
    return True


@given(st.integers(0, 2**63 - 1))
def test_versions_come_back(version):
    """§4.1: what the server gave out is what it takes."""
    assert read_token(SECRET, token(SECRET, version)) == version


@pytest.mark.parametrize(
    "text", ["", ".", "1", "1.", "1.0123456789abcdef", "-1.x", "é.x", "f" * 17 + ".x", "0x1.é"]
)
def test_versions_of_others_are_unknown(text):
    """§4.2.1, §7: a version that the room did not make is none."""
    assert read_token(SECRET, text) is None


def test_versions_of_another_room_are_unknown():
    """§7"""
    assert read_token("another", token(SECRET, 5)) is None


def test_the_element():
    """§4.2"""
    assert mav(SECRET, None, 2) == f"<mav xmlns='{NS_MAV}' until='{token(SECRET, 2)}'/>".encode()
    assert f" since='{token(SECRET, 1)}' until=".encode() in mav(SECRET, 1, 2)


def test_changes_follow_each_other():
    """§4.2.2: each from the version before it; what is not newer changes no list"""
    steps = mav_steps(SECRET, 5, {"a@x": 6, "b@x": 3, "c@x": 9})
    assert steps == {"a@x": mav(SECRET, 5, 6), "c@x": mav(SECRET, 6, 9)}


KNOWN = {
    "owner@x": Known(OWNER, 1),
    "gone@x": Known(NONE, 2),
    "member@x": Known(MEMBER, 3),
    "bad@x": Known(OUTCAST, 4),
}


def test_who_knows_nothing_gets_all():
    """§4.2.1: a full response; nobody who has no affiliation"""
    (part,) = answer(KNOWN, None, everything)
    assert part == Part(None, 4, (("owner@x", OWNER), ("member@x", MEMBER), ("bad@x", OUTCAST)))


def test_who_knows_a_version_gets_what_changed():
    """§4.2.1: also who ceased to have an affiliation"""
    (part,) = answer(KNOWN, 1, everything)
    assert part == Part(1, 4, (("gone@x", NONE), ("member@x", MEMBER), ("bad@x", OUTCAST)))


def test_who_knows_the_current_version_gets_nothing():
    """§4.2.1"""
    assert list(answer(KNOWN, 4, everything)) == []


@pytest.mark.parametrize("since", [5, 4 - REMEMBERED - 1])
def test_who_knows_too_much_or_too_little_gets_all(since):
    """§4.2.1: a version that the server does not know any more"""
    (part,) = answer(KNOWN, since, everything)
    assert part.since is None


def test_a_room_without_affiliations_says_so():
    """§4.2.1: full responses may be empty."""
    assert list(answer({}, None, everything)) == [Part(None, 0, ())]


def test_what_an_observer_may_not_know_is_nothing():
    """§4.3: as the lists of XEP-0045 are; who was banned has no affiliation for others."""
    (part,) = answer(KNOWN, None, lambda each: each is not OUTCAST)
    assert part.items == (("owner@x", OWNER), ("member@x", MEMBER))
    (part,) = answer(KNOWN, 3, lambda each: each is not OUTCAST)
    assert part.items == (("bad@x", NONE),)


people = st.dictionaries(
    st.sampled_from([f"p{n}@x" for n in range(12)]), st.sampled_from(Affiliation), max_size=4
)


@given(st.lists(people, min_size=1, max_size=12), st.integers(0, 11))
def test_who_follows_knows_what_is_so(history, when):
    """§4: a full list and then what changed is the list as it is."""
    known, version, seen, since = {}, 0, {}, None
    for number, changes in enumerate(history):
        for jid, affiliation in changes.items():
            version += 1
            known[jid] = Known(affiliation, version)
        if number >= when:
            for part in answer(known, since, everything):
                assert part.since == since
                if part.since is None:
                    seen = {}
                seen |= dict(part.items)
                since = part.until
    if since is not None:
        expected = {jid: each.affiliation for jid, each in known.items()}
        assert {j: a for j, a in seen.items() if a is not NONE} == {
            j: a for j, a in expected.items() if a is not NONE
        }


def test_long_lists_come_in_parts():
    """§4.2.1: their versions match; together they are the list."""
    known = {f"p{n}@x": Known(MEMBER, n + 1) for n in range(2 * MOST + 1)}
    parts = list(answer(known, None, everything))
    assert [len(part.items) for part in parts] == [MOST, MOST, 1]
    assert [part.since for part in parts] == [None, parts[0].until, parts[1].until]
    assert parts[-1].until == 2 * MOST + 1
