"""What a stanza is worth: one classification for archive, offline, carbons, CSI and push.

The features ask this module and nothing else, so that they cannot disagree about a message.
Each decision brings one constant text that names its rule, for `imsuitectl explain`.

The specifications leave much to the server. Taken here:

- an account archives what a person or a device will want to find again, not only what has a
  body (XEP-0313 §6.1.1: "MAY include additional non-conversation messages"); what passes
  through a room is the room's to archive;
- a message that asks both to be stored and not to be is not stored, and a chat state alone is
  never stored, whatever it asks for (XEP-0085 §5.8);
- what is unknown does not wait at an inactive client (XEP-0352 §3.2);
- a body beside an encrypted payload, reactions or a retraction is there for those who do not
  know better (XEP-0428 §2): what it stands in for decides how urgent the message is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import attrs

from imsuite.rules.payloads import (
    ALL,
    CHAT_STATES,
    CONFERENCE,
    ENCRYPTED,
    INVITES,
    KEYS,
    LOOKS,
    MARKERS,
    MUC_USER,
    PAYLOADS,
    RECEIPTS,
    ROOM_SAYS,
    Payload,
    Wait,
    payloads,
    telling,
)
from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import Stanza, child

__all__ = [
    "CARBONS",
    "ENCRYPTED",
    "FORWARD",
    "HINTS",
    "KEYS",
    "PAYLOADS",
    "Rules",
    "Traffic",
    "Wait",
    "Wrapper",
    "classify",
]

CARBONS = "urn:xmpp:carbons:2"
FORWARD = "urn:xmpp:forward:0"
HINTS = "urn:xmpp:hints"

_MAM_RESULT = "urn:xmpp:mam:2}result"
_TYPES = frozenset(("chat", "error", "groupchat", "headline"))  # RFC 6121 §5.2.2: or normal
_INSTANT = frozenset((RECEIPTS, CHAT_STATES, MARKERS))  # XEP-0280 §6.1: "typically used in IM"
# Children that say something about a message and are nothing by themselves
_TRIVIAL = frozenset(
    (
        f"{NS.CLIENT}}}body",  # those that are not empty are counted among the payloads
        f"{NS.CLIENT}}}subject",
        f"{NS.CLIENT}}}thread",
        f"{NS.DELAY}}}delay",
        f"{MUC_USER}}}x",
        f"{CARBONS}}}private",
        f"{MARKERS}}}markable",
        f"{RECEIPTS}}}request",
        "http://jabber.org/protocol/address}addresses",
        "http://jabber.org/protocol/nick}nick",
        "http://jabber.org/protocol/shim}headers",
        "urn:xmpp:fallback:0}fallback",
        "urn:xmpp:occupant-id:0}occupant-id",
        "urn:xmpp:reply:0}reply",
        "urn:xmpp:sid:0}origin-id",
        "urn:xmpp:sid:0}stanza-id",
        *(f"{HINTS}}}{name}" for name in ("store", "no-store", "no-permanent-store", "no-copy")),
    )
)
_SHAPES = 4096  # remembered shapes of stanzas; forgotten all at once when there are more
_LONGEST = 1024  # characters of type and names of children; a longer shape is not remembered


@attrs.frozen
class Rules:
    """Why: one constant text for each decision of a Traffic."""

    archive: str
    room_archive: str
    offline: str
    carbon: str
    wait: str
    notify: str


@attrs.frozen(cache_hash=True)
class Traffic:
    """What a stanza is worth.

    archive: a row in the archive of an account (XEP-0313 §6.1.1); room_archive: one in the
    archive of a room (§6.1.2); offline: keeping it until its recipient comes (XEP-0160 §3);
    carbon: content and type make it eligible for carbons (XEP-0280 §6.1), rules/carbons.py
    knows the rest; wait: what an inactive client means for it (XEP-0352); notify: a push
    (XEP-0357), where nothing else speaks against it; no_copy: it has this hint (XEP-0334
    §4.3); muc_private: it is marked as from one occupant of a room to another (XEP-0045 §7.5).
    """

    archive: bool
    room_archive: bool
    offline: bool
    carbon: bool
    wait: Wait
    notify: bool
    no_copy: bool
    muc_private: bool
    rules: Rules


class Wrapper(Stanza):
    """A message of the server around another one (XEP-0297), which need not be parsed again."""

    __slots__ = ("inner",)

    def __init__(
        self, attrs: dict[str, str], children: tuple[str, ...], raw: bytes, inner: Stanza
    ) -> None:
        super().__init__("message", NS.CLIENT, attrs, children, raw)
        self.inner = inner


class _Shape:
    """What kind, type and names of children tell, and what is left to look at."""

    __slots__ = ("by_facts", "copy", "key", "looks")

    def __init__(self, kind: str, type: str | None, names: tuple[str, ...]) -> None:
        self.key = (kind, type, names)
        self.by_facts: dict[int, Traffic] = {}
        self.copy = ""  # "sent" or "received", if it says that it is a carbon copy
        self.looks: tuple[Callable[[Stanza], int], ...] = ()
        if kind == "message" and type != "error":
            self.looks = tuple(look for look, matters in LOOKS if any(map(matters, names)))
            for name in ("sent", "received"):
                if f"{CARBONS}}}{name}" in names:
                    self.copy = name

    def traffic(self, stanza: Stanza) -> Traffic:
        facts = 0
        for look in self.looks:
            facts |= look(stanza)
        found = self.by_facts.get(facts)
        if found is None:
            found = self.by_facts[facts] = _decide(*self.key, facts)
        return found


_by_shape: dict[tuple[str, str | None, tuple[str, ...]], _Shape] = {}


def classify(stanza: Stanza) -> Traffic:
    """Return what a stanza is worth; a carbon copy is as urgent as the message in it."""
    known = stanza.worth
    if known is not None:
        assert isinstance(known, Traffic)
        return known
    traffic = stanza.worth = _classified(stanza)
    return traffic


def _classified(stanza: Stanza) -> Traffic:
    shape = _by_shape.get((stanza.kind, stanza.attrs.get("type"), stanza.children))
    if shape is None:
        shape = _shape(stanza)
    traffic = shape.traffic(stanza)
    if shape.copy:
        inner = _inner(stanza, shape.copy)
        if inner is not None:
            # one level only: what is wrapped once more is not of this server
            return _of_copy(traffic, _shape(inner).traffic(inner), shape.copy == "sent")
    return traffic


def _shape(stanza: Stanza) -> _Shape:
    key = (stanza.kind, stanza.attrs.get("type"), stanza.children)
    shape = _by_shape.get(key)
    if shape is None:
        shape = _Shape(*key)
        if len(_by_shape) >= _SHAPES:
            _by_shape.clear()
        # remote input is not kept at any length
        if sum(map(len, (key[1] or "", *key[2]))) < _LONGEST:
            _by_shape[key] = shape
    return shape


def _inner(stanza: Stanza, name: str) -> Stanza | None:
    """Return the message in a carbon copy, None where there is none."""
    if isinstance(stanza, Wrapper):
        return stanza.inner
    node = stanza.child(CARBONS, name)
    node = child(node, FORWARD, "forwarded") if node is not None else None
    node = child(node, NS.CLIENT, "message") if node is not None else None
    return Stanza.of(node) if node is not None else None


@lru_cache(512)
def _of_copy(outer: Traffic, inner: Traffic, sent: bool) -> Traffic:
    """Return what a carbon copy is worth; sent: of what the account itself has said."""
    wait, why = inner.wait, inner.rules.wait
    notify, push = inner.notify, inner.rules.notify
    if sent and notify:
        wait, why = Wait.HOLD, "XEP-0352 §3.2: may wait, the account has said it itself"
    if sent:
        notify, push = False, "XEP-0357 §7: no push, the account has said it itself"
    rules = attrs.evolve(outer.rules, wait=why, notify=push)
    return attrs.evolve(outer, wait=wait, notify=notify, rules=rules)


@attrs.frozen
class _Content:
    """What the decisions about a message are made of.

    type: one of RFC 6121 §5.2.2; names: "namespace}name" of its children; hints: their names
    (XEP-0334); payloads: what it has, the one that tells most first; invites: the x of a room
    has an invitation; pure: it has only a chat state; nothing: not even that, nor anything
    unknown.
    """

    type: str
    names: tuple[str, ...]
    hints: frozenset[str]
    payloads: tuple[Payload, ...]
    invites: bool
    pure: bool
    nothing: bool


Decision = tuple[bool, str]


def _decide(kind: str, type: str | None, names: tuple[str, ...], facts: int) -> Traffic:
    if kind != "message":
        return _decide_other(kind, type)
    known = type if type is not None and type in _TYPES else "normal"
    found = payloads(known, names, facts)
    rest = [name for name in names if not name.startswith(f"{CHAT_STATES}}}")]
    trivial = not found and _TRIVIAL.issuperset(rest) and not facts & ROOM_SAYS
    content = _Content(
        type=known,
        names=names,
        hints=frozenset(n.partition("}")[2] for n in names if n.startswith(f"{HINTS}}}")),
        payloads=found,
        invites=bool(facts & INVITES),
        pure=trivial and len(rest) < len(names),
        nothing=trivial and len(rest) == len(names),
    )
    archive, room_archive = _archive(content), _room_archive(content)
    offline, carbon = _offline(content), _carbon(content)
    wait, notify = _wait(content), _notify(content)
    return Traffic(
        archive=archive[0],
        room_archive=room_archive[0],
        offline=offline[0],
        carbon=carbon[0],
        wait=wait[0],
        notify=notify[0],
        # XEP-0334 §5: hints in an error are ignored
        no_copy="no-copy" in content.hints and known != "error",
        muc_private=(
            known in ("chat", "normal") and f"{MUC_USER}}}x" in names and not content.invites
        ),
        rules=Rules(archive[1], room_archive[1], offline[1], carbon[1], wait[1], notify[1]),
    )


_LATEST = (Wait.LATEST, "XEP-0352 §3.2: may wait for the next presence of its sender")
# RFC 6121 §4.7.1
_PRESENCE = {
    None: _LATEST,
    "unavailable": _LATEST,
    "subscribe": (Wait.NOW, "XEP-0352 §3.2: does not wait, it asks for a subscription"),
    "subscribed": (Wait.NOW, "XEP-0352 §3.2: does not wait, a subscription changes"),
    "unsubscribe": (Wait.NOW, "XEP-0352 §3.2: does not wait, a subscription changes"),
    "unsubscribed": (Wait.NOW, "XEP-0352 §3.2: does not wait, a subscription changes"),
}
_OTHER = (Wait.NOW, "XEP-0352 §3.2: does not wait, a request or an answer")


def _decide_other(kind: str, type: str | None) -> Traffic:
    """Return what a presence or a request is worth."""
    wait, why = _PRESENCE.get(type, _OTHER) if kind == "presence" else _OTHER
    asks = kind == "presence" and type == "subscribe"
    rules = Rules(
        archive="XEP-0313 §6.1.1: not archived, no message",
        room_archive="XEP-0313 §6.1.2: not archived by a room, no message",
        offline="XEP-0160 §2: not kept for later, no message",
        carbon="XEP-0280 §6: not copied, no message",
        wait=why,
        notify=(
            "XEP-0357 §11.3: push, it asks for a subscription"
            if asks
            else "XEP-0357 §7: no push, no message"
        ),
    )
    return Traffic(False, False, False, False, wait, asks, False, False, rules)


def _archive(content: _Content) -> Decision:
    if content.type == "error":
        return False, "XEP-0313 §6.1.1: not archived, an error"
    if content.type == "groupchat":
        return False, "XEP-0313 §6.1.1: not archived, that is for the room to do"
    if "no-store" in content.hints:
        return False, "XEP-0334 §4.2: not archived, it has the hint no-store"
    if "no-permanent-store" in content.hints:
        return False, "XEP-0334 §4.1: not archived, it has the hint no-permanent-store"
    if content.pure:
        return False, "XEP-0085 §5.8: not archived, it has only a chat state"
    if "store" in content.hints:
        return True, "XEP-0334 §4.4: archived, it has the hint store"
    if content.type == "headline":
        return False, "XEP-0313 §6.1.1: not archived, a headline"
    for payload in content.payloads:
        if payload.archive:
            return True, _ARCHIVED[payload]
    return False, "XEP-0313 §6.1.1: not archived, it has nothing to find again"


_ARCHIVED = {payload: f"XEP-0313 §6.1.1: archived, it has {payload.what}" for payload in ALL}


def _room_archive(content: _Content) -> Decision:
    if content.type != "groupchat":
        return False, "XEP-0313 §6.1.2: not archived by a room, not said to all its occupants"
    if "no-store" in content.hints:
        return False, "XEP-0334 §4.2: not archived by a room, it has the hint no-store"
    if "no-permanent-store" in content.hints:
        return False, "XEP-0334 §4.1: not archived by a room, it has the hint no-permanent-store"
    if content.pure:
        return False, "XEP-0085 §5.8: not archived by a room, it has only a chat state"
    if "store" in content.hints:
        return True, "XEP-0334 §4.4: archived by a room, it has the hint store"
    for payload in content.payloads:
        if payload.room_archive:
            return True, _ROOM_ARCHIVED[payload]
    return False, "XEP-0313 §6.1.2: not archived by a room, it has nothing to find again"


_ROOM_ARCHIVED = {
    payload: f"XEP-0313 §6.1.2: archived by a room, it has {payload.what}" for payload in ALL
}


def _offline(content: _Content) -> Decision:
    if content.type == "error":
        return False, "XEP-0160 §3: not kept for later, an error"
    if content.type == "groupchat":
        return False, "XEP-0160 §3: not kept for later, of type groupchat"
    if "no-store" in content.hints:
        return False, "XEP-0334 §4.2: not kept for later, it has the hint no-store"
    if content.pure:
        return False, "XEP-0160 §3: not kept for later, it has only a chat state"
    if "store" in content.hints:
        return True, "XEP-0334 §4.4: kept for later, it has the hint store"
    if content.type == "headline":
        return False, "XEP-0160 §3: not kept for later, a headline"
    if content.nothing:
        return False, "XEP-0160 §3: not kept for later, it has nothing for anyone"
    if content.type == "chat":
        return True, "XEP-0160 §3: kept for later, of type chat"
    return True, "XEP-0160 §3: kept for later, of type normal"


def _carbon(content: _Content) -> Decision:
    """Decide as the two lists of XEP-0280 §6.1 do."""
    if content.type == "error":
        return False, "XEP-0280 §6.1: not copied, an error that answers nothing eligible"
    if f"{CARBONS}}}private" in content.names:
        return False, "XEP-0280 §6.1: not copied, it has private"
    if content.type == "groupchat":
        return False, "XEP-0280 §6.1: not copied, of type groupchat"
    if content.type == "chat":
        return True, "XEP-0280 §6.1: copied, of type chat"
    if content.type == "normal" and f"{NS.CLIENT}}}body" in content.names:
        return True, "XEP-0280 §6.1: copied, of type normal with a body"
    if any(name.partition("}")[0] in _INSTANT for name in content.names):
        return True, "XEP-0280 §6.1: copied, it has a payload of instant messaging"
    if f"{CONFERENCE}}}x" in content.names:
        return True, "XEP-0280 §6.1: copied, it has a direct invitation"
    if content.invites:
        return True, "XEP-0280 §6.1: copied, it has a mediated invitation"
    return False, "XEP-0280 §6.1: not copied, not for instant messaging"


def _wait(content: _Content) -> tuple[Wait, str]:
    if content.type == "error":
        return Wait.NOW, "XEP-0352 §3.2: does not wait, an error"
    if _MAM_RESULT in content.names:
        return Wait.NOW, "XEP-0313 §4.2: does not wait, the client has asked for it"
    if content.pure:
        return Wait.NEVER, "XEP-0352 §3.2: may be dropped, it has only a chat state"
    found = telling(content.payloads)
    if found:
        payload = min(found, key=lambda payload: payload.wait)
        return payload.wait, _WAITING[payload]
    if content.nothing:
        return Wait.HOLD, "XEP-0352 §3.2: may wait, it has nothing for anyone"
    if content.type == "groupchat":
        return Wait.HOLD, "XEP-0352 §3.2: may wait, of type groupchat without a text"
    if content.type == "headline":
        return Wait.HOLD, "XEP-0352 §3.2: may wait, a headline without a text"
    return Wait.NOW, "XEP-0352 §3.2: does not wait, it has something unknown"


_WAITING = {
    payload: f"XEP-0352 §3.2: {'may' if payload.wait else 'does not'} wait, it has {payload.what}"
    for payload in ALL
}


def _notify(content: _Content) -> Decision:
    if content.type == "error":
        return False, "XEP-0357 §7: no push, an error"
    if content.type == "headline":
        return False, "XEP-0357 §7: no push, a headline"
    for payload in telling(content.payloads):
        if payload.notify:
            return True, _PUSHED[payload]
    return False, "XEP-0357 §7: no push, it has nothing that somebody waits for"


_PUSHED = {payload: f"XEP-0357 §7: push, it has {payload.what}" for payload in ALL}
