"""XEP-0313 §3.2: how long messages are kept, and how the oldest of them go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from imsuite.core.host import Host
from imsuite.features.xep0313_archive.storage import PASSING, remove
from imsuite.rules.archive import NEWEST
from imsuite.xmpp.address import parse
from imsuite.xmpp.times import DAY

CHUNK = 200  # messages removed in one transaction
FIRST = 60.0  # seconds after the start of the server
EVERY = 3600.0  # seconds between two sweeps
ACCOUNTS = 500  # looked at in one go

Forget = Callable[[Any, Iterable[int]], None]  # with a cursor and ids of messages


@attrs.define
class Sweeper:
    """Removes what is older than its account keeps it, a little at a time.

    days: of accounts for which nothing else is said, 0 for ever; forget: called with a cursor and
    ids of messages that nobody's archive has any more.
    """

    host: Host
    days: Callable[[], int]
    forget: Forget
    _call: IDelayedCall | None = None
    _stopped: bool = False

    log: ClassVar[Logger] = Logger()

    def start(self) -> None:
        """Begin to sweep now and then; what was begun before a restart goes on."""
        self.host.spawn(self._finish_all())
        self._call = self.host.clock.callLater(FIRST, self._begin)

    def stop(self) -> None:
        """Sweep no more."""
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _begin(self) -> None:
        self._call = self.host.clock.callLater(EVERY, self._begin)
        self.host.spawn(self.sweep())

    async def sweep(self) -> int:
        """Remove what is too old; return how many messages."""
        store, domain = self.host.store, self.host.domain
        removed, after = 0, ""
        while not self._stopped:
            users = await self.host.users.page(after, ACCOUNTS)
            removed += await self._sweep([f"{user.localpart}@{domain}" for user in users])
            if len(users) < ACCOUNTS:
                break
            after = users[-1].localpart
        last, served = "", self._served()
        while served and not self._stopped:
            found = await store.read(owners_after, last, ACCOUNTS)
            removed += await self._sweep(
                [owner for owner in found if parse(owner).domain in served]
            )
            if len(found) < ACCOUNTS:
                break
            last = found[-1]
        if removed:
            self.log.info("{host}: {count} old messages were removed", host=domain, count=removed)
        return removed

    async def _sweep(self, owners: list[str]) -> int:
        """Remove what is too old of these archives."""
        store, removed = self.host.store, 0
        for owner, before in await store.read(expired, owners, self.days(), self._now()):
            removed += await self._remove(owner, before)
        return removed

    async def _remove(self, owner: str, before: int) -> int:
        removed = 0
        while not self._stopped:
            count = await self.host.store.transaction(remove, owner, before, CHUNK, self.forget)
            removed += count
            if count < CHUNK:
                break
        return removed

    def _served(self) -> frozenset[str]:
        """Return the domains besides the host's own where there may be archives: of rooms."""
        features = self.host.features.values()
        return frozenset(domain for feature in features for domain, _ in feature.serves())

    async def empty(self, owner: str) -> None:
        """Remove the archive of an account as a whole."""
        store = self.host.store
        await store.settled()
        while await store.transaction(remove, owner, NEWEST, CHUNK, self.forget):
            pass

    async def abandon(self, owner: str) -> None:
        """Let nothing of an archive be found any more, and remove it in the background.

        What comes later belongs to another owner of the same name. It is finished after a restart.
        """
        store = self.host.store
        last = store.ids.next()
        await store.settled()
        await store.transaction(_abandon, owner, last)
        self.host.spawn(self._finish(owner, last))

    async def _finish(self, owner: str, last: int) -> None:
        await self._remove(owner, last + 1)
        if not self._stopped:
            await self.host.store.execute(
                "DELETE FROM archive_emptied WHERE owner = ? AND last = ?", owner, last
            )

    async def _finish_all(self) -> None:
        served = self._served()
        rows = await self.host.store.query("SELECT owner, last FROM archive_emptied")
        for owner, last in rows:
            if parse(owner).domain in served:
                await self._finish(owner, last)

    async def set_days(self, owner: str, days: int | None) -> None:
        """Keep the messages of an account for so many days, 0 for ever, None as the others'."""
        await self.host.store.transaction(_set_days, owner, days)

    async def get_days(self, owner: str) -> int | None:
        """Return what `set_days` said."""
        days: int | None = await self.host.store.read(read_days, owner)
        return days

    def _now(self) -> int:
        return int(self.host.clock.seconds() * 1_000_000)


def owners_after(cursor: Any, last: str, most: int) -> list[str]:
    """Return so many owners of archives that come after one, in order."""
    found: list[str] = []
    while len(found) < most:
        # one after the other from the index: a DISTINCT would read every row there is
        cursor.execute("SELECT owner FROM archive WHERE owner > ? ORDER BY owner LIMIT 1", (last,))
        row = cursor.fetchone()
        if row is None:
            break
        last = str(row[0])
        found.append(last)
    return found


def expired(cursor: Any, owners: Iterable[str], standard: int, now: int) -> list[tuple[str, int]]:
    """Return the accounts that have messages which are too old, with the id before which they are.

    standard: days; now: µs since 1970 UTC.
    """
    found = []
    for owner in owners:
        days = 1 if owner.endswith(PASSING) else read_days(cursor, owner)
        days = standard if days is None else days
        before = now - days * DAY
        if days:
            cursor.execute(
                "SELECT 1 FROM archive WHERE owner = ? AND id < ? LIMIT 1", (owner, before)
            )
            if cursor.fetchone() is not None:
                found.append((owner, before))
    return found


def read_days(cursor: Any, owner: str) -> int | None:
    """Return for how many days the messages of an account are kept, None if nothing is said."""
    cursor.execute("SELECT days FROM archive_days WHERE account = ?", (owner,))
    row = cursor.fetchone()
    return None if row is None else int(row[0])


def _abandon(cursor: Any, owner: str, last: int) -> None:
    cursor.execute("DELETE FROM archive_emptied WHERE owner = ?", (owner,))
    cursor.execute("INSERT INTO archive_emptied (owner, last) VALUES (?, ?)", (owner, last))
    cursor.execute("DELETE FROM archive_days WHERE account = ?", (owner,))


def _set_days(cursor: Any, owner: str, days: int | None) -> None:
    cursor.execute("DELETE FROM archive_days WHERE account = ?", (owner,))
    if days is not None:
        cursor.execute("INSERT INTO archive_days (account, days) VALUES (?, ?)", (owner, days))
