"""imsuitectl explain: what became of a message, by which rules, and when."""

import json

import pytest

from imsuite.app.command import CommandError
from imsuite.app.commands import find
from imsuite.app.trail import DELIVERED, DURABLE, Trail, reason
from imsuite.core.feature import Feature, on
from imsuite.core.hooks import INCOMING, Stage
from imsuite.core.record import public_id
from imsuite.testing.memory import now
from imsuite.testing.server import serve
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza

SECRET = "sesame"
CHAT = f"<message to='juliet@example.org' type='chat' id='m1'><body>{SECRET}</body></message>"
STATE = (
    "<message to='juliet@example.org/balcony' type='chat' id='s1'>"
    "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
)
BLOCK = (
    "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
    "<item jid='romeo@example.org'/></block></iq>"
)
CARBONS = "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>"


class Asked:
    """What the command needs of a server, with one in memory behind it."""

    running = True

    def __init__(self, memory):
        self.trail = memory.trail
        self.store = memory.store
        self.tables = tuple(t for f in memory.host.features.values() for t in f.tables)


def explain(server, id):
    """Return (who, what) of each row, and look that nothing that was said is among them."""
    result = now(find("explain").run(Asked(server), {"id": id}))
    assert SECRET not in repr(result)
    assert not any("\n" in row[3] for row in result.rows)
    return [(row[2], row[3]) for row in result.rows]


# --- what was decided ---------------------------------------------------------------------------


def test_a_delivered_message(server, romeo, juliet):
    """Who sent it, what it was worth, and who got it."""
    romeo.says(CHAT)
    rows = explain(server, "m1")
    assert rows[0] == (
        "romeo@example.org/orchard",
        "sent a message of type chat to juliet@example.org",
    )
    assert ("juliet@example.org/balcony", DELIVERED) in rows
    said = "\n".join(what for _, what in rows)
    for specification in ("XEP-0313", "XEP-0160", "XEP-0280", "XEP-0352", "XEP-0357"):
        assert specification in said


def test_what_is_not_written_down_is_explained_too(server, romeo, juliet):
    """A chat state: delivered, and why neither stored nor pushed."""
    romeo.says(STATE)
    rows = explain(server, "s1")
    assert ("juliet@example.org/balcony", DELIVERED) in rows
    said = "\n".join(what for _, what in rows)
    assert "not archived" in said
    assert "no push" in said


@pytest.mark.parametrize(
    ("to", "what"),
    [
        ("juliet@example.org", "XEP-0191 §3.3: nothing from a blocked address reaches the account"),
        ("nobody@example.org", "refused with service-unavailable"),
        ("example.net", "refused with remote-server-not-found"),
    ],
)
def test_a_refused_message(server, romeo, juliet, to, what):
    """The condition that the sender got, and the rule of the feature that refused."""
    juliet.says(BLOCK)
    (answer,) = romeo.says(CHAT.replace("juliet@example.org", to))
    rows = explain(server, "m1")
    assert len(rows) == 2
    assert what in rows[1][1]
    assert rows[1][1].rpartition("refused with ")[2] in answer


def test_a_dropped_message(server, romeo):
    """Silence for the sender, not for the administrator."""
    server.account("juliet@example.org")
    assert romeo.says("<message to='juliet@example.org' type='headline' id='h1'/>") == []
    assert explain(server, "h1")[1] == (None, "RFC 6121 §8.5.2, §8.5.3.2: dropped in silence")


def test_copies_are_explained(server, romeo, juliet):
    """XEP-0280: to whom and why, and why not."""
    garden = server.login("romeo@example.org/garden")
    garden.says(CARBONS)
    romeo.says(CHAT)
    assert ("romeo@example.org/garden", "XEP-0280 §6.1: copied, of type chat") in explain(
        server, "m1"
    )
    romeo.says(STATE)  # nothing of it is written
    assert ("romeo@example.org/garden", "XEP-0280 §6.1: copied, of type chat") in explain(
        server, "s1"
    )
    private = "<private xmlns='urn:xmpp:carbons:2'/></message>"
    romeo.says(CHAT.replace("m1", "m2").replace("</message>", private))
    assert any("not copied, it has private" in what for _, what in explain(server, "m2"))


def test_what_comes_later_is_told(server, romeo, juliet):
    """That it is durable, and what features note after that."""
    garden = server.login("romeo@example.org/garden")
    garden.says(CARBONS)
    romeo.says(CHAT)
    assert (None, DURABLE) in explain(server, "m1")
    (trace,) = server.trail.about("m1")
    trace.notes.append((server.clock.seconds() + 5, "XEP-0198 §4: acknowledged", "juliet"))
    result = now(find("explain").run(Asked(server), {"id": "m1"}))
    assert result.rows[-1][1:] == ("2026-01-01T00:00:05Z", "juliet", "XEP-0198 §4: acknowledged")


class Broken(Feature):
    """Makes the transaction of every message fail, as a full disk does."""

    @on(INCOMING, Stage.RECORD, kind="message")
    def doom(self, passing):
        passing.keep().write("INSERT INTO nowhere VALUES (?)", 1)


