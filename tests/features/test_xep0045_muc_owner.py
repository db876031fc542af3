"""XEP-0045 §10: configuration of a room, and its end."""

import pytest

from imsuite.core.hooks import ROOM_CHANGED, ROOM_DESTROYED
from imsuite.core.service_interfaces import IRooms
from imsuite.rules.affiliations import Affiliation, Role
from imsuite.testing.memory import MemoryServer, now
from imsuite.xmpp.stanza import child, text_of
from tests.covens import COVEN, affiliates, enters, meets, tells, the_room
from tests.room_owners import (
    CANCEL,
    INSTANT,
    JULIET,
    NS_USER,
    NURSE,
    ROMEO,
    asked,
    codes,
    configures,
    filled,
    presence,
    shown,
)


@pytest.fixture
def nurse(server):
    """A third client."""
    return server.login(f"{NURSE}/kitchen")


@pytest.fixture
def room(server, romeo, juliet, nurse):
    """Romeo's room; he is "orchard", Juliet "balcony" and her nurse "kitchen"."""
    return meets(server, romeo, juliet, nurse)


@pytest.fixture
def locked(server, romeo):
    """A room that Romeo has entered first and not configured."""
    enters(romeo)
    romeo.forget()
    return the_room(server)


# §10.1 creating


def test_a_locked_room_waits_for_its_maker(server, locked, romeo, juliet):
    """§10.1.1, §7.2.10: nobody else enters before it is configured."""
    (answer,) = enters(juliet)
    assert "<item-not-found" in answer
    assert asked(romeo, INSTANT) is None
    assert not locked.locked
    assert any("110" in each for each in enters(juliet))


def test_a_reserved_room_is_configured_first(locked, romeo, juliet):
    """§10.1.3"""
    assert shown(romeo)["muc#roomconfig_roomowners"] == [ROMEO]
    assert configures(romeo, roomname="A Dark Cave", membersonly="1") is None
    assert (locked.config.name, locked.locked) == ("A Dark Cave", False)
    (answer,) = enters(juliet)
    assert "<registration-required" in answer


def test_who_cancels_has_no_room(server, locked, romeo):
    """§10.1.3: the service destroys it, and says so to who is in"""
    assert asked(romeo, CANCEL) is None
    assert presence(romeo) == [("orchard", "unavailable", "none", "none", [110])]
    assert the_room(server) is None


def test_who_cancels_later_keeps_the_room(server, room, romeo):
    """§10.2"""
    assert asked(romeo, CANCEL) is None
    assert the_room(server) is room
    assert room.find("orchard")


def test_a_room_is_gone_when_its_maker_leaves_before(server, locked, romeo):
    """§10.1.3"""
    romeo.says(f"<presence to='{COVEN}/orchard' type='unavailable'/>")
    assert the_room(server) is None


def test_a_wrong_first_form_leaves_it_locked(locked, romeo):
    """§10.1.3: not-acceptable, and it can be corrected"""
    assert configures(romeo, passwordprotectedroom="1") == "not-acceptable"
    assert locked.locked
    assert configures(romeo, passwordprotectedroom="1", roomsecret="cauldronburn") is None
    assert not locked.locked


# §10.2 configuring


def test_only_owners_see_and_change_the_configuration(server, room, romeo, juliet):
    """§10.2: forbidden, for admins too"""
    affiliates(room, JULIET, Affiliation.ADMIN)
    assert asked(juliet, type="get") == "forbidden"
    assert configures(juliet, roomname="mine") == "forbidden"
    assert asked(juliet, CANCEL) == "forbidden"
    stranger = server.login("paris@example.org/church")
    assert asked(stranger, type="get") == "forbidden"


def test_an_owner_need_not_be_inside(server, room, romeo):
    """§10.2: the bare JID counts."""
    second = server.login(f"{ROMEO}/study")
    assert configures(second, roomname="Hall") is None
    assert shown(second)["muc#roomconfig_roomname"] == ["Hall"]


