"""A host: its features, accounts and sessions, and what becomes of errors."""

from random import Random

import pytest
from twisted.internet.defer import Deferred
from zope.interface import Interface, implementer

from benchmarks.storm.late import LateStore
from imsuite.core import host as host_module
from imsuite.core.feature import At, Feature, answers, on, takes
from imsuite.core.hooks import BOUND, INCOMING, STARTED, STOPPING, UNBOUND, Stage
from imsuite.core.host import FeatureConflict
from imsuite.core.session import Session
from imsuite.testing.memory import MemoryClient, MemoryServer, now
from imsuite.testing.memory_link import MemoryTls
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import Dropped, ImsuiteError, StanzaError
from imsuite.xmpp.stanza import make as make_stanza
from imsuite.xmpp.stanza import result
from tests.core.conftest import login
from tests.helpers import holds, iq_error

ASK = "<iq type='get' id='1' to='example.org'><{} xmlns='urn:test'/></iq>"


class IThing(Interface):
    """Something that one feature gives to another."""


class Needs(Feature):
    """Asks for a thing."""

    __module__ = "tests.xep0001_needs"
    spec = "XEP-0001"
    requires = (IThing,)


@implementer(IThing)
class Gives(Feature):
    """Has the thing."""

    __module__ = "tests.xep0002_gives"
    spec = "XEP-0002"
    advertises = {At.HOST | At.ACCOUNT: ("urn:thing",), At.HOST: ("urn:host",)}


def test_a_missing_requirement_stops_the_start(make):
    """Architecture §3: with a plain message."""
    with pytest.raises(FeatureConflict, match=r"feature needs needs a feature .* IThing"):
        make(Needs)


def test_features_are_found_by_what_they_provide(make):
    host = make(Needs, Gives).host
    assert host.find_feature(IThing) is host.features["gives"]


def test_what_is_advertised_depends_on_the_kind_of_address(make):
    host = make(Gives).host
    assert host.advertised(At.HOST) == ["urn:host", "urn:thing"]
    assert host.advertised(At.ACCOUNT) == ["urn:thing"]
    assert host.advertised(At.SELF) == []


class Answering(Feature):
    """Answers and fails in many ways."""

    __module__ = "tests.xep0003_answering"
    spec = "XEP-0003"

    @answers("get", "urn:test", "plain", At.HOST)
    def plain(self, passing):
        return result(passing.stanza)

    @answers("get", "urn:test", "later", At.HOST)
    async def later(self, passing):
        return result(passing.stanza)

    @answers("get", "urn:test", "itself", At.HOST)
    async def itself(self, passing):
        self.host.answer(passing, result(passing.stanza))

    @answers("get", "urn:test", "refused", At.HOST)
    def refused(self, passing):
        raise StanzaError("forbidden")

    @answers("get", "urn:test", "domain", At.HOST)
    async def domain(self, passing):
        class TooMany(ImsuiteError):
            condition = "resource-constraint"

        raise TooMany

    @answers("get", "urn:test", "bug", At.HOST)
    async def bug(self, passing):
        raise ZeroDivisionError("secret detail")

    @takes("message", "chat", "error", at=At.HOST)
    def dropped(self, passing):
        raise Dropped if passing.stanza.id == "silent" else StanzaError("gone")


@pytest.mark.parametrize("name", ["plain", "later", "itself"])
def test_a_request_gets_one_result(pair, name):
    """RFC 6120 §8.2.3"""
    (got,) = pair(Answering).romeo.says(ASK.format(name))
    assert holds(got, "<iq type='result' id='1' from='example.org'/>")


@pytest.mark.parametrize(
    ("name", "condition"), [("refused", "forbidden"), ("domain", "resource-constraint")]
)
def test_errors_of_features_are_answered_with_their_condition(pair, name, condition):
    """Architecture §11"""
    (got,) = pair(Answering).romeo.says(ASK.format(name))
    assert holds(got, iq_error("1", condition))


def test_a_bug_is_logged_and_told_in_general_words(pair):
    """Architecture §11: the details go to the log."""
    clients = pair(Answering)
    (got,) = clients.romeo.says(ASK.format("bug"))
    assert holds(got, iq_error("1", "internal-server-error"))
    assert "secret detail" not in got
    assert len(clients.server.failures.events) == 1
    assert clients.server.failures.take(ZeroDivisionError) == []


def test_dropped_is_silence(pair):
    romeo = pair(Answering).romeo
    assert romeo.says("<message type='chat' id='silent' to='example.org'/>") == []
    (got,) = romeo.says("<message type='chat' id='2' to='example.org'/>")
    assert holds(got, "<message type='error' id='2' from='example.org'/>")


