"""XEP-0045 §7.4, §8.1: what is said to all; what it costs when the store fails."""

import re

import pytest

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import ROOM_MESSAGE, Stage
from imsuite.rules.affiliations import Role
from imsuite.xmpp.errors import StanzaError
from tests.covens import COVEN, enters, heard, meets, stanza_id, tells


def test_all_get_the_same(server, romeo, juliet):
    """§7.4: the author, too; with the id it was sent with (#stable_id)"""
    meets(server, romeo, juliet)
    tells(juliet, "hello", id="m1")
    (to_her,), (to_him,) = heard(juliet), heard(romeo)
    assert to_her.id == to_him.id == "m1"
    assert to_her.sender == to_him.sender == f"{COVEN}/balcony"
    assert stanza_id(to_her) == stanza_id(to_him)
    assert (to_her.to, to_him.to) == (juliet.jid.full, romeo.jid.full)


def test_what_only_the_room_says_is_taken_away(server, romeo, juliet):
    """§18.2, XEP-0359 §6, XEP-0421 §4, XEP-0313 §8.4, pitfall 33"""
    meets(server, romeo, juliet)
    forged = (
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='{COVEN}' id='forged'/>"
        "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@example.org' id='forged'/>"
        "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>"
        "<x xmlns='http://jabber.org/protocol/muc#user'><item jid='forged@example.org'/></x>"
        f"<delay xmlns='urn:xmpp:delay' from='{COVEN}' stamp='2000-01-01T00:00:00Z'/>"
    )
    tells(juliet, "hello", inner=forged)
    (got,) = heard(romeo)
    assert b"forged" not in got.raw
    assert b"2000-01-01" not in got.raw
    assert len(stanza_id(got)) == 32


def test_a_talk_that_is_brought_along_keeps_its_times(server, romeo):
    """§7.9: who says when it was is not the room"""
    meets(server, romeo)
    delay = "<delay xmlns='urn:xmpp:delay' from='juliet@example.org' stamp='2004-09-29T01:54:37Z'/>"
    tells(romeo, "then", inner=delay)
    (got,) = heard(romeo)
    assert b"2004-09-29" in got.raw


def test_a_chat_state_is_told_and_not_kept(server, romeo, juliet):
    """XEP-0085 §5.5"""
    meets(server, romeo, juliet)
    tells(juliet, "", inner="<composing xmlns='http://jabber.org/protocol/chatstates'/>")
    (got,) = heard(romeo)
    assert not got.has("urn:xmpp:sid:0", "stanza-id")
    nurse = server.login("nurse@example.org/kitchen")
    assert "composing" not in "".join(enters(nurse))


def test_a_subject_with_a_body_is_a_message(server, romeo, juliet):
    """§8.1: with a body it changes nothing"""
    room = meets(server, romeo, juliet)
    tells(juliet, "hello", inner="<subject>legacy</subject>")
    assert len(heard(romeo)) == 1
    assert room.subject is None


def test_a_participant_sets_the_subject_where_it_may(server, romeo, juliet):
    """§8.1"""
    room = meets(server, romeo, juliet, change_subject=True)
    juliet.says(f"<message to='{COVEN}' type='groupchat'><subject>Names</subject></message>")
    assert b"Names" in room.subject.raw
    juliet.says(f"<message to='{COVEN}' type='groupchat'><subject/></message>")
    assert b"<subject/>" in room.subject.raw
    nurse = server.login("nurse@example.org/kitchen")
    *_, subject = enters(nurse)
    assert "<subject/>" in subject
    assert "/balcony'" in subject


def test_who_has_no_voice_is_not_heard(server, romeo, juliet):
    """§7.4, §8.1"""
    room = meets(server, romeo, juliet)
    room.find("balcony").role = Role.VISITOR
    assert "<forbidden" in tells(juliet, "hello")[0]
    answer = juliet.says(f"<message to='{COVEN}' type='groupchat'><subject>s</subject></message>")
    assert "<forbidden" in answer[0]
    assert heard(romeo) == []


def test_an_error_is_not_answered(server, romeo):
    """RFC 6120 §8.3.1"""
    meets(server, romeo)
    nurse = server.login("nurse@example.org/kitchen")
    assert nurse.says(f"<message to='{COVEN}' type='error'><body>x</body></message>") == []
    assert nurse.says(f"<message to='{COVEN}/orchard' type='error'/>") == []


def test_an_unknown_type_is_none_for_all(server, romeo, juliet):
    """§7.4: only groupchat goes to all"""
    meets(server, romeo, juliet)
    (answer,) = juliet.says(f"<message to='{COVEN}' id='m'><body>x</body></message>")
    assert "<bad-request" in answer
    assert romeo.received == []


def test_who_blocked_the_room_is_not_in_it(server, romeo, juliet):
    """XEP-0191 §3.3: what can not be delivered makes a ghost, which goes"""
    room = meets(server, romeo, juliet)
    block = f"<block xmlns='urn:xmpp:blocking'><item jid='{COVEN}'/></block>"
    juliet.says(f"<iq type='set' id='b'>{block}</iq>")
    tells(romeo, "hello")
    assert room.find("balcony") is None


class Refusing(Feature):
    """Lets the guard of a room say no."""

    __module__ = "tests.xep0001_refusing"
    spec = "XEP-0001"

    @on(ROOM_MESSAGE, Stage.GUARD)
    def refuse(self, passing):
        if b"rude" in passing.stanza.raw:
            raise StanzaError("policy-violation", by=passing.room.bare)


@pytest.mark.server(features=["default", Refusing])
def test_a_feature_may_refuse(server, romeo, juliet):
    """hook ROOM_MESSAGE"""
    meets(server, romeo, juliet)
    assert "<policy-violation" in tells(juliet, "rude")[0]
    assert heard(romeo) == []


def test_what_the_disk_has_no_room_for_nobody_hears(server, romeo, juliet):
    """An acknowledged message is durable: the reflection follows the commit."""
    room = meets(server, romeo, juliet, change_subject=True, persistent=True)
    server.store.query("PRAGMA max_page_count = 1")
    big = "x" * 50_000
    got = tells(juliet, big, id="m1")
    assert re.search(r"type='error'", got[0]), got
    assert heard(romeo) == []
    assert not room.said
    juliet.says(f"<message to='{COVEN}' type='groupchat'><subject>{big}</subject></message>")
    assert room.subject is None
    server.store.query("PRAGMA max_page_count = 1000000")
    tells(juliet, "again")
    assert len(heard(romeo)) == 1
    server.failures.take()


def test_what_is_remembered_has_an_end(server, romeo, juliet):
    """§7.2.14: however long the messages are; those who enter get the last of them"""
    room = meets(server, romeo, max_history=1000)
    for number in range(30):
        tells(romeo, "x" * 60_000, id=f"m{number}")
    assert sum(len(said.stanza.raw) for said in room.said) == room.weight <= 1_000_000
    got = [text for text in enters(juliet) if text.startswith("<message")]
    assert len(got) == len(room.said) + 1
    assert "id='m29'" in got[-2]
