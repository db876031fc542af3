"""What the clients of a storm say: stanzas of every sort, most of them well meant."""

from __future__ import annotations

import random
from collections.abc import Sequence

import attrs
from twisted.words.xish.domish import Element

from imsuite.xmpp import ns as NS
from imsuite.xmpp.build import build, serialise
from imsuite.xmpp.stanza import quoted

PASSWORD = "pencil and paper"
DOMAINS = ("example.org", "example.net")
RESOURCES = ("a", "b", "größe 🎭")
ODD_ADDRESSES = (
    "nobody@example.org",
    "nobody@example.net/x",
    "somebody@elsewhere.example",
    "elsewhere.example",
    "example.org/resource",
    "",
    "@",
    "a@",
    "@example.org",
    "a@b@c",
    " romeo@example.org",
    "romeo@example.org/",
    "romeo@exa mple.org",
    "ro'meo@example.org",
    "x" * 1100 + "@example.org",
    "[::1]",
    "ⅷ@example.org",
)
INFO = f"<query xmlns='{NS.DISCO_INFO}'{{}}/>"
ITEMS = f"<query xmlns='{NS.DISCO_ITEMS}'{{}}/>"
REGISTER = "<query xmlns='jabber:iq:register'>{}</query>"
PRIVATE = "<query xmlns='jabber:iq:private'>{}</query>"
ROSTER = "<query xmlns='jabber:iq:roster'{}>{}</query>"
BLOCK = "<{0} xmlns='urn:xmpp:blocking'>{1}</{0}>"
VCARD = "<vCard xmlns='vcard-temp'>{}</vCard>"
CAPS = "<c xmlns='http://jabber.org/protocol/caps' hash='{}' node='urn:storm' ver='{}'/>"
CAPS2 = (
    "<c xmlns='urn:xmpp:caps'>"
    "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8="
    "</hash></c>"
)
# XEP-0115 §5.2, so that some caps can be proved
EXODUS = (
    "<identity category='client' name='Exodus 0.9.1' type='pc'/>"
    "<feature var='http://jabber.org/protocol/caps'/>"
    "<feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/>"
    "<feature var='http://jabber.org/protocol/muc'/>"
)
EXODUS_VER = "QgayPKawpkPSDYmwT/WM94uAlu0="
IN_MESSAGES = (
    "<body>Art thou not Romeo, and a Montague?</body>",
    "<body xml:lang='de'>Bist du nicht Romeo?</body>",
    "<subject/>",
    "<thread parent='a'>b</thread>",
    "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='romeo@example.org'/>",
    "<stanza-id xmlns='urn:xmpp:sid:0' id='2' by='@@'/>",
    "<origin-id xmlns='urn:xmpp:sid:0' id='3'/>",
    "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z' from='example.org'/>",
    "<active xmlns='http://jabber.org/protocol/chatstates'/>",
    "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
)
IN_PRESENCES = (
    *(f"<priority>{priority}</priority>" for priority in (-128, -1, 0, 0, 5, 127)),
    *("<priority/>", "<priority>128</priority>", "<priority>high</priority>"),
    *("<show>away</show>", "<show>dnd</show>", "<show>gone fishing</show>"),
    *("<status>hm</status>", "<status xml:lang='fr'>bof</status>"),
    CAPS.format("sha-1", EXODUS_VER),
    CAPS.format("sha-1", "bm9uc2Vuc2U="),
    CAPS.format("", "0.9"),
    CAPS2,
    "<x xmlns='vcard-temp:x:update'><photo/></x>",
    f"<delay xmlns='{NS.DELAY}' stamp='2002-09-10T23:08:25Z'/>",
)
STRANGE = ("", " ", "\t\n", "🎭", "\u202e", "'\"<>&", "x" * 3000, "-1", "true", "urn:x", "\ufdd0")
TYPES = {
    "message": (None, "chat", "chat", "normal", "headline", "groupchat", "error", "", "foo"),
    "presence": (
        *(None, None, None, "unavailable", "subscribe", "subscribed", "unsubscribe"),
        *("unsubscribed", "subscribe", "subscribed", "probe", "error", "invisible"),
    ),
    "iq": ("get", "get", "get", "set", "set", "set", "result", "error", "ask"),
}


@attrs.frozen
class Said:
    """A stanza of a client. to: as it was written, None: absent; type: likewise."""

    kind: str
    id: str
    type: str | None
    to: str | None
    xml: bytes


