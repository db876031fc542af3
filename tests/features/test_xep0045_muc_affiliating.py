"""XEP-0045 §9, §10.3-§10.8: affiliations and their lists."""

import pytest

from imsuite.core.hooks import ROOM_CHANGED, ROOM_LEFT
from imsuite.rules.affiliations import Affiliation, Role
from imsuite.store.dialect import StoreFull
from imsuite.testing.memory import MemoryServer, now
from imsuite.xmpp.stanza import child, children, text_of
from tests.covens import COVEN, affiliates, enters, meets, the_room
from tests.paced import Pace
from tests.room_admins import (
    JULIET,
    NS_USER,
    NURSE,
    ROMEO,
    asked,
    listed,
    messages,
    out,
    presence,
    send,
)

NS_OWNER = "http://jabber.org/protocol/muc#owner"
MEMBER, ADMIN, OWNER, OUTCAST = (
    Affiliation.MEMBER,
    Affiliation.ADMIN,
    Affiliation.OWNER,
    Affiliation.OUTCAST,
)


@pytest.fixture
def nurse(server):
    """A third client."""
    return server.login(f"{NURSE}/kitchen")


@pytest.fixture
def room(server, romeo, juliet, nurse):
    """Romeo's room; he is "orchard", Juliet "balcony" and her nurse "kitchen"."""
    return meets(server, romeo, juliet, nurse, persistent=True)


@pytest.fixture
def pace(server):
    """The calls to the store."""
    return Pace(server.store)


# §9.1, §9.2 bans


def test_a_ban(server, room, romeo, juliet, nurse):
    """§9.1: 301 with reason and actor, by the bare JID; nobody comes back."""
    item = f"<item jid='{JULIET}' affiliation='outcast'><reason>Treason</reason></item>"
    assert asked(romeo, item) is None
    told = {"reason": "Treason", "actor": "orchard"}
    assert presence(juliet) == [
        out("balcony", "outcast", [110, 301], jid=juliet.jid.full, **told),
    ]
    assert presence(nurse) == [out("balcony", "outcast", [301], **told)]
    (answer,) = enters(juliet)
    assert "<forbidden" in answer
    assert listed(romeo, "<item affiliation='outcast'/>") == [
        {"affiliation": "outcast", "jid": JULIET, "reason": "Treason"},
    ]


def test_what_is_acknowledged_outlives_the_server():
    """§5.2: affiliations last, also when the server is killed"""
    first = MemoryServer()
    owner = first.login(f"{ROMEO}/orchard")
    enters(owner)
    owner.says(
        f"<iq type='set' id='c' to='{COVEN}'><query xmlns='{NS_OWNER}'><x xmlns='jabber:x:data'"
        " type='submit'><field var='muc#roomconfig_persistentroom'><value>1</value></field></x>"
        "</query></iq>"
    )
    asked(owner, f"<item jid='{JULIET}' affiliation='outcast'><reason>Treason</reason></item>")
    asked(owner, f"<item jid='{NURSE}' affiliation='member' nick='Angelica'/>")
    second = first.crash()
    room = the_room(second)
    assert room.entries[JULIET].affiliation is OUTCAST
    assert room.entries[JULIET].reason == "Treason"
    assert room.reserved_for("angelica") == NURSE
    assert room.entries[NURSE].version > room.entries[JULIET].version
    second.stop()


def test_a_ban_by_nickname(room, romeo, juliet):
    """§9.1: becomes one of the bare JID"""
    assert asked(romeo, "<item nick='balcony' affiliation='outcast'/>") is None
    assert room.affiliation(JULIET) is OUTCAST
    assert asked(romeo, "<item nick='ghost' affiliation='outcast'/>") == "item-not-found"
    assert asked(juliet, "<item nick='kitchen' affiliation='outcast'/>") == "forbidden"


def test_a_ban_by_full_jid(room, romeo, juliet):
    """§10.3: the bare JID of it"""
    assert asked(romeo, f"<item jid='{JULIET}/elsewhere' affiliation='outcast'/>") is None
    assert room.affiliation(JULIET) is OUTCAST
    assert room.find("balcony") is None


def test_a_ban_of_a_domain(server, room, romeo, juliet, nurse):
    """§9.2: all its users, but those who have an affiliation"""
    affiliates(room, NURSE, MEMBER)
    item = "<item jid='example.org' affiliation='outcast'><reason>all of you</reason></item>"
    assert asked(romeo, item) is None
    ((_, _, told, codes),) = presence(juliet)
    assert (told["reason"], codes) == ("all of you", [110, 301])
    assert room.find("kitchen")
    assert room.find("orchard")
    assert asked(romeo, "<item jid='example.org' affiliation='none'/>") is None
    enters(juliet)
    assert room.find("balcony")


