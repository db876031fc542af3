"""XEP-0045 §7.10, §7.12: membership and nicknames for who asks for them."""

import re

import pytest

from imsuite.rules.affiliations import Affiliation
from imsuite.testing.memory import now
from tests.covens import COVEN, affiliates, meets

GET = f"<iq to='{COVEN}' type='get' id='g'><query xmlns='jabber:iq:register'/></iq>"
SET = (
    f"<iq to='{COVEN}' type='set' id='s'><query xmlns='jabber:iq:register'>"
    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
    "<value>http://jabber.org/protocol/muc#register</value></field>"
    "<field var='muc#register_roomnick'><value>{}</value></field></x></query></iq>"
)
REMOVE = (
    f"<iq to='{COVEN}' type='set' id='s'><query xmlns='jabber:iq:register'><remove/></query></iq>"
)


def condition(text):
    """Return the condition of an error."""
    return re.search(r"<error [^>]*><([\w-]+) ", text)[1]


def test_who_registers_is_a_member_with_a_name(server, romeo, juliet):
    """§7.10: also after it was asked again"""
    room = meets(server, romeo)
    assert "muc#register_roomnick" in juliet.says(GET)[0]
    assert "type='result'" in juliet.says(SET.format("Rose"))[-1]
    assert room.affiliation("juliet@example.org") is Affiliation.MEMBER
    assert room.reserved_for("rose") == "juliet@example.org"
    answer = juliet.says(GET)[-1]
    assert "<registered/><username>Rose</username>" in answer
    rows = now(server.store.query("SELECT jid, affiliation, nick FROM room_affiliation"))
    assert ("juliet@example.org", "member", "Rose") in rows


def test_a_name_that_is_somebodys(server, romeo, juliet):
    """§7.10: reserved, or used just now"""
    room = meets(server, romeo)
    affiliates(room, "nurse@example.org", Affiliation.MEMBER, "Angelica")
    assert condition(juliet.says(SET.format("angelica"))[0]) == "conflict"
    assert condition(juliet.says(SET.format("ORCHARD"))[0]) == "conflict"


@pytest.mark.parametrize(
    ("config", "affiliation"),
    [({"members_only": True}, Affiliation.NONE), ({}, Affiliation.OUTCAST)],
)
def test_not_everybody_may_register(server, romeo, juliet, config, affiliation):
    """§7.10"""
    room = meets(server, romeo, **config)
    affiliates(room, "juliet@example.org", affiliation)
    assert condition(juliet.says(GET)[0]) == "not-allowed"
    assert condition(juliet.says(SET.format("Rose"))[0]) == "not-allowed"
    assert room.affiliation("juliet@example.org") is affiliation


def test_an_owner_stays_one(server, romeo):
    """§7.10: who is more than a member"""
    room = meets(server, romeo)
    romeo.says(SET.format("Montague"))
    assert room.affiliation("romeo@example.org") is Affiliation.OWNER
    assert room.reserved_for("montague") == "romeo@example.org"
    romeo.says(REMOVE)
    assert room.affiliation("romeo@example.org") is Affiliation.OWNER
    assert room.reserved_for("montague") is None


def test_who_is_registered_may_give_it_up(server, romeo, juliet):
    """XEP-0077 §3.2"""
    room = meets(server, romeo)
    juliet.says(SET.format("Rose"))
    assert "type='result'" in juliet.says(REMOVE)[-1]
    assert room.affiliation("juliet@example.org") is Affiliation.NONE
    assert condition(juliet.says(REMOVE)[-1]) == "registration-required"


@pytest.mark.parametrize("nick", ["", " "])
def test_a_form_without_a_name(server, romeo, juliet, nick):
    """§7.10"""
    meets(server, romeo)
    assert condition(juliet.says(SET.format(nick))[0]) in ("bad-request", "jid-malformed")


def test_there_is_nothing_to_register_with(juliet):
    """§7.10: item-not-found"""
    assert condition(juliet.says(GET)[0]) == "item-not-found"


def test_who_has_no_name_there_is_told_so(server, romeo, juliet):
    """§7.12: an empty query"""
    meets(server, romeo)
    node = "<query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/>"
    (answer,) = juliet.says(f"<iq to='{COVEN}' type='get' id='d'>{node}</iq>")
    assert "<identity" not in answer
    assert "type='result'" in answer
