"""XEP-0280: Message Carbons: who gets copies, and what is in them."""

import pytest

from imsuite.core.feature import At, Feature, on
from imsuite.core.hooks import INCOMING, Stage
from imsuite.xmpp.stanza import Stanza, child, children

NS = "urn:xmpp:carbons:2"
FORWARD = "urn:xmpp:forward:0"
SID = "urn:xmpp:sid:0"
ENABLE = f"<iq type='set' id='on'><enable xmlns='{NS}'/></iq>"
DISABLE = f"<iq type='set' id='off'><disable xmlns='{NS}'/></iq>"
TO_BARE = "<message to='romeo@example.org' type='chat' id='m'><body>hi</body></message>"
TO_HOME = "<message to='romeo@example.org/home' type='chat' id='m'><body>hi</body></message>"
TO_JULIET = "<message to='juliet@example.org/balcony' type='chat' id='m'><body>hi</body></message>"


def inside(stanza, name):
    """Return the message in a copy, or None if that is no copy of this kind."""
    wrapper = stanza.child(NS, name)
    if wrapper is None:
        return None
    (forwarded,) = children(wrapper, FORWARD, "forwarded")
    (message,) = forwarded.elements()
    return Stanza.of(message)


def copies(client, name):
    """Return the messages in the copies that a client has received."""
    found = [inside(stanza, name) for stanza in client.stanzas]
    return [message for message in found if message is not None]


def messages(client):
    """Return the messages that a client has received, copies among them."""
    return [stanza for stanza in client.stanzas if stanza.kind == "message"]


def plain(client):
    """Return the messages that a client has received themselves."""
    return [
        stanza
        for stanza in messages(client)
        if not stanza.has(NS, "sent") and not stanza.has(NS, "received")
    ]


@pytest.fixture
def home(server):
    """The client that sends, or is written to; it has not asked for copies."""
    return server.login("romeo@example.org/home")


@pytest.fixture
def garden(server):
    """Another client of romeo's, with copies."""
    client = server.login("romeo@example.org/garden")
    client.says(ENABLE)
    client.forget()
    return client


# --- §3, §4, §5 ---------------------------------------------------------------------------------


def test_the_server_advertises_it_with_its_rules(host):
    """§3, §6.2"""
    assert {NS, "urn:xmpp:carbons:rules:0"} <= set(host.advertised(At.HOST))


@pytest.mark.parametrize("to", ["", " to='romeo@example.org'", " to='example.org'"])
@pytest.mark.parametrize("word", ["enable", "disable"])
def test_a_client_enables_and_disables(home, word, to):
    """§4, §5"""
    (answer,) = home.says(f"<iq type='set' id='x'{to}><{word} xmlns='{NS}'/></iq>")
    assert "type='result'" in answer


def test_enabled_twice_is_enabled(home, juliet, garden):
    """§10.1: repeated requests are no error and change nothing."""
    for request, count in ((ENABLE, 1), (ENABLE, 1), (DISABLE, 0), (DISABLE, 0), (ENABLE, 1)):
        (answer,) = garden.says(request)
        assert "type='result'" in answer
        garden.forget()
        juliet.says(TO_HOME)
        assert len(copies(garden, "received")) == count


@pytest.mark.parametrize("to", ["romeo@example.org", "nobody@example.org"])
@pytest.mark.parametrize("word", ["enable", "disable"])
def test_nobody_switches_it_for_somebody_else(home, juliet, word, to):
    """§4.1, §5.1: and learns nothing of the account."""
    (answer,) = juliet.says(f"<iq type='set' id='x' to='{to}'><{word} xmlns='{NS}'/></iq>")
    assert "<not-allowed" in answer


@pytest.mark.server(domains=("example.org", "example.com"))
@pytest.mark.parametrize("word", ["enable", "disable"])
def test_a_client_of_another_server_is_refused(server, word):
    """§4.1, §5.1"""
    mercutio = server.login("mercutio@example.com/street")
    (answer,) = mercutio.says(f"<iq type='set' id='x' to='example.org'><{word} xmlns='{NS}'/></iq>")
    assert "<not-allowed" in answer


def test_a_new_session_has_no_copies(server, home, garden, juliet):
    """§4: it is enabled for a session, not for an account or a resource."""
    garden.closes()
    again = server.login("romeo@example.org/garden")
    juliet.says(TO_HOME)
    assert again.received == []


