"""Making, changing and removing accounts while the server runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from imsuite.auth.limits import FailureLimits
from imsuite.auth.secrets import ITERATIONS, SALT, Hasher, make_verifiers
from imsuite.core import hooks
from imsuite.core.host import Host
from imsuite.core.interfaces import Table
from imsuite.xmpp.address import localpart
from imsuite.xmpp.errors import StreamError


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

    async def set_password(self, local: str, password: str) -> None:
        """Change a password. Raises NoSuchAccount, InvalidPassword, TooBusy."""
        await self.users.set_verifiers(local, await self._hash(password))
        self.limits.forget(local)  # who knew the old password has lost its known address
        await self.host.switch(hooks.PASSWORD_CHANGED).tell(f"{local}@{self.host.domain}")

    async def delete(self, local: str) -> None:
        """Remove an account and all that belongs to it; its sessions end. Raises NoSuchAccount."""
        account = await self.host.account(local)
        if account is not None:
            await self.host.switch(hooks.ACCOUNT_DELETED).tell(account)
            for session in list(account.sessions.values()):
                stream = session.stream
                if stream is not None:
                    stream.fail(StreamError("not-authorized", "the account was removed"))
                await self.host.unbind(session)
        await self.users.delete(local, self.tables)
        self.host.forget(local)
        self.limits.forget(local)

    async def _hash(self, password: str) -> str:
        made = await self.hasher(make_verifiers, password, self.iterations, self.random(SALT))
        return made.text()
