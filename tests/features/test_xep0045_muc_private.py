"""XEP-0045 §7.5, §17.4, XEP-0410: what one occupant sends to another."""

import re

import pytest

from imsuite.rules.affiliations import Role
from tests.covens import COVEN, enters, meets
from tests.helpers import holds

WHISPER = f"<message to='{COVEN}/{{}}' type='chat' id='w'><body>psst</body>{{}}</message>"
ASK = f"<iq to='{COVEN}/{{}}' type='get' id='q'>{{}}</iq>"
PING = "<ping xmlns='urn:xmpp:ping'/>"
VERSION = "<query xmlns='jabber:iq:version'/>"


def condition(text):
    """Return the condition of an error."""
    return re.search(r"<error [^>]*><([\w-]+) ", text)[1]


def test_a_whisper_is_for_one(server, romeo, juliet):
    """§7.5: from the occupant, marked as private, with its occupant-id"""
    nurse = server.login("nurse@example.org/kitchen")
    meets(server, romeo, juliet, nurse)
    assert juliet.says(WHISPER.format("orchard", "")) == []
    (got,) = romeo.received
    assert holds(
        got,
        f"<message from='{COVEN}/balcony' type='chat' id='w'><body>psst</body>"
        "<x xmlns='http://jabber.org/protocol/muc#user'/>"
        "<occupant-id xmlns='urn:xmpp:occupant-id:0'/></message>",
    )
    assert nurse.received == []


def test_all_clients_of_an_occupant_get_it(server, romeo, juliet):
    """§7.2.8: recommended"""
    meets(server, romeo, juliet)
    second = server.login("romeo@example.org/tomb")
    enters(second, nick="orchard")
    romeo.forget(), second.forget()
    juliet.says(WHISPER.format("orchard", ""))
    assert len([m for m in romeo.received if "psst" in m]) == 1
    assert len([m for m in second.received if "psst" in m]) == 1


def test_a_whisper_says_nothing_in_the_name_of_the_room(server, romeo, juliet):
    """§18.2, XEP-0421 §4"""
    meets(server, romeo, juliet)
    forged = (
        "<x xmlns='http://jabber.org/protocol/muc#user'><item jid='forged@example.org'/></x>"
        "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>"
    )
    juliet.says(WHISPER.format("orchard", forged))
    assert "forged" not in romeo.received[0]


def test_an_answer_finds_its_way_back(server, romeo, juliet):
    """§7.5: to the occupant"""
    meets(server, romeo, juliet)
    romeo.says(WHISPER.format("balcony", ""))
    assert f"from='{COVEN}/orchard'" in juliet.received[0]


def test_a_whisper_is_in_both_archives(server, romeo, juliet):
    """XEP-0313 §6.1.1; the room does not archive it (§6.1.2)"""
    meets(server, romeo, juliet)
    juliet.says(WHISPER.format("orchard", ""))
    rows = []
    server.store.query("SELECT owner, peer, resource FROM archive").addCallback(rows.extend)
    assert sorted(rows) == [
        ("juliet@example.org", COVEN, "orchard"),
        ("romeo@example.org", COVEN, "balcony"),
    ]


@pytest.mark.parametrize(
    ("allowed", "role", "to", "may"),
    [
        ("anyone", Role.VISITOR, "nurse", True),
        ("participants", Role.VISITOR, "nurse", False),
        ("participants", Role.VISITOR, "orchard", True),
        ("participants", Role.PARTICIPANT, "nurse", True),
        ("moderators", Role.PARTICIPANT, "nurse", False),
        ("moderators", Role.PARTICIPANT, "orchard", True),
        ("none", Role.PARTICIPANT, "orchard", False),
    ],
)
def test_the_room_says_who_whispers(server, romeo, juliet, allowed, role, to, may):
    """muc#roomconfig_allowpm"""
    nurse = server.login("nurse@example.org/nurse")
    room = meets(server, romeo, juliet, nurse, allow_pm=allowed)
    room.find("balcony").role = role
    answer = juliet.says(WHISPER.format(to, ""))
    if may:
        assert answer == []
    else:
        assert condition(answer[0]) == "forbidden"


def test_who_is_not_in_whispers_to_nobody(server, romeo, juliet):
    """§7.5"""
    meets(server, romeo)
    assert condition(juliet.says(WHISPER.format("orchard", ""))[0]) == "not-acceptable"
    assert romeo.received == []


def test_a_client_learns_whether_it_is_in(server, romeo, juliet):
    """XEP-0410 §3.2, §3.3: the room answers for it"""
    meets(server, romeo, juliet)
    (answer,) = juliet.says(ASK.format("balcony", PING))
    assert "type='result'" in answer
    assert juliet.received.count(answer) == 1
    juliet.says(f"<presence to='{COVEN}/balcony' type='unavailable'/>")
    assert condition(juliet.says(ASK.format("balcony", PING))[-1]) == "not-acceptable"