@pytest.mark.server(features=["default", Broken])
def test_what_could_not_be_stored_is_told(server, romeo, juliet):
    """Architecture §6: it was decided, and then nobody got it."""
    romeo.says(CHAT)
    said = [what for _, what in explain(server, "m1")]
    assert "given up: the store could not keep it" in said
    assert "refused with internal-server-error" in said
    assert DURABLE not in said
    server.failures.take()


# --- by which id --------------------------------------------------------------------------------


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_message_is_found_by_its_origin_id(server, romeo, juliet, quote):
    """XEP-0359 §3.1"""
    origin = f"<origin-id xmlns='urn:xmpp:sid:0' id={quote}o1{quote}/></message>"
    romeo.says(CHAT.replace("</message>", origin))
    assert explain(server, "o1") == explain(server, "m1")


def test_a_message_is_found_by_its_stanza_id(server, romeo, juliet):
    """XEP-0359: the id that the server gave is unique, others need not be."""
    server.login("romeo@example.org/garden").says(CARBONS)
    romeo.says(CHAT + CHAT)
    traces = server.trail.about("m1")
    assert len(traces) == 2
    names = {public_id(*trace.ids[0]) for trace in traces}
    assert len(names) == 2
    for name in names:
        senders = [who for who, what in explain(server, name) if what.startswith("sent a message")]
        assert len(senders) == 1


@pytest.mark.parametrize("id", ["no-such", "f" * 32, "0" * 32, "x" * 5000])
def test_an_unknown_id_is_said_to_be_unknown(server, romeo, id):
    """In one line that is not as long as what was asked."""
    with pytest.raises(CommandError) as caught:
        explain(server, id)
    assert len(str(caught.value)) < 300


def test_an_empty_id_is_none(server, romeo, juliet):
    """Most messages without an id would be it."""
    romeo.says(CHAT.replace(" id='m1'", ""))
    with pytest.raises(CommandError):
        explain(server, "")


# --- what the database still knows --------------------------------------------------------------


def test_an_older_message_that_waits(server, romeo):
    """XEP-0160: it is not among the last ones any more, and the store has it."""
    server.account("nurse@example.org")
    romeo.says(CHAT.replace("juliet", "nurse"))
    ((id, salt),) = server.trail.about("m1")[0].ids
    server.trail._traces.clear()
    rows = explain(server, public_id(id, salt))
    assert rows[0] == (
        None,
        "the store has it, from romeo@example.org/orchard to nurse@example.org",
    )
    assert ("nurse@example.org", "XEP-0160 §2: it waits until a client comes") in rows
    with pytest.raises(CommandError):  # nobody guesses it
        explain(server, public_id(id, salt ^ 1))


# --- bounds -------------------------------------------------------------------------------------


def message(**attributes):
    return Stanza("message", "jabber:client", attributes, (), b"<message/>")


def test_only_the_last_ones_are_remembered():
    trail = Trail(lambda: 0.0, 3)
    for n in range(5):
        trail.refused(message(id=f"n{n}"), Dropped())
    assert [len(trail.about(f"n{n}")) for n in range(5)] == [0, 0, 1, 1, 1]


def test_none_are_remembered_if_the_operator_says_so():
    trail = Trail(lambda: 0.0, 0)
    trail.refused(message(id="n"), Dropped())
    assert len(trail) == 0


def test_what_clients_write_is_not_remembered_at_any_length():
    trail = Trail(lambda: 0.0, 3)
    long = {name: name * 9999 for name in ("id", "to", "type", "other")}
    trail.refused(Stanza("message", "jabber:client", long, (), b"<message/>" * 1000), Dropped())
    (trace,) = trail.about(("id" * 9999)[:1024])
    assert sum(map(len, trace.attributes.values())) <= 4 * 1024


def test_nothing_that_is_said_is_kept(server, romeo, juliet):
    """Neither in the answer nor in what is remembered."""
    origin = f"<origin-id xmlns='urn:xmpp:sid:0' x='{'y' * 2000}' id='o1'/></message>"
    romeo.says(CHAT.replace("</message>", origin))
    for parts in server.trail._traces:
        assert not any(isinstance(part, Stanza) for part in parts)
        assert SECRET not in repr(parts)


def test_a_fault_is_told_as_the_sender_hears_it():
    assert reason(ValueError("secret")) == "refused with internal-server-error"
    assert reason(StanzaError("item-not-found")) == "refused with item-not-found"
    assert reason(Dropped()) == "dropped in silence"


# --- from the command line ----------------------------------------------------------------------


def test_it_is_a_command_of_imsuitectl(ctl, config):
    """Without a server only the database is asked."""
    file = config()
    ctl(file, "adduser", "romeo@localhost", "--password-stdin", stdin="pencil\n")
    result = ctl(file, "explain", "m1")
    assert result.exit_code == 1
    assert "older ones go by stanza-id" in result.output
    assert "none of that id" in ctl(file, "explain", "0" * 32).output
    assert ctl(file, "explain").exit_code == 2
    assert ctl(file, "explain", "").exit_code == 2


def test_a_running_server_answers():
    """The trail of the process that runs is asked, through its commands."""
    with serve() as server:
        service = server.service

        async def ask():
            service.trail.refused(message(id="x", to="a@b"), Dropped())
            return await find("explain").run(service, {"id": "x"})

        rows = server.run(ask).rows
    assert rows[0][3] == "sent a message of type normal to a@b"
    assert json.dumps(rows)
