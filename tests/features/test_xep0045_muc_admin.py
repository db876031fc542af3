"""XEP-0045 §8, §9.6-§9.8: roles and their lists; requests that are none."""

import pytest

from imsuite.rules.affiliations import Affiliation, Role
from imsuite.testing.memory import now
from tests.covens import COVEN, affiliates, enters, heard, meets, tells
from tests.room_admins import (
    JULIET,
    NURSE,
    ROMEO,
    ask,
    asked,
    condition,
    listed,
    out,
    presence,
)


@pytest.fixture
def nurse(server):
    """A third client."""
    return server.login(f"{NURSE}/kitchen")


@pytest.fixture
def room(server, romeo, juliet, nurse):
    """Romeo's room; he is "orchard", Juliet "balcony" and her nurse "kitchen"."""
    return meets(server, romeo, juliet, nurse, persistent=True)


# §8.2 kicking


def test_a_moderator_kicks(room, romeo, juliet, nurse):
    """§8.2: 307 to all, reason and actor; 110 and 307 to who is kicked"""
    answer = ask(romeo, "<item nick='balcony' role='none'><reason>Avaunt!</reason></item>")
    assert condition(answer) is None
    told = {"reason": "Avaunt!", "actor": "orchard"}
    assert presence(juliet) == [
        out("balcony", codes=[110, 307], jid=juliet.jid.full, **told),
    ]
    assert presence(nurse) == [out("balcony", codes=[307], **told)]
    assert presence(romeo) == [out("balcony", codes=[307], jid=juliet.jid.full, **told)]
    assert room.find("balcony") is None


def test_who_is_kicked_may_come_back(server, room, romeo, juliet):
    """§4.1: a kick is for now, also after a restart"""
    asked(romeo, "<item nick='balcony' role='none'/>")
    assert [each[3] for each in presence(juliet)] == [[110, 307]]
    enters(juliet)
    assert room.find("balcony").role is Role.PARTICIPANT


def test_a_kick_takes_all_clients(server, room, romeo, juliet):
    """§8.2, §7.2.8: an occupant with two clients leaves with both."""
    second = server.login(f"{JULIET}/tomb")
    enters(second, nick="balcony")
    for client in (romeo, juliet, second):
        client.forget()
    asked(romeo, "<item nick='balcony' role='none'/>")
    for client in (juliet, second):
        (only,) = presence(client)
        assert only[3] == [110, 307]
    assert len(presence(romeo)) == 1


def test_the_result_comes_before_the_others_hear(room, romeo):
    """§8.2: "after informing the moderator" """
    romeo.forget()
    ask(romeo, "<item nick='balcony' role='none'/>")
    assert [stanza.kind for stanza in romeo.stanzas] == ["iq", "presence"]


def test_a_kick_by_address(room, romeo, juliet):
    """§8.2: the occupant of a full JID, or all of a bare one"""
    assert asked(romeo, f"<item jid='{juliet.jid.full}' role='none'/>") is None
    assert room.find("balcony") is None
    assert asked(romeo, f"<item jid='{NURSE}' role='none'/>") is None
    assert room.find("kitchen") is None


def test_only_moderators_kick(room, juliet):
    """§8: forbidden"""
    assert asked(juliet, "<item nick='kitchen' role='none'/>") == "forbidden"
    assert asked(juliet, "<item nick='nobody' role='none'/>") == "forbidden"
    assert asked(juliet, "<item nick='balcony' role='none'/>") == "forbidden"


def test_nobody_kicks_who_is_higher(room, romeo, juliet):
    """§8.2: not-allowed"""
    affiliates(room, JULIET, Affiliation.ADMIN)
    room.find("balcony").role = Role.MODERATOR
    assert asked(juliet, "<item nick='orchard' role='none'/>") == "not-allowed"
    assert room.find("orchard")


def test_who_is_not_in_cannot_be_kicked(room, romeo):
    """§8.2"""
    assert asked(romeo, "<item nick='ghost' role='none'/>") == "item-not-found"
    assert asked(romeo, f"<item jid='{JULIET}/other' role='none'/>") == "item-not-found"
    assert asked(romeo, "<item jid='ghost@example.org' role='none'/>") == "item-not-found"