def test_the_form_shows_what_was_set(room, romeo):
    """§10.2: with the current options as defaults"""
    assert configures(romeo, roomname="Hall", maxusers="30", whois="anyone") is None
    fields = shown(romeo)
    assert fields["muc#roomconfig_roomname"] == ["Hall"]
    assert fields["muc#roomconfig_maxusers"] == ["30"]
    assert fields["muc#roomconfig_whois"] == ["anyone"]
    assert fields["muc#roomconfig_moderatedroom"] == ["false"]


def test_the_result_comes_before_the_others_hear(room, romeo):
    """§10.2.1"""
    romeo.forget()
    configures(romeo, roomname="Hall")
    assert [stanza.kind for stanza in romeo.stanzas] == ["iq", "message"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"roomname": "Hall"}, [104]),
        ({"enablelogging": "0"}, [171]),
        ({"whois": "anyone"}, [172]),
        ({"whois": "anyone", "enablelogging": "0", "lang": "en"}, [171, 172, 104]),
        ({"whois": "moderators"}, []),
    ],
)
def test_occupants_are_told(room, romeo, juliet, fields, expected):
    """§10.2.1: what concerns privacy by its code, each in a message of its own"""
    assert configures(romeo, **fields) is None
    assert codes(juliet) == expected


def test_back_again(room, romeo, juliet):
    """§10.2.1: 170, 173"""
    configures(romeo, whois="anyone", enablelogging="0")
    juliet.forget()
    configures(romeo, whois="moderators", enablelogging="1")
    assert codes(juliet) == [170, 173]


def test_what_the_room_says_is_not_its_history(server, room, romeo, juliet):
    """§7.2.13: history is what occupants said."""
    configures(romeo, roomname="Hall")
    assert len(room.said) == 0


def test_a_room_for_members_only(room, romeo, juliet, nurse):
    """§10.2: who is no member leaves with 322; the others see it."""
    affiliates(room, JULIET, Affiliation.MEMBER)
    assert configures(romeo, membersonly="1") is None
    gone = ("kitchen", "unavailable", "none", "none")
    assert presence(nurse) == [(*gone, [110, 322])]
    assert presence(juliet) == [(*gone, [322])]
    assert room.find("balcony")
    assert room.find("kitchen") is None


def test_who_became_an_admin_by_the_same_form_stays(room, romeo, juliet, nurse):
    """§10.2: the lists count before the doors close."""
    assert configures(romeo, membersonly="1", roomadmins=JULIET) is None
    assert presence(juliet)[0] == ("balcony", None, "moderator", "admin", [110])
    assert room.find("balcony").role is Role.MODERATOR
    assert room.find("kitchen") is None


def test_the_end_of_moderation_gives_voice(room, romeo, juliet, nurse):
    """§5.1.1: those who waited for voice have it."""
    configures(romeo, moderatedroom="1")
    assert presence(juliet) == []
    room.find("balcony").role = Role.VISITOR
    configures(romeo, moderatedroom="0")
    assert presence(nurse) == [("balcony", None, "participant", "none", [])]


def test_the_lists_of_the_form_are_full_lists(room, romeo, juliet, nurse):
    """§10.2: who is not in them any more is that no more."""
    configures(romeo, roomowners=[ROMEO, JULIET], roomadmins=NURSE)
    told = presence(romeo)
    assert ("balcony", None, "moderator", "owner", []) in told
    assert ("kitchen", None, "moderator", "admin", []) in told
    configures(romeo, roomowners=ROMEO, roomadmins=[])
    assert sorted(presence(romeo)) == [
        ("balcony", None, "moderator", "admin", []),
        ("kitchen", None, "participant", "member", []),
    ]


def test_reserved_nicknames_stay_with_the_lists(room, romeo):
    """§10.2, §7.10"""
    affiliates(room, JULIET, Affiliation.MEMBER, nick="Capulet")
    configures(romeo, roomadmins=JULIET)
    assert room.reserved_for("capulet") == JULIET