def test_it_stays_enabled_over_a_restart(host, garden, home):
    """XEP-0198: what belongs to the session is written down with it."""
    carbons = host.features["carbons"]
    assert carbons.freeze(home.session) is None
    kept = carbons.freeze(garden.session)
    garden.says(DISABLE)
    assert carbons.freeze(garden.session) is None
    carbons.thaw(garden.session, kept)
    garden.forget()
    home.says("<message to='juliet@example.org' type='error'/>")
    assert carbons.freeze(garden.session) == kept


# --- §7 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["chat", "normal", None])
def test_a_received_copy(home, garden, juliet, type):
    """§7: type, addresses, and the message as it was."""
    attribute = "" if type is None else f" type='{type}'"
    juliet.says(
        f"<message to='romeo@example.org/home'{attribute} id='a&apos;1'>"
        "<body>What &lt;man&gt;</body><thread>0e31</thread></message>"
    )
    assert len(plain(home)) == 1
    (copy,) = garden.stanzas
    assert copy.attrs.get("type") == type
    assert copy.sender == "romeo@example.org"
    assert copy.to == "romeo@example.org/garden"
    assert copy.id is None
    message = inside(copy, "received")
    assert message.ns == "jabber:client"
    wanted = {
        "from": "juliet@example.org/balcony",
        "to": "romeo@example.org/home",
        "id": "a'1",
    }
    assert {**message.attrs} == {**wanted, **({"type": type} if type else {})}
    assert str(child(message.element, "jabber:client", "body")) == "What <man>"
    assert str(child(message.element, "jabber:client", "thread")) == "0e31"


def test_the_message_in_a_copy_is_in_the_right_namespace(home, garden, juliet):
    """§7: RFC 6120 §4.8.3, also where the client wrote it itself."""
    juliet.says(
        "<message xmlns='jabber:client' to='romeo@example.org/home' type='chat'>"
        "<body>hi</body><a xmlns='urn:a'><body>no</body></a></message>"
    )
    (message,) = copies(garden, "received")
    assert (message.ns, message.kind) == ("jabber:client", "message")
    assert message.children[:2] == ("jabber:client}body", "urn:a}a")


def test_the_addressed_client_gets_no_copy(garden, juliet):
    """§7: it has the message itself."""
    juliet.says(TO_HOME.replace("/home", "/garden"))
    assert len(plain(garden)) == 1
    assert copies(garden, "received") == []


def test_only_who_enabled_gets_copies(server, home, garden, juliet):
    """§2, §7"""
    orchard = server.login("romeo@example.org/orchard")
    juliet.says(TO_HOME)
    assert orchard.received == []
    assert len(copies(garden, "received")) == 1


def test_to_the_bare_address_who_is_left_out_gets_a_copy(server, home, garden, juliet):
    """§7: RFC 6121 §8.5.2.1.1 gives it to those of non-negative priority."""
    for resource, presence in (
        ("night", "<presence><priority>-1</priority></presence>"),
        ("dark", ""),
    ):
        client = server.login(f"romeo@example.org/{resource}", available=False)
        client.says(presence + ENABLE)
        client.forget()
        juliet.says(TO_BARE)
        assert plain(client) == []
        assert [message.to for message in copies(client, "received")] == ["romeo@example.org"]
    assert len(plain(home)) == len(plain(garden)) == 2
    assert copies(garden, "received") == []


def test_to_a_resource_that_is_gone(server, garden, juliet):
    """§7: RFC 6121 §8.5.3.2.1 gives it to all, so that there is nothing to copy."""
    juliet.says(TO_HOME)
    assert len(plain(garden)) == 1
    assert copies(garden, "received") == []


# --- §8 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["juliet@example.org", "juliet@example.org/balcony"])
@pytest.mark.parametrize("enabled", [True, False])
def test_a_sent_copy(home, garden, juliet, enabled, to):
    """§8: whether or not the sender has enabled copies, who gets none itself."""
    if enabled:
        home.says(ENABLE)
        home.forget()
    home.says(f"<message to='{to}' type='chat' id='m'><body>Neither</body></message>")
    assert messages(home) == []
    assert len(plain(juliet)) == 1
    (copy,) = messages(garden)
    assert copy.attrs.get("type") == "chat"
    assert copy.sender == "romeo@example.org"
    assert copy.to == "romeo@example.org/garden"
    message = inside(copy, "sent")
    assert message.sender == "romeo@example.org/home"
    assert (message.to, message.type, message.id) == (to, "chat", "m")
    assert str(child(message.element, "jabber:client", "body")) == "Neither"


