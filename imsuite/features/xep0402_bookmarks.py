"""XEP-0402: PEP Native Bookmarks.

The items are what there is; the one item of XEP-0048 says the same to older clients, and those
of XEP-0049 see that. What a client writes there becomes items, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.feature import At, Feature, on
from imsuite.core.hooks import BOUND, PUBLISHED, RETRACTED, Published
from imsuite.core.host import Host
from imsuite.core.interfaces import ILoaded, Table
from imsuite.core.keeping import IPrivateKeeper
from imsuite.core.options import ge, option
from imsuite.core.service_interfaces import INodeRules, INodes, IPep
from imsuite.core.session import Session
from imsuite.core.turns import Turns
from imsuite.rules import bookmarks
from imsuite.rules.bookmarks import CURRENT, NS_BOOKMARKS, NS_STORAGE, Changes, Storage
from imsuite.rules.node_access import AccessModel, PublishModel
from imsuite.rules.node_errors import refusal
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import to_bytes

# §3.3, XEP-0223 §2: what clients ask for
_PRIVATE = {
    "pubsub#access_model": "whitelist",
    "pubsub#persist_items": "true",
    "pubsub#send_last_published_item": "never",
}
_DEFAULTS = {
    NS_BOOKMARKS: {**_PRIVATE, "pubsub#max_items": "max"},
    NS_STORAGE: {**_PRIVATE, "pubsub#max_items": "1"},
}


@attrs.frozen
class Options:
    """[features.bookmarks]"""

    most: int = option(
        500, "Most rooms that are converted between new and old bookmarks.", ge(1), live=True
    )
    longest: int = option(8192, "Largest bookmark of one room, bytes.", ge(512), live=True)


@attrs.frozen
class _Now:
    """Both forms as they are in the store. items, storage: what INodes.items returns of them."""

    items: list[tuple[str, Any, str, int]]
    storage: tuple[str, Any, str, int] | None

    @property
    def pairs(self) -> list[tuple[str, Any]]:
        """Id and payload of the items."""
        return [(id, payload) for id, payload, *_ in self.items]

    @property
    def stored(self) -> Storage:
        """What the old form says."""
        return bookmarks.from_storage(None if self.storage is None else self.storage[1])


@attrs.define
class _Look:
    """What is kept of a loaded account. due: both forms of bookmarks are still to be compared."""

    due: bool = True


@implementer(ILoaded, INodeRules)
class Bookmarks(Feature):
    """Let clients of all three kinds of bookmarks see the same, and nobody else."""

    spec = "XEP-0402 1.2.0"
    advertises = {At.ADDRESS: (f"{NS_BOOKMARKS}#compat-pep",)}
    requires = (INodes, IPep)
    options: Options
    tables = (
        Table(
            "bookmarks",
            (
                """CREATE TABLE bookmarks (
                    account TEXT NOT NULL PRIMARY KEY,  -- bare JID
                    absorbed BIGINT NOT NULL)           -- stamp of the list that became items""",
            ),
        ),
    )
    log: ClassVar[Logger] = Logger()

    def __init__(self, host: Host, options: Options) -> None:
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

    def describe(self, at: At) -> Iterable[str]:
        """§6: the private storage is unified, too, if something shows the old form there."""
        yield from super().describe(at)
        if at in At.ADDRESS:
            kept = (NS_STORAGE, "storage")
            for feature in self.host.features.values():
                if IPrivateKeeper.providedBy(feature) and feature.private == kept:
                    yield f"{NS_BOOKMARKS}#compat"

    # the nodes are private

    def governs(self, site: Any, node: str) -> bool:
        """Of accounts, both nodes."""
        return site.account is not None and node in _DEFAULTS

    def defaults(self, site: Any, node: str) -> Mapping[str, str]:
        """§3.3"""
        return _DEFAULTS[node]

    def check_create(self, site: Any, node: str, by: JID) -> None:
        """An account makes the nodes as it likes, within `check_config`."""

    def check_config(self, site: Any, node: str, config: Any) -> None:
        """§5.1: bookmarks tell where somebody talks, and have passwords in them (XEP-0223)."""
        private = config.access_model is AccessModel.WHITELIST
        if not private or config.publish_model is not PublishModel.PUBLISHERS:
            raise StanzaError("not-acceptable", text="bookmarks are private")

    def check_publish(self, site: Any, node: str, items: Any, by: JID) -> None:
        """§5.2: what is no bookmark is kept, and not converted; all of them are read for that."""
        if node == NS_BOOKMARKS:
            for _, payload in items:
                if payload is not None and len(to_bytes(payload)) > self.options.longest:
                    raise refusal("payload-too-big")

    # both forms say the same

    @on(PUBLISHED)
    async def published(self, event: Published) -> None:
        """§5.2.1, §5.2.2"""
        if event.node in _DEFAULTS:
            await self._heard(event)

    @on(RETRACTED)
    async def retracted(self, event: Published) -> None:
        """§5.2.1; an old form that was taken away comes back with the next change."""
        if event.node == NS_BOOKMARKS:
            await self._heard(event)

    @on(BOUND)
    def came(self, session: Session) -> None:
        """Let both agree where the server was killed before they did."""
        look = self._looks.of(session.account)
        if look.due:
            look.due = False
            self.host.spawn(self._agree(session.account))

    async def _heard(self, event: Published) -> None:
        service = parse(event.service)
        if not service.local or service.domain != self.host.domain or event.by == event.service:
            return
        account = await self.host.account(service.local)
        if account is not None:
            await self._agree(account)

    async def _agree(self, account: Account) -> None:
        async with self._turns.of(account.bare):
            try:
                await self._unify(account)
            except StanzaError as why:
                self.log.debug(
                    "{account}: bookmarks differ: {why}", account=account.bare, why=str(why)
                )

    async def _unify(self, account: Account) -> None:
        """Make items of what an older client wrote, then let the old form say what items say.

        Both are looked at as they are now: what led here may be out of date.
        """
        now = await self._now(account)
        if len(now.items) > self.options.most or len(now.stored.rooms) > self.options.most:
            raise StanzaError("resource-constraint", text="there are too many")
        written = now.storage
        if written is not None and written[2] != account.bare and bookmarks.is_storage(written[1]):
            absorbed = await self._absorbed(account)
            if absorbed != written[3]:
                await self._absorb(account, now, written[3], first=absorbed is None)
                now = await self._now(account)
        before = now.stored
        after = bookmarks.collated(bookmarks.from_items(now.pairs), before)
        if after != before:
            payload = bookmarks.to_storage(after)
            site = self._pep.site(account)
            await self._nodes.publish(site, NS_STORAGE, [(CURRENT, payload)], account.jid)
            if await self._absorbed(account) is None:
                await self._note(account, 0)

    async def _absorb(self, account: Account, now: _Now, stamp: int, first: bool) -> None:
        """§5.2.2; a room that changed after the list was written is not touched by it.

        first: nothing was ever converted, so what the list lacks was not taken away by anybody.
        """
        site = self._pep.site(account)
        items, wanted = bookmarks.from_items(now.pairs), now.stored.rooms
        ids = bookmarks.ids_of(now.pairs)
        newer = bookmarks.from_items((i, payload) for i, payload, _, at in now.items if at > stamp)
        older = {room: each for room, each in items.items() if room not in newer}
        if first:
            found = Changes(bookmarks.added(items, wanted), ())
        else:
            wanted = {room: each for room, each in wanted.items() if room not in newer}
            found = bookmarks.changes(older, wanted)
        if found.publish:
            pairs = [
                (ids.get(room, [room])[-1], bookmarks.to_payload(each))
                for room, each in found.publish.items()
            ]
            await self._nodes.publish(site, NS_BOOKMARKS, pairs, account.jid)
        if found.retract:
            lost = [id for room in found.retract for id in ids[room]]
            await self._nodes.retract(site, NS_BOOKMARKS, lost, account.jid, True)
        await self._note(account, stamp)

    async def _now(self, account: Account) -> _Now:
        site = self._pep.site(account)
        storage = await self._nodes.items(site, NS_STORAGE, most=1)
        items = await self._nodes.items(site, NS_BOOKMARKS, most=self.options.most + 1)
        return _Now(items, storage[-1] if storage else None)

    async def _note(self, account: Account, stamp: int) -> None:
        await self.host.store.execute(
            "INSERT INTO bookmarks (account, absorbed) VALUES (?, ?)"
            " ON CONFLICT (account) DO UPDATE SET absorbed = excluded.absorbed",
            account.bare,
            stamp,
        )

    async def _absorbed(self, account: Account) -> int | None:
        rows = await self.host.store.query(
            "SELECT absorbed FROM bookmarks WHERE account = ?", account.bare
        )
        return rows[0][0] if rows else None