def test_a_moderator_kicks_itself(room, romeo):
    """§8.2: as on IRC"""
    assert asked(romeo, "<item nick='orchard' role='none'/>") is None
    assert [each[3] for each in presence(romeo)] == [[110, 307]]


# §8.3-§8.5 voice, §9.6-§9.8 moderators


def test_voice_is_taken_and_given(room, romeo, juliet, nurse):
    """§8.3, §8.4: presence with the role and the reason"""
    for role in ("visitor", "participant"):
        item = f"<item nick='balcony' role='{role}'><reason>because</reason></item>"
        assert asked(romeo, item) is None
        expected = {"affiliation": "none", "role": role, "reason": "because"}
        assert presence(nurse) == [("balcony", None, expected, [])]
        assert presence(juliet) == [
            ("balcony", None, {**expected, "jid": juliet.jid.full}, [110]),
        ]


def test_a_visitor_is_not_heard(room, romeo, juliet):
    """§8.4: revoked voice is no voice"""
    asked(romeo, "<item nick='balcony' role='visitor'/>")
    romeo.forget()
    (answer,) = tells(juliet, "hello")
    assert "type='error'" in answer
    assert "forbidden" in answer
    assert heard(romeo) == []


def test_several_at_once(room, romeo, juliet, nurse):
    """§8.5: a delta of the voice list"""
    items = "<item nick='balcony' role='visitor'/><item nick='kitchen' role='moderator'/>"
    assert asked(romeo, items) is None
    assert room.find("balcony").role is Role.VISITOR
    assert room.find("kitchen").role is Role.MODERATOR


def test_all_or_none(room, romeo, juliet, nurse):
    """§9.2: none of the changes is applied."""
    affiliates(room, NURSE, Affiliation.ADMIN)
    room.find("kitchen").role = Role.MODERATOR
    items = "<item nick='balcony' role='visitor'/><item nick='kitchen' role='visitor'/>"
    assert asked(romeo, items) == "not-allowed"
    assert room.find("balcony").role is Role.PARTICIPANT
    items = f"<item nick='balcony' role='none'/><item jid='{ROMEO}' affiliation='outcast'/>"
    assert asked(romeo, items) == "conflict"
    assert room.find("balcony")


def test_a_new_moderator_learns_who_is_who(room, romeo, juliet, nurse):
    """§8: occupants' full JIDs, "automatically through presence" """
    asked(romeo, "<item nick='balcony' role='moderator'/>")
    told = presence(juliet)
    assert {(nick, item["jid"]) for nick, _, item, _ in told} == {
        ("balcony", juliet.jid.full),
        ("orchard", romeo.jid.full),
        ("kitchen", nurse.jid.full),
    }
    assert all("jid" not in item for _, _, item, _ in presence(nurse))


def test_moderators_are_made_by_admins_only(room, romeo, juliet, nurse):
    """§9.6: forbidden"""
    asked(romeo, "<item nick='balcony' role='moderator'/>")
    assert asked(juliet, "<item nick='kitchen' role='moderator'/>") == "forbidden"
    assert asked(juliet, "<item nick='kitchen' role='visitor'/>") is None
    assert asked(romeo, "<item nick='balcony' role='participant'/>") is None
    assert asked(juliet, "<item nick='kitchen' role='participant'/>") == "forbidden"


def test_an_admin_need_not_be_inside(server, room, romeo, juliet):
    """§8, §9: the bare JID of the request counts; then there is no actor to name."""
    second = server.login(f"{ROMEO}/study")
    affiliates(room, NURSE, Affiliation.ADMIN)
    assert asked(second, "<item nick='balcony' role='visitor'><reason>r</reason></item>") is None
    romeo.says(f"<presence to='{COVEN}/orchard' type='unavailable'/>")
    juliet.forget()
    assert asked(second, "<item nick='balcony' role='none'/>") is None
    ((_, _, item, codes),) = presence(juliet)
    assert codes == [110, 307]
    assert "actor" not in item


