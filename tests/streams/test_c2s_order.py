"""RFC 6120 §10.1: order, and what becomes of stanzas that wait when the stream ends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import DELIVERING, INCOMING, OUTGOING, Stage
from imsuite.testing.memory import MemoryServer

CORE = ["bind", "roster", "presence", "messages"]


class Waiting(Feature):
    """Lets stanzas wait at the hooks that their type of content names, each at its own gate."""

    __module__ = "tests.xep0001_waiting"
    spec = "XEP-0001"

    def __init__(self, host, options):
        super().__init__(host, options)
        host.gates = []

    def _wait(self, passing, hook):
        if not passing.stanza.has("urn:wait", hook):
            return None
        gate = Deferred()
        self.host.gates.append(gate)
        return self._until(gate)

    async def _until(self, gate):
        await gate

    @on(OUTGOING, Stage.RECORD)
    def outgoing(self, passing):
        return self._wait(passing, "outgoing")

    @on(INCOMING, Stage.RECORD)
    def incoming(self, passing):
        return self._wait(passing, "incoming")

    @on(DELIVERING, Stage.RECORD)
    def delivering(self, passing):
        return self._wait(passing, "delivering")


def message(number, hooks, to="juliet@example.org/balcony"):
    inner = "".join(f"<{hook} xmlns='urn:wait'/>" for hook in hooks)
    return f"<message to='{to}' type='chat' id='{number}'>{inner}</message>"


HOOKS = st.lists(st.sampled_from(["outgoing", "incoming", "delivering"]), unique=True, max_size=2)
ACTIONS = st.lists(st.one_of(st.just(None), HOOKS), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(
    ACTIONS,
    st.sampled_from(["juliet@example.org/balcony", "juliet@example.org"]),
    st.sampled_from([None, "end", "lost"]),
    st.sampled_from([None, 1]),
)
def test_order_is_kept_wherever_stanzas_wait(actions, to, end, size):
    """§10.1: None opens the oldest gate; all that was received is delivered, also at the end."""
    server = MemoryServer(features=[*CORE, Waiting])
    try:
        romeo = server.login("romeo@example.org/orchard")
        juliet = server.login("juliet@example.org/balcony")
        gates = server.host.gates
        sent = 0
        for action in actions:
            if action is None:
                if gates:
                    gates.pop(0).callback(None)
            else:
                romeo.link.put(message(sent, action, to).encode(), size)
                sent += 1
        if end == "end":
            romeo.closes()
        elif end == "lost":
            romeo.vanishes()
        while gates:
            gates.pop(0).callback(None)
            server.settle()
        got = [int(stanza.id) for stanza in juliet.stanzas if stanza.kind == "message"]
        assert got == list(range(sent))
        assert (str(romeo.jid) in server.router.sessions) is (end is None)
    finally:
        server.stop()
    assert server.failures.take() == []


@pytest.fixture
def server():
    server = MemoryServer(features=[*CORE, Waiting])
    yield server
    server.stop()
    assert server.failures.take() == []


@pytest.mark.parametrize("kind", ["iq", "presence", "message"])
def test_nothing_overtakes_what_waits(server, romeo, juliet, kind):
    """§10.1: kinds do not matter."""
    romeo.says(message(0, ["outgoing"]))
    to = "to='juliet@example.org/balcony'"
    later = {
        "iq": f"<iq type='result' id='1' {to}/>",
        "presence": f"<presence id='1' {to}/>",
        "message": f"<message id='1' {to}/>",
    }[kind]
    romeo.says(later)
    assert juliet.stanzas == []
    server.host.gates.pop().callback(None)
    assert [stanza.id for stanza in juliet.stanzas] == ["0", "1"]


def test_answers_come_in_order(server, romeo):
    """§10.1: also what the server itself answers."""
    romeo.says(message(0, ["outgoing"], "nobody@example.org"))
    romeo.says("<iq type='get' id='1' to='example.org'><q xmlns='urn:x'/></iq>")
    assert romeo.received == []
    server.host.gates.pop().callback(None)
    assert [stanza.id for stanza in romeo.stanzas] == ["0", "1"]


def test_what_waits_when_the_link_is_lost_is_delivered_before_the_leaving(server, romeo, juliet):
    """§4.4: what was received counts; contacts see the session go after what it said."""
    from imsuite.testing.memory import befriend

    befriend(romeo, juliet)
    romeo.says(message(0, ["incoming"]) + message(1, []))
    romeo.vanishes()
    assert juliet.received == []
    server.host.gates.pop().callback(None)
    assert [(s.kind, s.type) for s in juliet.stanzas] == [
        ("message", "chat"),
        ("message", "chat"),
        ("presence", "unavailable"),
    ]


def test_conflict_waits_for_what_the_old_session_said(server, romeo, juliet):
    """§7.7.2.2, §10.1: so that presence of the old session never follows its end."""
    from imsuite.testing.memory import befriend

    befriend(romeo, juliet)
    romeo.says("<presence><outgoing xmlns='urn:wait'/></presence>" + message(1, []))
    link = server.connect()
    stream = link.receiver
    account = romeo.session.account
    stream.host = server.host
    stream.authenticated(account, lambda: None)
    link.feed(
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        b" to='example.org' version='1.0'><iq type='set' id='b'><bind xmlns="
        b"'urn:ietf:params:xml:ns:xmpp-bind'><resource>orchard</resource></bind></iq>"
    )
    assert romeo.gone
    assert stream.session is None
    server.host.gates.pop().callback(None)
    server.settle()
    assert stream.session is not None
    assert [(s.kind, s.type) for s in juliet.stanzas] == [
        ("presence", None),
        ("message", "chat"),
        ("presence", "unavailable"),
    ]


def test_conflict_does_not_wait_for_ever(server, romeo):
    """§7.7.2.2: who comes back is not kept out by something that hangs."""
    romeo.says(message(0, ["outgoing"]))
    link = server.connect()
    stream = link.receiver
    stream.host = server.host
    stream.authenticated(romeo.session.account, lambda: None)
    link.feed(
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        b" to='example.org' version='1.0'><iq type='set' id='b'><bind xmlns="
        b"'urn:ietf:params:xml:ns:xmpp-bind'><resource>orchard</resource></bind></iq>"
    )
    server.advance(9)
    assert stream.session is None
    server.advance(1)
    assert server.router.sessions[str(romeo.jid)] is stream.session
    server.host.gates.pop().callback(None)
    server.settle()
    assert server.router.sessions[str(romeo.jid)] is stream.session