@pytest.mark.parametrize(
    ("who", "expected"), [(NURSE, "not-allowed"), (ROMEO, "not-allowed"), (JULIET, "conflict")]
)
def test_bans_that_are_refused(room, juliet, who, expected):
    """§9.1: of admins and owners by an admin; of oneself"""
    affiliates(room, JULIET, ADMIN)
    affiliates(room, NURSE, ADMIN)
    assert asked(juliet, f"<item jid='{who}' affiliation='outcast'/>") == expected


def test_a_ban_takes_the_reserved_nickname(room, romeo):
    """§9.1"""
    affiliates(room, JULIET, MEMBER, nick="Capulet")
    asked(romeo, f"<item jid='{JULIET}' affiliation='outcast' nick='Capulet'/>")
    assert room.reserved_for("capulet") is None


# §9.3-§9.5 members, §10.3-§10.8 admins and owners


def test_membership(room, romeo, juliet, nurse):
    """§9.3, §9.4: presence with the affiliation; it can be revoked again."""
    for affiliation in ("member", "none"):
        item = f"<item jid='{JULIET}' affiliation='{affiliation}'><reason>so</reason></item>"
        assert asked(romeo, item) is None
        expected = {"affiliation": affiliation, "role": "participant", "reason": "so"}
        assert presence(nurse) == [("balcony", None, expected, [])]
    assert JULIET not in room.entries


def test_a_lost_membership_of_a_members_only_room(server, romeo, juliet, nurse):
    """§9.4: 321, and only that"""
    room = meets(server, romeo, juliet, nurse, persistent=True)
    affiliates(room, JULIET, MEMBER)
    affiliates(room, NURSE, MEMBER)
    room.config = room.config.changed({"members_only": True})
    assert asked(romeo, f"<item jid='{JULIET}' affiliation='none'/>") is None
    assert presence(juliet) == [
        out("balcony", codes=[110, 321], jid=juliet.jid.full, actor="orchard"),
    ]
    assert presence(nurse) == [out("balcony", codes=[321], actor="orchard")]


@pytest.mark.parametrize("affiliation", ["admin", "owner"])
def test_admins_and_owners_are_moderators(room, romeo, juliet, nurse, affiliation):
    """§10.3, §10.6, §10.4, §10.7: with the affiliation they get the role, and lose it."""
    assert asked(romeo, f"<item jid='{JULIET}' affiliation='{affiliation}'/>") is None
    expected = {"affiliation": affiliation, "role": "moderator"}
    assert presence(nurse) == [("balcony", None, expected, [])]
    assert asked(romeo, f"<item jid='{JULIET}' affiliation='none'/>") is None
    expected = {"affiliation": "none", "role": "participant"}
    assert presence(nurse) == [("balcony", None, expected, [])]


def test_the_last_owner_stays(room, romeo):
    """§10.4: conflict"""
    assert asked(romeo, f"<item jid='{ROMEO}' affiliation='admin'/>") == "conflict"
    items = f"<item jid='{ROMEO}' affiliation='admin'/><item jid='{JULIET}' affiliation='owner'/>"
    assert asked(romeo, items) is None
    assert room.affiliation(ROMEO) is ADMIN
    assert room.affiliation(JULIET) is OWNER


@pytest.mark.parametrize("affiliation", ["admin", "owner"])
def test_only_owners_make_owners_and_admins(room, juliet, affiliation):
    """§10.3, §10.5, §10.6, §10.8: forbidden"""
    affiliates(room, JULIET, ADMIN)
    assert asked(juliet, f"<item jid='{NURSE}' affiliation='{affiliation}'/>") == "forbidden"
    assert asked(juliet, f"<item jid='{ROMEO}' affiliation='member'/>") == "forbidden"


def test_lists_of_affiliations(room, romeo, juliet):
    """§9.5, §17.4: affiliation, bare JID and nick; no role"""
    affiliates(room, JULIET, MEMBER)
    affiliates(room, "paris@example.net", MEMBER, nick="County")
    affiliates(room, NURSE, OUTCAST, nick="")
    assert listed(romeo, "<item affiliation='member'/>") == [
        {"affiliation": "member", "jid": JULIET, "nick": "balcony"},
        {"affiliation": "member", "jid": "paris@example.net", "nick": "County"},
    ]
    both = "<item affiliation='owner'/><item affiliation='outcast'/>"
    assert [each["jid"] for each in listed(romeo, both)] == [NURSE, ROMEO]
    assert listed(romeo, "<item affiliation='admin'/>") == []


@pytest.mark.parametrize(("whois", "expected"), [("moderators", "forbidden"), ("anyone", None)])
def test_who_sees_lists_of_affiliations(room, romeo, juliet, whois, expected):
    """§9.5, §5.2.1: members where JIDs are no secret"""
    room.config = room.config.changed({"whois": whois})
    affiliates(room, JULIET, MEMBER)
    assert asked(juliet, "<item affiliation='member'/>", "get") == expected
    assert asked(juliet, "<item affiliation='outcast'/>", "get") == "forbidden"