def test_each_enabled_client_gets_one(server, home, garden, juliet):
    """§8"""
    others = [server.login(f"romeo@example.org/{n}") for n in range(3)]
    for other in others:
        other.says(ENABLE)
        other.forget()
    home.says(TO_JULIET)
    for client in (garden, *others):
        assert [each.to for each in messages(client)] == [str(client.jid)]
        assert len(copies(client, "sent")) == 1


def test_both_sides_get_copies_of_one_message(server, home, garden, juliet):
    """§7, §8"""
    window = server.login("juliet@example.org/window")
    window.says(ENABLE)
    window.forget()
    home.says(TO_JULIET)
    assert len(copies(garden, "sent")) == len(copies(window, "received")) == 1
    assert len(plain(juliet)) == 1


# --- what fails leaves no copy ------------------------------------------------------------------

BLOCK = (
    "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
    "<item jid='{}@example.org'/></block></iq>"
)
BODY = "<body>hi</body>"
ACTIVE = "<active xmlns='http://jabber.org/protocol/chatstates'/>"


@pytest.mark.parametrize("inner", [BODY, ACTIVE, BODY + ACTIVE])
@pytest.mark.parametrize(
    "to", ["nobody@example.org", "nobody@example.org/x", "example.net", "juliet@example.org"]
)
def test_what_can_not_be_sent_leaves_no_copy(home, garden, juliet, to, inner):
    """§8: "delivers", and then a copy."""
    juliet.says(BLOCK.format("romeo"))
    (answer,) = home.says(f"<message to='{to}' type='chat' id='m'>{inner}</message>")
    assert "type='error'" in answer
    assert garden.received == []


def test_what_the_sender_blocks_leaves_no_copy(home, garden, juliet):
    """XEP-0191 §3.3"""
    home.says(BLOCK.format("juliet"))
    (answer,) = home.says(TO_JULIET)
    assert "<blocked" in answer
    assert garden.received == []


def test_what_is_blocked_is_not_copied_to_other_clients(home, garden, juliet):
    """XEP-0191 §3.3: none of the account's clients sees anything."""
    home.says(BLOCK.format("juliet"))
    (answer,) = juliet.says(TO_HOME)
    assert "type='error'" in answer
    assert garden.received == []


# --- from one client to another of the same account ---------------------------------------------


def test_to_another_client_of_ones_own(server, home, garden):
    """§7, §8: each client has the message once."""
    orchard = server.login("romeo@example.org/orchard")
    for client in (orchard, home):
        client.says(ENABLE)
        client.forget()
    home.says("<message to='romeo@example.org/orchard' type='chat'><body>hi</body></message>")
    assert messages(home) == []
    assert len(messages(orchard)) == len(plain(orchard)) == 1
    assert len(messages(garden)) == len(copies(garden, "received")) == 1


@pytest.mark.parametrize("note", [TO_BARE, TO_BARE.replace("to='romeo@example.org' ", "")])
def test_a_note_to_oneself(server, home, garden, note):
    """§7, §8: each client has the message once; RFC 6120 §10.3.1: also without an address."""
    night = server.login("romeo@example.org/night", available=False)
    for client in (night, home):
        client.says(ENABLE)
        client.forget()
    home.says(note)
    assert len(messages(home)) == len(plain(home)) == 1  # RFC 6121 §8.5.2.1.1
    assert len(messages(garden)) == len(plain(garden)) == 1
    assert len(messages(night)) == len(copies(night, "received")) == 1


# --- §9 -----------------------------------------------------------------------------------------


PRIVATE = f"<private xmlns='{NS}'/>"
NO_COPY = "<no-copy xmlns='urn:xmpp:hints'/>"


