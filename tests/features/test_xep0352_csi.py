"""XEP-0352: Client State Indication."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsuite.core.interfaces import ICsi
from imsuite.testing.memory import MemoryServer, befriend, now
from imsuite.testing.memory_link import MemoryTls

NS = "urn:xmpp:csi:0"
INACTIVE = f"<inactive xmlns='{NS}'/>"
ACTIVE = f"<active xmlns='{NS}'/>"
PING = "<iq type='get' id='ping' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>"
STATES = "http://jabber.org/protocol/chatstates"
BODY = "<body>hi</body>"
COMPOSING = f"<message to='romeo@example.org' type='chat'><composing xmlns='{STATES}'/></message>"


def show(text):
    return f"<presence><show>{text}</show></presence>"


def message(inner, type="chat"):
    return f"<message to='romeo@example.org/orchard' type='{type}'>{inner}</message>"


def kinds(client):
    """Return the local names of what a client has received."""
    return [stanza.kind for stanza in client.stanzas]


@pytest.fixture
def idle(friends):
    """Romeo, whose client is inactive, and juliet."""
    romeo, juliet = friends
    romeo.says(INACTIVE)
    assert romeo.received == []
    return romeo, juliet


# --- §4 -----------------------------------------------------------------------------------------


def test_it_is_offered_after_authentication(server):
    """§4.1"""
    romeo = server.login("romeo@example.org/orchard")
    host = server.host
    feature = host.features["csi"]
    link = server.connect()
    link.put(
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        b" version='1.0' to='example.org'>"
    )
    server.settle()
    assert NS.encode() not in link.take()
    assert feature.offer(romeo.stream) == f"<csi xmlns='{NS}'/>".encode()


def test_the_stream_features_have_it(server):
    """§4.1"""
    romeo = server.login("romeo@example.org/orchard")
    romeo.stream.send_features()
    assert f"<csi xmlns='{NS}'/>".encode() in romeo.link.take()


@pytest.mark.parametrize("nonza", [ACTIVE, INACTIVE])
def test_there_is_no_reply(romeo, nonza):
    """§4.2"""
    for _ in range(2):
        assert romeo.says(nonza) == []
    assert not romeo.gone


@pytest.mark.parametrize("nonza", [ACTIVE, INACTIVE])
def test_before_authentication_it_is_refused(server, nonza):
    """§4.1, RFC 6120 §4.9.3"""
    link = server.connect()
    link.put(
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        b" version='1.0' to='example.org'>" + nonza.encode()
    )
    server.settle()
    assert b"<stream:error>" in link.take()


@pytest.mark.parametrize("nonza", [ACTIVE, INACTIVE])
def test_before_there_is_a_resource_it_changes_nothing(server, host, nonza):
    """§4.1 offers it then, and §5 lets nobody rely on what comes of it."""
    server.account("romeo@example.org", "pencil")
    link = server.connect(MemoryTls())
    stream = link.receiver
    stream.host = host
    stream.authenticated(now(host.account("romeo")), lambda: None)
    link.put(
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        b" version='1.0' to='example.org'>"
    )
    server.settle()
    assert f"<csi xmlns='{NS}'/>".encode() in link.take()
    link.put(nonza.encode())
    server.settle()
    assert link.take() == b""
    assert not link.closed


# --- §3.2, what waits ---------------------------------------------------------------------------


def test_presence_waits_and_the_newest_of_each_sender_counts(server, idle):
    """§3.2: "On becoming active, push the latest presence from each contact"."""
    romeo, juliet = idle
    tower = server.login("juliet@example.org/tower")
    for text in ("away", "xa", "dnd"):
        juliet.says(show(text))
        tower.says(show(f"{text}"))
    assert romeo.received == []
    romeo.says(ACTIVE)
    assert len(romeo.received) == 2
    assert all("<show>dnd</show>" in each for each in romeo.received)


def test_chat_states_are_left_out(idle):
    """§3.2: "Discard messages containing only chat states"."""
    romeo, juliet = idle
    juliet.says(COMPOSING)
    assert romeo.says(ACTIVE) == []


@pytest.mark.parametrize(
    "stanza",
    [
        message(BODY),
        message(BODY, "normal"),
        message(f"{BODY}<active xmlns='{STATES}'/>"),
        message("<encrypted xmlns='urn:xmpp:omemo:2'><payload>aGk=</payload></encrypted>"),
        message("<propose xmlns='urn:xmpp:jingle-message:0' id='c'/>"),
        message("<proceed xmlns='urn:xmpp:jingle-message:0' id='c'/>"),
        message("<invite xmlns='urn:xmpp:call-invites:0'/>"),
        message("<x xmlns='jabber:x:conference' jid='room@muc.example.org'/>", "normal"),
        message(
            "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@example.org'/></x>",
            "normal",
        ),
        message("<unknown xmlns='urn:example'/>", "normal"),
        "<iq to='romeo@example.org/orchard' type='get' id='q'><a xmlns='jabber:iq:version'/></iq>",
        "<presence to='romeo@example.org' type='unsubscribe'/>",
    ],
)
def test_what_matters_does_not_wait_and_takes_along_what_does(idle, stanza):
    """§3.2; RFC 6120 §10.1: what came before it goes before it."""
    romeo, juliet = idle
    juliet.says(show("away"))
    assert romeo.received == []
    juliet.says(stanza)
    assert len(romeo.received) >= 2
    assert "<show>away</show>" in romeo.received[0]


def test_the_answers_of_the_server_do_not_wait(idle):
    """§5: an inactive client may still ask."""
    romeo, _ = idle
    (pong,) = romeo.says(PING)
    assert "type='result'" in pong


# --- §5 -----------------------------------------------------------------------------------------


def test_active_flushes_before_what_comes_next_is_handled(idle):
    """§5.1: its example."""
    romeo, juliet = idle
    juliet.says(show("away"))
    first, second = romeo.says(ACTIVE + PING)
    assert "<show>away</show>" in first
    assert "id='ping'" in second


def test_an_active_client_waits_for_nothing(idle):
    """§4.2"""
    romeo, juliet = idle
    romeo.says(ACTIVE)
    juliet.says(show("away") + COMPOSING)
    assert kinds(romeo) == ["presence", "message"]


def test_a_new_stream_is_active(server, idle):
    """§5"""
    romeo, juliet = idle
    romeo.closes()
    again = server.login("romeo@example.org/orchard")
    juliet.says(show("away"))
    assert len(again.received) == 1


def test_the_state_has_nothing_to_do_with_presence(idle):
    """§5: "the server MUST treat the two independently"; and nobody is told (§6)."""
    romeo, juliet = idle
    juliet.forget()
    romeo.says(ACTIVE + INACTIVE)
    assert juliet.received == []
    romeo.says("<presence/>")
    juliet.says(show("away"))
    assert not any("away" in each for each in romeo.received)
    assert romeo.session.presence is not None


def test_each_client_has_a_state_of_its_own(server, idle):
    """§5"""
    romeo, juliet = idle
    garden = server.login("romeo@example.org/garden")
    garden.forget()
    juliet.says(show("away"))
    assert romeo.received == []
    assert len(garden.received) == 1


def test_a_resumed_stream_is_active(host, idle):
    """§5.2: what waited goes out, and nothing waits any more."""
    romeo, juliet = idle
    juliet.says(show("away"))
    host.features["csi"].wake(romeo.session)
    assert "away" in romeo.received[0]
    juliet.says(show("dnd"))
    assert "dnd" in romeo.received[1]


def test_others_learn_the_state_by_interface(host, romeo):
    """XEP-0357: a client that nobody looks at may want a push."""
    csi = host.find_feature(ICsi)
    assert not csi.inactive(romeo.session)
    romeo.says(INACTIVE)
    assert csi.inactive(romeo.session)
    romeo.says(ACTIVE)
    assert not csi.inactive(romeo.session)


# --- bounds -------------------------------------------------------------------------------------


def from_many(server, count, romeo):
    """Let so many resources of juliet's send presence."""
    for n in range(count):
        server.login(f"juliet@example.org/r{n}").says(show("away"))


