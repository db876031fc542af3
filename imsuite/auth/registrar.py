"""Making, changing and removing accounts while the server runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults

from imsuite.auth.limits import FailureLimits
from imsuite.auth.secrets import ITERATIONS, SALT, Hasher, make_verifiers
from imsuite.core import hooks
from imsuite.core.account import Account
from imsuite.core.host import Host
from imsuite.core.interfaces import Table
from imsuite.core.session import Session
from imsuite.xmpp.address import localpart
from imsuite.xmpp.errors import ImsuiteError, StanzaError, StreamError


@attrs.define
class Registrar:
    """The accounts of one host, as those see them who make and remove them.

    users: of the store; tables: of all features, for removal; iterations: of new passwords.
    """

    host: Host
    users: Any  # store.users.Users: the floor's packages do not know each other
    hasher: Hasher
    limits: FailureLimits
    tables: Iterable[Table] = ()
    iterations: int = ITERATIONS
    random: Callable[[int], bytes] = os.urandom
    streams: Callable[[], Iterable[Any]] = tuple  # of clients, whether or not they are bound

    async def create(self, name: str, password: str, is_admin: bool = False) -> str:
        """Make an account and return its bare JID.

        Raises AccountExists, InvalidAddress for the name, InvalidPassword, TooBusy.
        """
        local = localpart(name)
        verifiers = await self._hash(password)
        now = int(self.host.clock.seconds() * 1_000_000)
        await self.users.create(local, verifiers, now, is_admin)
        jid = f"{local}@{self.host.domain}"
        await self.host.switch(hooks.ACCOUNT_CREATED).tell(jid)
        return jid

    async def create_all(
        self, accounts: Sequence[tuple[str, str, bool]]
    ) -> list[ImsuiteError | None]:
        """Make accounts: name, password, whether an administrator; return why not, or None.

        They are hashed beside each other and entered in one transaction.
        """
        work = [self._prepared(name, password) for name, password, _ in accounts]
        outcomes = await gatherResults([Deferred.fromCoroutine(each) for each in work])
        rows = [
            (*found, is_admin)
            for found, (_, _, is_admin) in zip(outcomes, accounts, strict=True)
            if not isinstance(found, ImsuiteError)
        ]
        now = int(self.host.clock.seconds() * 1_000_000)
        existing = iter(await self.users.create_all(rows, now))
        refused = [
            found if isinstance(found, ImsuiteError) else next(existing) for found in outcomes
        ]
        for found, why_not in zip(outcomes, refused, strict=True):
            if why_not is None and not isinstance(found, ImsuiteError):
                jid = f"{found[0]}@{self.host.domain}"
                await self.host.switch(hooks.ACCOUNT_CREATED).tell(jid)
        return refused

    async def _prepared(self, name: str, password: str) -> tuple[str, str] | ImsuiteError:
        """Return localpart and verifiers, or why there are none."""
        try:
            return localpart(name), await self._hash(password)
        except ImsuiteError as why:
            return why

    async def set_password(self, local: str, password: str, spared: str = "") -> None:
        """Change a password; who logged in with the old one has to do so again.

        spared: full JID of the session in which it is changed. Raises NoSuchAccount,
        InvalidPassword, TooBusy.
        """
        await self.users.set_verifiers(local, await self._hash(password))
        self.limits.forget(local)  # who knew the old password has lost its known address
        await self.end_sessions(local, StreamError("reset", "the password was changed"), spared)
        await self.host.switch(hooks.PASSWORD_CHANGED).tell(f"{local}@{self.host.domain}")

    async def set_disabled(self, local: str, disabled: bool) -> None:
        """Keep an account from logging in and end its sessions, or let it again.

        Raises NoSuchAccount.
        """
        await self.users.set_disabled(local, disabled)
        if disabled:
            await self.end_sessions(
                local, StreamError("not-authorized", "the account was disabled")
            )

    async def end_sessions(self, local: str, why: StreamError, spared: str = "") -> None:
        """End what clients of an account have, also those that are about to bind a resource.

        A session ends once what it was doing is done. spared: full JID of one that stays.
        """
        account = self.host.accounts.get(local)
        for session in [] if account is None else list(account.sessions.values()):
            if session.full == spared:
                continue
            waits = session.stream is None
            session.end(why)
            if waits:
                await self.host.unbind(session)
        for stream in self.streams():
            owner = stream.account
            unbound = stream.session is None and owner is not None
            if unbound and owner.bare == f"{local}@{self.host.domain}":
                stream.fail(why)

    async def delete(self, local: str, spared: Session | None = None) -> None:
        """Remove an account and all that belongs to it; its sessions end. Raises NoSuchAccount,
        and StanzaError while it is being removed already.

        spared: a session whose stream stays open, for the answer to whoever asked; it is bound
        no longer.
        """
        host = self.host
        account = await host.account(local)
        if local in host.removing:
            raise StanzaError("item-not-found", text="the account is being removed")
        # nobody finds the account while it is being removed, so that nothing of it comes back
        host.removing.add(local)
        host.forget(local)
        try:
            if account is not None:
                account.gone = True
                await self._end_sessions(account, spared)
                await host.switch(hooks.ACCOUNT_DELETED).tell(account)
            await self.users.delete(local, self.tables)
        finally:
            host.removing.discard(local)
        self.limits.forget(local)

    async def _end_sessions(self, account: Account, spared: Session | None) -> None:
        """End all sessions, each once what it was doing is done."""
        ending = list(account.sessions.values())
        for session in ending:
            if session is not spared:
                session.end(StreamError("not-authorized", "the account was removed"))
            session.abandon()
        for session in ending:
            if session is not spared:  # that one is doing this
                handled: Deferred[None] = Deferred()
                session.finish(partial(handled.callback, None))
                await handled
            await self.host.unbind(session)

    async def _hash(self, password: str) -> str:
        made = await self.hasher(make_verifiers, password, self.iterations, self.random(SALT))
        return made.text()
