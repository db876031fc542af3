"""XEP-0463: affiliations of a room with versions."""

import pytest

from imsuite.rules.affiliations import Affiliation
from imsuite.testing.memory import MemoryServer
from imsuite.xmpp.stanza import child, children
from tests.covens import COVEN, affiliates, meets
from tests.room_admins import JULIET, NS_USER, ROMEO, asked
from tests.room_owners import configures

NS_MUC = "http://jabber.org/protocol/muc"
NS_MAV = "urn:xmpp:muc:affiliations:1"
PARIS = "paris@example.net"


@pytest.fixture
def room(server, romeo, juliet):
    """Romeo's room, where JIDs are no secret and Juliet is a member."""
    room = meets(server, romeo, juliet, whois="anyone", persistent=True)
    asked(romeo, f"<item jid='{JULIET}' affiliation='member'/>")
    leave(juliet)
    return room


def leave(client):
    """Let a client leave; what it received is forgotten."""
    client.says(f"<presence to='{COVEN}/{client.jid.resource}' type='unavailable'/>")
    client.forget()


def enters(client, since=None, mav=True):
    """Let a client enter; return what it received."""
    client.forget()
    attribute = "" if since is None else f" since='{since}'"
    element = f"<mav xmlns='{NS_MAV}'{attribute}/>" if mav else ""
    client.says(
        f"<presence to='{COVEN}/{client.jid.resource}' id='join'>"
        f"<x xmlns='{NS_MUC}'>{element}</x></presence>"
    )
    return list(client.stanzas)


def told(stanzas):
    """Return what messages and presence say of versions: (kind, since, until, items)."""
    found = []
    for stanza in stanzas:
        x = stanza.child(NS_USER, "x")
        mav = None if x is None else child(x, NS_MAV, "mav")
        if mav is not None:
            items = {
                item["jid"].partition("/")[0]: item["affiliation"]
                for item in children(x, NS_USER, "item")
                if item.hasAttribute("jid")
            }
            versions = mav.getAttribute("since"), mav.getAttribute("until")
            found.append((stanza.kind, *versions, items))
    return found


def test_who_asks_hears_all_before_any_presence(room, juliet):
    """§4.2.1: a message, and the version in the own presence"""
    received = enters(juliet)
    first, last = told(received)
    assert first[:2] == ("message", None)
    assert first[3] == {ROMEO: "owner", JULIET: "member"}
    assert received[0].kind == "message"
    assert last[:3] == ("presence", None, first[2])


def test_who_does_not_ask_hears_nothing_of_it(room, juliet):
    """§4: it is negotiated."""
    assert told(enters(juliet, mav=False)) == []


def test_others_do_not_see_who_asks(room, romeo, juliet):
    """§4.1: the element is not broadcast"""
    romeo.forget()
    enters(juliet)
    assert told(romeo.stanzas) == []
    assert NS_MAV not in "".join(romeo.received)


def test_who_comes_back_hears_what_changed(room, romeo, juliet):
    """§4.2.1: also who has no affiliation any more"""
    asked(romeo, f"<item jid='{PARIS}' affiliation='member'/>")
    (*_, (_, _, until, _)) = told(enters(juliet))
    assert [kind for kind, *_ in told(enters(juliet, until))] == ["presence"]
    leave(juliet)
    asked(romeo, f"<item jid='{PARIS}' affiliation='none'/>")
    asked(romeo, "<item jid='nurse@example.org' affiliation='admin'/>")
    (kind, since, now, items), presence = told(enters(juliet, until))
    assert (kind, since) == ("message", until)
    assert items == {PARIS: "none", "nurse@example.org": "admin"}
    assert presence[2] == now != until


@pytest.mark.parametrize("since", ["", "ruz41312vw", "1.0123456789abcdef"])
def test_who_names_an_unknown_version_hears_all(room, juliet, since):
    """§4.2.1, §7: as one who names none"""
    first, _ = told(enters(juliet, since))
    assert first[1] is None
    assert len(first[3]) == 2


def test_versions_outlive_the_server():
    """§4: they are those of the store, with those who ceased to be something."""
    first = MemoryServer()
    romeo = first.login(f"{ROMEO}/orchard")
    enters(romeo)
    assert configures(romeo, persistentroom="1", whois="anyone") is None
    asked(romeo, f"<item jid='{PARIS}' affiliation='member'/>")
    (*_, (_, _, until, _)) = told(enters(romeo))
    asked(romeo, f"<item jid='{PARIS}' affiliation='none'/>")
    second = first.crash()
    again = second.login(f"{ROMEO}/orchard")
    change, _ = told(enters(again, until))
    assert (change[1], change[3]) == (until, {PARIS: "none"})
    second.stop()


def test_changes_are_told_with_their_versions(room, romeo, juliet):
    """§4.2.2: as presence of who is in, as a message of who is not; each follows the other."""
    (*_, (_, _, until, _)) = told(enters(juliet))
    juliet.forget()
    asked(
        romeo,
        f"<item jid='{PARIS}' affiliation='member'/><item jid='{JULIET}' affiliation='admin'/>"
        "<item jid='example.com' affiliation='outcast'/>",
    )
    changes = told(juliet.stanzas)
    assert [(kind, items) for kind, _, _, items in changes] == [
        ("message", {PARIS: "member"}),
        ("presence", {JULIET: "admin"}),
        ("message", {"example.com": "outcast"}),
    ]
    assert [since for _, since, _, _ in changes] == [until, changes[0][2], changes[1][2]]


def test_a_ban_is_told_with_its_version(room, romeo, juliet):
    """§4.2.2: who leaves by it too"""
    enters(juliet)
    romeo.forget()
    asked(romeo, f"<item jid='{JULIET}' affiliation='outcast'/>")
    (change,) = told(romeo.stanzas)
    assert (change[0], change[3]) == ("presence", {JULIET: "outcast"})


def test_a_change_of_a_nickname_is_none(room, romeo, juliet):
    """§4.2.2: the lists are the same."""
    (*_, (_, _, until, _)) = told(enters(juliet))
    asked(romeo, f"<item jid='{JULIET}' affiliation='member' nick='Capulet'/>")
    assert [kind for kind, *_ in told(enters(juliet, until))] == ["presence"]


def test_a_ban_of_a_domain_is_one_change(room, romeo, server):
    """§4.2.2: those whom it sends out are no changes of their own."""
    nurse = server.login("nurse@example.org/kitchen")
    enters(nurse)
    romeo.forget()
    asked(romeo, "<item jid='example.org' affiliation='outcast'/>")
    assert [(kind, items) for kind, _, _, items in told(romeo.stanzas)] == [
        ("message", {"example.org": "outcast"}),
    ]


def test_who_may_not_have_the_lists_is_told_so(room, juliet):
    """§4.3: an error in a message; the join goes on."""
    room.config = room.config.changed({"whois": "moderators"})
    received = enters(juliet)
    assert (received[0].kind, received[0].type, received[0].id) == ("message", "error", "join")
    assert "<forbidden" in juliet.received[0]
    assert told(received) == []
    assert room.find("balcony")


def test_members_do_not_hear_who_is_banned(room, romeo, juliet):
    """§4.3: as they may not have that list"""
    affiliates(room, PARIS, Affiliation.OUTCAST)
    first, _ = told(enters(juliet))
    assert PARIS not in first[3]


def test_rooms_advertise_it(room, romeo):
    """§3"""
    answer = romeo.says(
        f"<iq type='get' id='d' to='{COVEN}'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    )
    assert f"<feature var='{NS_MAV}'/>" in answer[-1]