@pytest.mark.server(options={"csi": {"stanzas": 5}})
def test_what_waits_is_bounded_in_stanzas(server, friends):
    """When there are more, all go out, in order, and the rest waits again."""
    romeo, _ = friends
    romeo.says(INACTIVE)
    from_many(server, 5, romeo)
    assert romeo.received == []
    from_many(server, 6, romeo)
    assert len(romeo.received) == 6
    assert len({re.search("/r[0-9]", each)[0] for each in romeo.received}) == 6


@pytest.mark.server(options={"csi": {"bytes": 4000}})
def test_what_waits_is_bounded_in_bytes(friends):
    """One presence over and over is not counted twice."""
    romeo, juliet = friends
    romeo.says(INACTIVE)
    for n in range(50):
        juliet.says(f"<presence><status>{'x' * 300}{n}</status></presence>")
    assert romeo.received == []
    juliet.says(f"<presence><status>{'y' * 4000}</status></presence>")
    assert "yyy" in romeo.received[-1]


@pytest.mark.server(options={"csi": {"stanzas": 0}})
def test_nothing_waits_if_the_operator_says_so(friends):
    """§3.2: "a way for administrators to configure them"."""
    romeo, juliet = friends
    romeo.says(INACTIVE)
    juliet.says(show("away"))
    assert len(romeo.received) == 1


