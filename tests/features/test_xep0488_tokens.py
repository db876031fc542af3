"""XEP-0488: invitations into rooms by tokens."""

import pytest

from imsuite.rules.affiliations import Affiliation
from imsuite.testing.memory import now
from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import children, text_of
from tests.covens import COVEN, affiliates, meets
from tests.room_admins import JULIET, NURSE, asked
from tests.room_owners import asked as owner_asks

NS_TOKENS = "urn:xmpp:muc-token-invite:0"
NS_MUC = "http://jabber.org/protocol/muc"
MONTH = 2_678_400  # seconds


@pytest.fixture
def room(server, romeo, juliet):
    """Romeo's room for members; Juliet is one and outside, and members may invite."""
    room = meets(server, romeo, members_only=True, allow_invites=True, persistent=True)
    affiliates(room, JULIET, Affiliation.MEMBER)
    return room


@pytest.fixture
def nurse(server):
    """Somebody who is nothing to the room."""
    return server.login(f"{NURSE}/kitchen")


def ask(client, payload, type="set"):
    """Let a client send an IQ to the room; return the answer as a stanza."""
    before = len(client.stanzas)
    client.says(f"<iq type='{type}' id='t' to='{COVEN}'>{payload}</iq>")
    (answer,) = (each for each in client.stanzas[before:] if each.kind == "iq")
    return answer


def refused(answer):
    """Return the condition of an error."""
    assert answer.type == "error"
    error = answer.child(NS.CLIENT, "error")
    return next(node.name for node in error.elements() if node.name != "text")


def issue(client, attributes=""):
    """Return the answer to a request for a token."""
    return ask(client, f"<request xmlns='{NS_TOKENS}' {attributes}/>")


def token(client, attributes=""):
    """Return a token that somebody got."""
    return text_of(issue(client, attributes).payload)


def listed(client):
    """Return the tokens that somebody may revoke, as (token, attributes)."""
    answer = ask(client, f"<tokens xmlns='{NS_TOKENS}'/>", "get")
    return {
        text_of(each): dict(each.attributes)
        for each in children(answer.payload, NS_TOKENS, "token")
    }


def revoke(client, text):
    """Return the answer to a revocation."""
    return ask(client, f"<revoke xmlns='{NS_TOKENS}'>{text}</revoke>")


def knocks(client, password=None):
    """Let a client try to enter; return what it received."""
    client.forget()
    inner = "" if password is None else f"<password>{password}</password>"
    client.says(
        f"<presence to='{COVEN}/{client.jid.resource}'><x xmlns='{NS_MUC}'>{inner}</x></presence>"
    )
    return "".join(client.received)


def test_who_has_a_token_becomes_a_member(room, romeo, juliet, nurse):
    """§4.5: as who enters a room with a password"""
    assert "registration-required" in knocks(nurse)
    received = knocks(nurse, token(juliet))
    assert "<status code='110'/>" in received
    assert "affiliation='member'" in received
    assert room.affiliation(NURSE) is Affiliation.MEMBER
    nurse.says(f"<presence to='{COVEN}/kitchen' type='unavailable'/>")
    assert "<status code='110'/>" in knocks(nurse)


def test_tokens_say_their_limits(room, juliet):
    """§4.3: those of the server apply where none is asked for, or too much."""
    assert dict(issue(juliet).payload.attributes) == {"delay": str(MONTH)}
    asked_for = issue(juliet, "delay='60' counter='5'").payload
    assert dict(asked_for.attributes) == {"delay": "60", "counter": "5"}
    assert issue(juliet, "delay='4294967295'").payload["delay"] == str(MONTH)


def test_a_token_is_good_so_many_times(server, room, juliet, nurse):
    """§4.3: the counter"""
    given = token(juliet, "counter='2'")
    assert "110" in knocks(nurse, given)
    assert listed(juliet)[given]["counter"] == "1"
    paris = server.login("paris@example.org/church")
    assert "110" in knocks(paris, given)
    tybalt = server.login("tybalt@example.org/street")
    refusal = knocks(tybalt, given)
    assert "<not-authorized " in refusal
    assert f"<expired-token xmlns='{NS_TOKENS}'/>" in refusal
    assert listed(juliet) == {}


