"""XEP-0045 §7, §8, §10: what goes on in a room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules.affiliations import Affiliation, Role
from imsuite.rules.room import (
    HistoryWanted,
    check_nick,
    compared,
    config_codes,
    entering_codes,
    history_bounds,
    may_change_subject,
    may_enter,
    may_invite,
    may_retrieve,
    may_send_privately,
    may_speak,
    read_history,
    sees_jids,
    select_history,
    shows_presence,
)
from imsuite.rules.room_config import Config, Settings
from imsuite.rules.room_settings import SETTINGS
from imsuite.xmpp.address import InvalidAddress
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.times import SECOND

USUAL = Config.of(Settings(SETTINGS))
NOW = 1_800_000_000 * SECOND
NO_ROLE, VISITOR, PARTICIPANT, MODERATOR = Role
OUTCAST, NO_AFFILIATION, MEMBER, ADMIN, OWNER = Affiliation


def config(**values):
    """Return a configuration with values by name."""
    return USUAL.changed(values)


def condition(error):
    """Return the condition of an error, None if there is none."""
    return None if error is None else error.condition


# nicknames


@pytest.mark.parametrize("nick", ["thirdwitch", "The ♚", "🐱", "Ünïcode", "a b", "O'Brien <x>"])
def test_nicknames_may_be_what_resources_may(nick):
    """§17.1; RFC 7622 §3.4"""
    assert check_nick(nick) == nick


@pytest.mark.parametrize(
    "nick", ["", " ", "   ", "\u2800", "\u00a0", "\u200b", "\u3164", "a\tb", " a"]
)
def test_empty_and_invisible_nicknames_are_refused(nick):
    """§17.1"""
    with pytest.raises(InvalidAddress) as caught:
        check_nick(nick)
    assert caught.value.condition == "jid-malformed"


def test_a_service_may_have_shorter_nicknames():
    """§17.1: it is up to the implementation."""
    assert check_nick("abc", longest=3) == "abc"
    with pytest.raises(StanzaError) as caught:
        check_nick("abcd", longest=3)
    assert caught.value.condition == "not-acceptable"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Romeo", "rOMEO"),
        ("the  king", "The King"),
        ("ＲＯＭＥＯ", "romeo"),
        ("ﬁnn", "FINN"),
        ("ÅSA", "a\u030asa"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("Ⅳ", "iv"),
    ],
)
def test_nicknames_that_look_alike_are_one(one, other):
    """RFC 8266 §2.1"""
    assert compared(one) == compared(other)


@pytest.mark.parametrize(("one", "other"), [("romeo", "romeo1"), ("The ♚", "The ♛"), ("ß", "s")])
def test_other_nicknames_are_two(one, other):
    """RFC 8266 §2.1"""
    assert compared(one) != compared(other)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_the_short_way_for_ascii_leads_to_the_same(nick):
    """RFC 8266 §2.1: by the profile"""
    if not nick.strip():
        return
    # a letter that changes nothing keeps the profile from the short way
    assert compared(nick + "ф") == compared(nick) + (" ф" if nick[-1] == " " else "ф")


@given(st.text(min_size=1, max_size=20))
def test_what_is_compared_is_stable(nick):
    """RFC 8266 §2.4: to compare twice is to compare once."""
    try:
        key = compared(nick)
    except InvalidAddress:
        return
    assert compared(key) == key


# entering


@pytest.mark.parametrize(
    ("values", "who", "password", "occupants", "expected"),
    [
        ({}, NO_AFFILIATION, None, 0, None),
        ({}, OUTCAST, None, 0, ("forbidden", "auth")),
        ({"members_only": True}, OUTCAST, None, 0, ("forbidden", "auth")),
        ({"members_only": True}, NO_AFFILIATION, None, 0, ("registration-required", "auth")),
        ({"members_only": True}, MEMBER, None, 0, None),
        ({"members_only": True}, ADMIN, None, 0, None),
        ({"password_protected": True, "secret": "s"}, MEMBER, None, 0, ("not-authorized", "auth")),
        ({"password_protected": True, "secret": "s"}, MEMBER, "x", 0, ("not-authorized", "auth")),
        ({"password_protected": True, "secret": "ü"}, ADMIN, "u", 0, ("not-authorized", "auth")),
        ({"password_protected": True, "secret": "ü"}, MEMBER, "ü", 0, None),
        ({"password_protected": True, "secret": "s"}, OWNER, None, 0, None),
        ({"secret": "s"}, NO_AFFILIATION, None, 0, None),
        ({"max_users": 10}, MEMBER, None, 9, None),
        ({"max_users": 10}, MEMBER, None, 10, ("service-unavailable", "wait")),
        ({"max_users": 10}, ADMIN, None, 10, None),
        ({"max_users": 10}, OWNER, None, 14, None),
        ({"max_users": 10}, OWNER, None, 15, ("service-unavailable", "wait")),
        ({}, NO_AFFILIATION, None, 99_999, None),
    ],
)
def test_who_may_enter(values, who, password, occupants, expected):
    """§7.2.5-§7.2.9: conditions and types of the examples"""
    error = may_enter(config(**values), who, password, occupants, spare=5)
    assert (error and (error.condition, error.type)) == expected


@pytest.mark.parametrize(
    ("values", "situation", "codes"),
    [
        ({"logged": False}, {}, (110,)),
        ({"logged": True}, {}, (110, 170)),
        ({"whois": "anyone", "logged": False}, {}, (100, 110)),
        ({"logged": False}, {"made": True}, (110, 201)),
        ({"logged": False}, {"renamed": True}, (110, 210)),
        (
            {"whois": "anyone", "logged": True},
            {"made": True, "renamed": True},
            (100, 110, 170, 201, 210),
        ),
    ],
)
def test_codes_when_entering(values, situation, codes):
    """§7.2.2, §7.2.3, §7.2.12, §10.1.1"""
    assert entering_codes(config(**values), **situation) == codes


# inside


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (NO_ROLE, "not-acceptable"),
        (VISITOR, "forbidden"),
        (PARTICIPANT, None),
        (MODERATOR, None),
    ],
)
def test_who_may_speak(role, expected):
    """§7.4, §5.1.1"""
    assert condition(may_speak(role)) == expected


@pytest.mark.parametrize(
    ("allowed", "role", "expected"),
    [
        (False, MODERATOR, None),
        (False, PARTICIPANT, "forbidden"),
        (False, VISITOR, "forbidden"),
        (False, NO_ROLE, "not-acceptable"),
        (True, PARTICIPANT, None),
        (True, VISITOR, "forbidden"),
        (True, NO_ROLE, "not-acceptable"),
    ],
)
def test_who_may_change_the_subject(allowed, role, expected):
    """§8.1"""
    assert condition(may_change_subject(config(change_subject=allowed), role)) == expected


@pytest.mark.parametrize(
    ("who", "role", "to", "expected"),
    [
        ("anyone", VISITOR, VISITOR, None),
        ("anyone", NO_ROLE, VISITOR, "not-acceptable"),
        ("participants", VISITOR, PARTICIPANT, "forbidden"),
        ("participants", VISITOR, MODERATOR, None),
        ("participants", PARTICIPANT, VISITOR, None),
        ("moderators", PARTICIPANT, PARTICIPANT, "forbidden"),
        ("moderators", PARTICIPANT, MODERATOR, None),
        ("moderators", MODERATOR, VISITOR, None),
        ("none", MODERATOR, MODERATOR, "forbidden"),
        ("none", NO_ROLE, MODERATOR, "not-acceptable"),
    ],
)
def test_who_may_send_privately(who, role, to, expected):
    """§7.5, §15.5.3: muc#roomconfig_allowpm"""
    assert condition(may_send_privately(config(allow_pm=who), role, to)) == expected


