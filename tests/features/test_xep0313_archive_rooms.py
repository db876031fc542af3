"""XEP-0313 §6.1.2: archives of rooms, kept here for the feature that has the rooms."""

import pytest

from imsuite.core.hooks import Passing
from imsuite.core.interfaces import IArchive
from imsuite.core.record import Record
from imsuite.testing.memory import now
from imsuite.xmpp.address import parse
from imsuite.xmpp.stanza import Stanza
from tests.archives import FULLTEXT, ask, ask_for, rows
from tests.halls import ROOM, enter, make, said, saying
from tests.helpers import holds, value

TO = f" to='{ROOM}'"
ROMEO = "romeo@example.org"
DAY = 86_400


@pytest.fixture
def server():
    server, _ = make()
    yield server
    server.failures.stop()


@pytest.fixture
def host(server):
    return server.host


@pytest.fixture
def hall(host):
    return host.features["halls"]


@pytest.fixture
def romeo(server, hall):
    client = server.login(f"{ROMEO}/orchard")
    enter(hall, client)
    return client


@pytest.fixture
def juliet(server, hall):
    client = server.login("juliet@example.org/balcony")
    enter(hall, client)
    return client


def archive(host):
    return host.find_feature(IArchive)


def test_a_message_is_kept_once(host, romeo, juliet):
    """§6.1.2: not every copy, and not by its occupants; each of them learns its id."""
    saying(romeo, "hello")
    (row,) = rows(host, "archive", "owner, peer, resource")
    assert row == (ROOM, ROMEO, "orchard")
    (answer,) = ask(juliet, to=TO).ids
    for client in (romeo, juliet):
        client.forget()
    saying(romeo, "again")
    for client in (romeo, juliet):
        path = "<message><stanza-id xmlns='urn:xmpp:sid:0' by='{by}' id='{id}'/></message>"
        (message,) = (m for m in client.received if "again" in m)
        found = value(message, path.replace("{by}", ROOM))
        assert found != answer
        assert found in ask(client, to=TO).ids


def test_results_are_from_occupants(romeo, juliet):
    """§6.1.2: from is the occupant's, there is no to, and nothing of who it is."""
    saying(romeo, "hello")
    (result,) = ask(juliet, to=TO).results
    assert holds(
        result,
        f"""<message from='{ROOM}' to='juliet@example.org/balcony'>
        <result xmlns='urn:xmpp:mam:2' queryid='f27'><forwarded xmlns='urn:xmpp:forward:0'>
        <delay xmlns='urn:xmpp:delay'/>
        <message xmlns='jabber:client' from='{ROOM}/orchard' id='hello' type='groupchat'>
        <body>hello</body></message></forwarded></result></message>""",
    )
    assert result.count(" to=") == 1
    assert ROMEO not in result


def test_who_may_know_is_told_who_spoke(hall, romeo, juliet):
    """§6.1.2: the item of who has the right to see it has the address."""
    saying(romeo, "hello")
    hall.sees = True
    (result,) = ask(juliet, to=TO).results
    assert result.count(f"<item jid='{ROMEO}'/>") == 1
    assert ask(juliet, to=TO, with_=ROMEO).bodies == ["hello"]
    assert ask(juliet, to=TO, with_=f"{ROMEO}/garden").bodies == ["hello"]
    assert ask(juliet, to=TO, with_="juliet@example.org").bodies == []


def test_with_an_occupant(romeo, juliet):
    """§4.1.1: the publisher of the message, by nickname."""
    saying(romeo, "one")
    saying(juliet, "two")
    assert ask(juliet, to=TO, with_=f"{ROOM}/orchard").bodies == ["one"]
    assert ask(juliet, to=TO, with_=f"{ROOM}/balcony").bodies == ["two"]
    assert ask(juliet, to=TO, with_=ROOM).bodies == ["one", "two"]
    assert ask(juliet, to=TO, with_=f"{ROOM}/nobody").bodies == []


def test_nobody_finds_out_who_is_who(romeo, juliet):
    """§4.1.1: not available to who is not allowed to know; what is one's own may be asked for."""
    saying(romeo, "one")
    answer = ask(juliet, to=TO, with_=ROMEO)
    assert answer.error
    assert "<forbidden" in answer.fin
    absent = ask(juliet, to=TO, with_="nobody@example.org")
    assert "<forbidden" in absent.fin
    assert ask(romeo, to=TO, with_=ROMEO).bodies == ["one"]


def test_pages_and_metadata(romeo, juliet):
    """§4.3, §5: as with accounts."""
    saying(romeo, *"abcde")
    first = ask(juliet, "<max>2</max>", to=TO)
    assert first.bodies == ["a", "b"]
    rest = ask(juliet, f"<max>9</max><after>{first.last}</after>", to=TO)
    assert rest.bodies == ["c", "d", "e"]
    assert rest.complete
    assert ask(juliet, "<max>2</max><before/>", to=TO).bodies == ["d", "e"]
    (metadata,) = juliet.says(
        f"<iq type='get' id='m' to='{ROOM}'><metadata xmlns='urn:xmpp:mam:2'/></iq>"
    )
    assert first.first in metadata
    assert rest.last in metadata
    (form,) = juliet.says(f"<iq type='get' id='f' to='{ROOM}'><query xmlns='urn:xmpp:mam:2'/></iq>")
    assert "var='with'" in form
    (wrong,) = juliet.says(
        f"<iq type='get' id='f' to='{ROOM}'><prefs xmlns='urn:xmpp:mam:2'/></iq>"
    )
    assert "<service-unavailable" in wrong


