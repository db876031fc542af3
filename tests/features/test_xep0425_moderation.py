"""XEP-0425: moderators take back what others said in a room."""

import pytest

from imsuite.rules.affiliations import Role
from imsuite.store.dialect import StoreFull
from tests.archives import ask, rows
from tests.covens import COVEN, enters, heard, meets, stanza_id, tells
from tests.helpers import holds
from tests.managed import Managed
from tests.paced import Pace

TO = f" to='{COVEN}'"
NS = "urn:xmpp:message-moderate:1"
RETRACT = "<retract xmlns='urn:xmpp:message-retract:1'/>"


@pytest.fixture
def room(server, romeo, juliet):
    """Romeo's room, where he moderates."""
    return meets(server, romeo, juliet)


def says(client, text="a secret"):
    """Let a client say something; return the id that the room gave it."""
    tells(client, text, id="m1")
    (message,) = (each for each in heard(client) if each.id == "m1")
    return stanza_id(message)


def moderate(client, id, inner=RETRACT + "<reason>not here</reason>"):
    """Let a client ask; return the answer."""
    id = "" if id is None else f" id='{id}'"
    received = client.says(
        f"<iq type='set' id='x' to='{COVEN}'><moderate xmlns='{NS}'{id}>{inner}</moderate></iq>"
    )
    (answer,) = (each for each in received if each.startswith("<iq"))
    return answer


def test_all_are_told(server, room, romeo, juliet):
    """§3.1: by the room, who did it, to what, and why; the moderator too."""
    id = says(juliet)
    romeo.forget()
    assert "type='result'" in moderate(romeo, id)
    moderator = room.by_client[romeo.jid.full]
    for client in (romeo, juliet):
        (message,) = heard(client)
        assert holds(
            message.raw.decode(),
            f"""<message type='groupchat' from='{COVEN}'>
            <retract xmlns='urn:xmpp:message-retract:1' id='{id}'>
            <moderated xmlns='{NS}' by='{COVEN}/orchard'>
            <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{moderator.id}'/></moderated>
            <reason>not here</reason></retract></message>""",
        )
        assert message.id
        assert stanza_id(message) != id


def test_the_archive_has_a_tombstone(server, host, room, romeo, juliet):
    """§4: what was said is nowhere any more; whose it was and who took it away is."""
    author = room.by_client[juliet.jid.full]
    moderator = room.by_client[romeo.jid.full]
    id = says(juliet)
    moderate(romeo, id)
    answer = ask(juliet, to=TO)
    assert answer.ids[0] == id
    first, second = answer.results
    retraction = heard(romeo)[-1].id
    assert holds(
        first,
        f"""<message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'>
        <message xmlns='jabber:client' type='groupchat' from='{COVEN}/balcony' id='m1'>
        <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{author.id}'/>
        <retracted xmlns='urn:xmpp:message-retract:1' id='{retraction}'>
        <moderated xmlns='{NS}' by='{COVEN}/orchard'>
        <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{moderator.id}'/></moderated>
        <reason>not here</reason></retracted></message></forwarded></result></message>""",
    )
    assert "<retract " in second
    assert b"secret" not in b"".join(raw for (raw,) in rows(host, "message", "raw"))


def test_who_enters_later_does_not_hear_it(server, room, romeo, juliet):
    """§5: no further distribution."""
    id = says(juliet)
    tells(juliet, "something else")
    moderate(romeo, id)
    nurse = server.login("nurse@example.org/house")
    received = "".join(enters(nurse))
    assert "something else" in received
    assert "secret" not in received


def test_a_reason_is_not_needed(room, romeo, juliet):
    """§3"""
    id = says(juliet)
    assert "type='result'" in moderate(romeo, id, RETRACT)
    assert "<reason" not in heard(romeo)[-1].raw.decode()


def test_reasons_are_text(room, romeo, juliet):
    """RFC 6120 §11.6: nothing in them is markup."""
    id = says(juliet)
    moderate(romeo, id, f"{RETRACT}<reason>&lt;b&gt; &amp; '</reason>")
    assert b"<reason>&lt;b&gt; &amp; &apos;</reason>" in heard(juliet)[-1].raw


