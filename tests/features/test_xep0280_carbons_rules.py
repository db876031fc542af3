"""XEP-0280 §6.1, whose rules are promised by urn:xmpp:carbons:rules:0, and §10.3."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsuite.testing.memory import MemoryServer
from tests.features.test_xep0280_carbons import ENABLE, copies, plain

STATES = "http://jabber.org/protocol/chatstates"
MARKERS = "urn:xmpp:chat-markers:0"
BODY = "<body>hi</body>"
OTHER = "<thing xmlns='urn:example'/>"
DIRECT = "<x xmlns='jabber:x:conference' jid='room@muc.example.org'/>"
MUC_USER = "http://jabber.org/protocol/muc#user"
MEDIATED = f"<x xmlns='{MUC_USER}'><invite from='crone1@shakespeare.lit/desktop'/></x>"
PRIVATE = "<private xmlns='urn:xmpp:carbons:2'/>"
RECEIPT_WANTED = "<request xmlns='urn:xmpp:receipts'/>"
RECEIPT = "<received xmlns='urn:xmpp:receipts' id='x'/>"

# §6.1, in its order: type (None: no attribute), content, whether it is copied
RULES = [
    # "it does not contain a <private/> child element"
    ("chat", BODY + PRIVATE, False),
    (None, BODY + PRIVATE, False),
    ("chat", DIRECT + PRIVATE, False),
    # "it is of type "chat""
    ("chat", BODY, True),
    ("chat", OTHER, True),
    ("chat", "", True),
    ("chat", "<subject>x</subject>", True),
    # "it is of type "normal" and contains a <body> element"
    ("normal", BODY, True),
    (None, BODY, True),
    ("unheard", BODY, True),  # RFC 6121 §5.2.2: it is a normal one
    ("normal", OTHER, False),
    (None, OTHER, False),
    (None, "<subject>x</subject>", False),
    (None, "<other xmlns='urn:example'><body>hi</body></other>", False),
    ("headline", BODY, False),
    # "it contains payload elements typically used in IM (XEP-0184, XEP-0085, XEP-0333)"
    *((None, each, True) for each in (RECEIPT_WANTED, RECEIPT)),
    *(
        (None, f"<{name} xmlns='{STATES}'/>", True)
        for name in ("active", "composing", "paused", "inactive", "gone")
    ),
    *(
        (None, f"<{name} xmlns='{MARKERS}'{id}/>", True)
        for name, id in (("markable", ""), ("displayed", " id='x'"))
    ),
    ("normal", RECEIPT, True),
    # "A message of type "groupchat" SHOULD NOT be carbon-copied"
    ("groupchat", BODY, False),
    ("groupchat", f"{BODY}<active xmlns='{STATES}'/>", False),
    ("groupchat", DIRECT, False),
    # "containing a direct invitation", "containing a mediated invitation"
    (None, DIRECT, True),
    ("normal", BODY + DIRECT, True),
    (None, MEDIATED, True),
    ("normal", BODY + MEDIATED, True),
]


def message(to, type, inner, id="m"):
    attribute = "" if type is None else f" type='{type}'"
    return f"<message to='{to}' id='{id}'{attribute}>{inner}</message>"


@pytest.fixture
def home(server):
    return server.login("romeo@example.org/home")


@pytest.fixture
def garden(server):
    client = server.login("romeo@example.org/garden")
    client.says(ENABLE)
    client.forget()
    return client


@pytest.mark.parametrize(("type", "inner", "copied"), RULES)
def test_what_is_received_is_copied_by_the_rules(home, garden, juliet, type, inner, copied):
    """§6.1, §7"""
    juliet.says(message("romeo@example.org/home", type, inner))
    assert len(plain(home)) == 1
    assert len(copies(garden, "received")) == len(garden.received) == copied


@pytest.mark.parametrize(("type", "inner", "copied"), RULES)
def test_what_is_sent_is_copied_by_the_rules(home, garden, juliet, type, inner, copied):
    """§6.1, §8"""
    home.says(message("juliet@example.org/balcony", type, inner))
    assert len(plain(juliet)) == 1
    assert len(copies(garden, "sent")) == len(garden.received) == copied


@pytest.mark.parametrize("inner", [BODY, BODY + RECEIPT_WANTED])
def test_between_occupants_of_a_room(home, garden, juliet, inner):
    """§6.1: what is sent to an occupant is copied; of what comes the room itself sends copies."""
    marked = f"{inner}<x xmlns='{MUC_USER}'/>"
    home.says(message("juliet@example.org/balcony", "chat", marked))
    assert len(copies(garden, "sent")) == len(garden.received) == 1
    garden.forget()
    juliet.says(message("romeo@example.org/home", "chat", marked))
    assert len(plain(home)) == 1
    assert garden.received == []


# --- errors (§6.1, §10.3) -----------------------------------------------------------------------

ERROR = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"


@pytest.mark.parametrize(
    ("type", "inner", "copied"), [row for row in RULES if row[0] != "groupchat"]
)
def test_the_error_of_what_was_copied_is_copied(home, garden, juliet, type, inner, copied):
    """§6.1: "sent in response to a message that was eligible"; it need not repeat that (§10.3)."""
    home.says(message("juliet@example.org", type, inner, id="e1"))
    juliet.forget()
    garden.forget()
    juliet.says(message("romeo@example.org/home", "error", ERROR, id="e1"))
    assert len(plain(home)) == 1
    assert [each.id for each in copies(garden, "received")] == ["e1"] * copied


def test_the_error_that_a_client_sends_is_copied(home, garden, juliet):
    """§6.1, §8"""
    juliet.says(message("romeo@example.org/home", "chat", BODY, id="e2"))
    garden.forget()
    home.says(message("juliet@example.org/balcony", "error", ERROR, id="e2"))
    assert len(plain(juliet)) == 1
    assert [each.type for each in copies(garden, "sent")] == ["error"]


@pytest.mark.parametrize("id", ["e3", "other"])
def test_an_error_of_nothing_is_not_copied(server, home, garden, juliet, id):
    """§6.1: neither is one of what somebody else was told, nor one with another id."""
    home.says(message("juliet@example.org", "chat", BODY, id="e3"))
    garden.forget()
    tybalt = server.login("tybalt@example.org/street")
    (tybalt if id == "e3" else juliet).says(
        message("romeo@example.org/home", "error", BODY + ERROR, id=id)
    )
    assert len(plain(home)) == 1
    assert garden.received == []


def test_an_error_without_an_id_is_not_copied(home, garden, juliet):
    """§6.1: it answers nothing that is known."""
    home.says(f"<message to='juliet@example.org' type='chat'>{BODY}</message>")
    garden.forget()
    juliet.says(f"<message to='romeo@example.org/home' type='error'>{ERROR}</message>")
    assert garden.received == []


def test_an_error_for_a_client_that_is_gone_reaches_the_others(home, garden, juliet):
    """§7: who saw the message sees that it failed; RFC 6121 §8.5.3.2.1 gives it to nobody."""
    home.says(message("juliet@example.org", "chat", BODY, id="e4"))
    home.closes()
    garden.forget()
    juliet.forget()
    juliet.says(message("romeo@example.org/home", "error", ERROR, id="e4"))
    assert [each.id for each in copies(garden, "received")] == ["e4"]
    assert juliet.received == []


@pytest.mark.parametrize("name", ["sent", "received"])
@pytest.mark.parametrize("repeats", [True, False])
def test_the_bounce_of_a_copy_goes_to_nobody(home, garden, juliet, name, repeats):
    """§10.3: whether or not the bounce has the copy in it."""
    if name == "sent":
        home.says(message("juliet@example.org", "chat", BODY, id="m"))
    else:
        juliet.says(message("romeo@example.org/home", "chat", BODY, id="m"))
    (copy,) = garden.stanzas
    for client in (home, garden, juliet):
        client.forget()
    inner = copy.raw.partition(b">")[2].removesuffix(b"</message>").decode() if repeats else ""
    garden.says(message(copy.sender, "error", inner + ERROR, id="m"))
    assert home.received == garden.received == juliet.received == []


# --- any mixture --------------------------------------------------------------------------------

RESOURCES = ("a", "b", "c")
clients = st.fixed_dictionaries(
    {
        name: st.tuples(st.sampled_from(["none", "-1", "0", "5"]), st.booleans())
        for name in RESOURCES
    }
)
targets = st.sampled_from([None, "", *(f"/{name}" for name in RESOURCES), "/gone"])


@settings(max_examples=120, deadline=None)
@given(clients, targets, st.sampled_from([None, *RESOURCES]))
def test_every_client_with_copies_has_each_message_once(states, to, sender):
    """§2, §7, §8: whoever sends it, wherever it goes, whatever the clients' presence.

    Others have it only as RFC 6121 gives it to them.
    """
    server = MemoryServer()
    try:
        logged_in = {}
        for name, (priority, enabled) in states.items():
            client = logged_in[name] = server.login(f"romeo@example.org/{name}", available=False)
            if priority != "none":
                client.says(f"<presence><priority>{priority}</priority></presence>")
            if enabled:
                client.says(ENABLE)
        juliet = server.login("juliet@example.org/balcony")
        speaker = juliet if sender is None else logged_in[sender]
        for client in logged_in.values():
            client.forget()
        said = message(f"romeo@example.org{to or ''}", "chat", BODY)
        if to is None and sender is not None:
            said = said.replace("to='romeo@example.org' ", "")
        answers = speaker.says(said)
        refused = any("type='error'" in answer for answer in answers)
        for name, (_, enabled) in states.items():
            got = [each for each in logged_in[name].stanzas if each.type != "error"]
            assert len(got) <= 1
            if refused:
                assert got == []
            elif enabled and name != sender:
                assert len(got) == 1
            elif not enabled:
                assert len(plain(logged_in[name])) == len(got)
    finally:
        server.stop()
