"""Commands for everybody on a domain: `announce`, `motd`, `welcome`, lists, `stop`, `restart`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from imsuite.app.account_commands import address, hosts
from imsuite.app.command import (
    CommandError,
    Needs,
    NotAllowed,
    Result,
    Row,
    WrongArguments,
    argument,
    command,
)
from imsuite.core.host import Host
from imsuite.core.interfaces import IAdministration
from imsuite.core.options import matches, nonempty
from imsuite.rules.administration import Who

if TYPE_CHECKING:
    from imsuite.app.server import Server

LONGEST_DELAY = 86_400  # seconds
LONGEST_LIST = 10_000  # addresses
# XML 1.0 §2.2 Char: the text goes into a message
text = matches("[\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]{0,10000}", "a text")


@attrs.frozen
class Announced:
    """Arguments of announce."""

    text: str = argument(attrs.NOTHING, "What they are told.", nonempty, text, kind="lines")  # type: ignore[assignment]
    domain: str = argument("", "On this domain only.")


@attrs.frozen
class Standing:
    """Arguments of welcome."""

    text: str = argument("", "The text. Nothing: only tell.", text, kind="lines")
    delete: bool = argument(False, "Take the text away.")
    domain: str = argument("", "On this domain only.")


@attrs.frozen
class Daily(Standing):
    """Arguments of motd."""

    corrected: bool = argument(
        False, "Who has seen the last one does not get this one, which only corrects it."
    )


@attrs.frozen
class Listed:
    """Arguments of blacklist and whitelist."""

    add: tuple[str, ...] = argument((), "Addresses or domains to put on the list.", kind="jid")
    remove: tuple[str, ...] = argument((), "Addresses or domains to take off it.", kind="jid")
    direction: str = argument(
        "both",
        "What is meant of those that are added: what they send, what is sent to them, or both.",
        choices=("both", "in", "out"),
    )
    domain: str = argument("", "Of this domain only.")


@attrs.frozen
class Leave:
    """Arguments of stop and restart."""

    delay: int = argument(0, "Wait so many seconds.", least=0, most=LONGEST_DELAY)
    text: str = argument("", "What everybody who is online is told.", text, kind="lines")


@command(
    Announced,
    "host",
    "clients",
    needs=Needs.SERVER,
    who=Who.ADMIN,
    about="domain",
    changes=True,
)
async def announce(server: Server, given: Announced) -> Result:
    """Tell something to everybody who is online."""
    return Result(
        [
            (host.domain, await administration(host).announce(given.text))
            for host in hosts(server, given.domain)
        ]
    )


@command(Daily, "host", "text", needs=Needs.SERVER, who=Who.ADMIN, about="domain", changes=True)
async def motd(server: Server, given: Daily) -> Result:
    """Tell or say the message of the day, which everybody gets once: now, or at the next login."""
    return await _standing(server, "motd", given, again=not given.corrected)


@command(Standing, "host", "text", needs=Needs.SERVER, who=Who.ADMIN, about="domain", changes=True)
async def welcome(server: Server, given: Standing) -> Result:
    """Tell or say what new accounts are told when they first log in."""
    return await _standing(server, "welcome", given)


async def _standing(server: Server, name: str, given: Standing, again: bool = True) -> Result:
    if given.text and given.delete:
        raise WrongArguments("a text is not deleted while it is given")
    rows: list[Row] = []
    for host in hosts(server, given.domain):
        found = administration(host)
        if given.text or given.delete:
            await found.set_standing(name, given.text, again)
        rows.append((host.domain, found.standing(name) or None))
    return Result(rows)


@command(
    Listed,
    "host",
    "address",
    "direction",
    needs=Needs.SERVER,
    who=Who.ADMIN,
    about="domain",
    changes=True,
)
async def blacklist(server: Server, given: Listed) -> Result:
    """Tell or change with whom nobody of a domain can communicate."""
    return await _listed(server, "blacklist", given)


@command(
    Listed,
    "host",
    "address",
    "direction",
    needs=Needs.SERVER,
    who=Who.ADMIN,
    about="domain",
    changes=True,
)
async def whitelist(server: Server, given: Listed) -> Result:
    """Tell or change with whom alone a domain communicates, besides its own; nobody: everybody."""
    return await _listed(server, "whitelist", given)


async def _listed(server: Server, name: str, given: Listed) -> Result:
    changes = {address(jid).full: "" for jid in given.remove}
    changes |= {address(jid).full: given.direction for jid in given.add}
    rows: list[Row] = []
    for host in hosts(server, given.domain):
        found = administration(host)
        if name == "blacklist" and changes.get(host.domain):
            raise CommandError(f"{host.domain} cannot do without itself")
        if changes:
            if len(found.listed(name)) + len(changes) > LONGEST_LIST:
                raise CommandError(f"the list has room for {LONGEST_LIST} addresses")
            await found.set_listed(name, changes)
        rows += [(host.domain, jid, way) for jid, way in sorted(found.listed(name).items())]
    return Result(rows)


@command(Leave, "what", "seconds", needs=Needs.SERVER, who=Who.SERVER, changes=True)
async def stop(server: Server, given: Leave) -> Result:
    """Stop the server in order."""
    return await _leave(server, given, again=False)


@command(Leave, "what", "seconds", needs=Needs.SERVER, who=Who.SERVER, changes=True)
async def restart(server: Server, given: Leave) -> Result:
    """Stop the server in order, and let its supervisor start it again (exit status 75)."""
    if server.leaving.end is None:
        raise NotAllowed("the server is part of another program, which alone can restart it")
    return await _leave(server, given, again=True)


async def _leave(server: Server, given: Leave, again: bool) -> Result:
    if given.text:
        for host in hosts(server):
            await administration(host).announce(given.text)
    server.leaving.begin(given.delay, again)
    return Result([("restart" if again else "stop", given.delay)])


def administration(host: Host) -> Any:
    """Return what provides IAdministration on a host. Raises CommandError if nothing does."""
    found = host.find_feature(IAdministration)
    if found is None:
        raise CommandError(f"this is not possible at {host.domain}: its feature admin is off")
    return found
