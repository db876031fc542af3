"""XEP-0411: Bookmarks Conversion.

The bookmarks of XEP-0048 are in one place, the node; the private storage of XEP-0049 shows them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.account import Account
from imsuite.core.feature import At, Feature
from imsuite.core.keeping import IPrivateKeeper
from imsuite.core.service_interfaces import INodes, IPep
from imsuite.rules.bookmarks import (
    CURRENT,
    NS_STORAGE,
    Storage,
    added,
    from_storage,
    is_storage,
    to_storage,
)
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.stanza import to_bytes

NS_CONVERSION = "urn:xmpp:bookmarks-conversion:0"
# §7: nobody else sees what clients put into their private storage
OPTIONS = {"pubsub#access_model": "whitelist", "pubsub#persist_items": "true"}


@implementer(IPrivateKeeper)
class Conversion(Feature):
    """Show clients of the private storage the bookmarks that others keep in a node."""

    spec = "XEP-0411 1.1.0"
    advertises = {At.ADDRESS: (NS_CONVERSION,)}
    requires = (INodes, IPep)
    private = (NS_STORAGE, "storage")

    @cached_property
    def _nodes(self) -> Any:  # what provides INodes
        return self.host.find_feature(INodes)

    @cached_property
    def _pep(self) -> Any:  # what provides IPep
        return self.host.find_feature(IPep)

    async def read_private(self, account: Account) -> Element | None:
        """§4: what the node has."""
        if account.temporary:
            return None
        found = await self._nodes.items(self._pep.site(account), NS_STORAGE, most=1)
        payload: Element | None = found[-1][1] if found else None
        return payload if is_storage(payload) else None

    async def write_private(self, account: Account, element: Element, by: JID) -> None:
        """§4: as if it had been published, so that others hear of it."""
        site = self._pep.site(account)
        await self._nodes.publish(site, NS_STORAGE, [(CURRENT, element)], by, OPTIONS)

    async def adopt_private(self, account: Account, element: Element) -> None:
        """§6: what was stored before this feature was there; what the node has is newer."""
        now = from_storage(await self.read_private(account))
        old = from_storage(element)
        known = set(map(to_bytes, now.rest))
        rest = (*now.rest, *(each for each in old.rest if to_bytes(each) not in known))
        both = Storage({**now.rooms, **added(now.rooms, old.rooms)}, rest)
        if both != now:
            # by a client, as far as others are concerned: it is none of the server's conversions
            await self.write_private(account, to_storage(both), parse(f"{account.bare}/private"))
