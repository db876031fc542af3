"""XEP-0160: Best Practices for Handling Offline Messages.

A message waits in the store until a session of non-negative priority comes (`drain.py`). What
comes while that one is given the older ones waits behind them, so that the order stays.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any, ClassVar

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.feature import At, Feature, on
from imsuite.core.hooks import (
    ACCOUNT_DELETED,
    REACHABLE,
    RESUMED,
    STARTED,
    STOPPING,
    UNACKED,
    UNDELIVERED,
    Passing,
    Stage,
)
from imsuite.core.host import Host
from imsuite.core.interfaces import ILoaded, IOffline, Table
from imsuite.core.options import ge, option
from imsuite.core.session import Session
from imsuite.features.xep0160_offline import storage
from imsuite.features.xep0160_offline.drain import Drains, Waiting, reachable
from imsuite.features.xep0160_offline.storage import Row
from imsuite.rules.traffic import classify
from imsuite.store.dialect import StoreError
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.times import DAY, SECOND

SWEEP = 6 * 3600.0  # seconds between two looks for what is too old
_FULL = "XEP-0160 §2.3: not kept for later, too many wait; it is in the archive"


@attrs.frozen
class Options:
    """[features.offline]"""

    most: int = option(
        1000, "Most messages that wait for one account; who sends more is refused.", ge(0)
    )
    days: int = option(
        90, "How long a message waits that is in no archive, days; 0: as long as it takes.", ge(0)
    )


@implementer(ILoaded, IOffline)
class Offline(Feature):
    """Keep messages for those who are not there."""

    spec = "XEP-0160 1.0.1"
    advertises = {At.HOST: ("msgoffline",)}
    options: Options
    log: ClassVar[Logger] = Logger()
    tables = (
        Table(
            "offline",
            (
                """CREATE TABLE offline (
                    owner TEXT NOT NULL,    -- bare JID for whom it waits
                    id BIGINT NOT NULL,     -- of the message
                    own SMALLINT NOT NULL,  -- 1: among the refs of the message; 0: archived
                    PRIMARY KEY (owner, id)) {clustered}""",
            ),
            owner="owner",
        ),
    )

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._kept: Kept[Waiting] = host.keep(self)
        self._drains = Drains(host)
        self._sweeping: IDelayedCall | None = None

    def load(self, cursor: Any, account: str) -> Waiting:
        """Return how many messages wait."""
        return Waiting() if cursor is None else Waiting(storage.count(cursor, account))

    # what comes

    @on(UNDELIVERED, Stage.RECORD, kind="message")
    def store(self, passing: Passing) -> Awaitable[None] | None:
        """§2.3, §2.4: keep it, or say that it can not be kept."""
        account, record = passing.account, passing.record
        traffic = classify(passing.stanza)
        if account.temporary or not traffic.offline:
            if record is None or record.of(account.bare) is None:
                raise StanzaError("service-unavailable")
            record.note(traffic.rules.offline, account.bare)
            return None
        waiting = self._kept.of(account)
        if len(waiting) < self.options.most:
            self._put(passing, traffic.rules.offline)
            return None
        if waiting.coming:
            return self._store_later(passing)
        raise StanzaError("service-unavailable")

    async def _store_later(self, passing: Passing) -> None:
        """Decide once it is known what of that which seems to fill the store has got there."""
        waiting = self._kept.of(passing.account)
        await self._drains.settle(waiting)
        if len(waiting) >= self.options.most:
            raise StanzaError("service-unavailable")
        self._put(passing, classify(passing.stanza).rules.offline)

    def _put(self, passing: Passing, rule: str) -> None:
        account, record = passing.account, passing.keep()
        body = record.of(account.bare)
        own = body is None
        if body is None:
            body = record.keep(passing.stanza)
        record.write(storage.STORE, account.bare, body.id, int(own))
        record.note(rule, account.bare)
        waiting = self._kept.of(account)
        waiting.coming.add(body.id)
        waiting.came += 1
        record.after(partial(self._stored, account, waiting, body.id))

    def _stored(self, account: Account, waiting: Waiting, id: int) -> None:
        if id in waiting.coming:
            waiting.coming.discard(id)
            waiting.stored += 1
        self._drains.begin(account, waiting)

    def is_behind(self, passing: Passing) -> bool:
        """Tell whether older messages wait for the only session that a message could go to."""
        account = passing.account
        waiting = self._kept.of(account)
        if not waiting:
            return False
        return (
            len(waiting) < self.options.most
            and len([*reachable(account)]) == 1
            and classify(passing.stanza).offline
        )

    @on(UNACKED, Stage.RECORD, kind="message")
    def lost(self, passing: Passing) -> Awaitable[None] | None:
        """XEP-0198 §4: what a session never got waits for the next one, if no other has it."""
        account, record = passing.account, passing.record
        archived = record is not None and record.of(account.bare) is not None
        if archived and len(self._kept.of(account)) >= self.options.most:
            passing.keep().note(_FULL, account.bare)
            return None  # it is no error: the client finds it in its archive
        return self.store(passing)

    # who gets it

    @on(REACHABLE)
    @on(RESUMED)
    def came(self, session: Session) -> None:
        """§2.5"""
        self._drains.begin(session.account, self._kept.of(session.account))

    # what goes

    @on(ACCOUNT_DELETED)
    async def removed(self, account: Account) -> None:
        """Let go of the bodies that only waited for this account."""
        await self.host.store.settled()
        await self.host.store.transaction(storage.delete_all, account.bare)

    @on(STARTED)
    def start(self, host: Host) -> None:
        """Look now and then for what is too old."""
        self._sweeping = host.clock.callLater(SWEEP, self._sweep)

    @on(STOPPING)
    def stop(self, host: Host) -> None:
        """Do nothing more by itself."""
        self._drains.stop()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    def _sweep(self) -> None:
        self._sweeping = self.host.clock.callLater(SWEEP, self._sweep)
        self.host.spawn(self._sweep_now())

    async def _sweep_now(self) -> None:
        try:
            await self._remove_outdated()
        except StoreError as why:  # the next look finds it, too
            self.log.warn("{host}: old messages stay: {why}", host=self.host.domain, why=str(why))

    async def _remove_outdated(self) -> None:
        """Remove what nobody came for in time, and rows whose message is gone."""
        store, oldest = self.host.store, 0
        if self.options.days:
            oldest = int(self.host.clock.seconds() * SECOND) - self.options.days * DAY
        place: tuple[str, int] | None = ("", 0)
        while place is not None:
            rows, place = await store.read(storage.outdated, place, oldest)
            by_owner: dict[str, list[Row]] = {}
            for owner, row in rows:
                if owner.endswith(f"@{self.host.domain}"):
                    by_owner.setdefault(owner, []).append(row)
            for owner, old in by_owner.items():
                await self._remove_some(owner, old)

    async def _remove_some(self, owner: str, rows: list[Row]) -> None:
        account = self.host.accounts.get(parse(owner).local)
        waiting = Waiting() if account is None else self._kept.of(account)
        if waiting.busy:
            return  # a session is about to get them
        waiting.busy = True
        try:
            gone = await self.host.store.transaction(storage.delete, owner, rows)
            waiting.stored -= gone
        finally:
            waiting.busy = False
        if account is not None:
            self._drains.begin(account, waiting)
