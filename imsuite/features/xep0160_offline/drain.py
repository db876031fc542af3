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
from imsuite.core.record import Body, Record
from imsuite.core.session import Session
from imsuite.features.xep0160_offline import storage
from imsuite.features.xep0160_offline.stamps import Stamps, sender_of, sent_by
from imsuite.features.xep0160_offline.storage import Row
from imsuite.store.dialect import StoreError
from imsuite.xmpp.address import parse
from imsuite.xmpp.stanza import Stanza

PAGE = (500, 262_144)  # most messages, and bytes, that a session is given at once
# with stream management: together less than may be unacknowledged in any configuration
PENDING_PAGE = (25, 65_536)
MOST_UNACKED = (20, 32_768)  # while there is less the next page comes
BREATH = 0.02  # seconds until a client that is slow is looked at again
RETRY = 1.0  # seconds until a store that failed is asked again


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
        if waiting.handed:
            await self._remove(account.bare, waiting)
        if waiting.coming:
            await self.settle(waiting)
        came, unknown = waiting.came, bool(waiting.coming)
        size = PAGE if session.tracker is None else PENDING_PAGE
        page: list[Row]
        page, more = await self._host.store.read(storage.read, account.bare, *size)
        if waiting.coming:  # what is older than all the rest may still be on its way
            first = min(waiting.coming)
            page = [row for row in page if row.id < first]
        if page:
            if next_session(account) is not session:
                return True
            wanted = self._wanted(session, page)
            if session.tracker is None:
                self._hand_over(session, wanted)
                waiting.handed += page
                await self._remove(account.bare, waiting)
            else:
                await self._make_pending(session, page, wanted)
                waiting.stored -= len(page)
        if more or unknown or waiting.came != came:
            return True
        waiting.stored = 0
        return False

    def _hand_over(self, session: Session, rows: list[Row]) -> None:
        """Send messages to a session that does not count them."""
        put = Stamps(self._host.domain, session.account.bare).put
        messages = [put(row) for row in rows]
        if not session.send_raw(messages):
            for message in messages:
                session.send(Stanza.parse(message))

    async def _remove(self, owner: str, waiting: Waiting) -> None:
        """Remove what was handed over."""
        handed = list(waiting.handed)
        record = Record(self._host, None, self._host.store.ids)
        await self._write(record, owner, handed)
        del waiting.handed[: len(handed)]
        waiting.stored -= len(handed)

    async def _make_pending(self, session: Session, page: list[Row], wanted: list[Row]) -> None:
        """Move messages from the account to a session that keeps them until acknowledged."""
        put = Stamps(self._host.domain, session.account.bare).put
        record = Record(self._host, None, self._host.store.ids)
        for row in wanted:
            session.send(Stanza.parse(put(row)), record)
            if not row.own:
                record.places[-1].restored(Body(row.id, row.salt, row.raw))
        await self._write(record, session.account.bare, page)

    async def _write(self, record: Record, owner: str, rows: list[Row]) -> None:
        """Commit a record that removes rows, in its turn. Raises StoreError."""
        record.apart = True  # the statements find bodies by the rows that the last one removes
        for statement, values in storage.removal(owner, rows):
            record.write(statement, *values)
        done: Deferred[None] = Deferred()
        record.after(partial(done.callback, None))
        record.refused = done.errback
        self._host.store.append(record)
        await done

    def _wanted(self, session: Session, page: list[Row]) -> list[Row]:
        """Return the messages that a session is to get."""
        archive = self._archive
        if archive is None or not archive.asked(session):
            found = [row for row in page if row.raw]
        else:  # XEP-0313 §7: it has found some there
            found = [
                row for row in page if row.raw and (row.own or not archive.asked(session, row.id))
            ]
        if self._blocking is None:
            return found
        blocked: dict[bytes, bool] = {}  # by sender
        wanted = []
        for row in found:
            sender = sent_by(row.raw)
            if not sender or sender not in blocked:
                blocked[sender] = self._is_blocked(session.account, row.raw)
            if not blocked[sender]:
                wanted.append(row)
        return wanted

    def _is_blocked(self, account: Account, raw: bytes) -> bool:
        """Tell whether an account has blocked a sender since then (XEP-0191 §3.3)."""
        sender = sender_of(raw)
        return sender is not None and bool(self._blocking.blocks(account, parse(sender)))


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
