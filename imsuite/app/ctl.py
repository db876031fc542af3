"""imsuitectl: administration from the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, NoReturn

import click

from imsuite.app import checks, ctl_domain
from imsuite.app.command import CommandError, Row, Value, WrongArguments
from imsuite.app.commands import find
from imsuite.app.config import ConfigError
from imsuite.app.ctl_desk import Desk, on_desk, plain
from imsuite.app.reaching import reach

BATCH = 32  # accounts in one request: logins to a running server wait for their passwords


class _Program(click.Group):
    """The commands; --json may stand before the command or behind it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Bring --json to the front."""
        end = args.index("--") if "--" in args else len(args)
        if "--json" in args[:end]:
            rest = [arg for arg in args[:end] if arg != "--json"]
            args = ["--json", *rest, *args[end:]]
        return super().parse_args(ctx, args)


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "file",
    metavar="FILE",
    envvar="IMSUITE_CONFIG",
    help="The server's configuration; by default the one it has without a file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.version_option(package_name="imsuite", message="%(version)s", help="Print the version.")
@click.pass_context
def main(context: click.Context, file: str | None, as_json: bool) -> None:
    """Administer an imsuite server of this machine, or its database while it does not run.

    Exit status: 0 done, 1 refused or a problem found, 2 wrong use.
    """
    context.obj = Desk(file, as_json)


@main.command()
@click.argument("jid", required=False)
@click.option("--admin", is_flag=True, help="It may administer its domain.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option(
    "--from",
    "source",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="Make many: each line an address, a space and a password; - for standard input.",
)
@on_desk
def adduser(
    desk: Desk, jid: str | None, admin: bool, password_stdin: bool, source: IO[str] | None
) -> None:
    """Make an account; the password is asked for, or read from standard input."""
    if (jid is None) == (source is None):
        raise click.UsageError("give the address of one account, or --from")
    if source is not None:
        if admin or password_stdin:
            raise click.UsageError("--from goes with neither --admin nor --password-stdin")
        _add_many(desk, source)
        return
    password = _password(password_stdin)
    rows = desk.call("adduser", jid=jid, password=password, admin=admin)
    desk.done("adduser", rows, "{} was made")


def _add_many(desk: Desk, source: Iterable[str]) -> None:
    accounts = []
    for number, line in enumerate(source, 1):
        if not line.strip():
            continue
        parts = line.rstrip("\r\n").split(maxsplit=1)
        if len(parts) < 2:
            raise CommandError(f"line {number} is not an address, a space and a password")
        accounts.append({"jid": parts[0], "password": parts[1]})
    rows: list[Row] = []
    with desk.reach() as reached:
        for batch in _batches(accounts):
            rows += reached.call("addusers", {"accounts": batch}).rows
    made = [row for row in rows if row[1] == "made"]
    if desk.as_json:
        desk.table(find("addusers").columns, rows)
    else:
        for row in rows:
            if row not in made:
                click.echo(f"imsuitectl: {plain(row[0])}: {plain(row[1])}", err=True)
        click.echo(f"{len(made)} of {len(rows)} accounts were made")
    if len(made) < len(rows):
        _fail()


@main.command()
@click.argument("jid")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@on_desk
def passwd(desk: Desk, jid: str, password_stdin: bool) -> None:
    """Change the password of an account, and end its sessions.

    The password is asked for, or read from standard input.
    """
    rows = desk.call("passwd", jid=jid, password=_password(password_stdin))
    desk.done("passwd", rows, "{} has a new password")


@main.command()
@click.argument("jid")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_desk
def deluser(desk: Desk, jid: str, yes: bool) -> None:
    """Remove an account and all that belongs to it."""
    if not yes:
        if not sys.stdin.isatty():
            raise WrongArguments("there is nobody to ask; --yes removes the account")
        click.confirm(f"Remove {plain(jid)} and all that belongs to it?", abort=True)
    desk.done("deluser", desk.call("deluser", jid=jid), "{} was removed")


@main.command()
@click.argument("domain", default="")
@click.option("--disabled", is_flag=True, help="Only those that may not log in.")
@on_desk
def users(desk: Desk, domain: str, disabled: bool) -> None:
    """List the accounts."""
    desk.listing("users", domain=domain, only="disabled" if disabled else "all")


@main.command()
@click.argument("jid")
@on_desk
def disable(desk: Desk, jid: str) -> None:
    """Keep an account from logging in, and end its sessions; nothing of it is lost."""
    desk.done("disable", desk.call("disable", jid=jid), "{} is disabled")


@main.command()
@click.argument("jid")
@on_desk
def enable(desk: Desk, jid: str) -> None:
    """Let an account that was disabled log in again."""
    desk.done("enable", desk.call("enable", jid=jid), "{} may log in")


@main.command()
@click.argument("jid")
@on_desk
def user(desk: Desk, jid: str) -> None:
    """Tell of one account: its rights, its last login, its clients and how it uses the server."""
    desk.listing("user", jid=jid)


@main.command()
@click.argument("jid")
@on_desk
def roster(desk: Desk, jid: str) -> None:
    """List the contacts of an account."""
    desk.listing("roster", jid=jid)


@main.command()
@click.argument("jid", default="")
@on_desk
def sessions(desk: Desk, jid: str) -> None:
    """List the sessions of a domain, an account or a resource, or all.

    idle: seconds since the client last sent something.
    """
    desk.listing("sessions", jid=jid)


@main.command()
@click.argument("jid", metavar="JID[/RESOURCE]")
@click.option("--text", default="", help="What the client is told.")
@on_desk
def kick(desk: Desk, jid: str, text: str) -> None:
    """End the sessions of an account, or one; the client may log in again."""
    desk.done("kick", desk.call("kick", jid=jid, text=text), "{} was ended")


@main.command()
@click.argument("domain", default="")
@on_desk
def features(desk: Desk, domain: str) -> None:
    """List the features, which are on, and what they advertise."""
    desk.listing("features", domain=domain)


@main.command()
@click.argument("domain", default="")
@on_desk
def hooks(desk: Desk, domain: str) -> None:
    """List the places where features step in, with those that do."""
    desk.listing("hooks", domain=domain)


@main.command()
@click.argument("id")
@on_desk
def explain(desk: Desk, id: str) -> None:
    """Tell why a message was or was not delivered, stored, copied and pushed.

    ID: the id or origin-id that its client gave to it, or the stanza-id that this server gave.
    Everything is known of the last messages only ([server] explained), of older ones what the
    database has, by stanza-id.
    """
    desk.listing("explain", id=id)


@main.command()
@click.argument("jid")
@click.argument("days", default="")
@on_desk
def retention(desk: Desk, jid: str, days: str) -> None:
    """Tell, or with DAYS say, how long the messages of an account are kept.

    DAYS: a number, 0 for ever, or "standard" for as long as those of its domain.
    """
    desk.listing("retention", jid=jid, days=days)


@main.command()
@on_desk
def status(desk: Desk) -> None:
    """Tell what runs, and where it listens."""
    desk.listing("status")


@main.command()
@on_desk
def reload(desk: Desk) -> None:
    """Let the server read its configuration and certificates again."""
    rows = desk.call("reload")
    if rows or desk.as_json:
        desk.table(find("reload").columns, rows)
    else:
        click.echo("nothing is different")


for _each in ctl_domain.COMMANDS:
    main.add_command(_each)


@main.command()
@on_desk
def check(desk: Desk) -> None:
    """Look for problems: configuration, certificates, ports, database."""
    found = list(_findings(desk))
    desk.table(checks.COLUMNS, [finding.row for finding in found])
    if any(finding.status == checks.PROBLEM for finding in found):
        _fail()


def _findings(desk: Desk) -> Iterator[checks.Finding]:
    try:
        config = desk.config()
    except ConfigError as why:
        for problem in why.problems:
            yield checks.Finding("configuration", checks.PROBLEM, problem)
        return
    about = list(checks.configuration(config))
    yield from about
    yield from checks.directory(config)
    known: dict[Value, Value] = {}
    try:
        with reach(config) as reached:
            if reached.running:
                known = {row[0]: row[1] for row in reached.call("status", {}).rows}
    except CommandError as why:
        yield checks.Finding("server", checks.PROBLEM, str(why))
    else:
        detail = f"process {known['process']} runs" if known else "does not run"
        yield checks.Finding("server", checks.OK, detail)
    yield from checks.certificates(config)
    listening, process = known.get("listening"), known.get("process")
    yield from checks.ports(config, listening if isinstance(listening, list) else ())
    if all(finding.status == checks.OK for finding in about):
        yield from checks.database(config, process if isinstance(process, int) else None)


def _password(from_stdin: bool) -> str:
    """Return a password from the terminal, asked for twice, or from standard input."""
    if not from_stdin and sys.stdin.isatty():
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked
    line = sys.stdin.readline()
    if not line.rstrip("\r\n"):
        raise CommandError("there is no password on standard input")
    return line.rstrip("\r\n")


def _batches(accounts: Sequence[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    for start in range(0, len(accounts), BATCH):
        yield list(accounts[start : start + BATCH])


def _fail() -> NoReturn:
    raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
