"""XEP-0472: Pubsub Social Feed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from zope.interface import implementer

from imsuite.core.feature import At, Feature
from imsuite.core.service_interfaces import INodeRules, INodes
from imsuite.rules.feeds import BASE, FEED, GALLERY, MICROBLOG, fits
from imsuite.rules.node_errors import refusal
from imsuite.xmpp.address import JID


@implementer(INodeRules)
class Feeds(Feature):
    """Have nodes whose type is that of a social feed hold posts, and posts alone."""

    spec = "XEP-0472 0.2.1"
    advertises = {At.PUBSUB | At.ADDRESS: (FEED, GALLERY)}
    requires = (INodes,)

    @cached_property
    def _nodes(self) -> Any:  # what provides INodes
        return self.host.find_feature(INodes)

    def governs(self, site: Any, node: str) -> bool:
        """All nodes: their type, not their name, says what they are."""
        return True

    def defaults(self, site: Any, node: str) -> Mapping[str, str]:
        """§6.1.1, §6.2: of the node that has its type by its name; others are told theirs."""
        if _is_microblog(site, node):
            return {**BASE, "pubsub#type": MICROBLOG}
        return {}

    def check_create(self, site: Any, node: str, by: JID) -> None:
        """Anybody makes feeds who makes nodes."""

    def check_config(self, site: Any, node: str, config: Any) -> None:
        """UNCLEAR(XEP-0472 §6.1.1): clients say the type and leave out the rest."""

    async def check_publish(self, site: Any, node: str, items: Any, by: JID) -> None:
        """§4.2, §6.3"""
        config = await self._nodes.config(site, node)
        made = MICROBLOG if _is_microblog(site, node) else ""  # where it is not there yet
        type = made if config is None else config.type
        for _, payload in items:
            if not fits(type, payload):
                raise refusal("invalid-payload", "not a post as this feed has them")


def _is_microblog(site: Any, node: str) -> bool:
    return site.account is not None and node == MICROBLOG