class Words:
    """Makes stanzas.

    accounts: bare JIDs; blocking: among other things clients block; probes: they send probes.
    """

    def __init__(
        self, dice: random.Random, accounts: Sequence[str], blocking: bool, probes: bool
    ) -> None:
        self.dice = dice
        self.accounts = accounts
        self.blocking = blocking
        self.probes = probes
        self._count = 0

    def id(self, kind: str) -> str:
        """Return an id that nobody used before; they grow."""
        self._count += 1
        return f"{kind}-{self._count}"

    # addresses

    def address(self, me: str, full: Sequence[str]) -> str | None:
        """Return an address to write to, None for none. me: one's own; full: of sessions."""
        dice = self.dice
        chance = dice.random()
        if chance < 0.35 and full:
            jid = dice.choice(full)
        elif chance < 0.65:
            jid = dice.choice(self.accounts)
        elif chance < 0.75:
            jid = f"{dice.choice(self.accounts)}/{dice.choice((*RESOURCES, 'absent'))}"
        elif chance < 0.80:
            jid = dice.choice((me, me.partition("/")[0]))
        elif chance < 0.86:
            jid = dice.choice(DOMAINS)
        elif chance < 0.91:
            return None
        else:
            return dice.choice(ODD_ADDRESSES)
        return self._disguised(jid) if dice.random() < 0.15 else jid

    def _disguised(self, jid: str) -> str:
        """Return another spelling of the same address."""
        bare, slash, resource = jid.partition("/")
        bare = self.dice.choice((bare.upper(), bare.title(), bare + "."))
        return bare + slash + resource

    # stanzas

    def stanza(self, me: str, full: Sequence[str]) -> Said:
        """Return any stanza."""
        kind = self.dice.choice(("message", "message", "presence", "iq", "iq"))
        type = self.dice.choice(TYPES[kind])
        to = self.address(me, full)
        if kind == "message":
            return self.made(kind, type, to, self._some(IN_MESSAGES), me)
        if kind == "iq":
            return self.iq(type, to, me)
        if type == "probe" and not self.probes:
            type = None
        if type in (None, "unavailable") and self.dice.random() < 0.6:
            to = None
        return self.made(kind, type, to, self._some(IN_PRESENCES), me)

    def iq(self, type: str | None, to: str | None, me: str) -> Said:
        """Return an IQ, mostly to where its payload belongs."""
        payload = self.payload(me)
        if self.dice.random() < 0.6:
            to = None
        if type in ("result", "error"):
            return self.made("iq", type, to, self.dice.choice(("", payload)), me)
        return self.made("iq", type, to, payload, me)

    def made(self, kind: str, type: str | None, to: str | None, inner: str, me: str) -> Said:
        """Return a stanza of these parts, mutated now and then."""
        dice = self.dice
        if dice.random() < 0.25:
            inner = self.mutated(inner)
        letter = {"message": "m", "presence": "p", "iq": "i"}[kind]
        if kind == "iq" and type in ("result", "error"):
            letter = "r"
        id = self.id(letter)
        attributes = [("type", type), ("to", to), ("id", id)]
        chance = dice.random()
        if chance < 0.1:
            attributes.append(("from", me))
        elif chance < 0.14:
            attributes.append(("from", me.partition("/")[0]))
        elif chance < 0.142:
            attributes.append(("from", dice.choice(self.accounts)))
        if dice.random() < 0.1:
            attributes.append(("xml:lang", dice.choice(("de", "", "zh-Hant"))))
        dice.shuffle(attributes)
        tag = b"".join(
            b" %s=%s" % (name.encode(), quoted(value))
            for name, value in attributes
            if value is not None
        )
        word = kind.encode()
        return Said(kind, id, type, to, b"<%s%s>%s</%s>" % (word, tag, inner.encode(), word))

    def _some(self, parts: Sequence[str]) -> str:
        return "".join(self.dice.sample(parts, self.dice.choice((0, 1, 1, 1, 2, 3))))

    # payloads of requests

    def payload(self, me: str) -> str:
        """Return the payload of a request that some feature answers."""
        dice = self.dice
        other = dice.choice((*self.accounts, *self.accounts, "nobody@elsewhere.example"))
        makers = [
            lambda: self._roster(other),
            lambda: self._roster(other),
            lambda: self._blocking(me, other) if self.blocking else INFO.format(""),
            lambda: dice.choice((INFO, ITEMS)).format(
                dice.choice(("", "", " node='x'", " node='urn:xmpp:caps#sha-256.eA=='"))
            ),
            lambda: "<ping xmlns='urn:xmpp:ping'/>",
            lambda: "<time xmlns='urn:xmpp:time'/>",
            lambda: "<query xmlns='jabber:iq:last'/>",
            lambda: "<query xmlns='jabber:iq:version'/>",
            lambda: VCARD.format(dice.choice(("", "", "<FN>Romeo</FN>", "<PHOTO>🎭</PHOTO>"))),
            lambda: PRIVATE.format(
                dice.choice(("<a xmlns='urn:a'/>", "<a xmlns='urn:a'>b<c/></a>", "<b xmlns='b'/>"))
            ),
            lambda: self._register(me),
            lambda: f"<session xmlns='{NS.SESSION}'/>",
            lambda: CAPS2,
            lambda: f"<bind xmlns='{NS.BIND}'/>",
            lambda: "<open xmlns='http://jabber.org/protocol/ibb' sid='1' block-size='4096'/>",
        ]
        return dice.choice(makers)()

    def _roster(self, contact: str) -> str:
        dice = self.dice
        chance = dice.random()
        if chance < 0.15:
            return ROSTER.format("", "")
        if chance < 0.3:
            return ROSTER.format(f" ver='{dice.choice(('', '1', 'x', '99999999999999999'))}'", "")
        jid = quoted(self._disguised(contact) if dice.random() < 0.1 else contact).decode()
        if chance < 0.55:
            return ROSTER.format("", f"<item jid={jid} subscription='remove'/>")
        name = dice.choice(("", " name='R'", " name='🎭 &apos;'"))
        groups = "".join(f"<group>{g}</group>" for g in dice.sample(("a", "b", "é"), 2))
        extra = dice.choice(("", " subscription='both'", " ask='subscribe'", " approved='true'"))
        inner = dice.choice(("", groups))
        return ROSTER.format("", f"<item jid={jid}{name}{extra}>{inner}</item>")

    def _blocking(self, me: str, other: str) -> str:
        dice = self.dice
        word = dice.choice(("block", "unblock", "unblock", "blocklist"))
        jids = (other, f"{other}/{dice.choice(RESOURCES)}", dice.choice(DOMAINS), me, "a@@")
        chosen = dice.choices(jids, (6, 1, 1, 1, 1), k=dice.choice((0, 1, 1, 2)))
        return BLOCK.format(word, "".join(f"<item jid='{jid}'/>" for jid in chosen))

    def _register(self, me: str) -> str:
        name = f"<username>{me.partition('@')[0]}</username>"
        password = f"<password>{PASSWORD}</password>"
        chances = ("", name + password, name + password, password, "<x xmlns='jabber:x:data'/>")
        removes = ("<remove/>",) if self.dice.random() < 0.3 else ()
        return REGISTER.format(self.dice.choice((*chances, *removes)))

    # mutations

    def mutated(self, inner: str) -> str:
        """Return child elements with a few of their parts changed, doubled or gone."""
        root = build(f"<iq>{inner}</iq>".encode(), NS.CLIENT)
        for _ in range(self.dice.choice((1, 1, 2, 4))):
            places = _elements(root)
            self._mutate(*self.dice.choice(places)) if places else root.addElement(("urn:x", "x"))
        try:
            return "".join(
                serialise(node, NS.CLIENT) if isinstance(node, Element) else ""
                for node in root.children
            )
        except ValueError:  # a name or namespace that XML does not have
            return inner

    def _mutate(self, parent: Element, element: Element) -> None:
        dice = self.dice
        what = dice.randrange(9)
        at = parent.children.index(element)
        if what == 0:
            parent.children.pop(at)
        elif what == 1:
            parent.children.insert(at, element)
        elif what == 2:
            parent.children[at] = _renamed(
                element, dice.choice(("urn:x", "jabber:client", NS.ROSTER)), element.name
            )
        elif what == 3:
            parent.children[at] = _renamed(
                element, element.uri, dice.choice(("item", "query", "body", "x"))
            )
        elif what == 4 and element.attributes:
            element.attributes[dice.choice(list(element.attributes))] = dice.choice(STRANGE)
        elif what == 5 and element.attributes:
            del element.attributes[dice.choice(list(element.attributes))]
        elif what == 6 and element.name != "password":
            element.children.append(dice.choice(STRANGE))
        elif what == 7:
            element.attributes[(NS.XML, "lang")] = dice.choice(("de", "", "x" * 50))
        elif what == 8:
            element.addElement((dice.choice((element.uri, "urn:x")), dice.choice(("item", "x"))))


def _elements(root: Element) -> list[tuple[Element, Element]]:
    """Return parent and child for all elements below a root."""
    found = []
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for node in parent.elements():
            found.append((parent, node))
            waiting.append(node)
    return found


def _renamed(element: Element, uri: str | None, name: str) -> Element:
    fresh = Element((uri, name), uri, dict(element.attributes))
    fresh.children = list(element.children)
    return fresh
