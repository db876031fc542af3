"""XEP-0045 §7.8.2, §7.13, §8.6: invitations and voice."""

import re

import pytest

from imsuite.rules.affiliations import Affiliation, Role
from tests.covens import COVEN, affiliates, enters, meets
from tests.helpers import holds

USER = "http://jabber.org/protocol/muc#user"
REQUEST = "http://jabber.org/protocol/muc#request"
INVITE = (
    f"<message to='{COVEN}' id='i'><x xmlns='{USER}'><invite to='{{}}'>{{}}</invite></x></message>"
)


def condition(text):
    """Return the condition of an error."""
    return re.search(r"<error [^>]*><([\w-]+) ", text)[1]


def voice(**fields):
    """Return a form of §7.13 or §8.6."""
    given = "".join(
        f"<field var='muc#{name}'><value>{value}</value></field>" for name, value in fields.items()
    )
    return (
        f"<message to='{COVEN}'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
        f"<value>{REQUEST}</value></field>{given}</x></message>"
    )


def test_an_invitation_says_who_and_why(server, romeo, juliet):
    """§7.8.2: by the occupant where real JIDs are hidden; with the password and what goes on"""
    meets(server, romeo, password_protected=True, secret="rose")
    inner = "<reason>Come &amp; see</reason><continue thread='t1'/>"
    assert romeo.says(INVITE.format("juliet@example.org", inner)) == []
    (got,) = juliet.received
    assert holds(
        got,
        f"<message from='{COVEN}' to='juliet@example.org' id='i'><x xmlns='{USER}'>"
        f"<invite from='{COVEN}/orchard'><reason>Come &amp; see</reason><continue thread='t1'/>"
        "</invite><password>rose</password></x></message>",
    )
    assert "romeo@" not in got


def test_where_everybody_knows_it_is_the_real_jid(server, romeo, juliet):
    """§7.8.2"""
    meets(server, romeo, whois="anyone")
    romeo.says(INVITE.format("juliet@example.org", ""))
    assert "<invite from='romeo@example.org/orchard'>" in juliet.received[0]


def test_whoever_is_invited_by_an_admin_is_a_member(server, romeo, juliet):
    """§7.8.2: of a room that only members enter"""
    room = meets(server, romeo, members_only=True)
    romeo.says(INVITE.format("juliet@example.org", ""))
    assert room.affiliation("juliet@example.org") is Affiliation.MEMBER
    assert any("<invite" in text for text in juliet.received)
    assert "type='error'" not in enters(juliet)[0]


@pytest.mark.parametrize(("config", "answer"), [({}, "forbidden"), ({"allow_invites": True}, None)])
def test_members_invite_where_they_may(server, romeo, juliet, config, answer):
    """§9.5, muc#roomconfig_allowinvites"""
    room = meets(server, romeo, members_only=True, **config)
    affiliates(room, "juliet@example.org", Affiliation.MEMBER)
    enters(juliet)
    juliet.forget()
    server.account("nurse@example.org")
    got = juliet.says(INVITE.format("nurse@example.org", ""))
    assert [condition(text) for text in got if "type='error'" in text] == [answer] * bool(answer)
    member = room.affiliation("nurse@example.org") is Affiliation.MEMBER
    assert member is not bool(answer)


@pytest.mark.parametrize(
    ("to", "why"),
    [("rosaline@example.org", "item-not-found"), ("@", "jid-malformed"), ("", "jid-malformed")],
)
def test_who_is_not_there_is_not_invited(server, romeo, to, why):
    """§7.8.2"""
    meets(server, romeo)
    assert condition(romeo.says(INVITE.format(to, ""))[0]) == why


def test_who_is_not_in_invites_nobody(server, romeo, juliet):
    """§7.8.2"""
    meets(server, romeo)
    assert condition(juliet.says(INVITE.format("romeo@example.org", ""))[0]) == "not-acceptable"