def test_an_archive_of_another_is_another(host, romeo, juliet):
    """§4.3.2: the ids of a room are none of an account, nor the other way round."""
    saying(romeo, "hello")
    romeo.says("<message to='juliet@example.org' type='chat'><body>psst</body></message>")
    (of_room,) = ask(juliet, to=TO).ids
    assert ask(juliet).bodies == ["psst"]
    assert "<item-not-found" in ask(juliet, f"<after>{of_room}</after>").fin
    (own,) = ask(juliet).ids
    assert "<item-not-found" in ask(juliet, f"<after>{own}</after>", to=TO).fin


def test_words_are_found(server, romeo, juliet):
    """XEP-0431: in a room, too."""
    saying(romeo, "the brinded cat", "the hedge-pig")
    server.advance(5)
    assert ask_for(juliet, {FULLTEXT: "cat"}, to=TO).bodies == ["the brinded cat"]
    assert ask_for(juliet, {FULLTEXT: "cat"}).bodies == []
    form = juliet.says(f"<iq type='get' id='f' to='{ROOM}'><query xmlns='urn:xmpp:mam:2'/></iq>")
    assert FULLTEXT in form[-1]
    assert "urn:xmpp:fulltext:0" in archive(server.host).features()


def test_what_occupants_say_of_occupants_is_not_kept(host, romeo, juliet):
    """§8.4: an x of muc#user that somebody sent is forged."""
    forged = "<x xmlns='http://jabber.org/protocol/muc#user'><item jid='juliet@example.org'/></x>"
    juliet.forget()
    romeo.says(said("hello", inner=forged))
    assert "muc#user" not in juliet.received[0]
    assert "muc#user" not in ask(juliet, to=TO).results[0]


def test_the_past_is_told_in_order(server, host, romeo, juliet):
    """XEP-0045 §7.2.13: what was said, without subjects and the like."""
    saying(romeo, "a")
    romeo.says(f"<message to='{ROOM}' type='groupchat' id='s'><subject>cats</subject></message>")
    server.advance(60)
    saying(juliet, "b", "c")
    past = now(archive(host).recent(ROOM, 2))
    assert [b"<body>b</body>" in raw or b"<body>c</body>" in raw for _, _, raw in past] == [1, 1]
    assert past == sorted(past)
    assert len(now(archive(host).recent(ROOM, 20))) == 3
    assert len(now(archive(host).recent(ROOM, 20, past[0][0]))) == 2
    assert now(archive(host).recent(ROOM, 0)) == []
    assert len(ask(juliet, to=TO).results) == 4


def test_many_messages_of_the_past(host, romeo):
    """More than one statement reads."""
    saying(romeo, *map(str, range(150)))
    past = now(archive(host).recent(ROOM, 140))
    assert len(past) == 140
    assert past == sorted(past)


def test_one_message_is_found(host, romeo, juliet):
    """By its id only, as whole as that is."""
    saying(romeo, "hello")
    (uid,) = ask(juliet, to=TO).ids
    found = now(archive(host).find(ROOM, uid))
    assert (found.public, found.peer, found.nick) == (uid, ROMEO, "orchard")
    assert not found.retracted
    assert b"stanza-id" not in found.raw
    for wrong in (uid[:16] + "0" * 16, "0" * 32, "x", ""):
        assert now(archive(host).find(ROOM, wrong)) is None
    assert now(archive(host).find("other@hall.example.org", uid)) is None


OCCUPANT = "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='dd72'/>"


def test_a_tombstone_takes_its_place(server, host, romeo, juliet):
    """XEP-0424 §4, XEP-0425 §4: whose it was stays, and who took it away is there."""
    saying(romeo, "before")
    romeo.says(said("a secret word", "m1", OCCUPANT))
    server.advance(72)
    uid = ask(juliet, to=TO).ids[1]
    found = now(archive(host).find(ROOM, uid))
    passing = retraction(host, juliet)
    inner = b"<moderated xmlns='urn:xmpp:message-moderate:1' by='x'/>"
    archive(host).bury(passing, found, "r1", inner)
    host.store.append(passing)
    answer = ask(juliet, to=TO)
    assert answer.bodies == ["before", None]
    assert answer.ids[1] == uid
    assert holds(
        answer.results[1],
        f"""<message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'>
        <message xmlns='jabber:client' from='{ROOM}/orchard' id='m1' type='groupchat'>
        <occupant-id xmlns='urn:xmpp:occupant-id:0' id='dd72'/>
        <retracted xmlns='urn:xmpp:message-retract:1' id='r1' stamp='2026-01-01T00:01:12Z'>
        <moderated xmlns='urn:xmpp:message-moderate:1' by='x'/></retracted>
        </message></forwarded></result></message>""",
    )
    assert len(now(archive(host).recent(ROOM, 9))) == 1
    assert now(archive(host).find(ROOM, uid)).retracted
    server.advance(5)
    assert ask_for(juliet, {FULLTEXT: "secret"}, to=TO).bodies == []
    assert b"secret" not in b"".join(raw for (raw,) in rows(host, "message", "raw"))