@pytest.mark.parametrize(
    ("owners", "expected"),
    [([], "conflict"), ([JULIET, "not@@an@address"], "jid-malformed"), ([NURSE], None)],
)
def test_a_room_keeps_an_owner(room, romeo, owners, expected):
    """§10.2, §10.4: conflict where nobody would be left; it may be another one"""
    assert configures(romeo, roomowners=owners, roomname="x") == expected
    assert (room.config.name == "x") == (expected is None)


def test_history_is_cut_to_what_is_given(room, romeo):
    """§15.5.3 muc#maxhistoryfetch"""
    for text in "abc":
        tells(romeo, text)
    assert len(room.said) == 3
    configures(romeo, maxhistoryfetch="1")
    assert len(room.said) == 1
    configures(romeo, maxhistoryfetch="0")
    assert len(room.said) == 0


def test_whose_presence_is_broadcast_may_change(room, romeo, juliet, nurse):
    """§15.5.3 muc#roomconfig_presencebroadcast: others see them go, and come"""
    assert configures(romeo, presencebroadcast="moderator") is None
    assert sorted(presence(juliet)) == [("kitchen", "unavailable", "none", "none", [])]
    assert sorted(presence(romeo)) == [
        ("balcony", "unavailable", "none", "none", []),
        ("kitchen", "unavailable", "none", "none", []),
    ]
    assert room.find("balcony")
    assert configures(romeo, presencebroadcast=["moderator", "participant"]) is None
    assert presence(juliet) == [("kitchen", None, "participant", "none", [])]


def test_a_room_that_does_not_last_goes_with_its_last_occupant(server, room, romeo, juliet, nurse):
    """§4.2: also when that is configured while nobody is in"""
    configures(romeo, persistentroom="1")
    for client in (romeo, juliet, nurse):
        client.says(f"<presence to='{COVEN}/{client.jid.resource}' type='unavailable'/>")
    assert the_room(server) is room
    configures(romeo, persistentroom="0")
    assert the_room(server) is None


def test_a_configuration_outlives_the_server():
    """§10.2: acknowledged is durable"""
    first = MemoryServer()
    owner = first.login(f"{ROMEO}/orchard")
    enters(owner)
    configures(owner, persistentroom="1", roomname="Hall", roomadmins=JULIET, moderatedroom="1")
    second = first.crash()
    room = the_room(second)
    assert (room.config.name, room.config.moderated, room.locked) == ("Hall", True, False)
    assert room.affiliation(JULIET) is Affiliation.ADMIN
    second.stop()


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("", "bad-request"),
        ("<x xmlns='jabber:x:data' type='form'/>", "bad-request"),
        ("<x xmlns='jabber:x:data' type='result'/>", "bad-request"),
        ("<x xmlns='jabber:x:data' type='king'/>", "bad-request"),
        (filled(moderatedroom="maybe"), "bad-request"),
        (filled(whois="nobody"), "bad-request"),
        (filled(maxusers="many"), "bad-request"),
        (filled(maxhistoryfetch="-1"), "not-acceptable"),
        (filled(roomname="x" * 201), "not-acceptable"),
        (filled(passwordprotectedroom="1"), "not-acceptable"),
        (filled(roomadmins="@"), "jid-malformed"),
        (filled().replace("roomconfig", "register"), "bad-request"),
        ("<destroy/>" + INSTANT, "bad-request"),
        ("<destroy jid='a@@b'/>", "jid-malformed"),
    ],
)
def test_wrong_forms_are_refused(server, room, romeo, inner, expected):
    """§10.1.3, §10.9: and change nothing"""
    before = room.config
    assert asked(romeo, inner) == expected
    assert room.config is before
    assert the_room(server) is room


# §10.9 destroying


