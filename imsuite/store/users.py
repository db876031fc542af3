"""The accounts of a host, and what their passwords are checked against (twisted.cred's side of it).

Localparts are given as `xmpp.address` normalises them (RFC 7622 §3.3). Functions that take a
cursor are for use inside `Store.transaction`; they compose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

import attrs

from imsuite.core.interfaces import Table
from imsuite.store import groups
from imsuite.store.dialect import Cursor
from imsuite.store.pool import Store
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import ImsuiteError

ACCOUNTS = Table(
    "accounts",
    (
        """CREATE TABLE accounts (
            host TEXT NOT NULL,
            localpart TEXT NOT NULL CHECK (localpart <> ''),
            verifiers TEXT NOT NULL,            -- as auth/secrets.py writes them
            created BIGINT NOT NULL,            -- µs since 1970 UTC
            disabled INTEGER NOT NULL DEFAULT 0,  -- 1: may not log in
            is_admin INTEGER NOT NULL DEFAULT 0,  -- 1: may administer this host
            PRIMARY KEY (host, localpart))""",
        "CREATE INDEX accounts_admins ON accounts (host) WHERE is_admin = 1",
        "CREATE INDEX accounts_disabled ON accounts (host, localpart) WHERE disabled = 1",
    ),
    owner=None,
)
TABLES = (ACCOUNTS, *groups.TABLES)

MOST = 1000  # accounts in one page

COLUMNS = "localpart, verifiers, created, disabled, is_admin"


class AccountExists(ImsuiteError):
    """There is an account of that name already."""

    condition: ClassVar[str] = "conflict"


class NoSuchAccount(ImsuiteError):
    """There is no account of that name."""

    condition: ClassVar[str] = "item-not-found"


@attrs.frozen
class User:
    """One account as it is stored."""

    localpart: str
    verifiers: str = attrs.field(repr=False)  # of the password; a secret
    created: int  # µs since 1970 UTC
    disabled: bool = attrs.field(default=False, converter=bool)
    is_admin: bool = attrs.field(default=False, converter=bool)


def insert(
    cursor: Cursor, host: str, localpart: str, verifiers: str, created: int, is_admin: bool = False
) -> None:
    """Add an account. Raises AccountExists."""
    cursor.execute(
        "INSERT INTO accounts (host, localpart, verifiers, created, is_admin)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (host, localpart, verifiers, created, int(is_admin)),
    )
    if not cursor.rowcount:
        raise AccountExists(f"{localpart}@{host} exists")


def remove(cursor: Cursor, host: str, localpart: str) -> None:
    """Take an account away, and nothing that belongs to it. Raises NoSuchAccount."""
    cursor.execute("DELETE FROM accounts WHERE host = ? AND localpart = ?", (host, localpart))
    _need(cursor.rowcount, host, localpart)


def remove_owned(cursor: Cursor, tables: Iterable[Table], account: str) -> None:
    """Take away the rows of these tables that belong to an account.

    tables: those without an owner column are left alone; account: its bare JID.
    """
    for table in tables:
        if table.owner is not None:
            # names come from a feature's header, never from outside
            cursor.execute(f"DELETE FROM {table.name} WHERE {table.owner} = ?", (account,))  # noqa: S608


def _need(count: int, host: str, localpart: str) -> None:
    if not count:
        raise NoSuchAccount(f"there is no account {localpart}@{host}")


def exists_in(cursor: Cursor, host: str, localpart: str) -> bool:
    """Tell whether there is an account of that name."""
    cursor.execute("SELECT 1 FROM accounts WHERE host = ? AND localpart = ?", (host, localpart))
    return cursor.fetchone() is not None


class Users:
    """The accounts of one host.

    named: bare JIDs that administer the host because the configuration says so.
    """

    def __init__(self, store: Store, host: str, named: Iterable[str] = ()) -> None:
        self.store = store
        self.host = host
        self.named = frozenset(named)
        self._admins: set[str] = set()  # localparts, once `load` was called

    async def load(self) -> None:
        """Learn who may administer the host; before a client is served."""
        rows = await self.store.query(
            "SELECT localpart FROM accounts WHERE host = ? AND is_admin = 1", self.host
        )
        self._admins = {localpart for (localpart,) in rows}

    def administers(self, jid: JID) -> bool:
        """Tell whether somebody may administer the host. Does not wait."""
        own = jid.domain == self.host and jid.local in self._admins
        return own or jid.bare in self.named

    def exists_in(self, cursor: Cursor, localpart: str) -> bool:
        """Tell whether there is an account of that name, inside `Store.read`."""
        return exists_in(cursor, self.host, localpart)

    async def create(
        self, localpart: str, verifiers: str, created: int, is_admin: bool = False
    ) -> None:
        """Add an account; created: µs since 1970 UTC. Raises AccountExists."""
        await self.store.transaction(insert, self.host, localpart, verifiers, created, is_admin)
        if is_admin:
            self._admins.add(localpart)

    async def create_all(
        self, accounts: Iterable[tuple[str, str, bool]], created: int
    ) -> list[AccountExists | None]:
        """Add accounts in one transaction: localpart, verifiers, whether an administrator.

        Returns None for each that was added.
        """
        accounts = list(accounts)

        def insert_all(cursor: Cursor) -> list[AccountExists | None]:
            outcomes: list[AccountExists | None] = []
            for localpart, verifiers, is_admin in accounts:
                try:
                    insert(cursor, self.host, localpart, verifiers, created, is_admin)
                    outcomes.append(None)
                except AccountExists as why:
                    outcomes.append(why)
            return outcomes

        outcomes = await self.store.transaction(insert_all)
        for (localpart, _, is_admin), why_not in zip(accounts, outcomes, strict=True):
            if is_admin and why_not is None:
                self._admins.add(localpart)
        return outcomes

    async def find(self, localpart: str) -> User:
        """Return an account. Raises NoSuchAccount."""
        rows = await self.store.lookup(
            f"SELECT {COLUMNS} FROM accounts WHERE host = ? AND localpart = ?",  # noqa: S608
            self.host,
            localpart,
        )
        _need(len(rows), self.host, localpart)
        return User(*rows[0])

    async def verifiers(self, localpart: str) -> str:
        """Return what a password is checked against. Raises NoSuchAccount."""
        return (await self.find(localpart)).verifiers

    async def exists(self, localpart: str) -> bool:
        """Tell whether there is an account of that name."""
        return bool(
            await self.store.lookup(
                "SELECT 1 FROM accounts WHERE host = ? AND localpart = ?", self.host, localpart
            )
        )

    async def set_verifiers(self, localpart: str, verifiers: str) -> None:
        """Change the password. Raises NoSuchAccount."""
        count = await self.store.execute(
            "UPDATE accounts SET verifiers = ? WHERE host = ? AND localpart = ?",
            verifiers,
            self.host,
            localpart,
        )
        _need(count, self.host, localpart)

    async def set_disabled(self, localpart: str, disabled: bool) -> None:
        """Keep an account from logging in, or let it again. Raises NoSuchAccount."""
        count = await self.store.execute(
            "UPDATE accounts SET disabled = ? WHERE host = ? AND localpart = ?",
            int(disabled),
            self.host,
            localpart,
        )
        _need(count, self.host, localpart)

    async def set_admin(self, localpart: str, is_admin: bool) -> None:
        """Let an account administer the host, or no longer. Raises NoSuchAccount."""
        count = await self.store.execute(
            "UPDATE accounts SET is_admin = ? WHERE host = ? AND localpart = ?",
            int(is_admin),
            self.host,
            localpart,
        )
        _need(count, self.host, localpart)
        if is_admin:
            self._admins.add(localpart)
        else:
            self._admins.discard(localpart)

    async def delete(
        self,
        localpart: str,
        tables: Iterable[Table] = (),
        also: Iterable[Callable[[Cursor, str], object]] = (),
    ) -> None:
        """Take an account and all that belongs to it away, in one transaction.

        tables: of all features, for `remove_owned`; also: called as each(cursor, bare JID) for
        what a column with an owner cannot say. Raises NoSuchAccount.
        """
        account = f"{localpart}@{self.host}"

        def delete(cursor: Cursor) -> None:
            remove(cursor, self.host, localpart)
            remove_owned(cursor, tables, account)
            for each in also:
                each(cursor, account)

        await self.store.transaction(delete)
        self._admins.discard(localpart)

    async def page(self, after: str = "", limit: int = 100, disabled: bool = False) -> list[User]:
        """Return accounts in the order of their names, those behind `after`, MOST at most.

        disabled: only those that may not log in.
        """
        only = " AND disabled = 1" if disabled else ""
        rows = await self.store.query(
            f"SELECT {COLUMNS} FROM accounts WHERE host = ? AND localpart > ?{only}"  # noqa: S608
            " ORDER BY localpart LIMIT ?",
            self.host,
            after,
            max(0, min(limit, MOST)),  # to SQLite a negative limit is none
        )
        return [User(*row) for row in rows]

    async def count(self, disabled: bool = False) -> int:
        """Return how many accounts there are. disabled: that may not log in."""
        only = " AND disabled = 1" if disabled else ""
        rows = await self.store.query(
            f"SELECT count(*) FROM accounts WHERE host = ?{only}",  # noqa: S608
            self.host,
        )
        return int(rows[0][0])

    async def admins(self) -> list[str]:
        """Return the localparts of those who may administer the host, MOST at most."""
        rows = await self.store.query(
            "SELECT localpart FROM accounts WHERE host = ? AND is_admin = 1"
            " ORDER BY localpart LIMIT ?",
            self.host,
            MOST,
        )
        return [localpart for (localpart,) in rows]
