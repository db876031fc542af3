"""XEP-0398: User Avatar to vCard-Based Avatars Conversion (XEP-0084, XEP-0153).

The nodes and the card are two storages. What a client writes into one goes into the other before
the client hears that it is done. Where both are written at once the nodes win: the card follows
whatever metadata are the last, also those that this feature published.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any, ClassVar

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.feature import At, Feature, on
from imsuite.core.hooks import BOUND, PHOTO_CHANGED, PUBLISHED, RETRACTED, PhotoChange, Published
from imsuite.core.host import Host
from imsuite.core.interfaces import ILoaded, Table
from imsuite.core.keeping import IVCards
from imsuite.core.service_interfaces import INodes, IPep
from imsuite.core.session import Session
from imsuite.core.turns import Turns
from imsuite.rules import avatars
from imsuite.rules.avatars import NS_DATA, NS_METADATA, Image, Info
from imsuite.rules.node_access import AccessModel
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError

NS_CONVERSION = "urn:xmpp:pep-vcard-conversion:0"
_NODES = frozenset((NS_DATA, NS_METADATA))


@attrs.define
class _Look:
    """What is kept of a loaded account. due: card and nodes are still to be compared."""

    due: bool = True


@implementer(ILoaded)
class Avatars(Feature):
    """Make what clients publish as their avatar the photo of their card, and the reverse."""

    spec = "XEP-0398 1.0.0"
    advertises = {At.ADDRESS: (NS_CONVERSION,)}
    requires = (INodes, IPep, IVCards)
    tables = (
        Table(
            "avatar",
            (
                """CREATE TABLE avatar (
                    account TEXT NOT NULL PRIMARY KEY,  -- bare JID
                    copied TEXT NOT NULL)               -- SHA-1 of what we put into its card""",
            ),
        ),
    )
    log: ClassVar[Logger] = Logger()

    def __init__(self, host: Host, options: object) -> None:
        super().__init__(host, options)
        self._turns = Turns()
        self._looks: Kept[_Look] = host.keep(self)

    def load(self, cursor: Any, account: str) -> _Look:
        """Return what is kept of an account."""
        return _Look(due=cursor is not None)

    @cached_property
    def _nodes(self) -> Any:  # what provides INodes
        return self.host.find_feature(INodes)

    @cached_property
    def _pep(self) -> Any:  # what provides IPep
        return self.host.find_feature(IPep)

    @cached_property
    def _vcards(self) -> Any:  # what provides IVCards
        return self.host.find_feature(IVCards)

    # from the nodes to the card

    @on(PUBLISHED)
    async def published(self, event: Published) -> None:
        """§3.1; the data may also come after the metadata."""
        if event.node in _NODES:
            await self._heard(event, ())

    @on(RETRACTED)
    async def retracted(self, event: Published) -> None:
        """What is not an avatar any more is no photo either, if it was both."""
        if event.node in _NODES:
            await self._heard(event, {id.lower() for id, _ in event.items})

    @on(BOUND)
    def came(self, session: Session) -> None:
        """Let the card follow where the server was killed before it could."""
        look = self._looks.of(session.account)
        if look.due:
            look.due = False
            self.host.spawn(self._agree(session.account))

    async def _agree(self, account: Account) -> None:
        """Let the card have what the nodes have, unless a client may have put it there."""
        if await self._nodes.config(self._pep.site(account), NS_METADATA) is None:
            return
        async with self._turns.of(account.bare):
            hash = self._vcards.photo_hash(account)
            if not hash or hash == await self._copied(account):
                await self._follow(account, ())

    async def _heard(self, event: Published, gone: Collection[str]) -> None:
        service = parse(event.service)
        if not service.local or service.domain != self.host.domain:
            return
        if event.by == event.service and event.node == NS_DATA:
            return  # our own; the metadata come next
        account = await self.host.account(service.local)
        if account is not None:
            async with self._turns.of(account.bare):
                await self._follow(account, gone)

    async def _follow(self, account: Account, gone: Collection[str]) -> None:
        """Let the card have what the nodes have now, which may be newer than what was heard of."""
        hash = self._vcards.photo_hash(account)
        last = await self._last(account)
        if last is None:
            if hash in gone:
                await self._vcards.set_photo(account, None, only=hash)
            return
        id, metadata = last
        if avatars.is_disabled(metadata):
            await self._vcards.set_photo(account, None)
            return
        info = avatars.chosen(id, metadata)
        if info is None or info.id == hash:
            return
        config = await self._nodes.config(self._pep.site(account), NS_DATA)
        if config is None:
            return
        if config.access_model is not AccessModel.OPEN:  # §7: a card is for everybody
            if hash and hash == await self._copied(account):
                await self._vcards.set_photo(account, None, only=hash)
            return
        image = await self._image(account, info)
        if image is not None:
            await self._copy(account, image)

    async def _copy(self, account: Account, image: Image) -> None:
        try:
            await self._vcards.set_photo(account, image)
        except StanzaError as why:  # it is too large for a card; the nodes have it
            self.log.debug("{account}: no photo: {why}", account=account.bare, why=why.text)
            return
        await self.host.store.execute(
            "INSERT INTO avatar (account, copied) VALUES (?, ?)"
            " ON CONFLICT (account) DO UPDATE SET copied = excluded.copied",
            account.bare,
            image.id,
        )

    async def _copied(self, account: Account) -> str | None:
        rows = await self.host.store.query(
            "SELECT copied FROM avatar WHERE account = ?", account.bare
        )
        return rows[0][0] if rows else None

    async def _last(self, account: Account) -> tuple[str, Any] | None:
        """Return id and payload of the last metadata."""
        found = await self._nodes.items(self._pep.site(account), NS_METADATA, most=1)
        if not found or found[-1][1] is None:
            return None
        return found[-1][0], found[-1][1]

    async def _image(self, account: Account, info: Info) -> Image | None:
        ids = dict.fromkeys((info.item, info.id))
        found = await self._nodes.items(self._pep.site(account), NS_DATA, ids=list(ids))
        for _, payload, *_ in found:
            if payload is not None and (image := avatars.image_of(info, payload)) is not None:
                return image
        return None

    # from the card to the nodes

    @on(PHOTO_CHANGED)
    async def photographed(self, change: PhotoChange) -> None:
        """§3.2: the data, then the metadata, if the avatar is not that one already."""
        account = change.account
        if change.by == account.bare:
            return
        last = await self._last(account)
        info = None if last is None else avatars.chosen(*last)
        now = None if info is None else info.id
        try:
            if change.photo is None:
                if change.before and now == change.before:
                    await self._publish(account, NS_METADATA, None, avatars.metadata_of(None))
            elif change.photo.type is not None and change.photo.id != now:
                id = change.photo.id
                await self._publish(account, NS_DATA, id, avatars.data_of(change.photo))
                await self._publish(account, NS_METADATA, id, avatars.metadata_of(change.photo))
        except StanzaError as why:  # the card has it all the same
            self.log.debug("{account}: no avatar: {why}", account=account.bare, why=why.text)

    async def _publish(self, account: Account, node: str, id: str | None, payload: Any) -> None:
        """§3.2: on behalf of the user; a node that is made for it is as public as the card."""
        site = self._pep.site(account)
        options = None
        if await self._nodes.config(site, node) is None:
            options = {"pubsub#access_model": "open"}
        await self._nodes.publish(site, node, [(id, payload)], account.jid, options)