@pytest.mark.parametrize(
    ("values", "role", "who", "expected"),
    [
        ({}, PARTICIPANT, NO_AFFILIATION, None),
        ({}, VISITOR, NO_AFFILIATION, None),
        ({}, NO_ROLE, MEMBER, "not-acceptable"),
        ({}, NO_ROLE, OWNER, None),
        ({"members_only": True}, PARTICIPANT, MEMBER, "forbidden"),
        ({"members_only": True}, MODERATOR, MEMBER, "forbidden"),
        ({"members_only": True}, MODERATOR, ADMIN, None),
        ({"members_only": True, "allow_invites": True}, PARTICIPANT, MEMBER, None),
        ({"members_only": True, "allow_invites": True}, NO_ROLE, NO_AFFILIATION, "forbidden"),
    ],
)
def test_who_may_invite(values, role, who, expected):
    """§7.8.2, §9.5"""
    assert condition(may_invite(config(**values), role, who)) == expected


@pytest.mark.parametrize(
    ("whois", "wanted", "role", "who", "expected"),
    [
        ("moderators", MEMBER, MODERATOR, ADMIN, None),
        ("moderators", OUTCAST, MODERATOR, ADMIN, None),
        ("moderators", ADMIN, MODERATOR, ADMIN, "forbidden"),
        ("moderators", OWNER, NO_ROLE, OWNER, None),
        ("moderators", MEMBER, PARTICIPANT, MEMBER, "forbidden"),
        ("moderators", MEMBER, MODERATOR, NO_AFFILIATION, "forbidden"),
        ("anyone", ADMIN, MODERATOR, ADMIN, None),
        ("anyone", MEMBER, PARTICIPANT, MEMBER, None),
        ("anyone", OWNER, VISITOR, NO_AFFILIATION, None),
        ("anyone", MEMBER, NO_ROLE, MEMBER, None),
        ("anyone", MEMBER, NO_ROLE, NO_AFFILIATION, "forbidden"),
        ("anyone", OUTCAST, PARTICIPANT, MEMBER, "forbidden"),
        ("anyone", OUTCAST, NO_ROLE, OUTCAST, "forbidden"),
    ],
)
def test_who_may_retrieve_lists(whois, wanted, role, who, expected):
    """§5.2.1, §9.2, §9.5, §10.5, §10.8"""
    assert condition(may_retrieve(config(whois=whois), wanted, role, who)) == expected


