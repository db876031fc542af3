"""XEP-0060 §8.8, §8.9: owners manage the subscriptions and affiliations of their nodes."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.hooks import Passing
from imsuite.features.xep0060_pubsub import storage
from imsuite.features.xep0060_pubsub.node import Node
from imsuite.features.xep0060_pubsub.nodes import MOST_PEOPLE, Nodes
from imsuite.features.xep0060_pubsub.options import with_options
from imsuite.features.xep0060_pubsub.storage import Subscription
from imsuite.rules.node_access import AccessModel, Affiliation, May, Subscribed
from imsuite.rules.node_changes import (
    APPROVED,
    refused_affiliation,
    refused_subscription,
    subscription_after,
)
from imsuite.rules.node_errors import refusal
from imsuite.rules.node_options import from_text, to_text
from imsuite.rules.nodes import NS_EVENT, NS_OWNER, NS_PUBSUB, NodeConfig
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, children, error, make, result, to_bytes

MOST = 1000  # people in one request
_LIVING = (Subscribed.SUBSCRIBED, Subscribed.UNCONFIGURED)


class People:
    """The affiliations and subscriptions of nodes, for owners."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    async def _own(self, site: Any, asked: Element, by: JID) -> Node:
        """Return the node of a request that somebody owns. Raises StanzaError."""
        node = await self._nodes.find(site, asked.getAttribute("node") or "")
        self._nodes.need(site, node, by, May.CONFIGURE)
        return node

    # subscriptions (§8.8)

    async def subscriptions(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        """§8.8.1: those that count; the others are asked for by ad-hoc command."""
        node = await self._own(site, asked, passing.sender)
        living = [each for each in node.subscriptions.values() if each.state in _LIVING]
        return result(passing.stanza, _subscriptions(node.name, living))

    async def set_subscriptions(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        """§8.8.2: each change that can be made is made; the answer names the others."""
        by = passing.sender
        name = (await self._own(site, asked, by)).name
        entries = _entries(asked, "subscription")
        pairs = [(parse(each["jid"]).full, each.getAttribute("subid")) for each in entries]
        if len(set(pairs)) < len(pairs):
            raise StanzaError("bad-request", text="the same subscription twice")
        async with self._nodes.turn(site.jid, name):
            node = await self._own(site, asked, by)
            changed: dict[str, Subscription] = {}
            refused: list[Subscription] = []
            for entry, (jid, subid) in zip(entries, pairs, strict=True):
                done, kept = self._subscribe(site, node, changed.values(), entry, parse(jid), subid)
                changed.update((each.subid, each) for each in done)
                refused += kept
            await self._nodes.apply(site, node, subscriptions=changed.values())
            await self.tell_changed(site, node, changed.values())
        if refused:
            return _refuse(passing, _subscriptions(name, refused))
        return result(passing.stanza)

    def _subscribe(
        self,
        site: Any,
        node: Node,
        changed: Collection[Subscription],
        entry: Element,
        jid: JID,
        subid: str | None,
    ) -> tuple[list[Subscription], list[Subscription]]:
        """Return the subscriptions that an entry changes, and those that stay against its will.

        changed: by the entries before it.
        """
        several = [
            each
            for each in node.of(jid.bare)
            if each.jid == jid.full and subid in (None, each.subid)
        ]
        nothing = Subscription(jid.full, jid.bare, subid or "", Subscribed.NONE)
        word = entry.getAttribute("subscription")
        if word is None:
            return [], []
        try:
            wanted = Subscribed(word)
        except ValueError:
            return [], several or [nothing]
        affiliation = node.affiliation(site, jid)
        if wanted is Subscribed.SUBSCRIBED and self._nodes.may_subscribe(site, node, jid):
            return [], several or [nothing]  # nor would the access model let it stay
        if several:
            allowed = [
                each
                for each in several
                if refused_subscription(each.state, wanted, affiliation) is None
            ]
            refused = [each for each in several if each not in allowed]
            return [attrs.evolve(each, state=wanted) for each in allowed], refused
        if wanted is Subscribed.NONE:
            return [], []
        if subid is not None or refused_subscription(Subscribed.NONE, wanted, affiliation):
            return [], [nothing]
        his = {each.subid for each in (*node.of(jid.bare), *changed) if each.bare == jid.bare}
        many = len(node.subscriptions) + len(changed) >= MOST_PEOPLE
        if many or len(his) >= site.limits.subscriptions:
            return [], [nothing]
        try:
            return [self._new(node, jid)], []
        except StanzaError:  # it would have to be temporary, and could not
            return [], [nothing]

    def _new(self, node: Node, jid: JID) -> Subscription:
        return Subscription(
            jid.full,
            jid.bare,
            secrets.token_hex(8),
            Subscribed.SUBSCRIBED,
            to_text(self._nodes.options.defaults(node, jid)),
            self._nodes.now,
        )

    # affiliations (§8.9)

    async def affiliations(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        """§8.9.1"""
        node = await self._own(site, asked, passing.sender)
        return result(passing.stanza, _affiliations(NS_OWNER, node.name, self._all(site, node)))

    def _all(self, site: Any, node: Node) -> dict[str, Affiliation]:
        """Return all affiliations; an account owns its nodes (XEP-0163 §4)."""
        implied = {} if site.account is None else {site.jid: Affiliation.OWNER}
        return {**node.affiliations, **implied}

    async def set_affiliations(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        """§8.9.2: each change that can be made is made; the answer names the others."""
        by = passing.sender
        name = (await self._own(site, asked, by)).name
        entries = _entries(asked, "affiliation")
        people = [parse(each["jid"]).to_bare() for each in entries]
        if len(set(people)) < len(people):  # §8.9.2.4
            raise StanzaError("bad-request", text="the same address twice")
        async with self._nodes.turn(site.jid, name):
            node = await self._own(site, asked, by)
            changed: dict[str, Affiliation] = {}
            refused: dict[str, Affiliation] = {}
            for entry, jid in zip(entries, people, strict=True):
                before = self._all(site, node).get(jid.bare, Affiliation.NONE)
                after = self._affiliate(site, node, changed, before, entry, jid, by)
                if after is None:
                    refused[jid.bare] = before
                elif after is not before:
                    changed[jid.bare] = after
            subscriptions = self.after(site, node, affiliations=changed)
            await self._nodes.apply(site, node, affiliations=changed, subscriptions=subscriptions)
            await self.tell_changed(site, node, subscriptions)
            self._tell_affiliated(node, changed, by)
        if refused:
            return _refuse(passing, _affiliations(NS_OWNER, name, refused))
        return result(passing.stanza)

    def _affiliate(
        self,
        site: Any,
        node: Node,
        changed: Mapping[str, Affiliation],
        before: Affiliation,
        entry: Element,
        jid: JID,
        by: JID,
    ) -> Affiliation | None:
        """Return the affiliation that an entry leads to, None if it may not be.

        changed: what the entries before it lead to.
        """
        word = entry.getAttribute("affiliation")
        if word is None:
            return before
        try:
            after = Affiliation(word)
        except ValueError:
            return None
        if before is Affiliation.NONE and len(node.affiliations) + len(changed) >= MOST_PEOPLE:
            return None
        everybody = {**self._all(site, node), **changed}
        count = sum(each is Affiliation.OWNER for each in everybody.values())
        if site.account is not None and jid.bare == site.jid:
            count = 1  # whose address it is can not resign
        himself = jid.bare == by.bare
        refused = refused_affiliation(before, after, count, himself, site.owner(by))
        return after if refused is None else None

    def _tell_affiliated(self, node: Node, changed: Mapping[str, Affiliation], by: JID) -> None:
        """§8.9.4: who did it himself knows it."""
        for jid, affiliation in changed.items():
            if jid == by.bare:
                continue
            payload = _affiliations(NS_PUBSUB, node.name, {jid: affiliation})
            attributes = {"from": node.service, "to": jid, "id": secrets.token_hex(8)}
            inner = to_bytes(payload)
            self._nodes.host.send(make("message", attributes, inner, f"{NS_PUBSUB}}}pubsub"))

    # what follows for subscriptions

    def after(
        self,
        site: Any,
        node: Node,
        config: NodeConfig | None = None,
        affiliations: Mapping[str, Affiliation] | None = None,
        only: str | None = None,
    ) -> list[Subscription]:
        """Return the subscriptions that are other ones after a change (§4.5, §8.6, §12.4).

        only: the bare JID of which they are, None for everybody's.
        """
        people = {**node.affiliations, **(affiliations or {})}
        then = attrs.evolve(node, config=config or node.config, affiliations=people)
        concerned = affiliations if config is None and affiliations is not None else None
        return [
            changed
            for each in node.subscriptions.values()
            if (concerned is None or each.bare in concerned) and only in (None, each.bare)
            if (changed := self._after(site, then, each)) != each
        ]

    def _after(self, site: Any, node: Node, subscription: Subscription) -> Subscription:
        jid = parse(subscription.bare)
        affiliation = node.affiliation(site, jid)
        model = node.config.access_model
        allowed = self._nodes.may_subscribe(site, node, jid) is None
        if model is AccessModel.AUTHORIZE:
            allowed = affiliation in APPROVED
        state = subscription_after(subscription.state, affiliation, model, allowed)
        found = attrs.evolve(subscription, state=state)
        options = from_text(subscription.options)
        if node.config.tempsub and not options.temporary and state is not Subscribed.NONE:
            if not self._nodes.options.presence(subscription.jid):  # it would be over already
                return attrs.evolve(found, state=Subscribed.NONE)
            return with_options(found, attrs.evolve(options, temporary=True, expire=None))
        return found

    async def recheck(self, site: Any, jid: JID) -> None:
        """End the subscriptions of a bare JID that the access models do not allow any more.

        XEP-0163 §7.1: when somebody may not see the presence of an account any longer, or is not
        in a roster group.
        """
        rows = await self._nodes.host.store.read(storage.subscriptions_of, site.jid, jid.bare)
        for name in dict.fromkeys(name for name, _ in rows):
            async with self._nodes.turn(site.jid, name):
                node = await self._nodes.load(site, name)
                if node is None:
                    continue
                changed = self.after(site, node, only=jid.bare)
                if changed:
                    await self._nodes.apply(site, node, subscriptions=changed)
                    await self.tell_changed(site, node, changed)

    async def tell_changed(
        self, site: Any, node: Node, subscriptions: Iterable[Subscription]
    ) -> None:
        """Tell subscribers what became of their subscriptions (§12.14), in the turn.

        Who has access now gets the last item (§12.2).
        """
        for each in subscriptions:
            await self._nodes.notifier.send(site, node, each.jid, state_event(node, each))
            await self._nodes.notifier.owners(site, node, each)
            lasting = node.config.send_last_published_item != "never"
            if each.state is Subscribed.SUBSCRIBED and lasting:
                await self._nodes.notifier.send_last(site, node, each.jid)


def state_event(node: Node, subscription: Subscription) -> Element:
    """Return what tells somebody the state of a subscription (§12.14)."""
    event = Element((NS_EVENT, "subscription"))
    event["node"] = node.name
    event["jid"] = subscription.jid
    event["subid"] = subscription.subid
    event["subscription"] = subscription.state.value
    return event


def _entries(asked: Element, name: str) -> list[Element]:
    """Return what a request wants to change. Raises StanzaError."""
    found = children(asked, NS_OWNER, name)
    if not found:
        raise StanzaError("bad-request", text=f"there is no <{name}/>")
    if len(found) > MOST:
        raise StanzaError("policy-violation", text="too many at once")
    if any(not each.hasAttribute("jid") for each in found):
        raise refusal("jid-required")
    return found


def _subscriptions(name: str, subscriptions: Iterable[Subscription]) -> Element:
    pubsub = Element((NS_OWNER, "pubsub"))
    shown = pubsub.addElement("subscriptions")
    shown["node"] = name
    for each in subscriptions:
        entry = shown.addElement("subscription")
        entry["jid"] = each.jid
        entry["subscription"] = each.state.value
        if each.subid:
            entry["subid"] = each.subid
    return pubsub


def _affiliations(ns: str, name: str, affiliations: Mapping[str, Affiliation]) -> Element:
    pubsub = Element((ns, "pubsub"))
    shown = pubsub.addElement("affiliations")
    shown["node"] = name
    for jid, affiliation in affiliations.items():
        entry = shown.addElement("affiliation")
        entry["jid"] = jid
        entry["affiliation"] = affiliation.value
    return pubsub


def _refuse(passing: Passing, unchanged: Element) -> Stanza:
    """Return the error with the entries that could not be changed (§8.8.2.4, §8.9.2.4)."""
    plain = error(passing.stanza, StanzaError("not-acceptable"))
    begin = plain.raw.index(b">") + 1
    raw = plain.raw[:begin] + to_bytes(unchanged) + plain.raw[begin:]
    names = (f"{NS_OWNER}}}pubsub", *plain.children)
    return Stanza(plain.kind, NS.CLIENT, plain.attrs, names, raw)
