"""Nodes as a client uses them (XEP-0060, XEP-0163): publishing, subscribing, saying what is of
interest."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence

import attrs

from benchmarks.checking import Faults, order_faults, same, stanza_pattern
from benchmarks.dialogue import Session
from benchmarks.loop import Loop
from benchmarks.messages import DIGITS
from benchmarks.muc import answer

SERVICE = "pubsub"  # before the domain, on every server
NS_PUBSUB = "http://jabber.org/protocol/pubsub"
NS_EVENT = "http://jabber.org/protocol/pubsub#event"
NS_DISCO = "http://jabber.org/protocol/disco#info"
CONFIG = (
    ("FORM_TYPE", "http://jabber.org/protocol/pubsub#node_config"),
    ("pubsub#persist_items", "1"),
    ("pubsub#max_items", "10"),
    ("pubsub#notify_retract", "0"),
)
CAPS_NODE = "urn:xmpp:bench"
CATEGORY, TYPE, NAME = "client", "bot", "bench"

# what a client says of the tune it plays (XEP-0118), with a title as long as titles are
PAYLOAD_START = (
    b"<tune xmlns='http://jabber.org/protocol/tune'><artist>Yes &amp; others</artist>"
    b"<length>686</length><rating>8</rating><source>Yessongs</source>"
    b"<title>Heart of the Sunrise, caf\xc3\xa9 take #"
)
PAYLOAD_END = (
    b"</title><track>3</track><uri>http://www.yesworld.com/lyrics/Fragile.html#9</uri></tune>"
)

QUERY = re.compile(
    rb"<iq\b(?P<attributes>[^>]*)>\s*<query\b[^>]*\bxmlns=['\"]"
    rb"http://jabber\.org/protocol/disco#info['\"][^>]*>"
)
FROM = re.compile(rb"\bfrom\s*=\s*['\"]([^'\"]*)")
ID = re.compile(rb"\bid\s*=\s*['\"]([^'\"]*)")
NODE = re.compile(rb"\bnode\s*=\s*['\"]([^'\"]*)")
ITEM = re.compile(rb"<item\b([^>]*)(?<!/)>(.*)</item\s*>", re.DOTALL)
EVENT = re.compile(rb"<event\b[^>]*\bxmlns=['\"]%b['\"][^>]*>" % NS_EVENT.encode())
ITEMS = re.compile(rb"<items\b([^>]*)>")


@attrs.frozen
class Place:
    """A node."""

    service: str  # its address: of a service, or an account's bare JID
    node: str

    def publish(self, first: int, count: int) -> bytes:
        """Return the requests that publish the items numbered from first, by one who owns it."""
        head = (
            f"<iq type='set' to='{self.service}' id='item-%012d'><pubsub xmlns='{NS_PUBSUB}'>"
            f"<publish node='{self.node}'><item id='%012d'>"
        ).encode()
        return b"".join(
            head % (number, number) + payload(number) + b"</item></publish></pubsub></iq>"
            for number in range(first, first + count)
        )

    def create(self, loop: Loop, session: Session) -> None:
        """Make the node; raises Refused, Stalled.

        What differs from service to service and would change the load is said.
        """
        fields = "".join(
            f"<field var='{name}'><value>{value}</value></field>" for name, value in CONFIG
        )
        request = (
            f"<iq type='set' to='{self.service}' id='create'><pubsub xmlns='{NS_PUBSUB}'>"
            f"<create node='{self.node}'/><configure><x xmlns='jabber:x:data' type='submit'>"
            f"{fields}</x></configure></pubsub></iq>"
        )
        answer(loop, session, request, "create")

    def subscribe(self, jid: str) -> bytes:
        """Return the request by which an account subscribes its bare JID."""
        return (
            f"<iq type='set' to='{self.service}' id='subscribe'><pubsub xmlns='{NS_PUBSUB}'>"
            f"<subscribe node='{self.node}' jid='{jid.partition('/')[0]}'/></pubsub></iq>"
        ).encode()


def payload(number: int) -> bytes:
    """Return what is published under a number."""
    return b"%b%0*d%b" % (PAYLOAD_START, DIGITS, number, PAYLOAD_END)


@attrs.define(eq=False)
class Interested:
    """A client that wants notifications of some nodes, without a subscription (XEP-0163 §4.3)."""

    session: Session
    nodes: Sequence[str]
    carry: bytes = b""

    @property
    def features(self) -> list[str]:
        """What it says of itself."""
        return sorted([NS_DISCO, *(f"{node}+notify" for node in self.nodes)])

    @property
    def ver(self) -> str:
        """The verification string (XEP-0115 §5.1)."""
        text = f"{CATEGORY}/{TYPE}//{NAME}<" + "".join(f"{name}<" for name in self.features)
        return b64encode(hashlib.sha1(text.encode(), usedforsecurity=False).digest()).decode()

    def appear(self) -> None:
        """Send presence with it, and answer who asks what it means."""
        self.session.link.receive = self.receive
        self.session.link.send(
            f"<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1'"
            f" node='{CAPS_NODE}' ver='{self.ver}'/></presence>".encode()
        )

    def receive(self, chunk: bytes) -> None:
        """Answer questions."""
        seen = self.carry + chunk
        end = 0
        for question in QUERY.finditer(seen):
            end = question.end()
            asker, id = FROM.search(question["attributes"]), ID.search(question["attributes"])
            node = NODE.search(question[0])
            to = b"" if asker is None else b" to='%b'" % asker[1]
            features = "".join(f"<feature var='{name}'/>" for name in self.features)
            self.session.link.send(
                b"<iq type='result'%b id='%b'>" % (to, id[1] if id else b"")
                + f"<query xmlns='{NS_DISCO}'".encode()
                + (b"" if node is None else b" node='%b'" % node[1])
                + f"><identity category='{CATEGORY}' type='{TYPE}' name='{NAME}'/>".encode()
                + f"{features}</query></iq>".encode()
            )
        self.carry = seen[max(end, len(seen) - 500) :]


def notified_faults(received: bytes, place: Place, first: int, count: int) -> Faults:
    """Return the faults of a stream that should be so many notifications of a node, from first on.

    What a service may add to them (publisher, headers, an id) is not looked at.
    """
    faults = Faults()
    numbers = []
    position = 0
    service, node = place.service.encode(), place.node.encode()
    for stanza in stanza_pattern("message").finditer(received):
        between = received[position : stanza.start()].strip()
        position = stanza.end()
        item = ITEM.search(stanza[2])
        id = item and ID.search(item[1])
        if between or not (item and id and id[1].isdigit()):
            wrong = between or stanza[0]
            faults += Faults(unexpected=1, example=f"unexpected {wrong[:300]!r}")
            continue
        number = int(id[1])
        sender, items = FROM.search(stanza[1]), ITEMS.search(stanza[2])
        named = items and NODE.search(items[1])
        right = (
            EVENT.search(stanza[2])
            and (sender and sender[1]) == service
            and (named and named[1]) == node
            and (item[2] == payload(number) or same(item[2], payload(number)))
        )
        if not right:
            faults += Faults(altered=1, example=f"altered {stanza[0][:600]!r}")
        numbers.append(number - first)
    if rest := received[position:].strip():
        faults += Faults(unexpected=1, example=f"unexpected {rest[:300]!r}")
    return faults + order_faults(numbers, count)
