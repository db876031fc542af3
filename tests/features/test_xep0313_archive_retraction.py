"""XEP-0424 §4, §5: tombstones in archives."""

import pytest

from imsuite.features.xep0313_archive.retraction import MOST_OPENED
from imsuite.xmpp.stanza import Stanza
from tests.archives import FULLTEXT, ask, ask_for, rows
from tests.helpers import holds, value

JULIET, ROMEO = "juliet@example.org", "romeo@example.org"
RETRACT = "<retract id='{}' xmlns='urn:xmpp:message-retract:1'/>"
FALLBACK = "<body>/me retracted a message</body><store xmlns='urn:xmpp:hints'/>"
MUC = "<x xmlns='http://jabber.org/protocol/muc#user'/>"


def say(client, to, id, inner="<body>a secret</body>", type="chat"):
    client.says(f"<message to='{to}' id='{id}' type='{type}'>{inner}</message>")


def retract(client, to, id, by="r1", inner=FALLBACK):
    client.says(f"<message to='{to}' id='{by}' type='chat'>{RETRACT.format(id)}{inner}</message>")


def tombs(host):
    return [raw for (raw,) in rows(host, "message", "raw") if b"<retracted" in raw]


def test_both_archives_have_the_tombstone(server, host, romeo, juliet):
    """§4: the id of the retraction, when it was; and the retraction is archived."""
    say(romeo, JULIET, "m1")
    server.advance(72)
    retract(romeo, JULIET, "m1")
    for client in (romeo, juliet):
        first, second = ask(client).results
        assert holds(
            first,
            f"""<message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'>
            <delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>
            <message xmlns='jabber:client' from='romeo@example.org/orchard' to='{JULIET}' id='m1'
            type='chat'><retracted xmlns='urn:xmpp:message-retract:1' id='r1'
            stamp='2026-01-01T00:01:12Z'/></message></forwarded></result></message>""",
        )
        assert RETRACT.format("m1") in second
        assert "secret" not in first
    assert b"secret" not in b"".join(raw for (raw,) in rows(host, "message", "raw"))


def test_it_keeps_its_place_and_its_id(romeo, juliet):
    """XEP-0313 §3.2: queries stay consistent."""
    say(romeo, JULIET, "m1")
    say(romeo, JULIET, "m2", "<body>other</body>")
    before = ask(juliet)
    retract(romeo, JULIET, "m1")
    after = ask(juliet, with_=ROMEO)
    assert after.ids[:2] == before.ids
    assert after.bodies[:2] == [None, "other"]


def test_who_receives_it_is_told(romeo, juliet):
    """§3: the retraction itself goes its way."""
    say(romeo, JULIET, "m1")
    juliet.forget()
    retract(romeo, JULIET, "m1")
    (message,) = juliet.received
    assert RETRACT.format("m1") in message
    assert value(message, "<message><stanza-id xmlns='urn:xmpp:sid:0' id='{id}'/></message>")


def test_only_the_author_retracts(server, host, romeo, juliet):
    """§5: the same bare JID"""
    nurse = server.login("nurse@example.org/house")
    say(romeo, JULIET, "m1")
    retract(juliet, ROMEO, "m1")
    retract(nurse, JULIET, "m1")
    retract(nurse, ROMEO, "m1")
    assert tombs(host) == []
    retract(server.login("romeo@example.org/garden"), "juliet@example.org/balcony", "m1")
    assert len(tombs(host)) == 1


def test_an_id_belongs_to_its_author(host, romeo, juliet):
    """§6.1: both use the same one; each retracts his own."""
    say(romeo, JULIET, "same", "<body>his</body>")
    say(juliet, ROMEO, "same", "<body>hers</body>")
    retract(romeo, JULIET, "same")
    assert [each and each[:4] for each in ask(juliet).bodies] == [None, "hers", "/me "]


def test_of_several_the_newest_goes(host, romeo, juliet):
    """§6.1"""
    say(romeo, JULIET, "twice", "<body>old</body>")
    say(romeo, JULIET, "twice", "<body>new</body>")
    retract(romeo, JULIET, "twice")
    assert ask(juliet).bodies[:2] == ["old", None]


@pytest.mark.parametrize("id", ["a&apos;b", "&lt;&amp;&gt;", "ä", "x" * 500])
def test_any_id_is_found(host, romeo, juliet, id):
    say(romeo, JULIET, id)
    retract(romeo, JULIET, id)
    assert len(tombs(host)) == 1


@pytest.mark.parametrize("id", ["m", "m11", "M1", ""])
def test_other_ids_are_not(host, romeo, juliet, id):
    say(romeo, JULIET, "m1")
    retract(romeo, JULIET, id)
    assert tombs(host) == []


def test_encrypted_messages_are_retracted(host, romeo, juliet):
    """§4: the body and any related elements"""
    sealed = "<encrypted xmlns='urn:xmpp:omemo:2'><payload>x</payload></encrypted>"
    say(romeo, JULIET, "m1", sealed)
    retract(romeo, JULIET, "m1")
    (tomb,) = tombs(host)
    assert b"payload" not in tomb


