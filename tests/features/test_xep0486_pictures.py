"""XEP-0486: rooms have pictures."""

import base64
import hashlib

import pytest

from imsuite.rules.affiliations import Affiliation
from imsuite.testing.memory import now
from tests.archives import rows
from tests.covens import COVEN, affiliates, enters, meets, the_room

PNG = b"\x89PNG\r\n\x1a\n" + 40 * b"x"
GIF = b"GIF89a" + 40 * b"y"
HASH = "muc#roominfo_avatarhash"


@pytest.fixture
def room(server, romeo, juliet):
    return meets(server, romeo, juliet, persistent=True)


def card(*pictures):
    photos = "".join(
        f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{base64.b64encode(data).decode()}</BINVAL></PHOTO>"
        for data in pictures
    )
    return f"<vCard xmlns='vcard-temp'>{photos}</vCard>"


def sha1(data):
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def sets(client, vcard, to=COVEN):
    received = client.says(f"<iq type='set' id='s' to='{to}'>{vcard}</iq>")
    return next(text for text in received if text.startswith("<iq"))


def gets(client):
    (answer,) = client.says(f"<iq type='get' id='g' to='{COVEN}'><vCard xmlns='vcard-temp'/></iq>")
    return answer


def info(client, to=COVEN):
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    (answer,) = client.says(f"<iq type='get' id='d' to='{to}'>{query}</iq>")
    return answer


def test_an_owner_gives_the_room_a_picture(server, room, romeo, juliet):
    """§3.2-§3.4: all inside hear that something changed; anybody may look."""
    assert "type='result'" in sets(romeo, card(PNG))
    (told,) = juliet.received
    assert f"from='{COVEN}'" in told
    assert "type='groupchat'" in told
    assert "<status code='104'/>" in told
    nurse = server.login("nurse@example.org/house")
    assert base64.b64encode(PNG).decode() in gets(nurse)
    answer = info(nurse)
    assert f"var='{HASH}'" in answer
    assert f"<value>{sha1(PNG)}</value>" in answer


def test_older_clients_learn_of_the_picture_and_of_its_end(room, romeo):
    """As mod_vcard_muc of Prosody has it: empty where there is none."""
    old = "var='{http://modules.prosody.im/mod_vcard_muc}avatar#sha1'>"
    sets(romeo, card(GIF, PNG))
    assert f"{old}<value>{sha1(GIF)}</value>" in info(romeo)
    sets(romeo, card())
    assert f"{old}<value/>" in info(romeo)


def test_several_forms_of_one_picture(room, romeo):
    """§5.1: a hash of each."""
    sets(romeo, card(PNG, GIF))
    for data in (PNG, GIF):
        assert f"<value>{sha1(data)}</value>" in info(romeo)


def test_an_empty_card_takes_it_away(host, room, romeo):
    """§3.2, §4: then nothing is said of one."""
    sets(romeo, card(PNG))
    assert "type='result'" in sets(romeo, card())
    assert HASH not in info(romeo)
    assert "<item-not-found" in gets(romeo)
    assert rows(host, "room_vcard") == []


def test_what_is_no_picture_has_no_hash(room, romeo):
    """§4: no field without a picture; the card is one nevertheless."""
    vcard = "<vCard xmlns='vcard-temp'><FN>A room</FN><PHOTO><BINVAL>!</BINVAL></PHOTO></vCard>"
    assert "type='result'" in sets(romeo, vcard)
    assert HASH not in info(romeo)
    assert "<FN>A room</FN>" in gets(romeo)


def test_only_owners_may(server, room, romeo, juliet):
    """§6"""
    nurse = server.login("nurse@example.org/house")
    affiliates(room, "juliet@example.org", Affiliation.ADMIN)
    for client in (juliet, nurse):
        answer = sets(client, card(PNG))
        assert "<error type='auth'><forbidden" in answer
    assert HASH not in info(romeo)
    garden = server.login("romeo@example.org/garden")  # who need not be inside
    assert "type='result'" in sets(garden, card(PNG))


def test_who_is_banned_sees_nothing(server, room, romeo):
    """XEP-0045 §9.1"""
    sets(romeo, card(PNG))
    nurse = server.login("nurse@example.org/house")
    affiliates(room, "nurse@example.org", Affiliation.OUTCAST)
    assert "<forbidden" in gets(nurse)


def test_it_is_not_too_large(room, romeo, juliet):
    """XEP-0054: within limits."""
    juliet.forget()
    assert "<policy-violation" in sets(romeo, card(120_000 * b"x"))
    assert juliet.received == []


def test_it_goes_with_the_room(server, host, room, romeo):
    """A later room of the same name has none, whatever was left of the first."""
    sets(romeo, card(PNG))
    row = rows(host, "room_vcard")[0]
    destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>"
    romeo.says(f"<iq type='set' id='x' to='{COVEN}'>{destroy}</iq>")
    assert rows(host, "room_vcard") == []
    now(host.store.execute("INSERT INTO room_vcard VALUES (?, ?, ?, ?)", *row))  # as after a crash
    enters(romeo)
    again = the_room(server)
    again.locked = False
    assert HASH not in info(romeo)
    assert "<item-not-found" in gets(romeo)
    assert "type='result'" in sets(romeo, card(GIF))
    assert sha1(GIF) in info(romeo)


def test_after_a_restart(server, room, romeo):
    """The hashes are there from the beginning."""
    romeo.says(
        f"<iq type='set' id='c' to='{COVEN}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
        "<value>http://jabber.org/protocol/muc#roomconfig</value></field>"
        "<field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query></iq>"
    )
    sets(romeo, card(PNG))
    second = server.restart()
    client = second.login("nurse@example.org/house")
    assert sha1(PNG) in info(client)
    assert base64.b64encode(PNG).decode() in gets(client)
    second.failures.stop()


def test_the_service_says_so(romeo):
    """§3.1"""
    assert "<feature var='vcard-temp'/>" in info(romeo, "conference.example.org")


def test_there_is_no_room(romeo):
    """RFC 6120 §8.3.3.7"""
    assert "<item-not-found" in sets(romeo, card(PNG), "nowhere@conference.example.org")
