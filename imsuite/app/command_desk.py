"""What a host shows of the administration commands to its clients: `host.commands`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from zope.interface import implementer

from imsuite.app.command import Command, Result
from imsuite.app.commands import ALL, find
from imsuite.core.interfaces import ICommandDesk
from imsuite.rules.administration import Actor

if TYPE_CHECKING:
    from imsuite.app.server import Server
    from imsuite.core.host import Host
    from imsuite.xmpp.address import JID


@implementer(ICommandDesk)
class CommandDesk:
    """The commands of a server. server: called when one is given."""

    def __init__(self, server: Callable[[], Server]) -> None:
        self._server = server

    def actor(self, host: Host, jid: JID, own: bool = False) -> Actor:
        """Return what somebody may do on a host.

        own: only with the account itself, which was addressed.
        """
        account = jid.bare if jid.local and jid.domain == host.domain else ""
        if own:
            return Actor(jid.full, account)
        if not host.users.administers(jid):
            return Actor(jid.full)
        everything = all(each.users.administers(jid) for each in host.router.hosts.values())
        return Actor(jid.full, account, frozenset((host.domain,)), everything)

    def all(self) -> tuple[Command, ...]:
        """Return all commands; each says who may give it."""
        return ALL

    def command(self, name: str) -> Command:
        """Return a command by its name. Raises WrongArguments."""
        return find(name)

    async def run(self, actor: Actor, name: str, given: Mapping[str, object]) -> Result:
        """Give a command; see `Command.run`."""
        return await find(name).run(self._server(), given, actor)