def test_too_many_invitations_at_once(server, romeo):
    """A message is no list of addresses."""
    meets(server, romeo)
    many = "".join(f"<invite to='u{i}@example.org'/>" for i in range(21))
    answer = romeo.says(f"<message to='{COVEN}'><x xmlns='{USER}'>{many}</x></message>")
    assert condition(answer[0]) == "policy-violation"


def test_an_invitation_is_declined(server, romeo, juliet):
    """§7.8.2: the room tells who invited"""
    meets(server, romeo)
    decline = f"<decline to='{COVEN}/orchard'><reason>Too busy</reason></decline>"
    juliet.says(f"<message to='{COVEN}' id='d'><x xmlns='{USER}'>{decline}</x></message>")
    assert holds(
        romeo.received[0],
        f"<message from='{COVEN}' id='d'><x xmlns='{USER}'><decline from='juliet@example.org'>"
        "<reason>Too busy</reason></decline></x></message>",
    )


def test_a_room_is_no_way_to_anybody(server, romeo, juliet):
    """§7.8.2: a refusal goes only to who may have invited"""
    nurse = server.login("nurse@example.org/kitchen")
    meets(server, romeo, whois="anyone")
    decline = "<decline to='nurse@example.org'><reason>spam</reason></decline>"
    answer = juliet.says(f"<message to='{COVEN}'><x xmlns='{USER}'>{decline}</x></message>")
    assert condition(answer[0]) == "item-not-found"
    assert nurse.received == []


def test_a_refusal_does_not_tell_who_is_in(server, romeo, juliet):
    """§4.2, §7.8.2: in a semi-anonymous room it goes to real addresses without an answer"""
    meets(server, romeo)
    for bare in ("romeo@example.org", "nurse@example.org"):
        decline = f"<message to='{COVEN}'><x xmlns='{USER}'><decline to='{bare}'/></x></message>"
        assert juliet.says(decline) == []


def test_a_visitor_asks_for_voice(server, romeo, juliet):
    """§7.13, §8.6: moderators are asked, and one grants it"""
    room = meets(server, romeo, juliet, moderated=True)
    assert room.find("balcony").role is Role.VISITOR
    assert juliet.says(voice(role="participant")) == []
    (question,) = romeo.received
    assert holds(
        question,
        f"<message from='{COVEN}'><x xmlns='jabber:x:data' type='form'>"
        f"<field var='FORM_TYPE'><value>{REQUEST}</value></field>"
        "<field var='muc#jid'><value>juliet@example.org/balcony</value></field>"
        "<field var='muc#roomnick'><value>balcony</value></field>"
        "<field var='muc#request_allow' type='boolean'><value>false</value></field></x></message>",
    )
    romeo.forget()
    grant = {"role": "participant", "jid": juliet.jid.full, "roomnick": "balcony"}
    romeo.says(voice(**grant, request_allow="false"))
    assert room.find("balcony").role is Role.VISITOR
    romeo.says(voice(**grant, request_allow="true"))
    assert room.find("balcony").role is Role.PARTICIPANT
    assert "role='participant'" in juliet.received[-1]


def test_only_moderators_grant_voice(server, romeo, juliet):
    """§8.6"""
    room = meets(server, romeo, juliet)
    room.find("balcony").role = Role.VISITOR
    answer = juliet.says(voice(role="participant", roomnick="balcony", request_allow="true"))
    assert condition(answer[0]) == "forbidden"
    assert room.find("balcony").role is Role.VISITOR


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (voice(role="moderator"), "not-acceptable"),
        (
            f"<message to='{COVEN}'><x xmlns='jabber:x:data' type='submit'/></message>",
            "bad-request",
        ),
    ],
)
def test_a_request_that_is_none(server, romeo, juliet, message, why):
    """§7.13"""
    meets(server, romeo, juliet)
    assert condition(juliet.says(message)[0]) == why


def test_who_is_not_in_has_no_voice_to_ask_for(server, romeo, juliet):
    """§7.13"""
    meets(server, romeo)
    assert condition(juliet.says(voice(role="participant"))[0]) == "not-acceptable"
