"""One stanza for many."""

import pytest

from imsuite.core.fanout import Fan
from imsuite.core.feature import Feature, on
from imsuite.core.hooks import INCOMING, Passing, Stage
from imsuite.store.dialect import StoreFull
from imsuite.testing.memory import MemoryServer
from imsuite.xmpp.address import parse
from imsuite.xmpp.stanza import Stanza
from tests.paced import Pace

ROOM = "coven@conference.far.example"
FAR = "hag@far.example/hut"


class Elsewhere:
    """Takes what goes to other servers."""

    def __init__(self, router):
        self.sent = []
        router.services["far.example"] = self

    def receive(self, passing):
        self.sent.append(passing.stanza.raw.decode())

    def loading(self, jid):
        return None


@pytest.fixture
def far(server):
    return Elsewhere(server.router)


def stanza(inner="<body>hi</body>", kind="message", type="groupchat"):
    raw = f"<{kind} type='{type}' from='{ROOM}/witch'>{inner}</{kind}>"
    return Stanza.parse(raw.encode())


def recorded(host, stanza):
    """Return a record that has something to write."""
    passing = Passing(stanza, None, parse(ROOM))
    passing.host = host
    record = passing.keep()
    record.keep(stanza)
    return passing


def test_each_gets_its_own_copy(server, host, romeo, juliet):
    """With its address, and all else the same."""
    fan = Fan(host, stanza())
    for client in (romeo, juliet):
        fan.send(client.jid.full)
    assert fan.finished() is None
    for client in (romeo, juliet):
        (copy,) = client.received
        assert copy.replace(f" to='{client.jid.full}'", "") == stanza().raw.decode()


def test_addresses_are_escaped(server, host):
    """Resources may hold anything."""
    client = server.login("nurse@example.org/it's mine")
    Fan(host, stanza()).send(client.jid.full)
    assert client.stanzas[0].to == client.jid.full


def test_copies_wait_for_the_record(host, romeo, far):
    """Nobody sees what may be lost, here or elsewhere."""
    pace = Pace(host.store)
    pace.held = True
    message = stanza()
    passing = recorded(host, message)
    fan = Fan(host, message, passing.record)
    fan.send(romeo.jid.full)
    fan.send(FAR)
    fan.finished()
    passing.complete()
    assert romeo.received == far.sent == []
    pace.go_on()
    assert len(romeo.received) == len(far.sent) == 1


@pytest.mark.parametrize("why", [None, StoreFull("no room")])
def test_what_comes_later_overtakes_nothing(host, romeo, far, why):
    """RFC 6120 §10.1: to one address in order, though the first waits for the store."""
    pace = Pace(host.store)
    pace.held = True
    message = stanza()
    passing = recorded(host, message)
    passing.record.stanza = None
    first = Fan(host, message, passing.record)
    second = Fan(host, stanza("", "presence", "unavailable"))
    for fan in (first, second):
        fan.send(romeo.jid.full)
        fan.send(FAR)
        fan.finished()
        if fan is first:
            passing.complete()
    pace.step(why)
    pace.go_on()
    expected = ["message", "presence"] if why is None else ["presence"]
    assert [text[1 : len(word) + 1] for text, word in zip(far.sent, expected, strict=True)] == (
        expected
    )
    assert [each.kind for each in romeo.stanzas] == expected


@pytest.mark.parametrize("jid", ["juliet@example.org/gone", "nobody@example.org/x"])
def test_who_is_not_here_any_more_is_told_of(server, host, juliet, jid):
    """XEP-0045 §18.1.2: so that a room does not believe in ghosts."""
    failed = []
    fan = Fan(host, stanza(), None, lambda to, why: failed.append((to, why.condition)))
    fan.send(jid)
    assert failed == [(jid, "recipient-unavailable")]
    assert juliet.received == []


def test_a_bare_address_is_the_accounts(host, juliet):
    """Its rules say which sessions get it."""
    failed = []
    fan = Fan(host, stanza(type="headline"), None, lambda to, why: failed.append(to))
    fan.send("juliet@example.org")
    assert len(juliet.received) == 1
    assert failed == []


def test_who_blocks_the_sender_is_told_of(host, romeo):
    """XEP-0191 §3.3: to the sender it looks as if nobody were there."""
    romeo.says(
        f"<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='{ROOM}/witch'/>"
        "</block></iq>"
    )
    romeo.forget()
    failed = []
    Fan(host, stanza(), None, lambda to, why: failed.append(why.condition)).send(romeo.jid.full)
    assert failed == ["service-unavailable"]
    assert romeo.received == []


class Broken(Feature):
    """Knows not what to do with what comes to Romeo."""

    spec = "none"

    @on(INCOMING, Stage.GUARD, kind="message")
    def fail(self, passing):
        if passing.account.jid.local == "romeo":
            raise RuntimeError


def test_copy_that_breaks_something_takes_no_other_with_it():
    """It is logged; it is no fault of its recipient, who is not told to be gone."""
    server, gone = MemoryServer(features=["default", Broken]), []
    clients = [server.login(f"{name}@example.org/r") for name in ("romeo", "juliet")]
    fan = Fan(server.host, stanza(), failed=lambda to, why: gone.append(to))
    for client in clients:
        fan.send(client.jid.full)
    assert len(clients[1].received) == 1
    assert gone == []
    assert len(server.failures.take()) == 1
    server.stop()