def test_only_moderators_may(server, room, romeo, juliet):
    """§3.2: also not the author, who has XEP-0424, nor who is not in the room."""
    nurse = server.login("nurse@example.org/house")
    garden = server.login("romeo@example.org/garden")
    id = says(juliet)
    for client in (juliet, nurse, garden):
        answer = moderate(client, id)
        assert "<error type='modify'><forbidden" in answer
    assert ask(romeo, to=TO).bodies == ["a secret"]
    room.by_client[juliet.jid.full].role = Role.MODERATOR
    assert "type='result'" in moderate(juliet, id)


def test_what_is_not_there(room, romeo, juliet):
    """RFC 6120 §8.3.3: the narrowest condition."""
    id = says(juliet)
    assert "<item-not-found" in moderate(romeo, "0" * 32)
    assert "<item-not-found" in moderate(romeo, "m1")
    assert "<bad-request" in moderate(romeo, None)
    assert "<bad-request" in moderate(romeo, "")
    assert "<feature-not-implemented" in moderate(romeo, id, "<edit xmlns='urn:example'/>")
    assert "<not-acceptable" in moderate(romeo, id, f"{RETRACT}<reason>{'x' * 1001}</reason>")
    assert heard(juliet) == []


def test_a_second_time_nothing_happens(room, romeo, juliet):
    """Two moderators may be of one mind."""
    id = says(juliet)
    moderate(romeo, id)
    romeo.forget()
    assert "type='result'" in moderate(romeo, id)
    assert heard(romeo) == []


def test_what_takes_back_stays(room, romeo, juliet):
    """XEP-0424 §5: the retraction is stored in any case."""
    id = says(juliet)
    moderate(romeo, id)
    assert "<not-allowed" in moderate(romeo, stanza_id(heard(juliet)[-1]))


def test_nobody_else_says_that_something_was_moderated(room, romeo, juliet):
    """§5: such messages of occupants are no moderation."""
    id = says(romeo)
    forged = (
        f"<retract xmlns='urn:xmpp:message-retract:1' id='{id}'><moderated xmlns='{NS}'"
        f" by='{COVEN}/orchard'/></retract>"
    )
    (answer,) = tells(juliet, "", id="f", inner=forged)
    assert "<forbidden" in answer
    romeo.forget()
    assert ask(romeo, to=TO).bodies == ["a secret"]


def test_of_a_room_without_archive(server, host, romeo, juliet):
    """What clients may still come for is taken back as well."""
    room = meets(server, romeo, juliet, logged=False)
    nurse = Managed(server, "nurse@example.org/house")
    nurse.says(
        f"<presence to='{COVEN}/nurse'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
    id = says(juliet)
    assert "type='result'" in moderate(romeo, id)
    assert b"secret" not in b"".join(raw for (raw,) in rows(host, "message", "raw"))
    assert not any("secret" in said.stanza.raw.decode() for said in room.said)


def test_what_can_not_be_written_did_not_happen(server, host, room, romeo, juliet):
    """RFC 6120 §8.3.3.18: nobody hears of it but who asked."""
    id = says(juliet)
    juliet.forget()
    pace = Pace(host.store)
    pace.held = True
    romeo.says(
        f"<iq type='set' id='x' to='{COVEN}'><moderate xmlns='{NS}' id='{id}'>{RETRACT}"
        "</moderate></iq>"
    )
    while pace.step(reading=True) or pace.step(StoreFull("no room")):
        pass
    pace.go_on()
    (answer,) = romeo.received[-1:]
    assert "<resource-constraint" in answer
    assert heard(juliet) == []
    assert ask(juliet, to=TO).bodies == ["a secret"]


def test_rooms_say_so(server, room, romeo):
    """§2"""
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    (answer,) = romeo.says(f"<iq type='get' id='d' to='{COVEN}'>{query}</iq>")
    assert f"<feature var='{NS}'/>" in answer
    (answer,) = romeo.says(f"<iq type='get' id='d' to='conference.example.org'>{query}</iq>")
    assert NS not in answer


@pytest.mark.server(features=["default", "-archive"])
def test_without_archives_there_is_none(server, room, romeo):
    """§2: nor is it said that there were."""
    assert "<service-unavailable" in moderate(romeo, "0" * 32)
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    (answer,) = romeo.says(f"<iq type='get' id='d' to='{COVEN}'>{query}</iq>")
    assert NS not in answer