def test_errors_are_not_answered_with_errors(pair):
    """RFC 6120 §8.3.1, pitfall 19"""
    clients = pair(Answering)
    for stanza in (
        "<message type='error' to='example.org'/>",
        "<message type='error' to='nobody@example.org'/>",
        "<message type='error' to='juliet@example.org/gone'/>",
        "<message type='error' to='@'/>",
        "<presence type='error' to='nobody@example.org'/>",
        "<iq type='error' id='1' to='nobody@example.org'/>",
        "<iq type='result' id='1' to='a@example.net'/>",
    ):
        assert clients.romeo.says(stanza) == [], stanza


@pytest.mark.parametrize("inside", [b"", b"<a xmlns='u'/><b xmlns='u'/>"])
def test_a_request_without_one_payload_is_a_bad_request(pair, inside):
    """RFC 6120 §8.2.3: also where no session has checked it, as from a component."""
    clients = pair()
    names = ("u}a", "u}b") if inside else ()
    attrs = {"type": "get", "id": "1", "to": "example.org", "from": "x.example.org"}
    passing = host_module.Passing(
        make_stanza("iq", attrs, inside, *names), None, clients.host.jid, None
    )
    with pytest.raises(StanzaError) as caught:
        clients.server.router.route(passing)
    assert caught.value.condition == "bad-request"


def test_two_owners_of_one_request_stop_the_start(make):
    """Architecture §3"""

    class Second(Feature):
        __module__ = "tests.xep0004_second"
        spec = "XEP-0004"

        @answers("get", "urn:test", "plain", At.HOST | At.SELF)
        def plain(self, passing):
            return result(passing.stanza)

    with pytest.raises(FeatureConflict):
        make(Answering, Second)


# accounts and sessions


def test_an_account_is_loaded_once_for_all_who_ask(make):
    server = make()
    server.account("romeo@example.org")
    host = server.host
    gate = Deferred()
    store, reads = host.store, []

    class Slow:
        async def read(self, function):
            reads.append(function)
            await gate
            return await store.read(function)

    host.store = Slow()
    asked = [Deferred.fromCoroutine(host.account("romeo")) for _ in range(3)]
    gate.callback(None)
    first, *others = map(now, asked)
    assert first is not None
    assert all(other is first for other in others)
    assert len(reads) == 1


def test_who_waits_for_an_account_is_not_harmed_by_the_failure_of_another(make):
    server = make()
    server.account("romeo@example.org")
    host, store = server.host, server.host.store
    gate, reads = Deferred(), []

    class FailsOnce:
        async def read(self, function):
            reads.append(function)
            if len(reads) == 1:
                await gate
                raise OSError("disk")
            return await store.read(function)

    host.store = FailsOnce()
    one = Deferred.fromCoroutine(host.account("romeo"))
    other = Deferred.fromCoroutine(host.account("romeo"))
    gate.callback(None)
    with pytest.raises(OSError, match="disk"):
        now(one)
    assert now(other).bare == "romeo@example.org"


def test_there_is_no_account_that_nobody_made(make):
    host = make().host
    assert now(host.account("nobody")) is None
    assert host.accounts == {}


def test_accounts_that_nobody_uses_make_room(make, monkeypatch):
    """What is kept of strangers' accounts has a limit; accounts in use stay."""
    monkeypatch.setattr(host_module, "_OFFLINE", 2)
    server = make()
    romeo = login(server, "romeo@example.org/orchard")
    for name in ("a", "b", "c", "d"):
        server.account(f"{name}@example.org")
        now(server.host.account(name))
    assert set(server.host.accounts) == {"romeo", "c", "d"}
    romeo.closes()
    assert set(server.host.accounts) == {"d", "romeo"}


class Told(Feature):
    """Notes the life of sessions and of the host."""

    __module__ = "tests.xep0005_told"
    spec = "XEP-0005"

    def __init__(self, host, options):
        super().__init__(host, options)
        self.told = []

    @on(BOUND)
    def bound(self, session):
        self.told.append(f"bound {session.full}")

    @on(UNBOUND)
    async def unbound(self, session):
        assert session.full not in self.host.router.sessions
        self.told.append(f"unbound {session.full}")

    @on(STARTED)
    def started(self, host):
        self.told.append("started")

    @on(STOPPING)
    def stopping(self, host):
        self.told.append("stopping")


def test_features_hear_of_sessions_and_of_the_end():
    server = MemoryServer(features=["bind", Told])
    told = server.host.features["told"].told
    romeo = login(server, "romeo@example.org/orchard")
    romeo.vanishes()
    server.stop()
    romeo = "romeo@example.org/orchard"
    assert told == ["started", f"bound {romeo}", f"unbound {romeo}", "stopping"]