@pytest.mark.parametrize(
    "inner",
    [
        "<received xmlns='urn:xmpp:receipts' id='1'/>",
        f"{RETRACT.format('x')}{FALLBACK}",
        "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>",
    ],
)
def test_what_says_nothing_is_not_retracted(host, romeo, juliet, inner):
    """§5: non-messaging payloads, and retractions themselves"""
    say(romeo, JULIET, "m1", inner)
    retract(romeo, JULIET, "m1")
    assert tombs(host) == []


def test_a_tombstone_is_not_retracted_again(host, romeo, juliet):
    say(romeo, JULIET, "m1")
    retract(romeo, JULIET, "m1", "r1")
    retract(romeo, JULIET, "m1", "r2")
    (tomb,) = tombs(host)
    assert b"id='r1'" in tomb


def test_a_retraction_that_is_not_archived_buries_nothing(host, romeo, juliet):
    """§4, §5: it MUST be in the archive."""
    say(romeo, JULIET, "m1")
    retract(romeo, JULIET, "m1", inner="<no-store xmlns='urn:xmpp:hints'/>")
    assert tombs(host) == []


def test_a_retraction_needs_an_id(host, romeo, juliet):
    """§4: the tombstone MUST name it."""
    say(romeo, JULIET, "m1")
    romeo.says(f"<message to='{JULIET}'>{RETRACT.format('m1')}{FALLBACK}</message>")
    romeo.says(
        f"<message to='{JULIET}' id='r'><retract xmlns='urn:xmpp:message-retract:1'/></message>"
    )
    assert tombs(host) == []


def test_occupants_do_not_retract_each_others(server, host, juliet):
    """§5: in a room the full JID counts; the room says that it is one (XEP-0045 §7.5)."""

    def say_in_room(nick, id, inner):
        raw = (
            f"<message from='room@muc.example.net/{nick}' to='{JULIET}' id='{id}' type='chat'>"
            f"{inner}{MUC}</message>"
        )
        host.send(Stanza.parse(raw.encode()))
        server.settle()

    say_in_room("alice", "m1", "<body>a secret</body>")
    say_in_room("bob", "r1", RETRACT.format("m1") + FALLBACK)
    assert tombs(host) == []
    say_in_room("alice", "r2", RETRACT.format("m1") + FALLBACK)
    assert len(tombs(host)) == 1


@pytest.mark.server(options={"archive": {"retractable": 3}})
def test_the_search_for_it_is_bounded(host, romeo, juliet):
    """Only the latest messages of that conversation are looked at."""
    say(romeo, JULIET, "m1")
    for number in range(3):
        say(romeo, JULIET, f"n{number}")
    romeo.says("<message type='chat'><body>elsewhere</body></message>")
    retract(romeo, JULIET, "m1")
    assert tombs(host) == []
    retract(romeo, JULIET, "n2", "r2")
    assert len(tombs(host)) == 1


def test_many_messages_are_looked_through(host, romeo, juliet):
    say(romeo, JULIET, "m1")
    for number in range(250):
        say(romeo, JULIET, f"n{number}")
    retract(romeo, JULIET, "m1")
    assert len(tombs(host)) == 1


def test_a_note_to_oneself_is_retracted(host, romeo):
    say(romeo, ROMEO, "m1")
    retract(romeo, ROMEO, "m1")
    assert len(tombs(host)) == 1


def test_its_words_are_not_found_any_more(server, host, romeo, juliet):
    """§5: no further distribution"""
    say(romeo, JULIET, "m1")
    assert len(ask_for(juliet, {FULLTEXT: "secret"}).ids) == 1
    retract(romeo, JULIET, "m1")
    assert ask_for(juliet, {FULLTEXT: "secret"}).ids == []
    assert rows(host, "archive_text") == []
    say(romeo, JULIET, "m2", "<body>another secret</body>")
    retract(romeo, JULIET, "m2")  # before it was indexed
    assert ask_for(juliet, {FULLTEXT: "secret"}).ids == []


def test_only_one_side_archives(host, romeo, juliet):
    """XEP-0441: the other one's archive has it all the same"""
    romeo.says("<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='never'/></iq>")
    say(romeo, JULIET, "m1")
    retract(romeo, JULIET, "m1")
    assert len(tombs(host)) == 1
    assert ask(romeo).ids == []


def test_few_messages_are_opened(host, romeo, juliet, monkeypatch):
    """§4: a client could give all its messages the id that it retracts, and nothing to retract."""
    for _ in range(30):
        say(romeo, JULIET, "same", "<store xmlns='urn:xmpp:hints'/>")
    opened = []
    parse = Stanza.parse
    monkeypatch.setattr(Stanza, "parse", lambda raw: opened.append(raw) or parse(raw))
    retract(romeo, JULIET, "same")
    assert len(opened) <= 2 * MOST_OPENED + 2


def test_messages_with_other_ids_are_not_opened(host, romeo, juliet, monkeypatch):
    """§4: nor those that have the id somewhere in their texts."""
    for number in range(30):
        say(romeo, JULIET, f"m{number}", "<body>id='message' message &amp; more</body>")
    opened = []
    parse = Stanza.parse
    monkeypatch.setattr(Stanza, "parse", lambda raw: opened.append(raw) or parse(raw))
    retract(romeo, JULIET, "message")
    assert len(opened) <= 2
