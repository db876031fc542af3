"""XEP-0045 §5.2: what becomes of rooms when the account of their owner is removed."""

import pytest

from imsuite.features.xep0045_muc import storage
from imsuite.features.xep0045_muc.affiliating import affiliate
from imsuite.features.xep0045_muc.heirs import bereave
from imsuite.features.xep0045_muc.room import Entry
from imsuite.rules.affiliations import Affiliation
from imsuite.testing.memory import now
from tests.covens import COVEN, enters, heard, meets, the_room

ADMIN, MEMBER, OWNER = Affiliation.ADMIN, Affiliation.MEMBER, Affiliation.OWNER
ROMEO, JULIET, NURSE = "romeo@example.org", "juliet@example.org", "nurse@example.org"
PARIS, FAR = "paris@example.org", "rosaline@example.com"


@pytest.fixture
def room(server, romeo, juliet):
    """Romeo's room that lasts; Juliet is in it. There are accounts of others."""
    for name in (NURSE, PARIS):
        server.account(name)
    return lasts(server, meets(server, romeo, juliet, persistent=True))


def lasts(server, room):
    """Let a room be stored as it is."""
    now(server.host.store.transaction(storage.save, storage.values(room), {}))
    return room


def affiliates(room, **wanted):
    """Give affiliations, one after another: by localpart here, or in full with _at_."""
    for name, affiliation in wanted.items():
        jid = name.replace("_at_", "@") if "_at_" in name else f"{name}@example.org"
        jid = jid.replace("_", ".")
        now(affiliate(rooms_of(room), room, {jid: Entry(affiliation)}))


def rooms_of(room):
    return room.host.features["muc"].rooms


def owners(room):
    """Return who owns a room, as it is in memory and as it is stored."""
    known = [jid for jid, _ in room.affiliated(OWNER)]
    rows = now(
        room.host.store.query(
            "SELECT jid FROM room_affiliation WHERE room = ? AND affiliation = 'owner'", room.bare
        )
    )
    assert sorted(known) == sorted(jid for (jid,) in rows)
    return known


def removes(server, name="romeo"):
    """Remove an account."""
    now(server.host.registrar.delete(name))
    server.settle()


def test_oldest_admin_inherits(server, room):
    """Whoever has been an admin longer, and before any member"""
    affiliates(room, juliet=MEMBER, paris=ADMIN, nurse=ADMIN)
    removes(server)
    assert owners(room) == [PARIS]
    assert room.affiliation(ROMEO) is Affiliation.NONE


def test_oldest_member_inherits_without_admins(server, room):
    """And keeps the nickname"""
    affiliates(room, nurse=MEMBER, juliet=MEMBER)
    now(affiliate(rooms_of(room), room, {NURSE: Entry(MEMBER, "Angelica")}))
    removes(server)
    assert owners(room) == [NURSE]
    assert room.entries[NURSE].nick == "Angelica"


def test_heir_and_all_others_are_told(server, room, juliet):
    """XEP-0045 §10.3: she is a moderator now."""
    affiliates(room, juliet=MEMBER)
    juliet.forget()
    removes(server)
    (presence,) = [
        each
        for each in juliet.received
        if f"from='{COVEN}/balcony'" in each and each.startswith("<presence")
    ]
    assert "affiliation='owner'" in presence
    assert "role='moderator'" in presence


def test_room_that_others_own_stays_theirs(server, room):
    """Nobody inherits anything."""
    affiliates(room, juliet=OWNER, nurse=ADMIN)
    removes(server)
    assert owners(room) == [JULIET]
    assert room.affiliation(NURSE) is ADMIN


def test_who_can_not_log_in_inherits_nothing(server, room):
    """Of accounts here: none, a disabled one, a domain; of others nobody knows"""
    affiliates(room, nobody=ADMIN, paris=ADMIN, juliet=MEMBER)
    now(affiliate(rooms_of(room), room, {"example.com": Entry(ADMIN)}))
    now(server.host.registrar.set_disabled("paris", True))
    removes(server)
    assert owners(room) == [JULIET]


def test_heir_may_be_far_away(server, room):
    """An address of another server"""
    affiliates(room, rosaline_at_example_com=ADMIN, juliet=MEMBER)
    removes(server)
    assert owners(room) == [FAR]


def test_empty_room_without_heirs_ends(server, room, juliet):
    """With all that is stored of it"""
    juliet.says(f"<presence to='{COVEN}/balcony' type='unavailable'/>")
    removes(server)
    assert the_room(server) is None
    assert now(server.host.store.query("SELECT * FROM room")) == []


def test_room_without_heirs_ends_with_the_last_occupant(server, room, juliet):
    """And they hear that it is another one now (XEP-0045 §10.2.1: 104)."""
    juliet.forget()
    removes(server)
    (message,) = heard(juliet)
    assert b"<status code='104'/>" in message.raw
    assert not room.config.persistent
    assert now(server.host.store.query("SELECT lasting FROM room")) == [(0,)]
    assert owners(room) == []
    juliet.says(f"<presence to='{COVEN}/balcony' type='unavailable'/>")
    assert the_room(server) is None


def test_rooms_that_are_not_loaded_are_inherited(server, room, romeo, juliet):
    """From the store"""
    affiliates(room, juliet=MEMBER)
    romeo.says(f"<presence to='{COVEN}/orchard' type='unavailable'/>")
    juliet.says(f"<presence to='{COVEN}/balcony' type='unavailable'/>")
    server.advance(700)
    rooms = room.host.features["muc"]
    assert rooms.find(COVEN) is None
    removes(server)
    assert owners(the_room(server)) == [JULIET]


def test_heirs_own_all_rooms(server, romeo, juliet):
    """Page by page"""
    names = [f"room{number:03}@conference.example.org" for number in range(120)]
    for name in names:
        room = lasts(server, meets(server, romeo, room=name, persistent=True))
        now(affiliate(rooms_of(room), room, {JULIET: Entry(MEMBER)}))
    removes(server)
    assert [owners(the_room(server, name)) for name in names] == [[JULIET]] * 120


@pytest.mark.server(domains=("example.org", "example.net"))
def test_rooms_of_other_hosts_are_inherited_too(server, romeo):
    """An account of one host may own rooms of another."""
    tybalt = server.login("tybalt@example.net/street")
    room = lasts(server, meets(server, tybalt, persistent=True))
    affiliates(room, romeo=MEMBER)
    host = server.hosts[1]
    now(host.registrar.delete("tybalt"))
    server.settle()
    assert owners(room) == [ROMEO]


def test_what_changed_meanwhile_counts(server, room):
    """A second look, in the turn of the room"""
    affiliates(room, juliet=OWNER, nurse=ADMIN)
    now(bereave(rooms_of(room), ROMEO))
    assert sorted(owners(room)) == [JULIET, ROMEO]


def test_new_account_of_the_name_is_nobody(server, room, juliet):
    """Neither by memory nor by the store"""
    affiliates(room, juliet=MEMBER)
    removes(server)
    again = server.login("romeo@example.org/orchard")
    again.forget()
    enters(again)
    assert "affiliation='none'" in "".join(again.received)
    assert room.affiliation(ROMEO) is Affiliation.NONE
