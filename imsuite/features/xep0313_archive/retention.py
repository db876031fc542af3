"""XEP-0313 §3.2: how long messages are kept, and how the oldest of them go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from imsuite.core.host import Host
from imsuite.features.xep0313_archive.storage import remove
from imsuite.rules.archive import NEWEST
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
        """Begin to sweep now and then."""
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
            owners = [f"{user.localpart}@{domain}" for user in users]
            for owner, before in await store.read(expired, owners, self.days(), self._now()):
                while not self._stopped:
                    count = await store.transaction(remove, owner, before, CHUNK, self.forget)
                    removed += count
                    if count < CHUNK:
                        break
            if len(users) < ACCOUNTS:
                break
            after = users[-1].localpart
        if removed:
            self.log.info("{host}: {count} old messages were removed", host=domain, count=removed)
        return removed

    async def empty(self, owner: str) -> None:
        """Remove an archive as a whole."""
        store = self.host.store
        await store.settled()
        while await store.transaction(remove, owner, NEWEST, CHUNK, self.forget):
            pass

    async def set_days(self, owner: str, days: int | None) -> None:
        """Keep the messages of an account for so many days, 0 for ever, None as the others'."""
        await self.host.store.transaction(_set_days, owner, days)

    async def get_days(self, owner: str) -> int | None:
        """Return what `set_days` said."""
        days: int | None = await self.host.store.read(read_days, owner)
        return days

    def _now(self) -> int:
        return int(self.host.clock.seconds() * 1_000_000)


def expired(cursor: Any, owners: Iterable[str], standard: int, now: int) -> list[tuple[str, int]]:
    """Return the accounts that have messages which are too old, with the id before which they are.

    standard: days; now: µs since 1970 UTC.
    """
    found = []
    for owner in owners:
        days = read_days(cursor, owner)
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


def _set_days(cursor: Any, owner: str, days: int | None) -> None:
    cursor.execute("DELETE FROM archive_days WHERE account = ?", (owner,))
    if days is not None:
        cursor.execute("INSERT INTO archive_days (account, days) VALUES (?, ?)", (owner, days))
