"""What a stanza is worth (rules/traffic.py): XEP-0313, 0160, 0334, 0280, 0352, 0357."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules import traffic
from imsuite.rules.traffic import Wait, Wrapper, classify
from imsuite.xmpp.stanza import Stanza

CLIENT = "jabber:client"
STATES = "http://jabber.org/protocol/chatstates"
HINTS = "urn:xmpp:hints"
MUC_USER = "http://jabber.org/protocol/muc#user"

# What the table below calls by its name; what is not here is an element of jabber:client
CONTENT = {
    "body": "<body>hi</body>",
    "bodies": "<body/><body xml:lang='de'>hallo</body>",
    "empty": "<body/>",
    "hollow": "<body xml:lang='en' ></body>",
    "subject": "<subject>hi</subject>",
    "no subject": "<subject/>",
    "thread": "<thread>t</thread>",
    "id": "<origin-id xmlns='urn:xmpp:sid:0' id='a'/>",
    "state": f"<composing xmlns='{STATES}'/>",
    "request": "<request xmlns='urn:xmpp:receipts'/>",
    "receipt": "<received xmlns='urn:xmpp:receipts' id='a'/>",
    "markable": "<markable xmlns='urn:xmpp:chat-markers:0'/>",
    "displayed": "<displayed xmlns='urn:xmpp:chat-markers:0' id='a'/>",
    "correction": "<replace xmlns='urn:xmpp:message-correct:0' id='a'/>",
    "reactions": "<reactions xmlns='urn:xmpp:reactions:0' id='a'/>",
    "reply": "<reply xmlns='urn:xmpp:reply:0' to='a' id='b'/>",
    "retraction": "<retract xmlns='urn:xmpp:message-retract:1' id='a'/>",
    "fastening": "<apply-to xmlns='urn:xmpp:fasten:0' id='a'/>",
    "attachment": "<attach-to xmlns='urn:xmpp:message-attaching:1' id='a'/>",
    "propose": "<propose xmlns='urn:xmpp:jingle-message:0' id='a'/>",
    "proceed": "<proceed xmlns='urn:xmpp:jingle-message:0' id='a'/>",
    "finish": "<finish xmlns='urn:xmpp:jingle-message:0' id='a'/>",
    "call": "<invite xmlns='urn:xmpp:call-invites:0'/>",
    "direct": "<x xmlns='jabber:x:conference' jid='room@chat'/>",
    "mediated": f"<x xmlns='{MUC_USER}'><invite from='a@b'/></x>",
    "decline": f"<x xmlns='{MUC_USER}'><decline from='a@b'/></x>",
    "occupant": f"<x xmlns='{MUC_USER}'/>",
    "omemo": "<encrypted xmlns='urn:xmpp:omemo:2'><header/><payload>a</payload></encrypted>",
    "omemo 9": "<encrypted xmlns='urn:xmpp:omemo:9'><header/><payload>a</payload></encrypted>",
    "keys": "<encrypted xmlns='urn:xmpp:omemo:2'><header/></encrypted>",
    "axolotl": "<encrypted xmlns='eu.siacs.conversations.axolotl'><payload>a</payload></encrypted>",
    "old keys": "<encrypted xmlns='eu.siacs.conversations.axolotl'><header/></encrypted>",
    "pgp": "<x xmlns='jabber:x:encrypted'>a</x>",
    "openpgp": "<openpgp xmlns='urn:xmpp:openpgp:0'>a</openpgp>",
    "eme": "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/>",
    "oob": "<x xmlns='jabber:x:oob'><url>a:b</url></x>",
    "file": "<file-sharing xmlns='urn:xmpp:sfs:0'/>",
    "sources": "<sources xmlns='urn:xmpp:sfs:0' id='a'/>",
    "xhtml": "<html xmlns='http://jabber.org/protocol/xhtml-im'/>",
    "event": "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='a'/></event>",
    "attention": "<attention xmlns='urn:xmpp:attention:0'/>",
    "mention": "<mentions xmlns='urn:xmpp:mmn:0'/>",
    "unknown": "<a xmlns='urn:a'/>",
    "mam": "<result xmlns='urn:xmpp:mam:2' id='a'/>",
    "private": "<private xmlns='urn:xmpp:carbons:2'/>",
    "no-copy": f"<no-copy xmlns='{HINTS}'/>",
    "no-store": f"<no-store xmlns='{HINTS}'/>",
    "no-permanent-store": f"<no-permanent-store xmlns='{HINTS}'/>",
    "store": f"<store xmlns='{HINTS}'/>",
}

# section | type | content | which of archive, room, offline, carbon, push | wait
TABLE = """
0313 6.1.1 | chat      | body                       | archive, offline, carbon, push | now
0313 6.1.1 | -         | body                       | archive, offline, carbon, push | now
0313 6.1.1 | normal    | body                       | archive, offline, carbon, push | now
0313 6.1.1 | strange   | body                       | archive, offline, carbon, push | now
0313 6.1.1 | chat      | bodies                     | archive, offline, carbon, push | now
0313 6.1.1 | chat      | body, thread, state        | archive, offline, carbon, push | now
0313 6.1.1 | chat      | subject                    | archive, offline, carbon, push | now
0313 6.1.1 | headline  | body                       |                                | now
0313 6.1.1 | groupchat | body                       | room, push                     | now
0313 6.1.1 | error     | body                       |                                | now
0313 6.1.1 | chat      | oob                        | archive, offline, carbon, push | now
0313 6.1.1 | chat      | file                       | archive, offline, carbon, push | now
0313 6.1.1 | chat      | sources                    | archive, offline, carbon       | hold
0313 6.1.1 | chat      | sources, body              | archive, offline, carbon, push | now
0313 6.1.1 | chat      | xhtml                      | archive, offline, carbon, push | now
0313 6.1.2 | groupchat | subject                    | room                           | now
0313 6.1.2 | groupchat | no subject                 | room                           | now
0313 6.1.2 | groupchat | displayed                  | room                           | hold
0313 6.1.2 | groupchat | reactions                  | room                           | hold
0313 6.1.2 | groupchat | omemo                      | room, push                     | now
0313 6.1.2 | groupchat | unknown                    |                                | hold
0313 6.1.2 | groupchat |                            |                                | hold
0313 4.2   | -         | mam                        | offline                        | now