def retraction(host, client):
    return Record(host, client.session.presence, host.store.ids)


def test_an_account_goes_and_its_words_stay(server, host, romeo, juliet):
    """What was said in a room is the room's."""
    saying(romeo, "hello")
    romeo.says("<message to='juliet@example.org' type='chat'><body>psst</body></message>")
    romeo.says("<iq type='set' id='x'><query xmlns='jabber:iq:register'><remove/></query></iq>")
    server.settle()
    assert not [row for row in rows(host, "archive", "owner") if row == (ROMEO,)]
    assert ask(juliet, to=TO).bodies == ["hello"]


def test_a_room_goes_and_its_words_go(server, host, romeo, juliet):
    """A room of the same name that comes later has none of them."""
    saying(romeo, "hello", "there")
    now(archive(host).set_days(ROOM, 3))
    romeo.says(f"<iq type='set' id='g' to='{ROOM}'><gone xmlns='urn:example'/></iq>")
    assert rows(host, "archive") == rows(host, "message") == rows(host, "archive_emptied") == []
    assert now(archive(host).days(ROOM)) is None
    saying(romeo, "anew")
    assert ask(juliet, to=TO).bodies == ["anew"]


def test_a_room_that_was_going_is_gone_after_a_crash(server, host, romeo):
    """From the moment on when it is said, whatever happens then."""
    saying(romeo, *"abc")
    host.features["archive"]._sweeper.stop()  # it is killed before it removes anything
    romeo.says(f"<iq type='set' id='g' to='{ROOM}'><gone xmlns='urn:example'/></iq>")
    assert len(rows(host, "archive")) == 3
    saying(romeo, "anew")
    answer = ask(romeo, to=TO)
    assert answer.bodies == ["anew"]
    assert len(now(archive(host).recent(ROOM, 9))) == 1
    (metadata,) = romeo.says(
        f"<iq type='get' id='m' to='{ROOM}'><metadata xmlns='urn:xmpp:mam:2'/></iq>"
    )
    assert f"<start id='{answer.ids[0]}'" in metadata
    second = server.crash()
    assert len(rows(second.host, "archive")) == 1
    assert rows(second.host, "archive_emptied") == []
    second.failures.stop()


def test_old_messages_go():
    """§3.2: after the days that the operator says, of rooms as of accounts; or of one room."""
    server, hall = make("-ping", options={"archive": {"days": 2}})
    romeo = server.login(f"{ROMEO}/orchard")
    enter(hall, romeo)
    saying(romeo, "old")
    server.advance(3 * DAY)
    saying(romeo, "new")
    server.advance(3600)
    assert ask(romeo, to=TO).bodies == ["new"]
    now(archive(server.host).set_days(ROOM, 30))
    server.advance(5 * DAY)
    assert ask(romeo, to=TO).bodies == ["new"]
    server.failures.stop()


def test_archives_of_other_servers_are_not_swept(host, romeo):
    """Hosts share a store: each looks after its own."""
    saying(romeo, "old")
    row = rows(host, "archive")[0]
    now(host.store.execute("INSERT INTO archive VALUES (?, ?, ?, ?, ?)", "x@y.example", *row[1:]))
    now(archive(host).set_days("x@y.example", 1))
    now(host.features["archive"]._sweeper.sweep())
    assert ("x@y.example",) in rows(host, "archive", "owner")


def test_a_query_from_elsewhere(host, server, romeo):
    """Results go to who asks, wherever that is, in order and before the answer."""
    saying(romeo, *"abc")
    sent = []

    class Elsewhere:
        def receive(self, passing):
            sent.append(passing.stanza)

        def loading(self, jid):
            return None

    server.router.services["far.example"] = Elsewhere()
    asked(host, "hag@far.example/hut")
    assert [b"<body>a" in s.raw or b"<body>b" in s.raw or b"<body>c" in s.raw for s in sent] == [
        True,
        True,
        True,
        False,
    ]
    assert {s.to for s in sent} == {"hag@far.example/hut"}
    assert {s.sender for s in sent} == {ROOM}
    assert b"<fin" in sent[-1].raw


def asked(host, sender):
    raw = f"<iq type='set' id='q' from='{sender}' to='{ROOM}'><query xmlns='urn:xmpp:mam:2'/></iq>"
    passing = Passing(Stanza.parse(raw.encode()), None, parse(sender))
    now(host.features["halls"].receive(passing))
