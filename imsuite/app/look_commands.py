"""Commands that tell of accounts and who is online: `user`, `roster`, `counts`, `online`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from imsuite.app.account_commands import MOST, OneAccount, OneDomain, account, hosts
from imsuite.app.command import CommandError, Needs, Result, Row, argument, command
from imsuite.core.account import Account
from imsuite.core.host import Host
from imsuite.core.interfaces import IAdministration, IRoster
from imsuite.core.session import Session
from imsuite.rules.administration import Who
from imsuite.store.users import NoSuchAccount
from imsuite.xmpp.times import SECOND, format_datetime

if TYPE_CHECKING:
    from imsuite.app.server import Server

MINUTE = 60 * SECOND  # µs


@attrs.frozen
class Present:
    """Arguments of online."""

    domain: str = argument("", "Of this domain only.")
    only: str = argument("all", "Which accounts.", choices=("all", "active", "idle"))
    after: str = argument("", "Begin behind this account.")
    limit: int = argument(MOST, "Most rows.", least=1, most=MOST)


@command(OneAccount, "what", "value", needs=Needs.STORE, who=Who.ADMIN, about="jid")
async def user(server: Server, given: OneAccount) -> Result:
    """Tell of one account: its rights, its last login, its clients and how it uses the server."""
    host, jid = account(server, given.jid)
    found = await host.users.find(jid.local)
    rows: list[Row] = [
        ("account", jid.bare),
        ("administrator", host.users.administers(jid) or found.is_admin),
        ("disabled", found.disabled),
        ("created", format_datetime(found.created)),
    ]
    loaded = await host.account(jid.local)
    sessions = [] if loaded is None else list(loaded.sessions.values())
    rows += await _logins(host, jid.bare)
    roster = host.find_feature(IRoster)
    if roster is not None and loaded is not None:
        rows.append(("contacts", len(list(roster.items(loaded)))))
    addresses = dict.fromkeys(
        session.stream.link.address for session in sessions if session.stream is not None
    )
    rows += [
        ("addresses", list(addresses)),
        ("resources", [session.resource for session in sessions]),
        ("stanzas a second", round(sum(map(_rate, sessions)), 3)),
    ]
    return Result(rows)


async def _logins(host: Host, bare: str) -> list[Row]:
    """Return what is known of the logins of an account."""
    administration = host.find_feature(IAdministration)
    if administration is None:
        return []
    last, count, since = await administration.logins(bare)
    minutes = max(1.0, (host.clock.seconds() * SECOND - since) / MINUTE)
    return [
        ("last login", format_datetime(last) if last else None),
        ("logins a minute", round(count / minutes, 4) if count else 0.0),
    ]


def _rate(session: Session) -> float:
    """Return how many stanzas a client sends, in each second since it came."""
    return session.taken / max(1.0, session.account.host.clock.seconds() - session.since)


@command(
    OneAccount,
    "contact",
    "name",
    "subscription",
    "ask",
    "groups",
    needs=Needs.STORE,
    who=Who.ADMIN,
    about="jid",
)
async def roster(server: Server, given: OneAccount) -> Result:
    """List the contacts of an account."""
    host, jid = account(server, given.jid)
    feature = host.find_feature(IRoster)
    if feature is None:
        raise CommandError(f"there are no rosters at {host.domain}: its feature roster is off")
    loaded = await host.account(jid.local)
    if loaded is None:
        raise NoSuchAccount(f"there is no account {jid.bare}")
    items = sorted(feature.items(loaded), key=lambda item: str(item.jid.bare))
    return Result(
        [
            (
                item.jid.bare,
                item.name,
                item.state.subscription,
                "subscribe" if item.state.pending_out else None,
                list(item.groups),
            )
            for item in items
        ]
    )


@command(OneDomain, "host", "what", "number", needs=Needs.SERVER, who=Who.ADMIN, about="domain")
async def counts(server: Server, given: OneDomain) -> Result:
    """Count the accounts: registered, disabled, online, and of these active and idle."""
    rows: list[Row] = []
    for host in hosts(server, given.domain):
        present = list(_online(host))
        active = sum(is_active(each) for each in present)
        rows += [
            (host.domain, "registered", await host.users.count()),
            (host.domain, "disabled", await host.users.count(disabled=True)),
            (host.domain, "online", len(present)),
            (host.domain, "active", active),
            (host.domain, "idle", len(present) - active),
        ]
    return Result(rows)


@command(
    Present, "account", "active", "sessions", needs=Needs.SERVER, who=Who.ADMIN, about="domain"
)
async def online(server: Server, given: Present) -> Result:
    """List who is online, and who of these uses it just now."""
    found: dict[str, Account] = {
        each.bare: each for host in hosts(server, given.domain) for each in _online(host)
    }
    rows: list[Row] = []
    for bare in sorted(found):
        if bare <= given.after:
            continue
        active = is_active(found[bare])
        if given.only in ("all", "active" if active else "idle"):
            if len(rows) == given.limit:
                return Result(rows, str(rows[-1][0]))
            rows.append((bare, active, len(found[bare].sessions)))
    return Result(rows)


def is_active(account: Account) -> bool:
    """Tell whether somebody who is online uses it just now."""
    administration = account.host.find_feature(IAdministration)
    return administration is None or bool(administration.active(account))


def _online(host: Host) -> Iterator[Account]:
    return (each for each in host.accounts.values() if each.sessions)