def test_roles_may_be_kept_from_the_member_list():
    """§15.5.3: muc#roomconfig_getmemberlist"""
    some = config(whois="anyone", get_member_list=("moderator",))
    assert may_retrieve(some, MEMBER, MODERATOR, NO_AFFILIATION) is None
    assert condition(may_retrieve(some, MEMBER, PARTICIPANT, MEMBER)) == "forbidden"
    assert may_retrieve(some, MEMBER, NO_ROLE, ADMIN) is None


@pytest.mark.parametrize(
    ("whois", "role", "expected"),
    [
        ("anyone", VISITOR, True),
        ("moderators", PARTICIPANT, False),
        ("moderators", MODERATOR, True),
    ],
)
def test_who_sees_real_jids(whois, role, expected):
    """§7.2.3, §7.2.4"""
    assert sees_jids(config(whois=whois), role) is expected


def test_whose_presence_is_shown():
    """§15.5.3: muc#roomconfig_presencebroadcast"""
    some = config(presence_broadcast=("moderator",))
    assert shows_presence(some, MODERATOR)
    assert not shows_presence(some, PARTICIPANT)
    assert all(shows_presence(USUAL, role) for role in Role if role is not NO_ROLE)


# configuration


@pytest.mark.parametrize(
    ("before", "after", "codes"),
    [
        ({}, {}, ()),
        ({"logged": False}, {"logged": True}, (170,)),
        ({"logged": True}, {"logged": False}, (171,)),
        ({}, {"whois": "anyone"}, (172,)),
        ({"whois": "anyone"}, {}, (173,)),
        ({}, {"name": "Hall"}, (104,)),
        ({"logged": True}, {"logged": False, "whois": "anyone", "lang": "en"}, (171, 172, 104)),
    ],
)
def test_codes_when_the_configuration_changes(before, after, codes):
    """§10.2.1"""
    assert config_codes(config(**before), config(**{**before, **after} if after else {})) == codes


