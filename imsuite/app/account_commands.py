"""Commands on accounts: `adduser`, `addusers`, `passwd`, `deluser`, `users`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from imsuite.app.command import CommandError, Needs, Result, Row, command
from imsuite.core.host import Host
from imsuite.core.options import ge, le, nearest, option
from imsuite.xmpp.address import JID, InvalidAddress, parse
from imsuite.xmpp.times import format_datetime

if TYPE_CHECKING:
    from imsuite.app.server import Server

MOST = 1000  # rows in one result


@attrs.frozen
class NewAccount:
    """Arguments of adduser."""

    jid: str = option(attrs.NOTHING, "Address of the account, name@domain.")  # type: ignore[assignment]
    password: str = option(attrs.NOTHING, "Its password.", secret=True)  # type: ignore[assignment]
    admin: bool = option(False, "It may administer the domain.")


@attrs.frozen
class NewAccounts:
    """Arguments of addusers."""

    accounts: tuple[NewAccount, ...] = option((), "The accounts.", secret=True)


@attrs.frozen
class NewPassword:
    """Arguments of passwd."""

    jid: str = option(attrs.NOTHING, "Address of the account.")  # type: ignore[assignment]
    password: str = option(attrs.NOTHING, "Its new password.", secret=True)  # type: ignore[assignment]


@attrs.frozen
class OneAccount:
    """Arguments of deluser."""

    jid: str = option(attrs.NOTHING, "Address of the account.")  # type: ignore[assignment]


@attrs.frozen
class Listing:
    """Arguments of users."""

    domain: str = option("", "Of this domain only.")
    after: str = option("", "Begin behind this account.")
    limit: int = option(MOST, "Most rows.", ge(1), le(MOST))


@command(NewAccount, "account", needs=Needs.STORE)
async def adduser(server: Server, given: NewAccount) -> Result:
    """Make an account."""
    host, jid = account(server, given.jid)
    made = await host.registrar.create(jid.local, given.password, given.admin)
    return Result([(made,)])


@command(NewAccounts, "account", "result", needs=Needs.STORE)
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


@command(NewPassword, "account", needs=Needs.STORE)
async def passwd(server: Server, given: NewPassword) -> Result:
    """Change the password of an account."""
    host, jid = account(server, given.jid)
    await host.registrar.set_password(jid.local, given.password)
    return Result([(jid.bare,)])


@command(OneAccount, "account", needs=Needs.STORE)
async def deluser(server: Server, given: OneAccount) -> Result:
    """Remove an account and all that belongs to it."""
    host, jid = account(server, given.jid)
    await host.registrar.delete(jid.local)
    return Result([(jid.bare,)])


@command(Listing, "account", "admin", "disabled", "created", "sessions", needs=Needs.STORE)
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
        for user in await host.users.page(after, given.limit - len(rows)):
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
