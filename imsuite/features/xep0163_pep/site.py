"""XEP-0163 §2.1: every account a publish-subscribe service; and one that nobody can see into."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from imsuite.core.account import Account
from imsuite.core.interfaces import IRoster
from imsuite.core.service_interfaces import ISite
from imsuite.rules.node_access import AccessModel
from imsuite.rules.nodes import LEAF, Limits, NodeConfig
from imsuite.xmpp.address import JID

if TYPE_CHECKING:
    from imsuite.features.xep0163_pep import Pep


@implementer(ISite)
class AccountSite:
    """The nodes of an account. pep: the feature; account: whose they are."""

    auto_create = True
    models = tuple(AccessModel)

    def __init__(self, pep: Pep, account: Account) -> None:
        self._pep = pep
        self.account = account
        self.jid = account.bare

    def __repr__(self) -> str:
        return f"<AccountSite {self.jid}>"

    @property
    def limits(self) -> Limits:
        """What a node may have at most."""
        return self._pep.limits

    @cached_property
    def _roster(self) -> Any:  # what provides IRoster
        return self._pep.host.find_feature(IRoster)

    def defaults(self, node: str, type: str = LEAF) -> NodeConfig:
        """§5"""
        return NodeConfig(node_type=type, access_model=AccessModel.PRESENCE, max_items=1)

    def may_create(self, jid: JID) -> bool:
        """§2.2"""
        return self.owner(jid)

    def owner(self, jid: JID) -> bool:
        """§2.2: the account and nobody else, for ever."""
        return jid.bare == self.jid

    def knows(self, jid: JID) -> bool:
        """Tell whether a JID may see the account's presence ("from" or "both")."""
        if jid.bare == self.jid:
            return True
        item = self._roster.item(self.account, jid.bare)
        return item is not None and bool(item.state.from_)

    def groups(self, jid: JID) -> frozenset[str]:
        """Return the groups of the account's roster that a JID is in."""
        item = self._roster.item(self.account, jid.bare)
        return frozenset() if item is None else frozenset(item.groups)

    def all_groups(self) -> Iterable[str]:
        """Return the groups of those who may see the account's presence."""
        names: dict[str, None] = {}
        for contact in self._roster.subscribers(self.account):
            names.update(dict.fromkeys(self._roster.item(self.account, contact).groups))
        return sorted(names)

    def interested(self, node: str) -> Iterable[str]:
        """§4: the account's own clients and those of its contacts, if they asked for the node."""
        return self._pep.interested(self.account, node)


@implementer(ISite)
class HiddenSite:
    """What somebody sees who may not know whether there is an account, or a node.

    Nothing is there and nothing can be made. pep: the feature.
    """

    jid = ""  # which is nobody's
    account = None
    auto_create = False
    models = tuple(AccessModel)

    def __init__(self, pep: Pep) -> None:
        self._pep = pep

    @property
    def limits(self) -> Limits:
        """What a node may have at most: the same for all."""
        return self._pep.limits

    def defaults(self, node: str, type: str = LEAF) -> NodeConfig:
        """§5"""
        return NodeConfig(node_type=type, access_model=AccessModel.PRESENCE, max_items=1)

    def may_create(self, jid: JID) -> bool:
        """Nobody may."""
        return False

    def owner(self, jid: JID) -> bool:
        """Nobody is."""
        return False

    def knows(self, jid: JID) -> bool:
        """Nobody is known."""
        return False

    def groups(self, jid: JID) -> frozenset[str]:
        """There is no roster."""
        return frozenset()

    def all_groups(self) -> Iterable[str]:
        """There is no roster."""
        return ()

    def interested(self, node: str) -> Iterable[str]:
        """Nobody is told anything."""
        return ()