# history


def test_history_is_read():
    """§7.2.14"""
    given = {"maxchars": "65000", "maxstanzas": "20", "seconds": "180"}
    assert read_history({**given, "since": "1970-01-01T00:00:01Z"}) == HistoryWanted(
        65000, 20, 180, SECOND
    )
    assert read_history({}) == HistoryWanted()
    assert read_history({"maxstanzas": "-1"}) == HistoryWanted(stanzas=0)
    assert read_history({"seconds": "99999999999999"}).seconds == 2**31 - 1


@pytest.mark.parametrize(
    "given",
    [
        {"maxchars": "many"},
        {"maxstanzas": ""},
        {"maxstanzas": "1.5"},
        {"seconds": "١"},
        {"since": "yesterday"},
        {"seconds": "9" * 30},
    ],
)
def test_history_that_is_no_number_is_a_bad_request(given):
    """§7.2.14: int, dateTime"""
    with pytest.raises(StanzaError) as caught:
        read_history(given)
    assert caught.value.condition == "bad-request"


# ten messages of 100 characters, one each minute, the last one a minute ago
KEPT = [(NOW - (10 - n) * 60 * SECOND, 100) for n in range(10)]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (HistoryWanted(), 10),
        (HistoryWanted(stanzas=3), 3),
        (HistoryWanted(stanzas=0), 0),
        (HistoryWanted(stanzas=30), 10),
        (HistoryWanted(chars=0), 0),
        (HistoryWanted(chars=99), 0),
        (HistoryWanted(chars=100), 1),
        (HistoryWanted(chars=299), 2),
        (HistoryWanted(seconds=180), 3),
        (HistoryWanted(seconds=0), 0),
        (HistoryWanted(seconds=59), 0),
        (HistoryWanted(since=NOW - 120 * SECOND), 2),
        (HistoryWanted(since=0), 10),
        (HistoryWanted(since=NOW), 0),
        (HistoryWanted(chars=500, stanzas=4, seconds=180), 3),
        (HistoryWanted(chars=200, stanzas=4, seconds=180), 2),
        (HistoryWanted(stanzas=1, since=0), 1),
    ],
)
def test_the_latest_that_meets_all_bounds(wanted, count):
    """§7.2.14: the smallest amount of traffic that meets any combination of the criteria"""
    assert KEPT[select_history(KEPT, wanted, NOW)] == KEPT[10 - count :]


def test_nothing_is_selected_of_nothing():
    """§7.2.14"""
    assert [][select_history([], HistoryWanted(), NOW)] == []


bound = st.one_of(st.none(), st.integers(0, 2000))


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 300)), max_size=20),
    bound,
    bound,
    bound,
    bound,
)
def test_a_selection_is_the_longest_end_within_the_bounds(kept, chars, stanzas, seconds, since):
    """§7.2.14: the largest number of complete stanzas"""
    kept = sorted((moment * SECOND, length) for moment, length in kept)
    now = 2000 * SECOND
    wanted = HistoryWanted(chars, stanzas, seconds, None if since is None else since * SECOND)
    count, earliest = history_bounds(wanted, now)

    def within(end):
        return (
            len(end) <= count
            and all(moment >= earliest for moment, _ in end)
            and (chars is None or sum(length for _, length in end) <= chars)
        )

    part = select_history(kept, wanted, now)
    assert part.stop == len(kept)
    assert within(kept[part])
    assert part.start == 0 or not within(kept[part.start - 1 :])
