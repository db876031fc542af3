"""XEP-0045: Multi-User Chat. This file lists what a room takes; the files beside it do it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs
from zope.interface import implementer

from imsuite.core.account import Account
from imsuite.core.feature import At, on
from imsuite.core.hooks import (
    ACCOUNT_CREATED,
    ACCOUNT_DELETED,
    CLOSING,
    RESUMED,
    STARTED,
    STOPPING,
    UNBOUND,
)
from imsuite.core.host import Host
from imsuite.core.options import ge, le, one_of, option
from imsuite.core.router import Route
from imsuite.core.service_interfaces import IRooms
from imsuite.core.session import Session
from imsuite.features.xep0045_muc import storage
from imsuite.features.xep0045_muc.admin import Administering
from imsuite.features.xep0045_muc.affiliating import affiliate
from imsuite.features.xep0045_muc.archiving import Archiving
from imsuite.features.xep0045_muc.asking import Asking
from imsuite.features.xep0045_muc.disco import Discovering
from imsuite.features.xep0045_muc.heirs import bereave
from imsuite.features.xep0045_muc.owner import Owning
from imsuite.features.xep0045_muc.registering import Registering
from imsuite.features.xep0045_muc.room import Entry, Occupant, Room
from imsuite.features.xep0045_muc.rooms import Rooms
from imsuite.features.xep0045_muc.telling import NS_MUC, shown, tell_all
from imsuite.rules.affiliations import Affiliation
from imsuite.xmpp.errors import StanzaError


@attrs.frozen
class Options:
    """[features.muc]"""

    subdomain: str = option("conference", "What stands before the domain in the rooms' address.")
    name: str = option("Rooms", "Name that the service gives itself.")
    makers: str = option(
        "accounts",
        "Who may make rooms: everyone, also from other servers and without an account; those who "
        "have accounts here; or nobody but administrators.",
        one_of("everyone", "accounts", "administrators"),
        live=True,
    )
    most: int = option(
        5000, "Most clients in one room, whatever its configuration says.", ge(1), live=True
    )
    most_affiliated: int = option(
        10_000, "Most addresses that are owners, admins, members or banned in one room.", ge(1)
    )
    most_owned: int = option(
        200, "Most rooms that somebody may own and still make another one.", ge(1), live=True
    )
    most_joined: int = option(
        500, "Most rooms that one client may be in at the same time.", ge(1), live=True
    )
    longest_nick: int = option(100, "Longest nickname, characters.", ge(1), le(1023), live=True)
    reserved_nicks_only: bool = option(
        False, "Whether those who registered a nickname in a room have no other there.", live=True
    )


@implementer(IRooms)
class Muc(Discovering, Archiving, Registering, Asking, Administering, Owning):
    """Rooms."""

    spec = "XEP-0045 1.35.3"
    advertises = {
        At.ROOMS: (NS_MUC, f"{NS_MUC}#stable_id"),
        At.ROOM: (NS_MUC, f"{NS_MUC}#stable_id", f"{NS_MUC}#self-ping-optimization"),
    }
    options: Options
    tables = storage.TABLES

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self.domain = f"{options.subdomain}.{host.domain}"
        self.rooms = Rooms(self)

    def serves(self) -> Iterable[tuple[str, Route]]:
        """Return the domain of the rooms."""
        yield self.domain, self.rooms

    # for other features

    def find(self, bare: str) -> Room | None:
        """Return a room if it is loaded."""
        room: Room | None = self.rooms.find(bare)
        return room

    async def load(self, bare: str) -> Room | None:
        """Return a room, loaded; None if there is none."""
        room: Room | None = await self.rooms.load(bare)
        return room

    def public(self, cursor: Any) -> Iterable[tuple[str, dict[str, Any]]]:
        """Yield the public rooms and what is stored of their settings; in a thread of the store."""
        return storage.public(cursor, self.domain)

    async def affiliate(
        self, room: Room, bare: str, affiliation: Affiliation, reason: str, by: str
    ) -> None:
        """Give an address an affiliation. Raises StanzaError item-not-found for no such room."""
        async with room.turn:
            if room.gone:
                raise StanzaError("item-not-found", by=room.bare)
            entry = Entry(affiliation, reason=reason)
            await affiliate(self.rooms, room, {bare: entry}, by)

    async def refresh(self, session: Session) -> None:
        """Tell a client that came back after a crash who is in its rooms, and who is not."""
        await self.rooms.traces.refresh(session)

    def show(self, room: Room, occupant: Occupant) -> None:
        """Show the presence of an occupant anew to everybody in its room."""
        occupant.changed()
        tell_all(occupant, shown(occupant, occupant.main))

    # life

    @on(STARTED)
    async def start(self, host: Host) -> None:
        """End the rooms that ended with the server: nobody is in, and they do not last."""
        await self.rooms.start()

    @on(STOPPING)
    async def stop(self, host: Host) -> None:
        """Do nothing more by itself, once the rooms that are ending have ended."""
        await self.rooms.stop()

    @on(CLOSING)
    def close(self, host: Host) -> None:
        """§15.6.2: those who can not come back learn that the service ends (332)."""
        self.rooms.close()

    @on(RESUMED)
    async def resumed(self, session: Session) -> None:
        """Who comes back after a restart learns who has not."""
        await self.rooms.resumed(session)

    @on(ACCOUNT_DELETED)
    async def account_deleted(self, account: Account) -> None:
        """Give the rooms that only the account owned to others (see heirs.py)."""
        for rooms in self._of_server():
            await bereave(rooms, account.bare)
        self.account_created(account.bare)

    @on(ACCOUNT_CREATED)
    def account_created(self, bare: str) -> None:
        """Let nobody inherit what an account was to the rooms that are loaded."""
        for rooms in self._of_server():
            rooms.forget(bare)

    def _of_server(self) -> Iterator[Rooms]:
        """Yield the rooms of all hosts: an account of one may have been something to any."""
        for host in self.host.router.hosts.values():
            muc = host.find_feature(IRooms)
            if isinstance(muc, Muc):
                yield muc.rooms

    @on(UNBOUND)
    def ended(self, session: Session) -> None:
        """Take a session that ended out of its rooms."""
        self.rooms.ended(session)