def test_a_destroyed_room_sends_everybody_out(server, room, romeo, juliet, nurse):
    """§10.9: one presence each, with the other room, its password and the reason"""
    wish = (
        "<destroy jid='heath@conference.example.net'><reason>Macbeth doth come.</reason>"
        "<password>open sesame</password></destroy>"
    )
    assert asked(romeo, wish) is None
    for client in (romeo, juliet, nurse):
        (farewell,) = (each for each in client.stanzas if each.kind == "presence")
        assert farewell.sender == f"{COVEN}/{client.jid.resource}"
        assert farewell.type == "unavailable"
        x = farewell.child(NS_USER, "x")
        item, destroy = child(x, NS_USER, "item"), child(x, NS_USER, "destroy")
        assert (item["affiliation"], item["role"]) == ("none", "none")
        assert destroy["jid"] == "heath@conference.example.net"
        assert text_of(child(destroy, NS_USER, "reason")) == "Macbeth doth come."
        assert text_of(child(destroy, NS_USER, "password")) == "open sesame"
        assert child(x, NS_USER, "status")["code"] == "110"
    assert the_room(server) is None


def test_a_room_may_be_destroyed_without_a_word(room, romeo, juliet):
    """§10.9: <destroy/> is there all the same"""
    assert asked(romeo, "<destroy/>") is None
    (farewell,) = (each for each in juliet.stanzas if each.kind == "presence")
    assert child(farewell.child(NS_USER, "x"), NS_USER, "destroy").attributes == {}


def test_all_clients_of_an_occupant_are_sent_out(server, room, romeo, juliet):
    """§10.9, §7.2.8"""
    second = server.login(f"{JULIET}/tomb")
    enters(second, nick="balcony")
    second.forget()
    asked(romeo, "<destroy/>")
    assert len(presence(second)) == 1


def test_only_owners_destroy(server, room, juliet):
    """§10.9: forbidden"""
    affiliates(room, JULIET, Affiliation.ADMIN)
    assert asked(juliet, "<destroy/>") == "forbidden"
    assert the_room(server) is room


def test_nothing_is_left_of_a_destroyed_room(server, room, romeo, juliet):
    """§10.9: also where it was to last; a new one of its name is another room"""
    configures(romeo, persistentroom="1", roomadmins=JULIET)
    asked(romeo, "<destroy/>")
    for table, column in (("room", "jid"), ("room_affiliation", "room"), ("room_occupant", "room")):
        sql = f"SELECT * FROM {table} WHERE {column} = ?"  # of this test
        assert now(server.store.query(sql, COVEN)) == []
    enters(juliet)
    assert the_room(server).affiliation(JULIET) is Affiliation.OWNER
    assert the_room(server).affiliation(ROMEO) is Affiliation.NONE


def test_a_destroyed_room_is_not_there(room, romeo, juliet):
    """§10.9"""
    asked(romeo, "<destroy/>")
    assert asked(romeo, "<destroy/>") == "item-not-found"
    assert "<item-not-found" in tells(juliet, "hello?")[0]


def test_a_session_that_ends_after_that_disturbs_nobody(server, room, romeo, juliet):
    """§10.9: the room does not know its clients any more."""
    asked(romeo, "<destroy/>")
    juliet.closes()
    assert server.host.find_feature(IRooms).rooms.of_client(juliet.jid.full) == []


# hooks


def test_features_are_told(host, room, romeo, juliet, monkeypatch):
    """ROOM_CHANGED with the fields, ROOM_DESTROYED"""
    told = []
    for hook in (ROOM_CHANGED, ROOM_DESTROYED):
        switch = host.switch(hook)
        step = type("Step", (), {"stage": None, "handler": staticmethod(told.append)})
        monkeypatch.setattr(switch, "steps", [*switch.steps, step])
    configures(romeo, roomname="Hall", roomadmins=JULIET)
    asked(romeo, "<destroy/>")
    assert [(each.by, each.jid, each.fields) for each in told] == [
        (romeo.jid.full, JULIET, frozenset()),
        (romeo.jid.full, "", {"muc#roomconfig_roomname"}),
        (romeo.jid.full, "", frozenset()),
    ]
    assert all(each.room is room for each in told)
