"""XEP-0060 §12.2-§12.8: who is notified of an event, and the messages that do it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from twisted.words.xish.domish import Element

from imsuite.core.fanout import Fan
from imsuite.features.xep0060_pubsub.item_storage import Item
from imsuite.features.xep0060_pubsub.node import Key, Node
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.features.xep0060_pubsub.storage import Subscription
from imsuite.rules.node_access import AccessModel, Affiliation, Subscribed
from imsuite.rules.node_notices import Event, Interest, Notice, notices, words
from imsuite.rules.node_options import Terms, from_text, is_over
from imsuite.rules.nodes import NS_EVENT
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.build import build, serialise
from imsuite.xmpp.stanza import Stanza, delayed, escaped, make, quoted

NS_SHIM = "http://jabber.org/protocol/shim"
REMEMBERED = 4096  # notifications whose errors are understood
_MOST_RETRACTED = 100  # items in one notification
_EVENT = f"{NS_EVENT}}}event"
_OUT = frozenset((Affiliation.OUTCAST, Affiliation.PUBLISH_ONLY))
_OPEN = frozenset((AccessModel.OPEN, AccessModel.AUTHORIZE))  # who subscribed may have it
_NOWHERE = "\0"  # the namespace of nothing that can come in, so that each element names its own
_BODY = f"{NS.CLIENT}}}body"

read_options: Callable[[str], Terms] = lru_cache(1024)(from_text)


def to_payload(element: Element) -> bytes:
    """Return an element as bytes that mean the same wherever they are put."""
    return serialise(element, _NOWHERE).encode()


def from_payload(payload: bytes) -> Element | None:
    """Return what `to_payload` wrote; None for no payload."""
    return build(payload, NS.CLIENT) if payload else None


def publisher_of(node: Node, item: Item) -> str | None:
    """Return whom an item names as its publisher, None for nobody (§12.16, §7.1.2.3)."""
    match node.config.itemreply:
        case "publisher" if item.publisher:
            bare = parse(item.publisher).bare
            return bare if bare in node.affiliations else item.publisher
        case "owner":
            return next(iter(node.owners), None)
    return None


def item_bytes(node: Node, item: Item, payload: bool = True) -> bytes:
    """Return an <item/>, which inherits its namespace."""
    publisher = publisher_of(node, item)
    by = b"" if publisher is None else b" publisher=" + quoted(publisher)
    inner = item.payload if payload else b""
    if not inner:
        return b"<item id=%s%s/>" % (quoted(item.id), by)
    return b"<item id=%s%s>%s</item>" % (quoted(item.id), by, inner)


def items_event(node: Node, inner: bytes) -> bytes:
    """Return an <items/>, which inherits its namespace, with what is in it."""
    name = quoted(node.name)
    return b"<items node=%s>%s</items>" % (name, inner) if inner else b"<items node=%s/>" % name


def subscription_bytes(node: Node, subscription: Subscription, inner: bytes = b"") -> bytes:
    """Return a <subscription/>, which inherits its namespace."""
    one = subscription
    head = b"<subscription node=%s jid=%s subscription=%s subid=%s" % (
        quoted(node.name),
        quoted(one.jid),
        quoted(one.state.value),
        quoted(one.subid),
    )
    return b"%s>%s</subscription>" % (head, inner) if inner else head + b"/>"


class Notifier:
    """Sends the events of nodes."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self._sent: OrderedDict[str, Key] = OrderedDict()  # by id of the message

    def presence(self, jid: str) -> frozenset[str] | None:
        """Return the shows of a JID's resources, none if it is offline, None if nobody knows."""
        found: frozenset[str] | None = self.nodes.options.presence(jid)
        return found

    # events

    async def tell(
        self,
        site: Any,
        node: Node,
        event: Element | bytes,
        kind: Event = Event.ITEMS,
        payload: Element | None = None,
        interests: list[Interest] | None = None,
        kept: bool = False,
    ) -> None:
        """Notify whoever is to hear of an event; in the turn, after the commit.

        What goes wrong with that is logged: what the event is about is done all the same.

        event: child of <event/>, as bytes that inherit its namespace; payload: of which a body is
        made for those who want one (§12.7); interests: the subscriptions that it concerns, by
        default all; kept: it can be told again later, so that it may wait for a digest.
        """
        if not node.config.deliver_notifications:
            return
        inner = event if isinstance(event, bytes) else serialise(event, NS_EVENT).encode()
        try:
            await self._tell(site, node, inner, kind, payload, interests, kept)
        except Exception as why:
            self.nodes.host.condition(why)

    async def tell_retracted(self, site: Any, node: Node, ids: Sequence[str]) -> None:
        """Notify whoever is to hear that items are gone (§7.2.2); in the turn, after the commit.

        So many at a time as fit into a stanza.
        """
        for begin in range(0, len(ids), _MOST_RETRACTED):
            some = ids[begin : begin + _MOST_RETRACTED]
            inner = b"".join(b"<retract id=%s/>" % quoted(id) for id in some)
            await self.tell(site, node, items_event(node, inner))

    async def _tell(
        self,
        site: Any,
        node: Node,
        inner: bytes,
        kind: Event,
        payload: Element | None,
        interests: list[Interest] | None,
        kept: bool,
    ) -> None:
        plain = self._message(site, node, inner)
        listeners = self._interested(site, node) if interests is None else []
        heard = {parse(full).bare for full in listeners}.union(listeners)  # XEP-0163 §4.3.2
        around = []
        if interests is None and self.nodes.collections is not None:
            around = await self.nodes.collections.interests(site, node)
        if interests is None and not around and node.plain and self._is_open(node):
            await self._fan(plain, (jid for jid in node.plain if jid not in heard))
        else:
            found = self._interests(site, node) + around if interests is None else interests
            wanted = notices(self._there(node, found), kind, self.presence, self.nodes.now, kept)
            await self._send(node, plain, [w for w in wanted if w.jid not in heard], payload)
        if listeners:
            await self._fan(plain, listeners)

    def _interested(self, site: Any, node: Node) -> list[str]:
        """Return the full JIDs that hear of it without a subscription, and have access."""
        candidates: Iterable[str] = site.interested(node.name)
        return [
            full
            for full in dict.fromkeys(candidates)
            if self.nodes.access(site, node, parse(full)) is None
        ]

    def _is_open(self, node: Node) -> bool:
        """Tell whether everybody who is subscribed is notified, whoever it is."""
        config = node.config
        return (
            config.access_model in _OPEN
            and not config.presence_based_delivery
            and _OUT.isdisjoint(node.affiliations.values())
        )

    def _interests(self, site: Any, node: Node) -> list[Interest]:
        """Return the subscriptions to a node that count."""
        config = node.config
        found = [
            Interest(each.jid, each.subid, read_options(each.options))
            for each in node.subscriptions.values()
            if each.state is Subscribed.SUBSCRIBED
        ]
        if config.access_model in _OPEN and _OUT.isdisjoint(node.affiliations.values()):
            return found
        access = self.nodes.access
        return [each for each in found if access(site, node, parse(each.jid)) is None]

    def _there(self, node: Node, found: list[Interest]) -> list[Interest]:
        """Return those who are notified by their presence, if the node wants that (§12.5)."""
        if not node.config.presence_based_delivery:
            return found
        return [each for each in found if self.presence(each.jid)]

    async def _send(
        self, node: Node, plain: Stanza, wanted: list[Notice], payload: Element | None
    ) -> None:
        """Send one message to each; those that are to look the same are made once."""
        groups: dict[tuple[bool, tuple[str, ...], tuple[str, ...]], list[str]] = {}
        for each in wanted:
            groups.setdefault((each.body, each.subids, each.collections), []).append(each.jid)
        text = words(payload) if payload is not None else None
        for (body, subids, collections), jids in groups.items():
            stanza = plain
            if body and text:
                inner = b"<body>%s</body>" % escaped(text)
                stanza = stanza.plus(inner, _BODY)
            if subids or collections:
                stanza = stanza.plus(_headers(subids, collections), f"{NS_SHIM}}}headers")
            await self._fan(stanza, jids)

    async def _fan(self, stanza: Stanza, jids: Iterable[str]) -> None:
        fan = Fan(self.nodes.host, stanza)
        for jid in jids:
            fan.send(jid)
        later = fan.finished()
        if later is not None:
            await later

    def _message(self, site: Any, node: Node, inner: bytes, type: str | None = None) -> Stanza:
        """Return a notification without an address."""
        id = f"{self.nodes.host.store.ids.next():x}"
        self._remember(id, node.key)
        if type is None:
            type = node.config.notification_type
        attrs = {"from": node.service, "type": None if type == "normal" else type, "id": id}
        return make("message", attrs, b"<event xmlns='%s'>%s</event>" % (_NS_EVENT, inner), _EVENT)

    def _remember(self, id: str, key: Key) -> None:
        self._sent[id] = key
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)

    def about(self, id: str | None) -> Key | None:
        """Return the node that a notification was about, None for one that is forgotten."""
        return self._sent.get(id or "")

    # single messages

    async def owners(self, site: Any, node: Node, subscription: Subscription) -> None:
        """Tell the owners of a subscription that came or went, if they want that (notify_sub)."""
        if node.config.notify_sub:
            inner = subscription_bytes(node, subscription)
            await self._fan(self._message(site, node, inner), node.owners)

    async def send(self, site: Any, node: Node, to: str, event: Element) -> None:
        """Send an event to one address, such as a change of its subscription (§12.14)."""
        inner = serialise(event, NS_EVENT).encode()
        await self._fan(self._message(site, node, inner, "normal"), (to,))

    async def send_last(self, site: Any, node: Node, to: str) -> None:
        """Send the last item, with the time when it was published (§6.1.7); in the turn."""
        item = node.last
        if item is None or not node.config.deliver_notifications:
            return
        if item.stamp <= self.nodes.since(site, node):
            return
        inner = items_event(node, item_bytes(node, item, node.config.deliver_payloads))
        stanza = delayed(self._message(site, node, inner), node.service, item.stamp)
        await self._fan(stanza, (to,))

    def wants_last(self, node: Node, jid: JID) -> Iterator[str]:
        """Yield where to send the last item when a client of that full JID comes online."""
        now = self.nodes.now
        for each in node.of(jid.bare):
            options = read_options(each.options)
            if each.state is not Subscribed.SUBSCRIBED or each.jid not in (jid.bare, jid.full):
                continue
            if options.deliver and not is_over(options, now):
                yield jid.full


_NS_EVENT = NS_EVENT.encode()


def _headers(subids: Iterable[str], collections: Iterable[str]) -> bytes:
    """Return the SHIM headers that say through which subscriptions it came (§12.15)."""
    inner = b"".join(
        b"<header name='%s'>%s</header>" % (name, escaped(value))
        for name, values in ((b"SubID", subids), (b"Collection", collections))
        for value in values
    )
    return b"<headers xmlns='%s'>%s</headers>" % (NS_SHIM.encode(), inner)
