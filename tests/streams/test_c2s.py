"""RFC 6120 §4: the stream of a client."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core.feature import Feature, StreamFeature, negotiates, on
from imsuite.core.hooks import BOUND, UNBOUND
from imsuite.rules.stream import Phase
from imsuite.testing.memory import MemoryServer, now
from imsuite.testing.memory_link import MemoryTls
from tests.raw import (
    BIND,
    ERRORS,
    OPEN,
    PASSWORD,
    STARTTLS,
    Raw,
    condition,
    is_header,
    names,
    plain,
)

CORE = ["starttls", "sasl", "bind", "roster", "presence", "messages"]
pytestmark = pytest.mark.server(features=CORE)


@pytest.fixture
def raw(server):
    """A connection in clear."""
    server.account("romeo@example.org", PASSWORD)
    return Raw(server)


@pytest.fixture
def safe(server):
    """A connection inside TLS."""
    server.account("romeo@example.org", PASSWORD)
    return Raw(server, secure=True)


# headers


def test_header_is_answered_with_a_header_and_features(raw):
    """§4.7, §4.3.2"""
    header, features = raw.opens(more=" from='romeo@example.org' xml:lang='cs'")
    assert is_header(header)
    assert header.get("from") == "example.org"
    assert header.get("to") == "romeo@example.org"
    assert header.get("version") == "1.0"
    assert header.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
    assert features.tag == "{http://etherx.jabber.org/streams}features"


def test_stream_ids_are_long_and_never_the_same(server):
    """§4.7.3"""
    ids = {Raw(server).opens()[0].get("id") for _ in range(50)}
    assert len(ids) == 50
    assert min(map(len, ids)) >= 16


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (OPEN.format("example.com", ""), "host-unknown"),
        (OPEN.format("@", ""), "host-unknown"),
        (OPEN.format("romeo@example.org", ""), "host-unknown"),
        (OPEN.format("", ""), "host-unknown"),
        (
            OPEN.format("example.org", "").replace("jabber:client", "jabber:server"),
            "invalid-namespace",
        ),
        (OPEN.format("example.org", "").replace("jabber:client", "urn:x"), "invalid-namespace"),
        (OPEN.format("example.org", "").replace("etherx", "ether"), "invalid-namespace"),
        (OPEN.format("example.org", "").replace("'1.0' to", "'2.0' to"), "unsupported-version"),
        (OPEN.format("example.org", "").replace("'1.0' to", "'0.9' to"), "unsupported-version"),
        (OPEN.format("example.org", "").replace("'1.0' to", "'x' to"), "unsupported-version"),
        (OPEN.format("example.org", "").replace(" version='1.0' to", " to"), "unsupported-version"),
        (
            "<?xml version='1.0' encoding='ISO-8859-1'?>" + OPEN.format("example.org", "")[21:],
            "unsupported-encoding",
        ),
        ("GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
        ("<!DOCTYPE x>" + OPEN.format("example.org", "")[21:], "restricted-xml"),
        (OPEN.format("example.org", "") + "<!-- no -->", "restricted-xml"),
        (OPEN.format("example.org", "") + "<a></b>", "not-well-formed"),
        (OPEN.format("example.org", "") + "<a:b/>", "not-well-formed"),  # RFC 6120 §4.9.3.13
        (OPEN.format("example.org", "") + "text", "bad-format"),
        (OPEN.format("example.org", "").replace("stream:stream", "stream:strom"), "bad-format"),
    ],
)
def test_wrong_stream_ends_with_its_condition_after_our_header(raw, header, expected):
    """§4.9.1.2, §4.9.3, pitfall 4: header, error, end tag, close; in this order."""
    got = raw.says(header)
    assert is_header(got[0])
    assert got[0].get("from") == "example.org"
    assert condition(got) == expected
    assert raw.text.count("<stream:stream") == 1
    assert raw.text.endswith("</stream:stream>")
    assert raw.ended


@pytest.mark.parametrize("to", ["EXAMPLE.org", "example.org.", "Ｅxample.org"])
def test_domain_is_compared_in_its_prepared_form(raw, to):
    """Pitfall 13"""
    assert raw.opens(to)[0].get("from") == "example.org"


def test_single_host_needs_no_to(raw):
    """§4.7.2: a client that names nobody gets the only host there is."""
    header = OPEN.format("", "").replace(" to=''", "")
    assert raw.says(header)[0].get("from") == "example.org"


@pytest.mark.server(domains=("example.org", "example.net"), features=CORE)
def test_of_several_hosts_one_has_to_be_named(server):
    """§4.9.3.7"""
    assert condition(Raw(server).says(OPEN.format("", "").replace(" to=''", ""))) == (
        "improper-addressing"
    )
    for domain in ("example.org", "example.net"):
        assert Raw(server).opens(domain)[0].get("from") == domain


@pytest.mark.server(domains=("example.org", "example.net"), features=CORE)
def test_authenticated_at_one_host_is_nobody_at_another(server):
    """§6.4.6, §4.9.3.6"""
    server.account("romeo@example.org", PASSWORD)
    raw = Raw(server, secure=True)
    raw.opens("example.org")
    raw.says(plain("romeo"))
    assert condition(raw.opens("example.net")) == "host-unknown"


@pytest.mark.parametrize("size", [1, 2, 7, None])
def test_pieces_do_not_matter(server, size):
    """A whole log-in, cut at every place."""
    server.account("romeo@example.org", PASSWORD)
    raw = Raw(server, secure=True)
    raw.says(OPEN.format("example.org", ""), size)
    raw.says(plain("romeo"), size)
    raw.says(OPEN.format("example.org", ""), size)
    got = raw.says(BIND.format(id="b", resource="<resource>r\U0001f339</resource>"), size)
    assert "romeo@example.org/r\U0001f339" in raw.text
    assert len(got) == 1


# restarts and features


def test_stream_restarts_after_tls_and_after_sasl(raw):
    """§4.3.3, pitfall 1: another id each time, and other features."""
    seen = []
    header, features = raw.opens(more=" xml:lang='cs'")
    seen.append((header.get("id"), names(features)))
    (proceed,) = raw.says(STARTTLS)
    assert proceed.tag == "{urn:ietf:params:xml:ns:xmpp-tls}proceed"
    assert raw.link.secure
    header, features = raw.opens()
    seen.append((header.get("id"), names(features)))
    assert raw.stream.lang is None  # what was said in clear is forgotten
    raw.says(plain("romeo"))
    header, features = raw.opens(more=" xml:lang='de'")
    seen.append((header.get("id"), names(features)))
    assert raw.stream.lang == "de"
    assert len({id for id, _ in seen}) == 3
    assert [features for _, features in seen] == [
        ["starttls"],
        ["mechanisms"],
        ["bind", "session", "ver", "sub"],
    ]
    raw.binds("orchard")
    assert raw.stream.session.full == "romeo@example.org/orchard"


def test_header_may_follow_in_the_same_packet_as_nothing_else(raw):
    """§5.4.3.3: nothing is sent by the server before the new header."""
    raw.opens()
    raw.says(STARTTLS)
    assert raw.reads() == []
    assert not raw.link.closed


def test_after_a_restart_old_prefixes_are_unknown(safe):
    """§4.3.3: a fresh parser."""
    safe.opens(more=" xmlns:old='urn:old'")
    safe.says(plain("romeo"))
    safe.opens()
    assert condition(safe.says("<old:x/>")) == "not-well-formed"


@pytest.mark.parametrize("more", ["<iq/>", BIND.format(id="x", resource=""), "<a", STARTTLS])
def test_what_is_sent_on_the_old_stream_after_sasl_ends_it(safe, more):
    """§6.4.6: it must not be taken for a part of the authenticated stream."""
    safe.opens()
    got = safe.says(plain("romeo") + more)
    assert condition(got) == "policy-violation"
    assert "<success" not in safe.text
    assert safe.ended


@pytest.mark.parametrize(
    ("phase", "element", "expected"),
    [
        ("clear", "<message/>", "not-authorized"),
        ("clear", "<presence/>", "not-authorized"),
        ("clear", BIND.format(id="b", resource=""), "not-authorized"),
        ("clear", "<letter xmlns='urn:x'/>", "unsupported-stanza-type"),
        ("clear", f"<message>{STARTTLS}</message>", "not-authorized"),  # pitfall S-6
        ("tls", f"<message>{plain('romeo')}</message>", "not-authorized"),
        ("tls", "<iq type='get' id='1'/>", "not-authorized"),
        ("tls", STARTTLS, "unsupported-stanza-type"),
        ("sasl", "<message to='juliet@example.org'/>", "not-authorized"),
        ("sasl", "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>", "not-authorized"),
        ("sasl", plain("romeo"), "unsupported-stanza-type"),
        ("sasl", STARTTLS, "unsupported-stanza-type"),
        ("bound", plain("romeo"), "unsupported-stanza-type"),
        ("bound", STARTTLS, "unsupported-stanza-type"),
        ("bound", "<letter/>", "unsupported-stanza-type"),
        ("bound", "<message from='juliet@example.org'/>", "invalid-from"),
        ("bound", "<a:b xmlns:a='jabber:server'/>", "unsupported-stanza-type"),
    ],
)
def test_what_is_out_of_place_ends_the_stream(server, phase, element, expected):
    """§4.9.3.12, §4.9.3.24, §4.3.2"""
    server.account("romeo@example.org", PASSWORD)
    raw = Raw(server, secure=phase != "clear")
    if phase in ("clear", "tls"):
        raw.opens()
    else:
        raw.logs_in("romeo@example.org")
        if phase == "bound":
            raw.binds("orchard")
    assert condition(raw.says(element)) == expected
    assert raw.ended
    assert not server.router.sessions


@pytest.mark.parametrize("phase", ["clear", "tls", "sasl", "bound"])
def test_closing_is_answered_in_every_phase(server, phase):
    """§4.4"""
    server.account("romeo@example.org", PASSWORD)
    raw = Raw(server, secure=phase != "clear")
    if phase in ("clear", "tls"):
        raw.opens()
    else:
        raw.logs_in("romeo@example.org")
        if phase == "bound":
            raw.binds("orchard")
    assert raw.says("</stream:stream>") == []
    assert raw.text.endswith("</stream:stream>")
    assert raw.ended
    assert not server.router.sessions


def test_what_comes_after_an_error_is_ignored(safe):
    """§4.9.1.1"""
    safe.logs_in("romeo@example.org")
    safe.binds("orchard")
    got = safe.says("<letter/><message to='romeo@example.org'><body>x</body></message>")
    assert [each.tag for each in got] == ["{http://etherx.jabber.org/streams}error"]
    assert safe.text.count("<stream:error>") == 1


def test_whitespace_between_stanzas_is_legal(safe):
    """§4.6.1, pitfall 11"""
    safe.logs_in("romeo@example.org")
    safe.binds("orchard")
    for space in (" ", "\n", " \t\r\n ", ""):
        assert safe.says(space) == []
    assert safe.says(" <iq type='result' id='1'/> ") == []
    assert not safe.link.closed


def test_silence_after_a_cut_is_the_end_of_the_session(server, safe):
    """§4.4, pitfall 11"""
    safe.logs_in("romeo@example.org")
    safe.binds("orchard")
    safe.link.lose()
    server.settle()
    assert not server.router.sessions
    assert len(server.clients) == 0


def test_many_bytes_before_a_session_end_the_stream(safe):
    """§13.12, pitfall S-3"""
    safe.opens()
    got = []
    for _ in range(40):
        got += safe.says(" " * 1024)
    assert condition(got) == "policy-violation"


def test_large_stanza_before_a_session_ends_the_stream(safe):
    safe.opens()
    assert condition(safe.says(f"<auth xmlns='urn:x'>{'A' * 40_000}</auth>")) == "policy-violation"


# negotiation that waits, races


class Slow(StreamFeature):
    """Negotiates something that takes a while."""

    __module__ = "tests.xep0001_slow"
    spec = "XEP-0001"
    needs = Phase.SECURE
    forbids = Phase.AUTHENTICATED

    def __init__(self, host, options):
        super().__init__(host, options)
        host.gate = Deferred()

    def offer(self, stream):
        return None

    @negotiates("urn:slow", "wait")
    async def wait(self, stream, element):
        await self.host.gate
        stream.write(b"<done xmlns='urn:slow'/>")


@pytest.mark.server(features=[*CORE, Slow])
def test_what_comes_while_something_waits_is_handled_later_in_order(server, safe):
    safe.opens()
    assert safe.says("<wait xmlns='urn:slow'/>" + plain("nobody")) == []
    assert safe.link.paused
    server.host.gate.callback(None)
    assert names(safe.reads()) == ["done", "failure"]
    assert not safe.link.paused


@pytest.mark.server(features=[*CORE, Slow])
@pytest.mark.parametrize("way", ["end", "lost", "error"])
def test_stream_may_end_while_something_waits(server, safe, way):
    safe.opens()
    more = {"end": "</stream:stream>", "error": "<a></b>", "lost": ""}[way]
    safe.says("<wait xmlns='urn:slow'/>" + more)
    if way == "lost":
        safe.link.lose()
    server.host.gate.callback(None)
    safe.reads()
    assert safe.link.closed
    assert len(server.clients) == 0


class Hooks(Feature):
    """Holds binding and unbinding at gates, and notes when they are through."""

    __module__ = "tests.xep0002_hooks"
    spec = "XEP-0002"

    def __init__(self, host, options):
        super().__init__(host, options)
        host.gates = {}
        host.noted = []

    @on(BOUND)
    async def bound(self, session):
        await self.host.gates.get("bound", _open())
        self.host.noted.append("bound")

    @on(UNBOUND)
    async def unbound(self, session):
        await self.host.gates.get("unbound", _open())
        self.host.noted.append("unbound")


def _open():
    gate = Deferred()
    gate.callback(None)
    return gate


HOOKS = pytest.mark.server(features=[*CORE, Hooks])


@HOOKS
@pytest.mark.parametrize("way", ["end", "lost", "conflict"])
def test_session_ends_only_when_its_features_know_that_it_began(server, safe, way):
    """Architecture §4: BOUND comes before UNBOUND, however soon a link is lost."""
    host = server.host
    gate = host.gates["bound"] = Deferred()
    safe.logs_in("romeo@example.org")
    safe.binds("orchard")
    other = Raw(server, secure=True)
    if way == "end":
        safe.says("</stream:stream>")
    elif way == "lost":
        safe.link.lose()
    else:
        other.logs_in("romeo@example.org")
        other.binds("orchard")
    assert host.noted == []
    del host.gates["bound"]
    gate.callback(None)
    server.settle()
    assert host.noted == ["bound", "unbound", "bound"][: 3 if way == "conflict" else 2]


@HOOKS
def test_stanzas_wait_until_features_know_of_the_session(server, safe):
    """A feature never sees a stanza of a session that it has not heard of."""
    gate = server.host.gates["bound"] = Deferred()
    safe.logs_in("romeo@example.org")
    safe.binds("orchard")
    assert safe.says("<message to='romeo@example.org/orchard' id='m'/>") == []
    gate.callback(None)
    (got,) = safe.reads()
    assert got.get("id") == "m"


@HOOKS
def test_resource_is_free_only_when_everybody_knows_that_it_is(server, safe):
    """§7.7.2.2, pitfall 10: two that want the same resource while its end takes a while."""
    gate = server.host.gates["unbound"] = Deferred()
    streams = [safe, Raw(server, secure=True), Raw(server, secure=True)]
    for raw in streams:
        raw.logs_in("romeo@example.org")
        raw.binds("orchard")
    streams[0].reads()
    assert streams[0].ended
    assert "romeo@example.org/orchard" not in server.router.sessions
    del server.host.gates["unbound"]
    gate.callback(None)
    server.settle()
    bound = [raw for raw in streams if raw.stream is not None and raw.stream.session is not None]
    assert len(bound) == 1
    session = bound[0].stream.session
    assert server.router.sessions == {session.full: session}
    assert session.account.sessions == {"orchard": session}
    for raw in streams:
        if raw is not bound[0]:
            raw.reads()
            assert raw.ended
            assert f"<conflict xmlns='{ERRORS[1:-1]}'/>" in raw.text


@HOOKS
@pytest.mark.parametrize("way", ["closed", "lost"])
def test_next_session_begins_after_the_one_before_has_ended(server, safe, way):
    """Otherwise its contacts would hear that it went just after it came."""
    safe.logs_in("romeo@example.org")
    safe.binds("orchard")
    gate = server.host.gates["unbound"] = Deferred()
    if way == "closed":
        safe.says("</stream:stream>")
    else:
        safe.link.lose()
    again = Raw(server, secure=True)
    again.logs_in("romeo@example.org")
    assert again.binds("orchard") == []
    gate.callback(None)
    assert len(again.reads()) == 1
    assert server.host.noted == ["bound", "unbound", "bound"]


class Broken(Feature):
    """Fails when a session begins."""

    __module__ = "tests.xep0003_broken"
    spec = "XEP-0003"

    @on(BOUND)
    def bound(self, session):
        raise ZeroDivisionError("secret detail")


def test_failure_of_a_feature_ends_the_session_cleanly():
    """Architecture §11"""
    server = MemoryServer(features=[*CORE, Broken])
    server.account("romeo@example.org", PASSWORD)
    raw = Raw(server, tls=MemoryTls())
    raw.logs_in("romeo@example.org")
    assert condition(raw.binds("orchard")) == "internal-server-error"
    assert "secret detail" not in raw.text
    assert not server.router.sessions
    server.stop()
    assert len(server.failures.take(ZeroDivisionError)) == 0


@HOOKS
def test_account_that_was_removed_while_its_resource_was_waited_for(server, safe):
    """§7.7.2.2: whoever waits for a resource looks again when it is free."""
    safe.logs_in("romeo@example.org")
    safe.binds("orchard")
    gate = server.host.gates["unbound"] = Deferred()
    safe.link.lose()
    again = Raw(server, secure=True)
    again.logs_in("romeo@example.org")
    assert again.binds("orchard") == []
    now(server.host.registrar.delete("romeo"))
    gate.callback(None)
    assert condition(again.reads()) == "not-authorized"
    assert server.router.sessions == {}