@pytest.mark.parametrize("marks", [PRIVATE + NO_COPY, PRIVATE, NO_COPY])
def test_a_private_message_is_not_copied(server, home, garden, juliet, marks):
    """§9; XEP-0334 §4.4 for the hint alone, to a full JID."""
    window = server.login("juliet@example.org/window")
    window.says(ENABLE)
    window.forget()
    home.says(TO_JULIET.replace("</message>", f"{marks}</message>"))
    assert len(plain(juliet)) == 1
    assert window.received == garden.received == []


def test_the_marks_stay_in_the_message(home, juliet):
    """§9: versions before 0.14 took <private/> out, which let senders hide what they did."""
    home.says(TO_JULIET.replace("</message>", f"{PRIVATE}{NO_COPY}</message>"))
    assert f"</body>{PRIVATE}{NO_COPY}<" in juliet.received[0]


def test_a_private_message_to_the_bare_address(server, home, garden, juliet):
    """§9: RFC 6121 gives it to each of the recipient's clients."""
    window = server.login("juliet@example.org/window")
    window.says(ENABLE)
    window.forget()
    home.says(
        f"<message to='juliet@example.org' type='chat'><body>hi</body>{PRIVATE}{NO_COPY}</message>"
    )
    assert len(plain(juliet)) == len(plain(window)) == 1
    assert garden.received == []


def test_the_hint_alone_says_nothing_of_bare_addresses(home, garden, juliet):
    """XEP-0334 §4.4: it is for full JIDs."""
    home.says(f"<message to='juliet@example.org' type='chat'><body>hi</body>{NO_COPY}</message>")
    assert len(copies(garden, "sent")) == 1


# --- ids (XEP-0313 §3.1.3, XEP-0359 §3) -----------------------------------------------------------


def ids(message):
    """Return by and id of each stanza-id in a message."""
    return [(each["by"], each["id"]) for each in children(message.element, SID, "stanza-id")]


@pytest.mark.parametrize("to", ["juliet@example.org", "juliet@example.org/balcony"])
def test_a_copy_has_the_id_of_the_archive(server, home, garden, juliet, to):
    """A device that has the copy does not ask for the message again: each side its own id."""
    window = server.login("juliet@example.org/window", available=False)
    window.says(ENABLE)
    window.forget()
    forged = f"<stanza-id xmlns='{SID}' by='romeo@example.org' id='forged'/>"
    home.says(f"<message to='{to}' type='chat' id='m'><body>hi</body>{forged}</message>")
    (sent,) = copies(garden, "sent")
    (received,) = copies(window, "received")
    (itself,) = plain(juliet)
    ((by, id),) = ids(sent)
    assert by == "romeo@example.org"
    assert len(id) == 32
    ((by, id),) = ids(received)
    assert by == "juliet@example.org"
    assert ids(itself) == [(by, id)]
    assert "forged" not in garden.received[-1] + window.received[-1]


@pytest.mark.parametrize("inner", ["<no-store xmlns='urn:xmpp:hints'/>"])
def test_a_copy_of_what_is_not_archived_has_no_id(home, garden, juliet, inner):
    """XEP-0359 §3: an id that nothing could be asked by would mislead."""
    home.says(TO_JULIET.replace("</message>", f"{inner}</message>"))
    (sent,) = copies(garden, "sent")
    assert ids(sent) == []


# --- what could not be written down ---------------------------------------------------------------


class Broken(Feature):
    """Makes the transaction of some messages fail, as a full disk does."""

    @on(INCOMING, Stage.RECORD, kind="message", child=("urn:example", "doom"))
    def doom(self, passing):
        passing.keep().write("INSERT INTO nowhere VALUES (?)", 1)


@pytest.mark.server(features=["default", Broken])
def test_what_the_store_refuses_leaves_no_copy(server, host, home, garden, juliet):
    """Architecture §6: nobody has what the sender is told was not kept."""
    window = server.login("juliet@example.org/window")
    window.says(ENABLE)
    window.forget()
    doomed = TO_JULIET.replace("</message>", "<doom xmlns='urn:example'/></message>")
    home.forget()
    answers = home.says(doomed + TO_JULIET.replace("'m'", "'after'"))
    assert ["type='error'" in answer for answer in answers] == [True]
    assert [each.id for each in copies(garden, "sent")] == ["after"]
    assert [each.id for each in copies(window, "received")] == ["after"]
    assert [each.id for each in plain(juliet)] == ["after"]
    server.failures.take()