def test_a_token_is_good_so_long(server, room, juliet, nurse):
    """§4.3: the delay"""
    given = token(juliet, "delay='60'")
    server.advance(30)
    assert listed(juliet)[given]["delay"] == "30"
    server.advance(30)
    assert "<expired-token " in knocks(nurse, given)
    assert listed(juliet) == {}


def test_members_do_not_use_tokens_up(room, romeo, juliet):
    """§5: they may have it in their bookmarks."""
    given = token(romeo, "counter='1'")
    assert "110" in knocks(juliet, given)
    assert listed(romeo)[given]["counter"] == "1"


def test_a_token_makes_members_of_an_open_room_too(room, romeo, nurse):
    """§4.5; what is no token is no matter there"""
    room.config = room.config.changed({"members_only": False})
    assert "110" in knocks(nurse, "no token")
    assert room.affiliation(NURSE) is Affiliation.NONE
    nurse.says(f"<presence to='{COVEN}/kitchen' type='unavailable'/>")
    assert "affiliation='member'" in knocks(nurse, token(romeo))


def test_who_is_banned_is_not_let_in(room, romeo, juliet, nurse):
    """§4.5: only who has no affiliation"""
    affiliates(room, NURSE, Affiliation.OUTCAST)
    assert "<forbidden" in knocks(nurse, token(juliet))
    assert len(listed(juliet)) == 1


def test_a_token_is_worth_what_its_creator_may(room, romeo, juliet, nurse):
    """§7: who may not invite any more has not invited."""
    given = token(juliet)
    asked(romeo, f"<item jid='{JULIET}' affiliation='none'/>")
    assert "<expired-token " in knocks(nurse, given)


@pytest.mark.parametrize("who", ["juliet", "nurse"])
def test_who_may_not_invite_gets_no_tokens(request, room, romeo, who):
    """§4.2, §7: muc#roomconfig_allowinvites; forbidden"""
    room.config = room.config.changed({"allow_invites": False})
    client = request.getfixturevalue(who)
    assert refused(issue(client)) == "forbidden"
    assert refused(ask(client, f"<tokens xmlns='{NS_TOKENS}'/>", "get")) == "forbidden"
    assert refused(revoke(client, "x")) == "forbidden"
    assert issue(romeo).type == "result"


def test_a_room_with_a_password_has_no_tokens(room, romeo, nurse):
    """§5: there a token would be taken for the password at the next join."""
    given = token(romeo)
    room.config = room.config.changed({"password_protected": True, "secret": "cauldron"})
    assert refused(issue(romeo)) == "not-allowed"
    assert "<registration-required" in knocks(nurse, given)


@pytest.mark.parametrize("limit", ["delay='0'", "counter='0'", "counter='-1'", "delay='soon'"])
def test_wrong_limits_are_refused(room, juliet, limit):
    """§10: xs:unsignedInt; a token that is never good is no token"""
    assert refused(issue(juliet, limit)) == "bad-request"


def test_moderators_see_and_revoke_all(room, romeo, juliet, nurse):
    """§4.6, §4.7, §7"""
    hers, his = token(juliet), token(romeo)
    assert set(listed(juliet)) == {hers}
    assert set(listed(romeo)) == {hers, his}
    assert listed(romeo)[hers]["creator"] == JULIET
    assert refused(revoke(juliet, his)) == "item-not-found"
    assert refused(revoke(romeo, "no token")) == "item-not-found"
    assert revoke(romeo, hers).type == "result"
    assert listed(juliet) == {}
    assert "<expired-token " in knocks(nurse, hers)


@pytest.mark.server(options={"tokens": {"most": 2, "longest": 60}})
def test_limits_are_options(server, room, juliet):
    """§7: a reasonable maximum"""
    assert issue(juliet).payload["delay"] == "60"
    issue(juliet)
    assert refused(issue(juliet)) == "resource-constraint"
    server.advance(60)
    assert issue(juliet).type == "result"


def test_tokens_go_with_the_room(server, room, romeo, juliet):
    """§4.7"""
    token(juliet)
    assert owner_asks(romeo, "<destroy/>") is None
    assert now(server.store.query("SELECT * FROM room_token")) == []


def test_rooms_advertise_it(room, romeo):
    """§4.1"""
    answer = ask(romeo, "<query xmlns='http://jabber.org/protocol/disco#info'/>", "get")
    assert f"<feature var='{NS_TOKENS}'/>" in answer.raw.decode()