0160 3     | -         | unknown                    | offline                        | now
0160 3     | chat      | unknown                    | offline, carbon                | now
0160 3     | headline  | unknown                    |                                | hold
0160 3     | error     | unknown                    |                                | now
0160 3     | chat      |                            | carbon                         | hold
0160 3     | chat      | empty                      | carbon                         | hold
0160 3     | chat      | hollow                     | carbon                         | hold
0160 3     | chat      | empty, thread, id          | carbon                         | hold
0160 3     | chat      | no subject, empty          | carbon                         | hold
0160 3     | -         | empty                      | carbon                         | hold
0160 3     | -         |                            |                                | hold

0085 5.8   | chat      | state                      | carbon                         | never
0085 5.8   | -         | state                      | carbon                         | never
0085 5.8   | headline  | state                      | carbon                         | never
0085 5.8   | groupchat | state                      |                                | never
0085 5.8   | chat      | state, thread, id          | carbon                         | never
0085 5.8   | chat      | state, empty               | carbon                         | never
0085 5.8   | chat      | state, occupant            | carbon                         | never
0085 5.8   | chat      | state, store               | carbon                         | never
0085 5.8   | chat      | state, markable, request   | carbon                         | never
0085 5.8   | chat      | state, receipt             | archive, offline, carbon       | hold
0085 5.8   | chat      | state, unknown             | offline, carbon                | now