def test_reasons_are_for_admins(room, romeo, juliet):
    """§9.5: what admins noted is not for members."""
    room.config = room.config.changed({"whois": "anyone"})
    asked(romeo, f"<item jid='{JULIET}' affiliation='member'><reason>poor</reason></item>")
    assert listed(romeo, "<item affiliation='member'/>")[0]["reason"] == "poor"
    assert "reason" not in listed(juliet, "<item affiliation='member'/>")[0]


def test_reserved_nicknames(room, romeo, juliet, nurse):
    """§9.3, §9.5: given with membership, taken with an empty one; conflict for another's"""
    assert asked(romeo, f"<item jid='{JULIET}' affiliation='member' nick='Capulet'/>") is None
    assert room.reserved_for("capulet") == JULIET
    item = f"<item jid='{NURSE}' affiliation='member' nick='CAPULET'/>"
    assert asked(romeo, item) == "conflict"
    item = f"<item jid='{NURSE}' affiliation='member' nick='Balcony'/>"
    assert asked(romeo, item) == "conflict"
    assert asked(romeo, f"<item jid='{JULIET}' affiliation='admin'/>") is None
    assert room.reserved_for("capulet") == JULIET
    assert asked(romeo, f"<item jid='{JULIET}' affiliation='admin' nick=''/>") is None
    assert room.reserved_for("capulet") is None
    twice = "".join(
        f"<item jid='{jid}' affiliation='member' nick='twin'/>" for jid in (JULIET, NURSE)
    )
    assert asked(romeo, twice) == "conflict"
    assert asked(romeo, f"<item jid='{NURSE}' affiliation='member' nick=' '/>") == "jid-malformed"


# who is away


def test_who_is_away_hears_of_it(server, room, romeo, juliet, nurse):
    """§16.1: 101 from the room; §10.6, XEP-0463 §4.2.2: those who may know JIDs hear it too."""
    paris = server.login("paris@example.org/church")
    item = "<item jid='paris@example.org' affiliation='admin'><reason>rich</reason></item>"
    assert asked(romeo, item) is None
    (x,) = messages(paris)
    assert child(x, NS_USER, "item")["affiliation"] == "admin"
    assert text_of(child(child(x, NS_USER, "item"), NS_USER, "reason")) == "rich"
    assert [status["code"] for status in children(x, NS_USER, "status")] == ["101"]
    (x,) = messages(romeo)
    assert child(x, NS_USER, "item").attributes == {
        "affiliation": "admin",
        "jid": "paris@example.org",
        "role": "none",
    }
    assert messages(juliet) == []
    assert messages(nurse) == []


def test_in_a_room_without_secrets_all_hear_of_who_is_away(room, romeo, juliet):
    """§10.6"""
    room.config = room.config.changed({"whois": "anyone"})
    asked(romeo, "<item jid='paris@example.net' affiliation='owner'/>")
    assert len(messages(romeo)) == len(messages(juliet)) == 1


def test_who_changes_nothing_tells_nobody(server, room, romeo, juliet):
    """§9.5: to be what one is"""
    paris = server.login("paris@example.org/church")
    for affiliation in ("none", "member", "member"):
        assert asked(romeo, f"<item jid='paris@example.org' affiliation='{affiliation}'/>") is None
    assert len(messages(paris)) == 1
    assert asked(romeo, "<item jid='example.net' affiliation='outcast'/>") is None
    assert len(messages(romeo)) == 2


@pytest.mark.parametrize(
    ("whois", "inside", "inviter"),
    [
        ("anyone", True, ROMEO),
        ("moderators", True, f"{COVEN}/orchard"),
        ("moderators", False, COVEN),
    ],
)
def test_a_new_member_is_invited(server, room, romeo, whois, inside, inviter):
    """§9.5: into a members-only room, with the password; not saying who where that is hidden"""
    room.config = room.config.changed(
        {"members_only": True, "whois": whois, "password_protected": True, "secret": "cauldron"}
    )
    paris = server.login("paris@example.org/church")
    if not inside:
        romeo.says(f"<presence to='{COVEN}/orchard' type='unavailable'/>")
    assert asked(romeo, "<item jid='paris@example.org' affiliation='member'/>") is None
    told, invitation = messages(paris)
    assert child(told, NS_USER, "status")["code"] == "101"
    assert child(invitation, NS_USER, "invite")["from"] == inviter
    assert text_of(child(invitation, NS_USER, "password")) == "cauldron"


def test_nobody_is_invited_into_an_open_room(server, room, romeo):
    """§9.5"""
    paris = server.login("paris@example.org/church")
    asked(romeo, "<item jid='paris@example.org' affiliation='member'/>")
    assert all(child(x, NS_USER, "invite") is None for x in messages(paris))


