"""All administration commands, and those that look at a server or change how it runs."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import attrs

from imsuite.app import account_commands, archive_commands, domain_commands, look_commands
from imsuite.app.account_commands import MOST, OneDomain, address, hosts
from imsuite.app.command import (
    Command,
    CommandError,
    Needs,
    NoArguments,
    Result,
    Row,
    WrongArguments,
    argument,
    command,
)
from imsuite.app.explain import explain
from imsuite.app.registry import all_features
from imsuite.core.feature import At
from imsuite.core.hooks import HOOKS, Interest
from imsuite.core.options import matches, nearest
from imsuite.core.session import Session
from imsuite.rules.administration import Who
from imsuite.xmpp.errors import StreamError
from imsuite.xmpp.times import format_datetime

if TYPE_CHECKING:
    from imsuite.app.server import Server

# XML 1.0 §2.2 Char, on one line: a text goes into a stream error
_LINE = matches("[\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]{0,1000}", "a line of text")


@attrs.frozen
class SessionListing:
    """Arguments of sessions."""

    jid: str = argument("", "Of this account, resource or domain only.", kind="jid")
    after: str = argument("", "Begin behind this session.")
    limit: int = argument(MOST, "Most rows.", least=1, most=MOST)


@attrs.frozen
class Kicked:
    """Arguments of kick."""

    jid: str = argument(attrs.NOTHING, "Address of an account, or of one resource.", kind="jid")  # type: ignore[assignment]
    text: str = argument("", "What the client is told.", _LINE)


@command(NoArguments, "what", "value", needs=Needs.SERVER, who=Who.SERVER)
async def status(server: Server, given: NoArguments) -> Result:
    """Tell what runs, since it was asked through the control socket."""
    config = server.config
    listening = [
        str(attrs.evolve(address, port=port))
        for address, (_, port) in zip(config.server.addresses, server.ports, strict=True)
    ]
    rows: list[Row] = [
        ("version", release()),
        ("process", os.getpid()),
        ("configuration", config.file),
        ("data", config.directory),
        ("hosts", list(server.hosts)),
        ("services", list(config.services)),
        ("listening", listening),
        ("streams", 0 if server.clients is None else len(server.clients)),
        ("sessions", len(server.router.sessions)),
    ]
    return Result(rows)


SESSION = ("session", "peer", "since", "tls", "sasl", "available", "priority", "idle")


@command(SessionListing, *SESSION, needs=Needs.SERVER, who=Who.OWNER, about="jid")
async def sessions(server: Server, given: SessionListing) -> Result:
    """List the sessions; idle: seconds since the client last sent something."""
    known = server.router.sessions
    names = sorted(_sessions(server, given.jid) if given.jid else known)
    names = [name for name in names if name > given.after]
    shown = names[: given.limit]
    rows = [_session(known[name]) for name in shown]
    return Result(rows, shown[-1] if len(shown) < len(names) else "")


@command(Kicked, "session", needs=Needs.SERVER, who=Who.OWNER, about="jid", changes=True)
async def kick(server: Server, given: Kicked) -> Result:
    """End the sessions of an account, or one of them; the client may log in again."""
    if not address(given.jid).local:
        raise CommandError(f"{given.jid!r} is no address of an account; write name@domain")
    found = [server.router.sessions[name] for name in _sessions(server, given.jid)]
    if not found:
        raise CommandError(f"there is no session of {address(given.jid).full}")
    why = StreamError("policy-violation", given.text or "ended by an administrator")
    for session in found:
        if session.stream is None:
            await session.account.host.unbind(session)
        else:
            session.stream.fail(why)
    return Result([(session.full,) for session in found])


@command(
    OneDomain,
    "host",
    "feature",
    "specification",
    "on",
    "advertises",
    needs=Needs.CONFIGURATION,
    who=Who.ADMIN,
    about="domain",
)
async def features(server: Server, given: OneDomain) -> Result:
    """List the features, which are on, and what those advertise (XEP-0030)."""
    rows: list[Row] = []
    for host in hosts(server, given.domain):
        for word, cls in all_features().items():
            feature = host.features.get(word)
            names = set() if feature is None else {n for at in At for n in feature.describe(at)}
            rows.append((host.domain, word, cls.spec, feature is not None, sorted(names)))
    return Result(rows)


@command(
    OneDomain,
    "host",
    "hook",
    "stage",
    "feature",
    "handler",
    "interest",
    needs=Needs.CONFIGURATION,
    who=Who.ADMIN,
    about="domain",
)
async def hooks(server: Server, given: OneDomain) -> Result:
    """List the places where features step in, with those that do, in their order."""
    rows: list[Row] = []
    for host in hosts(server, given.domain):
        for hook in HOOKS:
            steps = host.switch(hook).steps
            rows += [
                (
                    host.domain,
                    hook.name,
                    step.stage.name.lower(),
                    step.owner,
                    getattr(step.handler, "__name__", repr(step.handler)),
                    interest(step.interest),
                )
                for step in steps
            ] or [(host.domain, hook.name, None, None, None, None)]
    return Result(rows)


@command(NoArguments, "change", "effect", needs=Needs.SERVER, who=Who.SERVER, changes=True)
async def reload(server: Server, given: NoArguments) -> Result:
    """Read the configuration and the certificates again."""
    return Result([(str(each.what), each.effect) for each in server.reload()])


ALL = (
    account_commands.adduser,
    account_commands.addusers,
    account_commands.passwd,
    account_commands.deluser,
    account_commands.disable,
    account_commands.enable,
    account_commands.setadmin,
    account_commands.admins,
    account_commands.users,
    look_commands.user,
    look_commands.roster,
    look_commands.counts,
    look_commands.online,
    sessions,
    kick,
    domain_commands.announce,
    domain_commands.motd,
    domain_commands.welcome,
    domain_commands.blacklist,
    domain_commands.whitelist,
    domain_commands.stop,
    domain_commands.restart,
    status,
    reload,
    features,
    hooks,
    explain,
    archive_commands.retention,
)
COMMANDS: dict[str, Command] = {each.name: each for each in ALL}


def find(name: str) -> Command:
    """Return a command by its name. Raises WrongArguments."""
    if name not in COMMANDS:
        raise WrongArguments(f"there is no command {name[:40]!r}{nearest(name, COMMANDS)}")
    return COMMANDS[name]


def interest(wanted: Interest) -> str:
    """Return in words which stanzas a handler sees."""
    parts = (
        " ".join(sorted(wanted.kinds)),
        " ".join(sorted(f"type={each or 'none'}" for each in wanted.types)),
        " ".join("{" + each for each in sorted(wanted.children)),
    )
    return ", ".join(part for part in parts if part) or "every"


def release() -> str:
    """Return the version of imsuite."""
    try:
        return version("imsuite")
    except PackageNotFoundError:  # run from a tree that is not installed
        return "source"


def _sessions(server: Server, text: str) -> list[str]:
    """Return the full JIDs of the sessions of a domain, an account or a resource."""
    jid = address(text)
    host = hosts(server, jid.domain)[0]
    if not jid.local:
        return [
            name for name, session in server.router.sessions.items() if session.account.host is host
        ]
    account = host.accounts.get(jid.local)
    found = {} if account is None else account.sessions
    if jid.resource:
        return [jid.full] if jid.resource in found else []
    return [session.full for session in found.values()]


def _session(session: Session) -> Row:
    stream = session.stream
    now = session.account.host.clock.seconds()
    return (
        session.full,
        None if stream is None else str(stream.peer),
        format_datetime(int(session.since) * 1_000_000),
        stream.link.tls.version
        if stream is not None and stream.secure and stream.link.tls
        else None,
        None if stream is None else stream.sasl or None,
        session.presence is not None,
        None if session.presence is None else session.priority,
        None if stream is None else max(0, int(now - stream.seen)),
    )
