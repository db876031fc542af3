"""XEP-0490: Message Displayed Synchronization."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from functools import cached_property
from typing import Any, ClassVar

from twisted.logger import Logger
from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.feature import At, Feature, on
from imsuite.core.hooks import OUTGOING, Passing, Stage
from imsuite.core.service_interfaces import INodeRules, INodes, IPep
from imsuite.rules.node_access import AccessModel
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, children

NS_DISPLAYED = "urn:xmpp:mds:displayed:0"
NS_ASSIST = "urn:xmpp:mds:server-assist:0"
# §4.2; also what a node has that server assist makes (§5.2)
OPTIONS = {
    "pubsub#access_model": "whitelist",
    "pubsub#persist_items": "true",
    "pubsub#max_items": "max",
    "pubsub#send_last_published_item": "never",
}

# what has to hold; a client may have configured the rest otherwise
_PRIVATE = {"pubsub#access_model": "whitelist"}


@implementer(INodeRules)
class Displayed(Feature):
    """Note for a client how far it has shown a chat, so that its user's others know."""

    spec = "XEP-0490 1.0.1"
    advertises = {At.ADDRESS: (NS_ASSIST,)}
    requires = (INodes, IPep)
    log: ClassVar[Logger] = Logger()

    @cached_property
    def _nodes(self) -> Any:  # what provides INodes
        return self.host.find_feature(INodes)

    @cached_property
    def _pep(self) -> Any:  # what provides IPep
        return self.host.find_feature(IPep)

    # server assist

    @on(OUTGOING, Stage.AMEND, kind="message", child=(NS_DISPLAYED, "displayed"))
    def assist(self, passing: Passing) -> Stanza | Awaitable[Stanza]:
        """§4.5.3: nobody else sees the mark; it is durable before the message counts as sent."""
        stanza = passing.stanza
        found = children(stanza.element, NS_DISPLAYED, "displayed")
        rest = stanza.without(found)
        chat = stanza.to
        if chat is None or stanza.type == "error" or passing.account.temporary:
            return rest
        return self._assist(passing, chat, found[0], rest)

    async def _assist(self, passing: Passing, chat: str, mark: Element, rest: Stanza) -> Stanza:
        try:
            # §5.2: the address is the id as it came, the mark is opaque
            await self._nodes.publish(
                self._pep.site(passing.account),
                NS_DISPLAYED,
                [(chat, mark)],
                passing.sender,
                _PRIVATE,
            )
        except StanzaError as why:  # such as a node without room; the message goes on
            self.log.debug(
                "{account}: not marked: {why}", account=passing.account.bare, why=str(why)
            )
        return rest

    # the node is private

    def governs(self, site: Any, node: str) -> bool:
        """Of accounts, the node of marks."""
        return site.account is not None and node == NS_DISPLAYED

    def defaults(self, site: Any, node: str) -> Mapping[str, str]:
        """§4.2, §7"""
        return OPTIONS

    def check_create(self, site: Any, node: str, by: JID) -> None:
        """An account makes the node as it likes, within `check_config`."""

    def check_config(self, site: Any, node: str, config: Any) -> None:
        """§7: it is private storage (XEP-0223)."""
        if config.access_model is not AccessModel.WHITELIST:
            raise StanzaError("not-acceptable", text="what was displayed is private")

    def check_publish(self, site: Any, node: str, items: Any, by: JID) -> None:
        """§5.2: ids and marks are opaque."""