def test_a_ping_to_nobody(server, romeo):
    """XEP-0410 §3.2"""
    meets(server, romeo)
    assert condition(romeo.says(ASK.format("nobody", PING))[0]) == "item-not-found"


def test_a_question_is_asked_in_the_name_of_the_occupant(server, romeo, juliet):
    """§17.4: real JIDs do not leak; the answer has the id of the question"""
    meets(server, romeo, juliet)
    juliet.says(ASK.format("orchard", VERSION))
    (question,) = romeo.received
    assert f"from='{COVEN}/balcony'" in question
    assert "juliet@" not in question
    id = re.search(r" id='([^']*)'", question)[1]
    reply = "<query xmlns='jabber:iq:version'><name>Lute</name></query>"
    romeo.says(f"<iq type='result' id='{id}' to='{COVEN}/balcony'>{reply}</iq>")
    (answer,) = juliet.received
    assert holds(answer, f"<iq type='result' id='q' from='{COVEN}/orchard'>{reply}</iq>")
    assert "romeo@" not in answer


def test_an_answer_that_nobody_asked_for_goes_nowhere(server, romeo, juliet):
    """A guessed id"""
    meets(server, romeo, juliet)
    romeo.says(f"<iq type='result' id='q' to='{COVEN}/balcony'><x xmlns='y'/></iq>")
    assert juliet.received == []


def test_an_error_finds_its_way_back(server, romeo, juliet):
    """§17.4"""
    meets(server, romeo, juliet)
    juliet.says(ASK.format("orchard", VERSION))
    id = re.search(r" id='([^']*)'", romeo.received[0])[1]
    error = (
        "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
    )
    romeo.says(f"<iq type='error' id='{id}' to='{COVEN}/balcony'>{error}</iq>")
    (answer,) = juliet.received
    assert condition(answer) == "item-not-found"
    assert f"from='{COVEN}/orchard'" in answer


def test_a_vcard_is_the_accounts(server, romeo, juliet):
    """§17.4: what is asked of a client is asked of its account"""
    meets(server, romeo, juliet)
    card = "<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>"
    romeo.says(f"<iq type='set' id='v'>{card}</iq>")
    romeo.forget()
    juliet.says(ASK.format("orchard", "<vCard xmlns='vcard-temp'/>"))
    assert romeo.received == []
    assert any("<FN>Romeo</FN>" in text for text in juliet.received)


def test_disco_of_an_occupant_is_for_occupants(server, romeo, juliet):
    """§6.6"""
    meets(server, romeo)
    disco = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    assert condition(juliet.says(ASK.format("orchard", disco))[0]) == "bad-request"


def test_who_blocks_an_occupant_stays_in(server, romeo, juliet):
    """XEP-0191 §3.3: the whisper comes back, what is said to all is not heard"""
    room = meets(server, romeo, juliet)
    item = f"<item jid='{COVEN}/orchard'/>"
    juliet.says(f"<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>{item}</block></iq>")
    romeo.says(f"<message to='{COVEN}' type='groupchat' id='m'><body>hear me</body></message>")
    assert condition(romeo.says(WHISPER.format("balcony", ""))[-1]) == "recipient-unavailable"
    assert sorted(room.occupants) == ["balcony", "orchard"]
    assert not any("hear me" in text or "psst" in text for text in juliet.received)


def test_a_whisper_has_no_ids_of_the_room(server, romeo, juliet):
    """XEP-0359 §6, XEP-0203 §5: nor does the room say when it was"""
    meets(server, romeo, juliet)
    forged = (
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='{COVEN}' id='forged'/>"
        f"<delay xmlns='urn:xmpp:delay' from='{COVEN}' stamp='2001-01-01T00:00:00Z'/>"
    )
    juliet.says(WHISPER.format("orchard", forged))
    assert "forged" not in romeo.received[0]
    assert "2001" not in romeo.received[0]


def test_so_many_questions_may_be_open(server, romeo, juliet):
    """§17.4: those of one client leave room for others"""
    meets(server, romeo, juliet)
    for _ in range(100):
        assert juliet.says(ASK.format("orchard", VERSION)) == []
    assert condition(juliet.says(ASK.format("orchard", VERSION))[0]) == "resource-constraint"
    assert romeo.says(ASK.format("balcony", VERSION)) == []
    server.advance(60)
    assert len([text for text in juliet.received if "remote-server-timeout" in text]) == 100
    juliet.forget()
    assert juliet.says(ASK.format("orchard", VERSION)) == []
    server.advance(60)


def test_a_ping_to_a_room_that_is_no_more(romeo):
    """XEP-0410 §3.2: item-not-found would be a sign of being in"""
    assert condition(romeo.says(ASK.format("orchard", PING))[0]) == "not-acceptable"
