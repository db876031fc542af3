"""XEP-0424 in rooms: who said it takes it back."""

import pytest

from tests.archives import ask, rows
from tests.covens import COVEN, enters, heard, meets, stanza_id, tells
from tests.helpers import holds

TO = f" to='{COVEN}'"
NS = "urn:xmpp:message-retract:1"
FALLBACK = "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>"


@pytest.fixture
def room(server, romeo, juliet):
    return meets(server, romeo, juliet)


def says(client, text="a secret"):
    """Let a client say something; return the id that the room gave it."""
    tells(client, text, id="m1")
    (message,) = (each for each in heard(client) if each.id == "m1")
    return stanza_id(message)


def retracts(client, id, by="r1"):
    retract = f"<retract xmlns='{NS}' id='{id}'/>{FALLBACK}"
    return tells(client, "took something back", id=by, inner=retract)


def test_a_tombstone_takes_its_place(server, host, room, romeo, juliet):
    """§4: with the id of the retraction, which the archive has as well, and whose it was."""
    id = says(juliet)
    author = room.by_client[juliet.jid.full]
    server.advance(72)
    retracts(juliet, id)
    first, second = ask(romeo, to=TO).results
    assert holds(
        first,
        f"""<message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'>
        <message xmlns='jabber:client' type='groupchat' from='{COVEN}/balcony' id='m1'>
        <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{author.id}'/>
        <retracted xmlns='{NS}' id='r1' stamp='2026-01-01T00:01:12Z'/>
        </message></forwarded></result></message>""",
    )
    assert f"<retract xmlns='{NS}' id='{id}'/>" in second
    assert b"secret" not in b"".join(raw for (raw,) in rows(host, "message", "raw"))


def test_all_hear_of_it(room, romeo, juliet):
    """§3: the retraction is a message like others."""
    id = says(juliet)
    romeo.forget()
    retracts(juliet, id)
    (message,) = heard(romeo)
    assert message.child(NS, "retract")["id"] == id
    assert stanza_id(message)


def test_who_enters_later_does_not_hear_it(server, room, romeo, juliet):
    """§5: neither what was said nor that it was taken back, also after the room was loaded anew."""
    id = says(juliet)
    tells(juliet, "something else")
    retracts(juliet, id)
    nurse = server.login("nurse@example.org/house")
    received = "".join(enters(nurse))
    assert "something else" in received
    assert "secret" not in received


def test_only_who_said_it(server, room, romeo, juliet):
    """§5: the same occupant, which is the same account; nobody hears of another's attempt."""
    id = says(juliet)
    romeo.forget()
    (answer,) = retracts(romeo, id)
    assert "<forbidden" in answer
    romeo.forget()
    assert heard(juliet) == []
    assert ask(romeo, to=TO).bodies == ["a secret"]
    garden = server.login("juliet@example.org/garden")
    enters(garden, nick="somebody-else")
    garden.forget()
    retracts(garden, id)
    assert ask(romeo, to=TO).bodies == [None, "took something back"]


def test_another_who_has_the_nickname_now(server, room, romeo, juliet):
    """§5: a name is nobody's for ever."""
    id = says(juliet)
    juliet.says(f"<presence type='unavailable' to='{COVEN}/balcony'/>")
    nurse = server.login("nurse@example.org/balcony")
    enters(nurse)
    nurse.forget()
    (answer,) = retracts(nurse, id)
    assert "<forbidden" in answer
    assert ask(romeo, to=TO).bodies == ["a secret"]


@pytest.mark.parametrize("id", ["m1", "0" * 32, "", "x&lt;"])
def test_what_is_not_there(room, romeo, juliet, id):
    """§5.1: it may be older than the archive; the clients know whose it was."""
    says(juliet)
    romeo.forget()
    retracts(juliet, id)
    assert len(heard(romeo)) == 1
    assert ask(romeo, to=TO).bodies[0] == "a secret"


def test_a_retraction_without_id(room, romeo, juliet):
    """§4: a tombstone names it by that, so there is none."""
    id = says(juliet)
    body = "<body>took it back</body>"
    juliet.says(
        f"<message to='{COVEN}' type='groupchat'>{body}<retract xmlns='{NS}' id='{id}'/></message>"
    )
    assert ask(romeo, to=TO).bodies[0] == "a secret"


def test_twice(room, romeo, juliet):
    """§4: the first one made the tombstone."""
    id = says(juliet)
    retracts(juliet, id)
    retracts(juliet, id, "r2")
    first = ask(romeo, to=TO).results[0]
    assert "id='r1'" in first


def test_order_is_kept_while_one_is_looked_for(server, room, romeo, juliet):
    """RFC 6120 §10.1: what the same client says afterwards comes afterwards."""
    id = says(juliet)
    romeo.forget()
    retract = f"<retract xmlns='{NS}' id='{id}'/>"
    one = f"<message to='{COVEN}' type='groupchat' id='r1'>{retract}</message>"
    two = f"<message to='{COVEN}' type='groupchat' id='m2'><body>next</body></message>"
    juliet.says(one + two)
    assert [message.id for message in heard(romeo)] == ["r1", "m2"]
