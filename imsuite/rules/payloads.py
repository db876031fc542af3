"""What messages may have, and what each of it is worth; rules/traffic.py decides by it.

Nearly everything is told by the names of the children. What only the content tells are facts, a
few bits that `LOOKS` collect from those messages in which they matter.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable

import attrs

from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import Stanza, children

CHAT_STATES = "http://jabber.org/protocol/chatstates"
CONFERENCE = "jabber:x:conference"
MARKERS = "urn:xmpp:chat-markers:0"
MUC_USER = "http://jabber.org/protocol/muc#user"
RECEIPTS = "urn:xmpp:receipts"
_CALL_INVITES = "urn:xmpp:call-invites:0"
_JINGLE_MESSAGE = "urn:xmpp:jingle-message:0"
_OMEMO = ("urn:xmpp:omemo:", "eu.siacs.conversations.axolotl}")


class Wait(enum.IntEnum):
    """What may become of a stanza while its client is inactive (XEP-0352 §3.2)."""

    NOW = 0  # it goes out at once, after what waits before it
    HOLD = 1  # it may wait
    LATEST = 2  # it may wait, and only the newest of its sender counts
    NEVER = 3  # it may be dropped


@attrs.frozen
class Payload:
    """Something that a message may have.

    what: it, with its specification; archive: an account keeps it; room_archive: a room does;
    wait: at an inactive client; notify: worth a push; stands_in: a body beside it is there for
    those who do not know it (XEP-0428 §2).
    """

    what: str
    archive: bool
    room_archive: bool
    wait: Wait
    notify: bool
    stands_in: bool = False


_NOW, _HOLD = Wait.NOW, Wait.HOLD

# fmt: off
#                                                          archive  room   wait  notify stands in
ENCRYPTED = Payload("an encrypted payload (XEP-0380)",       True,  True,  _NOW,  True,  True)
KEYS = Payload("keys without a payload (XEP-0384 §5.5)",     True,  True,  _HOLD, False, True)
REACTIONS = Payload("reactions (XEP-0444 §4)",               True,  True,  _HOLD, False, True)
RETRACTION = Payload("a retraction (XEP-0424 §3)",           True,  True,  _HOLD, False, True)
FASTENING = Payload("a fastening (XEP-0422 §3)",             True,  True,  _HOLD, False, True)
PROPOSAL = Payload("a call (XEP-0353 §3.1)",                 True,  True,  _NOW,  True)
CALL = Payload("the course of a call (XEP-0353 §3)",         True,  True,  _NOW,  False)
CALL_END = Payload("the end of a call (XEP-0353 §3.7)",      True,  True,  _HOLD, False)
CALL_INVITE = Payload("an invitation to a call (XEP-0482)",  True,  True,  _NOW,  True)
DIRECT = Payload("a direct invitation (XEP-0249 §2)",        True,  False, _NOW,  True)
MEDIATED = Payload("a mediated invitation (XEP-0045 §7.8)",  True,  False, _NOW,  True)
MENTION = Payload("a mention in a room (XEP-0452 §3.2)",     True,  False, _NOW,  True)
BODY = Payload("a body",                                     True,  True,  _NOW,  True)
ROOM_SUBJECT = Payload("a room's subject (XEP-0045 §8.1)",   True,  True,  _NOW,  False)
SUBJECT = Payload("a subject",                               True,  True,  _NOW,  True)
XHTML = Payload("formatted text (XEP-0071)",                 True,  True,  _NOW,  True)
OOB = Payload("an address of data (XEP-0066 §3)",            True,  True,  _NOW,  True)
FILES = Payload("a file (XEP-0447 §3)",                      True,  True,  _NOW,  True)
SOURCES = Payload("a source of a file (XEP-0447 §3.3)",      True,  True,  _HOLD, False)
CORRECTION = Payload("a correction (XEP-0308 §3)",           True,  True,  _HOLD, False)
ATTACHED = Payload("an attachment (XEP-0367 §3)",            True,  True,  _HOLD, False)
ENCRYPTION = Payload("a mark of encryption (XEP-0380 §3)",   True,  True,  _NOW,  True)
RECEIPT = Payload("a receipt (XEP-0184 §5.4)",               True,  True,  _HOLD, False)
MARKER = Payload("a marker (XEP-0333 §4.2)",                 True,  True,  _HOLD, False)
ATTENTION = Payload("a call for attention (XEP-0224)",       False, False, _NOW,  True)
EVENT = Payload("an event of a node (XEP-0060 §7.1.2.1)",    False, False, _HOLD, False)
# fmt: on

# "namespace}name" of children, the one that tells most first
PAYLOADS: dict[str, Payload] = {
    # urn:xmpp:omemo:0 and whatever version follows it are found by their beginning
    "eu.siacs.conversations.axolotl}encrypted": ENCRYPTED,
    "urn:xmpp:openpgp:0}openpgp": ENCRYPTED,
    "jabber:x:encrypted}x": ENCRYPTED,
    "urn:xmpp:reactions:0}reactions": REACTIONS,
    "urn:xmpp:message-retract:1}retract": RETRACTION,
    "urn:xmpp:fasten:0}apply-to": FASTENING,
    f"{_JINGLE_MESSAGE}}}propose": PROPOSAL,
    f"{_JINGLE_MESSAGE}}}ringing": CALL,
    f"{_JINGLE_MESSAGE}}}proceed": CALL,
    f"{_JINGLE_MESSAGE}}}accept": CALL,
    f"{_JINGLE_MESSAGE}}}reject": CALL,
    f"{_JINGLE_MESSAGE}}}retract": CALL,
    f"{_JINGLE_MESSAGE}}}finish": CALL_END,
    f"{_CALL_INVITES}}}invite": CALL_INVITE,
    f"{_CALL_INVITES}}}retract": CALL,
    f"{_CALL_INVITES}}}accept": CALL,
    f"{_CALL_INVITES}}}reject": CALL,
    f"{_CALL_INVITES}}}left": CALL_END,
    f"{CONFERENCE}}}x": DIRECT,
    "urn:xmpp:mmn:0}mentions": MENTION,
    f"{NS.CLIENT}}}body": BODY,
    f"{NS.CLIENT}}}subject": SUBJECT,
    "http://jabber.org/protocol/xhtml-im}html": XHTML,
    "jabber:x:oob}x": OOB,
    "urn:xmpp:sfs:0}file-sharing": FILES,
    "urn:xmpp:sfs:0}sources": SOURCES,
    "urn:xmpp:message-correct:0}replace": CORRECTION,
    "urn:xmpp:message-attaching:1}attach-to": ATTACHED,
    "urn:xmpp:eme:0}encryption": ENCRYPTION,
    f"{RECEIPTS}}}received": RECEIPT,
    f"{MARKERS}}}displayed": MARKER,
    f"{MARKERS}}}received": MARKER,
    f"{MARKERS}}}acknowledged": MARKER,
    "urn:xmpp:attention:0}attention": ATTENTION,
    "http://jabber.org/protocol/pubsub#event}event": EVENT,
}
ALL = tuple(dict.fromkeys((ENCRYPTED, KEYS, *PAYLOADS.values(), ROOM_SUBJECT, MEDIATED)))

SPEECHLESS = 1  # its bodies are empty
UNTITLED = 2  # its subjects are empty
INVITES = 4  # the x of a room has an invitation
ROOM_SAYS = 8  # that x says something else
SEALED = 16  # there is a payload beside the keys

# "<" can not be in a start tag, so that no text makes the search go back over itself
_empty_body = re.compile(rb"<body(?=[\s/>])[^<>]*(?<=/)>|<body(?=[\s>])[^<>]*></body").search
_empty_subject = re.compile(
    rb"<subject(?=[\s/>])[^<>]*(?<=/)>|<subject(?=[\s>])[^<>]*></subject"
).search


def _speechless(stanza: Stanza) -> int:
    if _empty_body(stanza.raw) is None:
        return 0
    return 0 if _any_text(stanza, "body") else SPEECHLESS


def _untitled(stanza: Stanza) -> int:
    if _empty_subject(stanza.raw) is None:
        return 0
    return 0 if _any_text(stanza, "subject") else UNTITLED


def _any_text(stanza: Stanza, name: str) -> bool:
    return any(node.children for node in children(stanza.element, NS.CLIENT, name))


def _room_says(stanza: Stanza) -> int:
    facts = 0
    for x in children(stanza.element, MUC_USER, "x"):
        for node in x.elements():
            facts |= INVITES if node.name == "invite" else ROOM_SAYS
    return facts


def _sealed(stanza: Stanza) -> int:
    return SEALED if b"payload" in stanza.raw else 0


LOOKS: tuple[tuple[Callable[[Stanza], int], Callable[[str], bool]], ...] = (
    (_speechless, lambda name: name == f"{NS.CLIENT}}}body"),
    (_untitled, lambda name: name == f"{NS.CLIENT}}}subject"),
    (_room_says, lambda name: name == f"{MUC_USER}}}x"),
    (_sealed, lambda name: name.startswith(_OMEMO)),
)


def payloads(type: str, names: Iterable[str], facts: int) -> tuple[Payload, ...]:
    """Return what a message has, the one that tells most first.

    names: "namespace}name" of its children; facts: the bits above that hold.
    """
    found = set()
    for name in names:
        payload = PAYLOADS.get(name)
        if name.startswith(_OMEMO) and name.endswith("}encrypted"):
            payload = ENCRYPTED if facts & SEALED else KEYS
        elif payload is BODY and facts & SPEECHLESS:
            payload = None
        elif payload is SUBJECT:
            # a room's subject may be emptied (XEP-0045 §8.1)
            titled = None if facts & UNTITLED else SUBJECT
            payload = ROOM_SUBJECT if type == "groupchat" else titled
        if payload is not None:
            found.add(payload)
    if facts & INVITES:
        found.add(MEDIATED)
    return tuple(payload for payload in ALL if payload in found)


def telling(found: tuple[Payload, ...]) -> tuple[Payload, ...]:
    """Return those of the payloads that tell how urgent a message is.

    A body or a mark of encryption does not where something stands behind it (XEP-0428 §2).
    """
    if any(payload.stands_in for payload in found):
        return tuple(payload for payload in found if payload not in (BODY, ENCRYPTION))
    return found