0334 4.1   | chat      | body, no-permanent-store   | offline, carbon, push          | now
0334 4.1   | groupchat | body, no-permanent-store   | push                           | now
0334 4.1   | chat      | body, no-permanent-store, store | offline, carbon, push     | now
0334 4.2   | chat      | body, no-store             | carbon, push                   | now
0334 4.2   | groupchat | body, no-store             | push                           | now
0334 4.2   | chat      | body, no-store, store      | carbon, push                   | now
0334 4.3   | chat      | body, no-copy              | archive, offline, carbon, push | now
0334 4.4   | chat      | unknown, store             | archive, offline, carbon       | now
0334 4.4   | headline  | body, store                | archive, offline               | now
0334 4.4   | groupchat | unknown, store             | room                           | hold
0334 4.4   | error     | body, store                |                                | now

0184 5.4   | chat      | receipt                    | archive, offline, carbon       | hold
0184 5.4   | -         | receipt                    | archive, offline, carbon       | hold
0184 5     | chat      | request                    | carbon                         | hold
0333 4.2   | chat      | displayed                  | archive, offline, carbon       | hold
0333 4.2   | -         | displayed                  | archive, offline, carbon       | hold
0333 4.1   | chat      | markable                   | carbon                         | hold
0308 3     | chat      | body, correction           | archive, offline, carbon, push | now
0308 3     | chat      | correction                 | archive, offline, carbon       | hold
0444 4     | chat      | reactions                  | archive, offline, carbon       | hold
0444 4     | chat      | reactions, body            | archive, offline, carbon       | hold
0461 3     | chat      | reply                      | carbon                         | hold
0461 3     | chat      | body, reply                | archive, offline, carbon, push | now
0424 3     | chat      | retraction                 | archive, offline, carbon       | hold
0424 3     | chat      | retraction, body, store    | archive, offline, carbon       | hold
0422 3     | chat      | fastening, body            | archive, offline, carbon       | hold
0367 3     | chat      | attachment                 | archive, offline, carbon       | hold
0353 3.1   | chat      | propose, store             | archive, offline, carbon, push | now
0353 3.1   | -         | propose                    | archive, offline, push         | now
0353 3.4   | chat      | proceed                    | archive, offline, carbon       | now
0353 3.7   | chat      | finish                     | archive, offline, carbon       | hold
0482 2.1   | chat      | call                       | archive, offline, carbon, push | now
0384 5.5   | chat      | omemo                      | archive, offline, carbon, push | now
0384 5.5   | chat      | omemo 9                    | archive, offline, carbon, push | now
0384 5.5   | chat      | omemo, eme, empty          | archive, offline, carbon, push | now
0384 5.5   | chat      | keys                       | archive, offline, carbon       | hold
0384 5.5   | chat      | keys, eme, body            | archive, offline, carbon       | hold
0384 5.5   | chat      | axolotl, eme, body         | archive, offline, carbon, push | now
0384 5.5   | chat      | old keys                   | archive, offline, carbon       | hold
0380 3     | chat      | pgp                        | archive, offline, carbon, push | now
0380 3     | chat      | openpgp                    | archive, offline, carbon, push | now
0380 3     | chat      | eme                        | archive, offline, carbon, push | now
0045 7.5   | chat      | body, occupant             | archive, offline, carbon, push | now
0045 7.8   | -         | mediated                   | archive, offline, carbon, push | now
0045 7.8   | -         | decline                    | offline                        | now
0249 2     | -         | direct                     | archive, offline, carbon, push | now
0060 7     | headline  | event                      |                                | hold
0060 7     | -         | event                      | offline                        | hold
0060 7     | -         | event, body                | archive, offline, carbon, push | now
0224 2     | headline  | attention                  |                                | now
0224 2     | chat      | attention                  | offline, carbon, push          | now
0452 3.2   | -         | mention                    | archive, offline, push         | now