def test_the_end_of_a_session_is_told_once(pair):
    clients = pair(Told)
    session = clients.romeo.session
    clients.romeo.closes()
    clients.romeo.vanishes()
    now(clients.host.unbind(session))
    told = clients.host.features["told"].told
    assert told.count("unbound romeo@example.org/orchard") == 1


def test_a_session_that_took_over_an_address_keeps_it(pair):
    """The old session's end must not take the new one away (RFC 6120 §7.7.2.2)."""
    clients = pair(Told)
    old = clients.romeo.session
    new = login(clients.server, "romeo@example.org/orchard")
    now(clients.host.unbind(old))
    assert clients.server.router.sessions["romeo@example.org/orchard"] is new.session
    assert "conflict" in clients.romeo.received[-1]
    assert clients.romeo.gone
    new.says("<message to='juliet@example.org/balcony'/>")
    assert len(clients.juliet.received) == 1


def test_nothing_is_kept_of_a_temporary_account(make):
    """XEP-0175 §3"""
    server = make()
    host = server.host
    account = host.temporary_account("guest")
    jid = account.jid.with_resource("here")
    session = Session(account, jid, None, None)
    now(host.bind(session))
    assert host.accounts == {"guest": account}
    now(host.unbind(session))
    assert host.accounts == {}
    assert now(host.account("guest")) is None


class Refusing(Feature):
    """Refuses what arrives for juliet."""

    __module__ = "tests.xep0006_refusing"
    spec = "XEP-0006"

    @on(INCOMING, Stage.GUARD, kind="message")
    async def refuse(self, passing):
        if passing.account.jid.local == "juliet":
            raise StanzaError("policy-violation")


@pytest.mark.parametrize(
    "to", ["juliet@example.org/balcony", "juliet@example.org", "juliet@example.org/gone"]
)
def test_incoming_guards_every_way_to_an_account(pair, to):
    """Architecture §1: step 6, for sessions, accounts and resources that are gone."""
    clients = pair(Refusing, Everything)
    (got,) = clients.romeo.says(f"<message to='{to}'/>")
    assert "policy-violation" in got
    assert clients.juliet.received == []
    assert clients.romeo.says("<message to='romeo@example.org'/>") == []


class Everything(Feature):
    """Takes every message."""

    __module__ = "tests.xep0007_everything"
    spec = "XEP-0007"

    @takes("message", None, at=At.ADDRESS | At.ABSENT)
    def take(self, passing):
        pass


def logged_in(server, jid):
    """Return a client that has authenticated and not bound a resource yet."""
    link = server.connect(MemoryTls())
    stream = link.receiver
    stream.host = server.host
    server.account(jid)
    stream.authenticated(now(server.host.account(parse(jid).local)), lambda: None)
    client = MemoryClient(server, parse(jid), link, stream)
    client.opens()
    return client


BIND = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"


def test_an_account_that_was_removed_after_the_login_gets_no_session(make):
    server = make()
    romeo = logged_in(server, "romeo@example.org/orchard")
    now(server.host.registrar.delete("romeo"))
    (got,) = romeo.says(BIND)
    assert "not-authorized" in got
    assert romeo.gone
    assert server.host.accounts == server.router.sessions == {}


def test_sessions_of_one_account_share_it_even_if_it_made_room_before(make, monkeypatch):
    monkeypatch.setattr(host_module, "_OFFLINE", 1)
    server = make()
    one = logged_in(server, "romeo@example.org/orchard")
    server.account("nurse@example.org")
    now(server.host.account("nurse"))
    other = login(server, "romeo@example.org/garden")
    one.says(BIND)
    assert one.session.account is other.session.account
    assert len(other.session.account.sessions) == 2


def test_an_account_that_is_removed_after_the_password_is_not_made_anew(make):
    """Nobody enters it, unless another source vouched for it; and not while it is removed."""
    host = make().host
    assert now(host.own_account("romeo", enter=False)) is None
    host.removing.add("romeo")
    assert now(host.own_account("romeo", enter=True)) is None
    host.removing.clear()
    assert not now(host.users.exists("romeo"))


def test_an_account_that_two_bring_along_at_once_is_one(make):
    """Two first logins, vouched for by another source, with a store that answers late."""
    server = make()
    host = server.host
    host.store = host.users.store = late = LateStore(server.store, Random(1))
    found = []
    for _ in range(2):
        work = Deferred.fromCoroutine(host.own_account("romeo", enter=True))
        work.addCallback(found.append)
    while late:
        late.turn()
    assert len(found) == 2
    assert found[0] is found[1] is host.accounts["romeo"]
