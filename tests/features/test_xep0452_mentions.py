"""XEP-0452: who is mentioned in a room, and is away, is told."""

import pytest

from imsuite.rules.affiliations import Affiliation
from tests.covens import COVEN, affiliates, enters, heard, meets, stanza_id, tells
from tests.helpers import holds

NURSE = "nurse@example.org"
MEMBER = Affiliation.MEMBER


@pytest.fixture
def room(server, romeo, juliet):
    return meets(server, romeo, juliet, forward_mentions=True)


@pytest.fixture
def nurse(server, room):
    """A member with a nickname, online and not in the room."""
    client = server.login(f"{NURSE}/house")
    affiliates(room, NURSE, MEMBER, "Angelica")
    return client


def mention(uri, type="mention"):
    return f"<reference xmlns='urn:xmpp:reference:0' type='{type}' uri='{uri}' begin='0' end='5'/>"


def test_who_is_away_gets_the_message(server, room, romeo, nurse):
    """§3.2: as a whole, with what the room added, and the time it was."""
    tells(romeo, "nurse: come", id="m1", inner=mention(f"xmpp:{NURSE}"))
    (message,) = nurse.received
    sent = heard(romeo)[-1]
    assert holds(
        message,
        f"""<message from='{COVEN}' to='{NURSE}'><mentions xmlns='urn:xmpp:mmn:0'>
        <forwarded xmlns='urn:xmpp:forward:0'>
        <delay xmlns='urn:xmpp:delay'/>
        <message xmlns='jabber:client' type='groupchat' id='m1' from='{COVEN}/orchard'>
        <body>nurse: come</body>
        <reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:{NURSE}'/>
        <stanza-id xmlns='urn:xmpp:sid:0' id='{stanza_id(sent)}' by='{COVEN}'/>
        </message></forwarded></mentions></message>""",
    )


@pytest.mark.parametrize(
    "uri",
    [
        f"xmpp:{COVEN}/Angelica",
        f"xmpp:{COVEN}/angelica?join",
        "xmpp:nurse@EXAMPLE.org?message;body=x",
        f"xmpp:{NURSE}/house",
        "xmpp:nurs%65@example.org#x",
    ],
)
def test_names_that_are_understood(room, romeo, nurse, uri):
    """XEP-0372 §3.2: an account, or an occupant by the nickname that it has registered."""
    tells(romeo, "come", inner=mention(uri))
    assert len(nurse.received) == 1


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "xmpp:",
        "nurse@example.org",
        "xmpp:@",
        "http://example.org",
        "xmpp:%ff",
        f"xmpp:{COVEN}",
        f"xmpp:{COVEN}/nobody",
        "xmpp:other@conference.example.org/Angelica",
        "xmpp:" + "x" * 4000,
    ],
)
def test_names_that_are_nobodys(room, romeo, nurse, uri):
    """Whatever is written there, the message goes its way."""
    tells(romeo, "come", inner=mention(uri))
    assert nurse.received == []
    assert len(heard(romeo)) == 1


def test_another_reference_is_no_mention(room, romeo, nurse):
    """XEP-0372 §3.1"""
    tells(romeo, "come", inner=mention(f"xmpp:{NURSE}", "data"))
    assert nurse.received == []


def test_who_is_there_is_not_told(room, romeo, nurse):
    """§3.2: they hear it."""
    enters(nurse)
    nurse.forget()
    tells(romeo, "come", inner=mention(f"xmpp:{NURSE}"))
    (message,) = nurse.received
    assert "groupchat" in message


@pytest.mark.parametrize(
    ("affiliation", "nick"),
    [(Affiliation.OUTCAST, "Angelica"), (Affiliation.NONE, "Angelica"), (MEMBER, "")],
)
def test_who_did_not_ask_for_it(room, romeo, nurse, affiliation, nick):
    """§2: members with a registered nickname only."""
    affiliates(room, NURSE, affiliation, nick)
    tells(romeo, "come", inner=mention(f"xmpp:{NURSE}"))
    assert nurse.received == []


def test_the_owner_says_whether(server, romeo, juliet):
    """§3.1: by default nobody is told."""
    room = meets(server, romeo, juliet)
    assert not room.config.forward_mentions
    nurse = server.login(f"{NURSE}/house")
    affiliates(room, NURSE, MEMBER, "Angelica")
    tells(romeo, "come", inner=mention(f"xmpp:{NURSE}"))
    assert nurse.received == []


def test_each_is_told_once(room, romeo, nurse):
    """However often they are named."""
    tells(romeo, "come", inner=2 * mention(f"xmpp:{NURSE}") + mention(f"xmpp:{COVEN}/Angelica"))
    assert len(nurse.received) == 1


def test_not_everybody_in_the_world(server, room, romeo, nurse):
    """§4: the operator says how many mentions are looked at."""
    tells(romeo, "come", inner=10 * mention("xmpp:x@example.org") + mention(f"xmpp:{NURSE}"))
    assert nurse.received == []


def test_a_chat_state_is_no_message(room, romeo, nurse):
    """§3.2: what is not worth keeping is not worth telling."""
    state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
    tells(
        romeo,
        "",
        id="c",
        inner=state + "<no-store xmlns='urn:xmpp:hints'/>" + mention(f"xmpp:{NURSE}"),
    )
    assert nurse.received == []


def test_it_waits_for_who_is_not_online(server, room, romeo):
    """XEP-0160: until a client comes."""
    server.account(NURSE)
    affiliates(room, NURSE, MEMBER, "Angelica")
    tells(romeo, "come", inner=mention(f"xmpp:{NURSE}"))
    client = server.login(f"{NURSE}/house", available=False)
    client.says("<presence/>")
    (message,) = (text for text in client.received if "urn:xmpp:mmn:0" in text)
    assert "<delay xmlns='urn:xmpp:delay'" in message


def test_who_blocks_the_room_is_left_alone(room, romeo, nurse):
    """XEP-0191 §3.3"""
    item = f"<item jid='{COVEN}'/>"
    nurse.says(f"<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>{item}</block></iq>")
    nurse.forget()
    tells(romeo, "come", inner=mention(f"xmpp:{NURSE}"))
    assert nurse.received == []
    assert not [text for text in romeo.received if "type='error'" in text]
