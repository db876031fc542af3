"""Commands on accounts: `adduser`, `passwd`, `deluser`, `disable`, `setadmin`, `users`, …"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from imsuite.app.command import (
    CommandError,
    Needs,
    Result,
    Row,
    argument,
    command,
    command_of_actor,
)
from imsuite.core.host import Host
from imsuite.core.options import nearest
from imsuite.rules.administration import Actor, Who
from imsuite.xmpp.address import JID, InvalidAddress, parse
from imsuite.xmpp.times import format_datetime

if TYPE_CHECKING:
    from imsuite.app.server import Server

MOST = 1000  # rows in one result


@attrs.frozen
class NewAccount:
    """Arguments of adduser."""

    jid: str = argument(attrs.NOTHING, "Address of the account, name@domain.", kind="jid")  # type: ignore[assignment]
    password: str = argument(attrs.NOTHING, "Its password.", secret=True)  # type: ignore[assignment]
    admin: bool = argument(False, "It may administer the domain.")


@attrs.frozen
class NewAccounts:
    """Arguments of addusers."""

    accounts: tuple[NewAccount, ...] = argument((), "The accounts.", secret=True)


@attrs.frozen
class NewPassword:
    """Arguments of passwd."""

    jid: str = argument(attrs.NOTHING, "Address of the account.", kind="jid")  # type: ignore[assignment]
    password: str = argument(attrs.NOTHING, "Its new password.", secret=True)  # type: ignore[assignment]


@attrs.frozen
class OneAccount:
    """Arguments of what is done to one account."""

    jid: str = argument(attrs.NOTHING, "Address of the account.", kind="jid")  # type: ignore[assignment]


@attrs.frozen
class Appointed:
    """Arguments of setadmin."""

    jid: str = argument(attrs.NOTHING, "Address of the account.", kind="jid")  # type: ignore[assignment]
    admin: bool = argument(True, "Whether it may administer its domain.")


@attrs.frozen
class OneDomain:
    """Arguments of what is told about one domain, or all."""

    domain: str = argument("", "Of this domain only.")


@attrs.frozen
class Listing:
    """Arguments of users."""

    domain: str = argument("", "Of this domain only.")
    only: str = argument("all", "Which accounts.", choices=("all", "disabled"))
    after: str = argument("", "Begin behind this account.")
    limit: int = argument(MOST, "Most rows.", least=1, most=MOST)


@command(NewAccount, "account", needs=Needs.STORE, who=Who.ADMIN, about="jid", changes=True)
async def adduser(server: Server, given: NewAccount) -> Result:
    """Make an account."""
    host, jid = account(server, given.jid)
    made = await host.registrar.create(jid.local, given.password, given.admin)
    return Result([(made,)])


@command(NewAccounts, "account", "result", needs=Needs.STORE, changes=True)
async def addusers(server: Server, given: NewAccounts) -> Result:
    """Make many accounts; the result tells of each "made", or why not."""
    rows: list[Row] = [(each.jid, "") for each in given.accounts]
    places: dict[Host, list[int]] = {}
    jids: dict[int, JID] = {}
    for place, each in enumerate(given.accounts):
        try:
            host, jids[place] = account(server, each.jid)
            places.setdefault(host, []).append(place)
        except CommandError as why:
            rows[place] = (each.jid, str(why))
    for host, here in places.items():
        wanted = [
            (jids[place].local, given.accounts[place].password, given.accounts[place].admin)
            for place in here
        ]
        for place, why_not in zip(here, await host.registrar.create_all(wanted), strict=True):
            rows[place] = (jids[place].bare, "made" if why_not is None else str(why_not))
    return Result(rows)


@command_of_actor(
    NewPassword, "account", needs=Needs.STORE, who=Who.ADMIN, about="jid", changes=True
)
async def passwd(server: Server, given: NewPassword, actor: Actor) -> Result:
    """Change the password of an account; its sessions end."""
    host, jid = account(server, given.jid)
    await host.registrar.set_password(jid.local, given.password, actor.name)
    return Result([(jid.bare,)])


@command(
    OneAccount,
    "account",
    needs=Needs.STORE,
    who=Who.ADMIN,
    about="jid",
    changes=True,
    others=True,
)
async def deluser(server: Server, given: OneAccount) -> Result:
    """Remove an account and all that belongs to it."""
    host, jid = account(server, given.jid)
    await host.registrar.delete(jid.local)
    return Result([(jid.bare,)])


@command(
    OneAccount,
    "account",
    needs=Needs.STORE,
    who=Who.ADMIN,
    about="jid",
    changes=True,
    others=True,
)
async def disable(server: Server, given: OneAccount) -> Result:
    """Keep an account from logging in, and end its sessions; nothing of it is lost."""
    host, jid = account(server, given.jid)
    await host.registrar.set_disabled(jid.local, True)
    return Result([(jid.bare,)])


@command(OneAccount, "account", needs=Needs.STORE, who=Who.ADMIN, about="jid", changes=True)
async def enable(server: Server, given: OneAccount) -> Result:
    """Let an account that was disabled log in again."""
    host, jid = account(server, given.jid)
    await host.registrar.set_disabled(jid.local, False)
    return Result([(jid.bare,)])


@command(
    Appointed,
    "account",
    needs=Needs.STORE,
    who=Who.ADMIN,
    about="jid",
    changes=True,
    others=True,
)
async def setadmin(server: Server, given: Appointed) -> Result:
    """Make an account an administrator of its domain, or no longer."""
    host, jid = account(server, given.jid)
    await host.users.set_admin(jid.local, given.admin)
    return Result([(jid.bare,)])


@command(
    OneDomain, "account", "because", "domain", needs=Needs.STORE, who=Who.ADMIN, about="domain"
)
async def admins(server: Server, given: OneDomain) -> Result:
    """List those who administer a domain, by a command or by the configuration."""
    rows: list[Row] = []
    for host in hosts(server, given.domain):
        made = [f"{local}@{host.domain}" for local in await host.users.admins()]
        rows += [(jid, "command", host.domain) for jid in made]
        rows += [(jid, "configuration", host.domain) for jid in sorted(host.users.named)]
    return Result(rows)


@command(
    Listing,
    "account",
    "admin",
    "disabled",
    "created",
    "sessions",
    needs=Needs.STORE,
    who=Who.ADMIN,
    about="domain",
)
async def users(server: Server, given: Listing) -> Result:
    """List the accounts."""
    rows: list[Row] = []
    last = parse(given.after) if given.after else None
    for host in hosts(server, given.domain):
        after = ""
        if last is not None:
            if host.domain != last.domain:
                continue
            after, last = last.local, None
        left, disabled = given.limit - len(rows), given.only == "disabled"
        for user in await host.users.page(after, left, disabled):
            loaded = host.accounts.get(user.localpart)
            rows.append(
                (
                    f"{user.localpart}@{host.domain}",
                    user.is_admin,
                    user.disabled,
                    format_datetime(user.created),
                    0 if loaded is None else len(loaded.sessions),
                )
            )
        if len(rows) == given.limit:
            return Result(rows, str(rows[-1][0]))
    return Result(rows)


def address(text: str) -> JID:
    """Return an address that an administrator wrote. Raises CommandError."""
    try:
        return parse(text)
    except InvalidAddress as why:
        raise CommandError(f"{text!r} is no address: {why}") from None


def account(server: Server, text: str) -> tuple[Host, JID]:
    """Return host and address of an account, which need not exist. Raises CommandError."""
    jid = address(text)
    if not jid.local or jid.resource:
        raise CommandError(f"{text!r} is no address of an account; write name@domain")
    return hosts(server, jid.domain)[0], jid


def hosts(server: Server, domain: str = "") -> list[Host]:
    """Return the host of that domain, or all. Raises CommandError if there is none."""
    if not domain:
        return list(server.hosts.values())
    name = address(domain).full
    if name not in server.hosts:
        known = ", ".join(server.hosts)
        near = nearest(name, server.hosts) or f"; it serves {known}"
        raise CommandError(f"{name} is no host of this server{near}")
    return [server.hosts[name]]