def test_who_ceased_long_ago_is_forgotten(server, room, romeo):
    """XEP-0463 §4.2.1: a room need not know all versions; its table does not grow for ever."""

    def kept():
        sql = "SELECT jid, affiliation FROM room_affiliation WHERE room = ? ORDER BY jid"
        return now(server.store.query(sql, COVEN))

    for affiliation in ("member", "none"):
        asked(romeo, f"<item jid='paris@example.net' affiliation='{affiliation}'/>")
    assert kept() == [("paris@example.net", "none"), (ROMEO, "owner")]
    server.advance(31 * 86_400)
    asked(romeo, f"<item jid='{JULIET}' affiliation='member'/>")
    assert kept() == [(JULIET, "member"), (ROMEO, "owner")]


def test_nobody_inherits_what_an_account_was(server, room, romeo, juliet):
    """XEP-0077 §3.2: a new account of the name of one that was removed is nothing to the room."""
    asked(romeo, f"<item jid='{JULIET}' affiliation='admin' nick='Capulet'/>")
    juliet.says("<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>")
    assert room.affiliation(JULIET) is Affiliation.NONE
    assert room.reserved_for("capulet") is None
    again = server.login(f"{JULIET}/balcony")
    enters(again)
    assert room.find("balcony").role is Role.PARTICIPANT


# hooks


def test_features_are_told(host, room, romeo, juliet, monkeypatch):
    """ROOM_CHANGED and ROOM_LEFT: what changed and who did it"""
    told = []
    for hook in (ROOM_CHANGED, ROOM_LEFT):
        switch = host.switch(hook)
        step = type("Step", (), {"stage": None, "handler": staticmethod(told.append)})
        monkeypatch.setattr(switch, "steps", [*switch.steps, step])
    asked(romeo, f"<item jid='{JULIET}' affiliation='member'/>")
    asked(romeo, "<item nick='balcony' role='visitor'/>")
    asked(romeo, f"<item jid='{JULIET}' affiliation='outcast'/>")
    by = romeo.jid.full
    assert [(each.by, each.jid, each.occupant and each.occupant.nick) for each in told] == [
        (by, JULIET, None),
        (by, "", "balcony"),
        (by, "", "balcony"),
        (by, JULIET, None),
    ]


# while the store is busy


@pytest.mark.parametrize(
    "item",
    [
        "<item nick='balcony' role='none'/>",
        "<item nick='balcony' role='visitor'/>",
        f"<item jid='{JULIET}' affiliation='outcast'/>",
        f"<item jid='{JULIET}' affiliation='admin'/>",
    ],
)
def test_who_leaves_meanwhile_is_gone(room, romeo, juliet, nurse, pace, item):
    """§8.2, §9.1: it is told once that somebody left."""
    pace.held = True
    send(romeo, item)
    juliet.says(f"<presence to='{COVEN}/balcony' type='unavailable'/>")
    pace.go_on()
    assert "type='result'" in next(each for each in romeo.received if each.startswith("<iq"))
    assert [(nick, codes) for nick, _, _, codes in presence(nurse)] == [("balcony", [])]
    assert room.find("balcony") is None


def test_who_enters_meanwhile_is_banned_too(room, romeo, juliet, pace):
    """§9.1: the world has changed when the ban is written."""
    juliet.says(f"<presence to='{COVEN}/balcony' type='unavailable'/>")
    pace.held = True
    send(romeo, f"<item jid='{JULIET}' affiliation='outcast'/>")
    enters(juliet)
    assert room.find("balcony")
    pace.go_on()
    assert room.find("balcony") is None


@pytest.mark.parametrize(
    "item",
    ["<item nick='balcony' role='none'/>", f"<item jid='{JULIET}' affiliation='outcast'/>"],
)
def test_what_cannot_be_written_did_not_happen(room, romeo, juliet, pace, item):
    """§6 of the architecture: the moderator hears that the store is full."""
    pace.held = True
    send(romeo, item)
    assert pace.step(why=StoreFull("disk"))
    assert "resource-constraint" in romeo.received[-1]
    assert room.find("balcony")
    assert room.affiliation(JULIET) is Affiliation.NONE
    assert presence(juliet) == []
    pace.go_on()


def test_two_owners_cannot_both_step_down(server, room, romeo, juliet, pace):
    """§10.4: requests are decided one after the other."""
    affiliates(room, JULIET, OWNER)
    pace.held = True
    for client, jid in ((romeo, ROMEO), (juliet, JULIET)):
        send(client, f"<item jid='{jid}' affiliation='none'/>")
    pace.go_on()
    assert room.affiliation(ROMEO) is Affiliation.NONE
    assert room.affiliation(JULIET) is OWNER
    assert any("<conflict" in each for each in juliet.received)
