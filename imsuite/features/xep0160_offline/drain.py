"""XEP-0160 §2.5: how a session gets what waits for its account.

Page by page, no faster than it reads, and each message once: the row of a message goes when the
message was handed to the link, or in the same transaction that makes it pending for a session
with stream management.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from imsuite.core.account import Account
from imsuite.core.host import Host
from imsuite.core.interfaces import IArchive, IBlocking
from imsuite.core.record import Body, Record, public_id
from imsuite.core.session import Session
from imsuite.features.xep0160_offline import storage
from imsuite.features.xep0160_offline.storage import Row
from imsuite.store.dialect import StoreError
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import normalised, parse
from imsuite.xmpp.stanza import Stanza, children, quoted
from imsuite.xmpp.times import format_datetime

NS_SID = "urn:xmpp:sid:0"
PAGE = (100, 262_144)  # most messages, and bytes, that a session is given at once
# with stream management: together less than may be unacknowledged in any configuration
PENDING_PAGE = (25, 65_536)
MOST_UNACKED = (20, 32_768)  # while there is less the next page comes
BREATH = 0.02  # seconds until a client that is slow is looked at again
RETRY = 5.0  # seconds until a store that failed is asked again


@attrs.define(eq=False)
class Waiting:
    """What is known of the messages that wait for a loaded account.

    stored: how many rows it has; coming: ids of those on their way into the store; came: how
    many ever were; handed: what a client has got, but its row could not be removed yet; busy:
    a session is being given them.
    """

    stored: int = 0
    coming: set[int] = attrs.field(factory=set)
    came: int = 0
    handed: list[Row] = attrs.field(factory=list)
    busy: bool = False

    def __len__(self) -> int:
        return max(self.stored, 0) + len(self.coming)


class Drains:
    """The sessions of a host that are being given what waited."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._later: dict[str, IDelayedCall] = {}  # bare JID → when it goes on
        self._stopped = False

    @cached_property
    def _archive(self) -> Any:  # what provides IArchive, or None
        return self._host.find_feature(IArchive)

    @cached_property
    def _blocking(self) -> Any:  # what provides IBlocking, or None
        return self._host.find_feature(IBlocking)

    def begin(self, account: Account, waiting: Waiting) -> None:
        """Give what waits to a session, if there is both and nobody is at it."""
        if not waiting or waiting.busy or next_session(account) is None:
            return
        waiting.busy = True
        self._host.spawn(self._drain(account, waiting))

    def stop(self) -> None:
        """Go on no more."""
        self._stopped = True
        for call in self._later.values():
            call.cancel()
        self._later.clear()

    def _begin_later(self, account: Account, waiting: Waiting, seconds: float) -> None:
        if account.bare not in self._later and not self._stopped:
            call = self._host.clock.callLater(seconds, self._begin_again, account, waiting)
            self._later[account.bare] = call

    def _begin_again(self, account: Account, waiting: Waiting) -> None:
        del self._later[account.bare]
        self.begin(account, waiting)

    async def _drain(self, account: Account, waiting: Waiting) -> None:
        try:
            while (session := next_session(account)) is not None:
                if _is_slow(session):
                    if session.tracker is not None:
                        session.tracker.request()
                    self._begin_later(account, waiting, BREATH)
                    return
                if not await self._give_page(session, waiting):
                    return
        except StoreError:  # which has said so
            self._begin_later(account, waiting, RETRY)
        finally:
            waiting.busy = False

    async def settle(self, waiting: Waiting) -> None:
        """Wait until what was on its way is in the store, or not."""
        before = set(waiting.coming)
        await self._host.store.settled()
        waiting.coming -= before  # what is left of it was refused

    async def _give_page(self, session: Session, waiting: Waiting) -> bool:
        """Give some of what waits to a session; tell whether there may be more.

        Raises StoreError.
        """
        account = session.account
        await self.settle(waiting)
        if waiting.handed:
            await self._remove(account.bare, waiting)
        came = waiting.came
        size = PAGE if session.tracker is None else PENDING_PAGE
        page: list[Row] = await self._host.store.read(storage.read, account.bare, *size)
        if not page and waiting.came == came:
            waiting.stored = 0
            return False
        if waiting.coming:  # what is older than all the rest may still be on its way
            first = min(waiting.coming)
            page = [row for row in page if row.id < first]
        if not page or next_session(account) is not session:
            return True
        stanzas = [(row, stanza) for row in page if (stanza := self._wanted(session, row))]
        if session.tracker is None:
            for _, stanza in stanzas:
                session.send(stanza)
            waiting.handed += page
            await self._remove(account.bare, waiting)
        else:
            await self._make_pending(session, page, stanzas)
            waiting.stored -= len(page)
        return True

    async def _remove(self, owner: str, waiting: Waiting) -> None:
        handed = list(waiting.handed)
        gone = await self._host.store.transaction(storage.delete, owner, handed)
        del waiting.handed[: len(handed)]
        waiting.stored -= gone

    async def _make_pending(
        self, session: Session, page: list[Row], stanzas: list[tuple[Row, Stanza]]
    ) -> None:
        """Move messages from the account to a session that keeps them until acknowledged."""
        owner, store = session.account.bare, self._host.store
        record = Record(self._host, None, store.ids)
        for row, stanza in stanzas:
            session.send(stanza, record)
            if not row.own and row.raw is not None:
                record.places[-1].restored(Body(row.id, row.salt, row.raw))
        for row in page:
            if row.own:
                record.write(storage.RELEASE, row.id, owner, row.id)
                record.write(storage.REMOVE_OWN, owner, row.id)
                record.write(storage.REMOVE_BODY, row.id)
            else:
                record.write(storage.REMOVE, owner, row.id)
        done: Deferred[None] = Deferred()
        record.after(partial(done.callback, None))
        record.refused = done.errback
        store.append(record)
        await done

    def _wanted(self, session: Session, row: Row) -> Stanza | None:
        """Return a message as a session gets it, None if it is not to get it."""
        if row.raw is None:
            return None
        if not row.own and self._archive is not None and self._archive.asked(session, row.id):
            return None  # XEP-0313 §7: it has found it there
        stanza = Stanza.parse(row.raw)
        sender = stanza.sender
        if (
            self._blocking is not None
            and sender is not None
            and self._blocking.blocks(session.account, parse(sender))
        ):
            return None  # blocked since then (XEP-0191 §3.3)
        return self._stamped(stanza, session.account.bare, row)

    def _stamped(self, stanza: Stanza, owner: str, row: Row) -> Stanza:
        """Return a message with when it came, and with its id in the archive of its owner."""
        domain = self._host.domain
        if not _has_delay(stanza, domain):
            stamp = format_datetime(row.id).encode()
            stanza = stanza.plus(
                b"<delay xmlns='%s' from=%s stamp='%s'>Offline Storage</delay>"
                % (NS.DELAY.encode(), quoted(domain), stamp),
                f"{NS.DELAY}}}delay",
            )
        if row.own:  # no archive has it, so an id would lead nowhere (XEP-0313 §3.5)
            return stanza
        id = public_id(row.id, row.salt).encode()
        return stanza.plus(
            b"<stanza-id xmlns='%s' by=%s id='%s'/>" % (NS_SID.encode(), quoted(owner), id),
            f"{NS_SID}}}stanza-id",
        )


def reachable(account: Account) -> Iterator[Session]:
    """Return the sessions that take messages to the account (RFC 6121 §8.5.2.1.1)."""
    return (session for session in account.available if session.priority >= 0)


def next_session(account: Account) -> Session | None:
    """Return the session that gets what waits: of those with a client, the one there longest."""
    found = (
        session
        for session in reachable(account)
        if session.stream is not None and not session.stream.ended
    )
    return min(found, key=lambda session: session.presence_since, default=None)


def _is_slow(session: Session) -> bool:
    """Tell whether a client has yet to read, or to acknowledge, what it was sent."""
    if session.tracker is None:
        return bool(session.stream.congested)
    unacked = session.tracker.unacked
    most, most_bytes = MOST_UNACKED
    if len(unacked) >= most or session.stream.congested:
        return True
    return sum(len(place.stanza.raw) for place in unacked) >= most_bytes


def _has_delay(stanza: Stanza, domain: str) -> bool:
    """Tell whether the server has said before when a message came (XEP-0198 §4)."""
    if not stanza.has(NS.DELAY, "delay"):
        return False
    delays = children(stanza.element, NS.DELAY, "delay")
    return any(normalised(delay.getAttribute("from")) == domain for delay in delays)
