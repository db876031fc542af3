"""XEP-0292: vCard4 Over XMPP.

A card is an item of a node of the account; what is different from other nodes is what such a
node is like when a client does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zope.interface import implementer

from imsuite.core.feature import At, Feature
from imsuite.core.service_interfaces import INodeRules, INodes, IPep
from imsuite.rules.node_errors import refusal
from imsuite.xmpp.address import JID

NS_VCARD4 = "urn:ietf:params:xml:ns:vcard-4.0"
CARD = "urn:xmpp:vcard4"
CONTACTS = "urn:xmpp:contacts"
_DEFAULTS = {
    # §3.1, §7: for everybody (XEP-0222); §3.2.2: who is told fetches it
    CARD: {
        "pubsub#access_model": "open",
        "pubsub#persist_items": "true",
        "pubsub#max_items": "1",
        "pubsub#send_last_published_item": "never",
        "pubsub#deliver_payloads": "false",
    },
    # §4.2: what somebody notes about others is for nobody else (XEP-0223)
    CONTACTS: {
        "pubsub#access_model": "whitelist",
        "pubsub#persist_items": "true",
        "pubsub#max_items": "max",
        "pubsub#send_last_published_item": "never",
    },
}


@implementer(INodeRules)
class VCard4(Feature):
    """Keep the vCard of an account, and its notes about contacts, in nodes."""

    spec = "XEP-0292 0.12.0"
    advertises = {At.ADDRESS: (NS_VCARD4,)}
    requires = (INodes, IPep)

    def governs(self, site: Any, node: str) -> bool:
        """Of accounts, both nodes."""
        return site.account is not None and node in _DEFAULTS

    def defaults(self, site: Any, node: str) -> Mapping[str, str]:
        """§3.1, §4.2"""
        return _DEFAULTS[node]

    def check_create(self, site: Any, node: str, by: JID) -> None:
        """An account makes the nodes as it likes."""

    def check_config(self, site: Any, node: str, config: Any) -> None:
        """An account may show them to whom it likes."""

    def check_publish(self, site: Any, node: str, items: Any, by: JID) -> None:
        """§2: the payload is one <vcard/>."""
        for _, payload in items:
            if payload is not None and (payload.uri, payload.name) != (NS_VCARD4, "vcard"):
                raise refusal("invalid-payload", "not a vCard")