0280 6.1   | chat      | body, private              | archive, offline, push         | now
0280 6.1   | -         | displayed, private         | archive, offline               | hold
0280 6.1   | headline  | receipt                    | carbon                         | hold
0280 6.1   | headline  | direct                     | carbon                         | now
0280 6.1   | groupchat | direct                     | push                           | now
0280 6.1   | error     | state                      |                                | now
0280 6.1   | error     | receipt                    |                                | now
"""
ROWS = [tuple(map(str.strip, line.split("|"))) for line in TABLE.splitlines() if line]


def message(type, content="", names=()):
    """Return a message of a type, with what a list of names above says."""
    names = [name.strip() for name in content.split(",") if name.strip()] + list(names)
    tag = "" if type == "-" else f" type='{type}'"
    inner = "".join(CONTENT[name] for name in names)
    return Stanza.parse(f"<message{tag}>{inner}</message>".encode())


def worth(found):
    """Return a Traffic in the words of the table."""
    words = {
        "archive": found.archive,
        "room": found.room_archive,
        "offline": found.offline,
        "carbon": found.carbon,
        "push": found.notify,
    }
    return ", ".join(word for word, holds in words.items() if holds), found.wait.name.lower()


@pytest.mark.parametrize("row", ROWS, ids=[" ".join(row[:3]) for row in ROWS])
def test_what_a_message_is_worth(row):
    """XEP-0313 §6.1, 0160 §3, 0334 §4, 0280 §6.1, 0352 §3.2, 0357 §7, and what they refer to."""
    _, type, content, expected, wait = row
    assert worth(classify(message(type, content))) == (expected, wait)


# of what is said to all occupants of a room, all that stays in their sight
ROOM = set(CONTENT) - {
    "empty", "hollow", "thread", "id", "state", "request", "markable", "reply", "direct",
    "mediated", "mention", "decline", "occupant", "event", "attention", "unknown", "mam",
    "private",
    "no-copy", "no-store", "no-permanent-store",
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENT)
def test_what_a_room_archives(name):
    """XEP-0313 §6.1.2: messages and changes of the subject; no account archives them."""
    found = classify(message("groupchat", name))
    assert found.room_archive is (name in ROOM)
    assert not found.archive


@pytest.mark.parametrize(
    ("type", "wait", "push"),
    [
        (None, Wait.LATEST, False),
        ("unavailable", Wait.LATEST, False),
        ("subscribe", Wait.NOW, True),
        ("subscribed", Wait.NOW, False),
        ("unsubscribe", Wait.NOW, False),
        ("unsubscribed", Wait.NOW, False),
        ("probe", Wait.NOW, False),
        ("error", Wait.NOW, False),
    ],
)
def test_presence(type, wait, push):
    """XEP-0352 §3.2, XEP-0357 §11.3: nothing of it is kept or copied."""
    attributes = "" if type is None else f" type='{type}'"
    found = classify(Stanza.parse(f"<presence{attributes}><show>away</show></presence>".encode()))
    assert worth(found) == ("push" if push else "", wait.name.lower())


@pytest.mark.parametrize("type", ["get", "set", "result", "error"])
def test_requests_do_not_wait(type):
    """XEP-0352 §5.1: an answer comes after all that waits."""
    found = classify(Stanza.parse(f"<iq type='{type}' id='a'><a xmlns='urn:a'/></iq>".encode()))
    assert worth(found) == ("", "now")


@pytest.mark.parametrize(
    ("type", "content", "private"),
    [
        ("chat", "occupant, body", True),
        ("-", "occupant, body", True),
        ("chat", "mediated, body", False),
        ("chat", "body", False),
        ("groupchat", "occupant, body", False),
        ("error", "occupant, body", False),
    ],
)
def test_private_messages_of_rooms_are_told_apart(type, content, private):
    """XEP-0280 §6.1: by their x, unless it invites."""
    assert classify(message(type, content)).muc_private is private


def test_no_copy_is_told():
    """XEP-0334 §4.3, §5: but hints in errors are ignored."""
    assert classify(message("chat", "body, no-copy")).no_copy
    assert not classify(message("error", "body, no-copy")).no_copy
    assert not classify(message("chat", "body")).no_copy


def copy(name, stanza):
    """Return a message as a carbon copy that came over a stream."""
    inner = stanza.raw.replace(b"<message", b"<message xmlns='jabber:client'", 1)
    return Stanza.parse(
        b"<message type='chat'><%s xmlns='urn:xmpp:carbons:2'>"
        b"<forwarded xmlns='urn:xmpp:forward:0'>%s</forwarded></%s></message>"
        % (name.encode(), inner, name.encode())
    )


@pytest.mark.parametrize(
    ("name", "content", "wait", "push"),
    [
        ("received", "body", "now", True),
        ("received", "state", "never", False),
        ("received", "displayed", "hold", False),
        ("received", "propose", "now", True),
        ("sent", "body", "hold", False),
        ("sent", "state", "never", False),
        ("sent", "displayed", "hold", False),
        ("sent", "propose", "hold", False),
        ("sent", "proceed", "now", False),
    ],
)
def test_a_copy_is_as_urgent_as_what_is_in_it(name, content, wait, push):
    """XEP-0352 §3.2; what the account has said itself is no news to it."""
    stanza = message("chat", content)
    found = classify(copy(name, stanza))
    assert (found.wait.name.lower(), found.notify) == (wait, push)
    assert not found.archive
    outer = copy(name, stanza)
    assert classify(Wrapper(outer.attrs, outer.children, outer.raw, stanza)) == found


def test_a_copy_that_holds_nothing_is_judged_as_it_is():
    """XEP-0280 §11: anybody may send what looks like a copy."""
    hollow = Stanza.parse(b"<message type='chat'><sent xmlns='urn:xmpp:carbons:2'/></message>")
    assert classify(hollow).wait is Wait.NOW
    within = copy("received", copy("received", copy("received", message("chat", "state"))))
    assert classify(within).wait is Wait.NOW


# what tests/test_passing_through.py sends, without a body: does it come into the archive?
PASSING = {
    "XEP-0066": True,
    "XEP-0071": True,
    "XEP-0085": False,
    "XEP-0131": False,
    "XEP-0184": False,
    "XEP-0184 receipt": True,
    "XEP-0249": True,
    "XEP-0308": True,
    "XEP-0333": False,
    "XEP-0333 marker": True,
    "XEP-0334": True,
    "XEP-0353": True,
    "XEP-0359": False,
    "XEP-0373": True,
    "XEP-0380": True,
    "XEP-0384": True,
    "XEP-0382": False,
    "XEP-0428": False,
    "XEP-0444": True,
    "XEP-0461": False,
    "what nobody knows": False,
}


def test_what_passes_through_is_archived_or_not():
    """XEP-0313 §6.1.1: what makes a conversation and no more; with a body all of it."""
    from tests.test_passing_through import PAYLOADS as passing

    def archived(inner):
        stanza = Stanza.parse(f"<message type='chat'>{inner}</message>".encode())
        return classify(stanza).archive

    assert {name: archived(payload) for name, payload in passing.items()} == PASSING
    assert all(archived(f"<body>a</body>{payload}") for payload in passing.values())


TYPES = st.sampled_from(("-", "normal", "chat", "groupchat", "headline", "error", "strange"))
NAMES = st.lists(st.sampled_from(sorted(CONTENT)), unique=True, max_size=6)


@given(TYPES, NAMES)
def test_the_decisions_agree_with_each_other(type, names):
    """What one feature keeps no other one forgets."""
    found = classify(message(type, names=names))
    words = set(worth(found)[0].split(", "))
    assert found.wait is not Wait.LATEST  # no message stands for another one
    assert "archive" not in words or "offline" in words
    assert "push" not in words or found.wait is Wait.NOW
    assert "room" not in words or type == "groupchat"
    if found.wait is Wait.NEVER:
        assert words <= {"", "carbon"}
    if type == "error":
        assert words == {""}
    if type == "groupchat":
        assert words <= {"", "room", "push"}
    if "no-store" in names:
        assert words <= {"", "carbon", "push"}
    if "no-permanent-store" in names:
        assert words.isdisjoint(("archive", "room"))
    if "private" in names:
        assert "carbon" not in words


@given(TYPES, NAMES, st.randoms())
def test_the_order_of_children_does_not_matter(type, names, random):
    shuffled = random.sample(names, len(names))
    assert classify(message(type, names=names)) == classify(message(type, names=shuffled))


@given(TYPES, NAMES, st.sets(st.sampled_from(("thread", "id", "reply")), min_size=1))
def test_what_only_describes_a_message_changes_nothing(type, names, more):
    """XEP-0359, XEP-0461, RFC 6121 §5.2.5"""
    bare = [name for name in names if name not in more]
    assert classify(message(type, names=[*bare, *more])) == classify(message(type, names=bare))


@given(TYPES, NAMES)
def test_rules_say_what_was_decided(type, names):
    """Each text tells its decision and where it is written."""
    found = classify(message(type, names=names))
    rules = found.rules
    assert all(rule.startswith(("XEP-0", "RFC ")) for rule in attrs.astuple(rules))
    assert ("not archived" in rules.archive) is not found.archive
    assert ("not archived" in rules.room_archive) is not found.room_archive
    assert ("not kept" in rules.offline) is not found.offline
    assert ("not copied" in rules.carbon) is not found.carbon
    assert ("not wait" in rules.wait) is (found.wait is Wait.NOW)
    assert ("dropped" in rules.wait) is (found.wait is Wait.NEVER)
    assert ("no push" in rules.notify) is not found.notify


@given(TYPES, NAMES)
def test_what_is_remembered_of_a_shape_is_what_would_be_decided(type, names):
    stanza = message(type, names=names)
    remembered = classify(stanza)
    traffic._by_shape.clear()
    assert classify(stanza) == remembered == classify(stanza)


def test_equal_shapes_share_one_decision():
    """Rules are constants: nothing is made for a message of a known shape."""
    assert classify(message("chat", "body")) is classify(message("chat", "body"))


def test_memory_of_shapes_is_bounded():
    """Strangers choose types and names of children."""
    traffic._by_shape.clear()
    for number in range(traffic._SHAPES + 10):
        classify(Stanza("message", CLIENT, {}, (f"urn:a}}n{number}",), b"<message/>"))
    assert len(traffic._by_shape) <= traffic._SHAPES
    traffic._by_shape.clear()
    classify(Stanza("message", CLIENT, {}, ("urn:a}" + "n" * 2000,), b"<message/>"))
    classify(Stanza("message", CLIENT, {"type": "n" * 2000}, (), b"<message/>"))
    assert traffic._by_shape == {}


def test_most_messages_are_not_opened():
    """The tree of a message is not made where the shape decides."""
    for content in ("body, thread", "state", "receipt", "omemo, eme, body", "direct"):
        stanza = Stanza.parse(message("chat", content).raw)
        stanza = Stanza(stanza.kind, stanza.ns, stanza.attrs, stanza.children, stanza.raw)
        classify(stanza)
        assert stanza._element is None


def test_only_messages_are_opened():
    """A presence in a room has the same child as an invitation."""
    inner = f"<x xmlns='{MUC_USER}'><item/></x><sent xmlns='urn:xmpp:carbons:2'/>"
    for kind in ("presence", "iq"):
        stanza = Stanza.parse(f"<{kind}>{inner}</{kind}>".encode())
        stanza = Stanza(stanza.kind, stanza.ns, stanza.attrs, stanza.children, stanza.raw)
        classify(stanza)
        assert stanza._element is None


def test_rules_name_what_decided():
    """`imsuitectl explain` shows them as they are."""
    rules = classify(message("chat", "body, state")).rules
    assert rules.archive == "XEP-0313 §6.1.1: archived, it has a body"
    assert rules.offline == "XEP-0160 §3: kept for later, of type chat"
    assert rules.carbon == "XEP-0280 §6.1: copied, of type chat"
    assert rules.wait == "XEP-0352 §3.2: does not wait, it has a body"
    assert rules.notify == "XEP-0357 §7: push, it has a body"
    rules = classify(message("-", "omemo, eme, body, no-store")).rules
    assert rules.archive == "XEP-0334 §4.2: not archived, it has the hint no-store"
    assert rules.carbon == "XEP-0280 §6.1: copied, of type normal with a body"
    assert rules.notify == "XEP-0357 §7: push, it has an encrypted payload (XEP-0380)"
    rules = classify(message("-", "unknown")).rules
    assert rules.offline == "XEP-0160 §3: kept for later, of type normal"
