"""Commands on archives: `retention`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from imsuite.app.account_commands import account
from imsuite.app.command import CommandError, Needs, Result, argument, command
from imsuite.core.interfaces import IArchive
from imsuite.core.options import matches
from imsuite.rules.administration import Who

if TYPE_CHECKING:
    from imsuite.app.server import Server

STANDARD = "standard"  # as long as those of the domain
LONGEST = 36_500  # days


@attrs.frozen
class Retained:
    """Arguments of retention."""

    jid: str = argument(attrs.NOTHING, "Address of the account.", kind="jid")  # type: ignore[assignment]
    days: str = argument(
        "",
        "For how many days its messages are kept, 0 for ever; or standard, as long as those of its "
        "domain. Nothing: only tell.",
        matches(rf"|{STANDARD}|[0-9]{{1,5}}", f"a number of days, or {STANDARD}"),
    )


@command(Retained, "account", "days", needs=Needs.STORE, who=Who.ADMIN, about="jid", changes=True)
async def retention(server: Server, given: Retained) -> Result:
    """Tell or say for how many days the messages of an account are kept."""
    host, jid = account(server, given.jid)
    archive = host.find_feature(IArchive)
    if archive is None:
        raise CommandError(f"no messages are kept for {host.domain}: its feature archive is off")
    if not await host.users.exists(jid.local):
        raise CommandError(f"there is no account {jid.bare}")
    if given.days:
        days = None if given.days == STANDARD else int(given.days)
        if days is not None and days > LONGEST:
            raise CommandError(f"{days} days are too many; write 0 for ever")
        await archive.set_days(jid.bare, days)
    kept: int | None = await archive.days(jid.bare)
    return Result([(jid.bare, STANDARD if kept is None else kept)])
