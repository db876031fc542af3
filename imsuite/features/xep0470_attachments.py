"""XEP-0470: Pubsub Attachments, on accounts.

What is attached to an item is in a node of its own, which is made when somebody may attach
something; how often which reaction is there is in another, which only this feature writes.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import attrs
from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.feature import At, Feature, on
from imsuite.core.hooks import PUBLISHED, RETRACTED, Passing, Published
from imsuite.core.host import Host
from imsuite.core.options import ge, option
from imsuite.core.service_interfaces import INodeFollower, INodeRules, INodes, IPep
from imsuite.core.turns import Turns
from imsuite.rules import attachments as rules
from imsuite.rules.attachments import NS_ATTACHMENTS, Target
from imsuite.rules.node_access import PublishModel
from imsuite.rules.nodes import NODE_CONFIG, NS_OWNER, NS_PUBSUB, NodeConfig
from imsuite.xmpp import forms
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import iq_set, to_bytes

_KEPT = {
    "pubsub#persist_items": "true",
    "pubsub#max_items": "max",
    "pubsub#send_last_published_item": "never",
    "pubsub#notify_retract": "true",
}


@attrs.frozen
class Options:
    """[features.attachments]"""

    most: int = option(
        1000, "Most accounts whose attachments to one item are counted.", ge(1), live=True
    )


@implementer(INodeRules, INodeFollower)
class Attachments(Feature):
    """Let others attach reactions to the items of an account, and count them."""

    spec = "XEP-0470 0.2.0"
    advertises = {At.ADDRESS: (NS_ATTACHMENTS,)}
    requires = (INodes, IPep)
    options: Options

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._turns = Turns()

    @cached_property
    def _nodes(self) -> Any:  # what provides INodes
        return self.host.find_feature(INodes)

    @cached_property
    def _pep(self) -> Any:  # what provides IPep
        return self.host.find_feature(IPep)

    # what is different about the nodes

    def governs(self, site: Any, node: str) -> bool:
        """Of accounts, attachment nodes and summary nodes."""
        ours = rules.is_attachments(node) or rules.is_summary(node)
        return site.account is not None and ours

    async def defaults(self, site: Any, node: str) -> Mapping[str, str | list[str]]:
        """§4.3, §4.6: as public as the node they are about."""
        config = await self._about(site, node)
        return {} if config is None else {**_KEPT, **_models(node, config)}

    def check_create(self, site: Any, node: str, by: JID) -> None:
        """§4.4: nobody makes them but the service."""
        if by.full != site.jid:
            raise StanzaError("not-allowed")

    async def check_config(self, site: Any, node: str, config: NodeConfig) -> None:
        """§4.3: their models are those of the node they are about."""
        about = await self._about(site, node)
        if about is not None and _models(node, about) != _models(node, config, own=True):
            raise StanzaError("not-allowed", text="who has access follows from another node")

    def check_publish(self, site: Any, node: str, items: Any, by: JID) -> None:
        """§4.5, §4.6"""
        if rules.is_summary(node):
            raise StanzaError("forbidden")
        for id, payload in items:
            if not rules.is_valid(id, payload, by.bare):
                raise StanzaError("bad-request", text="not an attachment of one's own")

    async def _about(self, site: Any, node: str) -> NodeConfig | None:
        """Return the configuration of the node that one of ours is about."""
        if rules.is_summary(node):
            name = rules.summarised(node)
        else:
            target = rules.target_of(node)
            if target is None or target.service != site.jid:
                return None
            name = target.node
        found: NodeConfig | None = await self._nodes.config(site, name)
        return found

    # attachment nodes come and change with what they are about

    def about(self, site: Any, node: str) -> str | None:
        """§4.3: who may know of the target node may know what is attached there."""
        target = rules.target_of(node)
        return target.node if target is not None and target.service == site.jid else None

    async def before_publish(self, site: Any, node: str, by: JID) -> None:
        """§4.3: the node is made for the first who attaches something, if that may be done."""
        if site.account is None or not rules.is_attachments(node):
            return
        if await self._nodes.config(site, node) is not None:
            return
        target = rules.target_of(node)
        config = await self._about(site, node)
        if target is None or config is None:
            raise StanzaError("item-not-found")
        # §4.1: the same for whoever can not attach, or could look for what is hidden
        if not site.owner(by) and config.publish_model is not PublishModel.OPEN:
            raise StanzaError("item-not-found")
        if not await self._nodes.items(site, target.node, ids=[target.item]):
            raise StanzaError("item-not-found")
        create = Element((NS_PUBSUB, "pubsub"))
        create.addElement((NS_PUBSUB, "create"))["node"] = node
        try:
            await self._ask(site, create)
        except StanzaError as why:
            if why.condition != "conflict":  # somebody else was first
                raise

    async def configured(self, site: Any, node: str, config: NodeConfig) -> None:
        """§4.3: who has access to a node has access to what is attached to its items."""
        if site.account is None or self.governs(site, node):
            return
        summary = rules.summary_of(node)
        for name, _ in await self._nodes.listed(site, site.account.jid):
            target = rules.target_of(name)
            if name == summary or (target is not None and target.node == node):
                await self._follow(site, name, config)

    async def _follow(self, site: Any, name: str, config: NodeConfig) -> None:
        wanted = _models(name, config)
        now = await self._nodes.config(site, name)
        if now is None or _models(name, now, own=True) == wanted:
            return
        fields = [forms.field(None, var, value) for var, value in wanted.items()]
        owner = Element((NS_OWNER, "pubsub"))
        configure = owner.addElement((NS_OWNER, "configure"))
        configure["node"] = name
        configure.addChild(forms.to_element(forms.make("submit", NODE_CONFIG, fields)))
        await self._ask(site, owner)

    async def _ask(self, site: Any, payload: Element) -> None:
        """Ask the nodes of an account for something in its name. Raises StanzaError."""
        request = iq_set(site.jid, site.jid, secrets.token_hex(6), payload)
        await self._nodes.answer(Passing(request, site.account, site.account.jid), site)

    # summaries

    @on(PUBLISHED)
    async def published(self, event: Published) -> None:
        """§4.6: with each attachment the summary of its item changes."""
        await self._heard(event)

    @on(RETRACTED)
    async def retracted(self, event: Published) -> None:
        """§4.6; with an item goes what was attached to it."""
        await self._heard(event)
        if not rules.is_attachments(event.node) and not rules.is_summary(event.node):
            await self._forget(event)

    async def _heard(self, event: Published) -> None:
        target = rules.target_of(event.node)
        if target is None or target.service != event.service:
            return
        if (site := await self._site(event.service)) is not None:
            async with self._turns.of(event.service):
                await self._summarise(site, event.node, target)

    async def _summarise(self, site: Any, node: str, target: Target) -> None:
        found = await self._nodes.items(site, node, most=self.options.most)
        summary = rules.summarise(payload for _, payload, *_ in found)
        name = rules.summary_of(target.node)
        before = await self._nodes.items(site, name, ids=[target.item])
        if summary is None:
            if before:
                await self._nodes.retract(site, name, [target.item], site.account.jid)
        elif not before or to_bytes(before[0][1]) != to_bytes(summary):
            await self._nodes.publish(site, name, [(target.item, summary)], site.account.jid)

    async def _forget(self, event: Published) -> None:
        site = await self._site(event.service)
        summary = rules.summary_of(event.node)
        if site is None or await self._nodes.config(site, summary) is None:
            return  # nothing was ever attached there
        for id, _ in event.items:
            node = rules.attachments_of(Target(event.service, event.node, id))
            if await self._nodes.config(site, node) is not None:
                await self._nodes.delete(site, node)
            if await self._nodes.items(site, summary, ids=[id]):
                await self._nodes.retract(site, summary, [id], site.account.jid)

    async def _site(self, service: str) -> Any:
        """Return the ISite of an account of this host, None for something else."""
        jid = parse(service)
        if not jid.local or jid.domain != self.host.domain:
            return None
        account = await self.host.account(jid.local)
        return None if account is None else self._pep.site(account)


def _models(node: str, config: NodeConfig, own: bool = False) -> dict[str, str | list[str]]:
    """Return the fields that say who has access, of one of our nodes.

    config: of the node it is about; own: its own configuration.
    """
    publish = config.publish_model
    if rules.is_summary(node) and not own:
        publish = PublishModel.PUBLISHERS
    return {
        "pubsub#access_model": str(config.access_model),
        "pubsub#publish_model": str(publish),
        "pubsub#roster_groups_allowed": list(config.roster_groups_allowed),
    }
