"""XEP-0280: who gets a copy, and how it looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules.carbons import Direction, Eligible, copies, recipients, verdict
from imsuite.rules.traffic import classify
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.stanza import Stanza, child, escaped, make, text_of

BODY = "<body>a</body>"
STATE = "<active xmlns='http://jabber.org/protocol/chatstates'/>"
RECEIPT = "<received xmlns='urn:xmpp:receipts' id='1'/>"
MARKER = "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>"
EVENT = "<event xmlns='http://jabber.org/protocol/pubsub#event'/>"
DIRECT = "<x xmlns='jabber:x:conference' jid='room@chat.example.org'/>"
MEDIATED = "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='juliet@example.org'/></x>"
OCCUPANT = "<x xmlns='http://jabber.org/protocol/muc#user'/>"
PRIVATE = "<private xmlns='urn:xmpp:carbons:2'/>"
NO_COPY = "<no-copy xmlns='urn:xmpp:hints'/>"

ACCOUNT = "romeo@example.org"
HERE = "romeo@example.org/orchard"
BARE = "juliet@example.org"
FULL = "juliet@example.org/balcony"
ROOM = "room@chat.example.org"
NICK = "room@chat.example.org/nurse"

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
BOTH = (SENT, RECEIVED)

# sentence | direction(s) | the other side | `to` of ours | type | content | copied
SENTENCES = [
    ("§6.1 of type chat", BOTH, FULL, HERE, "chat", BODY, True),
    ("§6.1 of type chat", BOTH, BARE, ACCOUNT, "chat", BODY, True),
    ("§6.1 of type chat, whatever is in it", BOTH, FULL, HERE, "chat", EVENT, True),
    ("§10.2 chat states are copied", BOTH, FULL, HERE, "chat", STATE, True),
    ("§6.1 of type normal with a body", BOTH, FULL, HERE, "normal", BODY, True),
    ("§6.1 of type normal with a body", BOTH, FULL, HERE, None, BODY, True),
    ("RFC 6121 §5.2.2 unknown is normal", BOTH, FULL, HERE, "strange", BODY, True),
    ("§6.1 of type normal without a body", BOTH, FULL, HERE, "normal", EVENT, False),
    ("§6.1 of type normal without a body", BOTH, FULL, HERE, None, "", False),
    ("§6.1 payloads of XEP-0184", BOTH, FULL, HERE, None, RECEIPT, True),
    ("§6.1 payloads of XEP-0085", BOTH, FULL, HERE, None, STATE, True),
    ("§6.1 payloads of XEP-0333", BOTH, FULL, HERE, None, MARKER, True),
    ("§6.1 payloads of instant messaging", BOTH, FULL, HERE, "headline", MARKER, True),
    ("§6.1 no other type", BOTH, FULL, HERE, "headline", BODY, False),
    ("§6.1 an error that answers nothing", BOTH, FULL, HERE, "error", BODY, False),
    ("§6.1 an error that answers nothing", BOTH, FULL, HERE, "error", RECEIPT, False),
    ("§6.1 of type groupchat", BOTH, NICK, HERE, "groupchat", BODY, False),
    ("§6.1 of type groupchat", BOTH, NICK, HERE, "groupchat", RECEIPT, False),
    ("§6.1 of type groupchat", BOTH, ROOM, HERE, "groupchat", DIRECT, False),
    ("§6.1 direct invitation", BOTH, FULL, HERE, None, DIRECT, True),
    ("§6.1 mediated invitation", BOTH, ROOM, ACCOUNT, None, MEDIATED, True),
    ("§6.1 mediated invitation", BOTH, NICK, HERE, None, MEDIATED, True),
    ("§6.1 private, from a local user", (SENT,), NICK, HERE, "chat", BODY + OCCUPANT, True),
    ("§6.1 private, from a local user", (SENT,), NICK, HERE, "chat", BODY, True),
    ("§6.1 private, from a participant", (RECEIVED,), NICK, HERE, "chat", BODY + OCCUPANT, False),
    ("§6.1 private, from a participant", (RECEIVED,), NICK, HERE, None, BODY + OCCUPANT, False),
    ("§6.1 private, but from a full JID", (RECEIVED,), ROOM, HERE, "chat", BODY + OCCUPANT, True),
    ("§6.1, §9 private", BOTH, FULL, HERE, "chat", BODY + PRIVATE, False),
    ("§6.1, §9 private", BOTH, BARE, ACCOUNT, "chat", BODY + PRIVATE, False),
    ("§6.1, §9 private", BOTH, FULL, HERE, None, DIRECT + PRIVATE, False),
    ("§9 private and no-copy", BOTH, FULL, HERE, "chat", BODY + PRIVATE + NO_COPY, False),
    ("XEP-0334 §4.3 no-copy", BOTH, FULL, HERE, "chat", BODY + NO_COPY, False),
    ("XEP-0334 §4.3 no-copy is for full JIDs", BOTH, BARE, ACCOUNT, "chat", BODY + NO_COPY, True),
    ("XEP-0334 §5 no-copy in an error", BOTH, FULL, HERE, "error", NO_COPY, False),
]
CASES = [(way, *row) for row in SENTENCES for way in row[1]]


def message(type, content):
    return Stanza.parse(make("message", {"type": type}, content.encode()).raw)


@pytest.mark.parametrize("case", CASES, ids=[f"{case[1]}, {case[0].value}" for case in CASES])
def test_what_is_copied(case):
    """§6.1: each sentence, for what is sent (§8) and for what is received (§7)."""
    way, _, _, other, ours, type, content, copied = case
    sender, to = (HERE, other) if way is SENT else (other, ours)
    found = verdict(way, classify(message(type, content)), parse(sender), parse(to))
    assert found.copied is copied
    assert ("not copied" in found.rule) is not copied


@pytest.mark.parametrize("way", BOTH)
def test_errors_follow_what_they_answer(way):
    """§6.1: "sent in response to a message that was eligible for carbons delivery"."""
    bounce = classify(message("error", BODY + PRIVATE + NO_COPY))
    assert verdict(way, bounce, parse(FULL), parse(HERE), answers=True).copied
    assert not verdict(way, bounce, parse(FULL), parse(HERE), answers=False).copied


def test_what_an_account_says_to_itself_is_copied_once():
    """§7: to those who did not get it, as received."""
    chat = classify(message("chat", BODY))
    for to in (ACCOUNT, f"{ACCOUNT}/home"):
        assert not verdict(SENT, chat, parse(HERE), parse(to)).copied
        assert verdict(RECEIVED, chat, parse(HERE), parse(to)).copied


def test_copies_of_what_is_received_go_to_those_who_did_not_get_it():
    """§7: "each Carbons-enabled resource […] that did not receive it"."""
    assert recipients(["home", "phone", "work"], got=["phone"]) == ["home", "work"]
    assert recipients(["home", "phone"], got=["home", "phone"]) == []
    assert recipients([], got=["home"]) == []


def test_copies_of_what_is_sent_go_to_all_but_the_sender():
    """§8: "irrespective of whether the sending client has carbons enabled"."""
    assert recipients(["home", "phone"], sender="home") == ["phone"]
    assert recipients(["home", "phone"], sender="old") == ["home", "phone"]


def test_copies_of_what_one_says_to_oneself_do_not_come_back():
    """§8: "SHOULD NOT send a forwarded copy to the sending full JID"."""
    assert recipients(["home", "phone", "work"], sender="home", got=["phone"]) == ["work"]


def test_copies_of_what_an_occupant_is_told_stay_among_those_who_are_there():
    """§6.1, note 1."""
    assert recipients(["home", "phone", "work"], sender="home", joined=["home", "work"]) == ["work"]
    assert recipients(["phone"], sender="home", joined=[]) == []


@given(st.sets(st.integers()), st.integers() | st.none(), st.sets(st.integers()))
def test_nobody_gets_a_message_twice(enabled, sender, got):
    """§7, §8: who has it or sent it gets no copy; everyone else who wants one does."""
    found = recipients(sorted(enabled), sender, got)
    assert set(found) == enabled - got - {sender}
    assert len(found) == len(set(found))


@pytest.mark.parametrize("way", BOTH)
def test_a_copy_is_wrapped(way):
    """§7, §8: type, from, to, and the message in <forwarded/> (XEP-0297 §3)."""
    said = Stanza.parse(
        b"<message from='juliet@example.org/balcony' to='romeo@example.org' type='chat' id='m'"
        b" xml:lang='en'><body>Neither</body><thread>t</thread></message>"
    )
    (copy,) = copies(way, said, ACCOUNT, [HERE])
    word = way.value
    assert copy.raw.decode() == (
        f"<message from='romeo@example.org' type='chat' to='romeo@example.org/orchard'>"
        f"<{word} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>"
        f"<message xmlns='jabber:client'"
        f" from='juliet@example.org/balcony' to='romeo@example.org' type='chat' id='m'"
        f" xml:lang='en'><body>Neither</body><thread>t</thread></message>"
        f"</forwarded></{word}></message>"
    )
    assert copy.inner is said


@pytest.mark.parametrize(
    "raw",
    [
        b"<message/>",
        b"<message></message>",
        b"<message to='a'/>",
        b"<message\tto='a'/>",
        b"<message type='normal'><body/></message>",
    ],
)
def test_what_is_wrapped_is_the_message_as_it_was(raw):
    """XEP-0297 §3.2: in its own namespace; a message without a type is copied without one."""
    said = Stanza.parse(raw)
    said = Stanza(said.kind, said.ns, said.attrs, said.children, raw)
    (copy,) = copies(SENT, said, ACCOUNT, [HERE])
    again = Stanza.parse(copy.raw)
    assert (again.attrs, again.children) == (copy.attrs, copy.children)
    assert copy.type == said.type
    forwarded = child(again.child("urn:xmpp:carbons:2", "sent"), "urn:xmpp:forward:0", "forwarded")
    (inner,) = forwarded.elements()
    assert (inner.uri, inner.name) == (NS.CLIENT, "message")
    assert Stanza.of(inner).attrs == said.attrs
    assert Stanza.of(inner).children == said.children


# of what XML 1.0 has
TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=20,
)


@given(st.lists(TEXT, max_size=3), TEXT, TEXT)
def test_copies_of_anything_are_well_formed(resources, text, type):
    """RFC 6120 §11.3: resources and types may hold quotes and brackets."""
    body = b"<body>%s</body>" % escaped(text)
    said = make("message", {"type": type}, body, f"{NS.CLIENT}}}body")
    full = [f"{ACCOUNT}/{resource}" for resource in resources]
    found = [Stanza.parse(copy.raw) for copy in copies(RECEIVED, said, ACCOUNT, full)]
    assert [copy.to for copy in found] == full
    for copy in found:
        forwarded = child(copy.payload, "urn:xmpp:forward:0", "forwarded")
        inner = child(forwarded, NS.CLIENT, "message")
        assert text_of(child(inner, NS.CLIENT, "body")) == text
        assert inner["type"] == type == copy.type


def test_copies_are_as_urgent_as_the_message():
    """XEP-0352 §3.2, without that they are parsed again."""
    (copy,) = copies(RECEIVED, message("chat", BODY), ACCOUNT, [HERE])
    (state,) = copies(RECEIVED, message("chat", STATE), ACCOUNT, [HERE])
    assert classify(copy).notify
    assert not classify(state).notify
    assert copy._element is None


def test_eligible_messages_are_remembered():
    """§6.1: by who said it to whom, and id."""
    eligible = Eligible()
    eligible.remember(ACCOUNT, BARE, "1")
    eligible.remember(ACCOUNT, BARE, None)
    assert eligible.answered(ACCOUNT, BARE, "1")
    assert eligible.answered(ACCOUNT, BARE, None)
    assert not eligible.answered(ACCOUNT, BARE, "2")
    assert not eligible.answered(ACCOUNT, ROOM, "1")
    assert not eligible.answered(BARE, ACCOUNT, "1")


@given(st.integers(1, 20), st.integers(0, 200))
def test_the_oldest_eligible_messages_are_forgotten(most, count):
    """The memory is bounded, and the newest are always there."""
    eligible = Eligible(most)
    for number in range(count):
        eligible.remember(ACCOUNT, BARE, str(number))
        assert len(eligible._young) + len(eligible._old) <= 2 * most
    for number in range(max(count - most, 0), count):
        assert eligible.answered(ACCOUNT, BARE, str(number))
    for number in range(count - 2 * most):
        assert not eligible.answered(ACCOUNT, BARE, str(number))