def test_what_waits_when_the_session_ends_was_not_received(server, idle):
    """XEP-0198 §4, as for what was sent and not acknowledged: the next client gets it."""
    romeo, juliet = idle
    juliet.says(message("<displayed xmlns='urn:xmpp:chat-markers:0' id='d1'/>"))
    assert romeo.received == []
    romeo.vanishes()
    assert not any(stanza.type == "error" for stanza in juliet.stanzas)
    again = server.login("romeo@example.org/garden", available=False)
    again.says("<presence/>")
    assert any("id='d1'" in each for each in again.received)


# --- any order ----------------------------------------------------------------------------------

ACTS = st.lists(
    st.sampled_from(["on", "off", "presence", "body", "state", "marker", "ping"]), max_size=25
)


@settings(max_examples=80, deadline=None)
@given(ACTS)
def test_order_holds_and_nothing_that_matters_is_lost(acts):
    """§3.2, §5.1: whatever the client says of itself, and whenever."""
    server = MemoryServer()
    try:
        romeo = server.login("romeo@example.org/orchard")
        juliet = server.login("juliet@example.org/balcony")
        befriend(romeo, juliet)
        inactive = False
        sent = []
        for number, act in enumerate(acts):
            if act in ("on", "off"):
                romeo.says(ACTIVE if act == "on" else INACTIVE)
                inactive = act == "off"
            elif act == "ping":
                sent.append(("ping", number))
                romeo.says(PING.replace("id='ping'", f"id='ping-{number}'"))
                assert f"ping-{number}" in romeo.received[-1]
            elif act == "presence":
                sent.append((act, number))
                juliet.says(f"<presence><status>n-{number}-</status></presence>")
            elif act == "body":
                sent.append((act, number))
                juliet.says(message(f"<body>n-{number}-</body>"))
                assert f"n-{number}-" in romeo.received[-1]  # at once
            elif act == "state" and not inactive:
                sent.append((act, number))
                juliet.says(message(f"<thread>n-{number}-</thread><gone xmlns='{STATES}'/>"))
            elif act == "state":
                juliet.says(message(f"<thread>n-{number}-</thread><gone xmlns='{STATES}'/>"))
            else:
                sent.append((act, number))
                juliet.says(
                    message(
                        f"<displayed xmlns='urn:xmpp:chat-markers:0' id='n-{number}-'/>", "normal"
                    )
                )
        romeo.says(ACTIVE)
        got = [int(re.search(r"(?:n|ping)-(\d+)", each)[1]) for each in romeo.received]
        presences = [number for act, number in sent if act == "presence"]
        others = [number for act, number in sent if act != "presence"]
        assert [each for each in got if each in others] == others
        assert set(got) <= set(presences) | set(others)
        assert presences[-1:] == [each for each in got if each in presences][-1:]
        assert [each for each in got if each in presences] == sorted(set(got) & set(presences))
    finally:
        server.stop()