def test_roles_are_kept_as_long_as_the_visit(server, room, romeo, juliet):
    """§5.1: for whose session is resumed after a restart"""

    def kept():
        return now(server.store.query("SELECT role FROM room_occupant WHERE jid = ?", full))

    full = juliet.jid.full
    asked(romeo, "<item nick='balcony' role='visitor'/>")
    assert kept() == [("visitor",)]
    juliet.says(f"<presence to='{COVEN}/capulet'/>")
    assert kept() == [("visitor",)]
    asked(romeo, "<item nick='capulet' role='none'/>")
    assert kept() == [("none",)]


def test_lists_of_roles(room, romeo, juliet, nurse):
    """§8.5, §9.8, §17.4: nick, role, affiliation and full JID"""
    assert listed(romeo, "<item role='participant'/>") == [
        {
            "affiliation": "none",
            "jid": each.jid.full,
            "nick": each.jid.resource,
            "role": "participant",
        }
        for each in (juliet, nurse)
    ]
    (one,) = listed(romeo, "<item role='moderator'/>")
    assert one["affiliation"] == "owner"
    assert listed(romeo, "<item role='visitor'/>") == []


def test_who_sees_lists_of_roles(room, romeo, juliet):
    """§8.5, §9.8"""
    for role in ("visitor", "participant", "moderator"):
        assert asked(juliet, f"<item role='{role}'/>", "get") == "forbidden"
    asked(romeo, "<item nick='balcony' role='moderator'/>")
    for role, expected in (("visitor", None), ("participant", None), ("moderator", "forbidden")):
        assert asked(juliet, f"<item role='{role}'/>", "get") == expected


# roles that others do not see


def test_who_is_not_shown_any_more_goes_out_of_sight(room, romeo, juliet, nurse):
    """§15.5.3 muc#roomconfig_presencebroadcast: others see it go, and come"""
    room.config = room.config.changed({"presence_broadcast": ("moderator", "participant")})
    asked(romeo, "<item nick='balcony' role='visitor'/>")
    assert [(nick, type) for nick, type, _, _ in presence(nurse)] == [("balcony", "unavailable")]
    assert [(type, item["role"], codes) for _, type, item, codes in presence(juliet)] == [
        (None, "visitor", [110]),
    ]
    asked(romeo, "<item nick='balcony' role='participant'/>")
    assert [(nick, type) for nick, type, _, _ in presence(nurse)] == [("balcony", None)]


# bad input


@pytest.mark.parametrize("type", ["get", "set"])
@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ("", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item nick='balcony'/>", "bad-request"),
        ("<item nick='balcony' role='none' affiliation='none'/>", "bad-request"),
        ("<item nick='balcony' role='king'/>", "bad-request"),
        (f"<item jid='{JULIET}' affiliation='king'/>", "bad-request"),
        ("<thing/>", "bad-request"),
    ],
)
def test_what_is_no_list_is_a_bad_request(room, romeo, type, items, expected):
    """§17.4"""
    assert asked(romeo, items, type) == expected


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ("<item role='none'/>", "bad-request"),
        ("<item affiliation='member'/>", "bad-request"),
        ("<item jid='a@@b' affiliation='member'/>", "jid-malformed"),
        (
            f"<item jid='{JULIET}' affiliation='none'/><item jid='{JULIET}/x' affiliation='none'/>",
            "bad-request",
        ),
        ("<item nick='balcony' role='visitor'/><item nick='Balcony' role='none'/>", "bad-request"),
        (
            f"<item jid='{JULIET}' affiliation='member'><reason>{'x' * 1001}</reason></item>",
            "not-acceptable",
        ),
        ("<item nick='balcony' role='visitor'/>" * 1001, "policy-violation"),
    ],
)
def test_what_cannot_be_done_is_refused(room, romeo, items, expected):
    """§17.4; and limits"""
    assert asked(romeo, items) == expected


@pytest.mark.parametrize("item", ["<item role='none'/>", "<item affiliation='none'/>"])
def test_there_are_no_lists_of_none(room, romeo, item):
    """§5.2: a service does not maintain them."""
    assert asked(romeo, item, "get") == "bad-request"
