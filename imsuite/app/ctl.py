"""imsuitectl: administration from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import IO, Any, Concatenate, NoReturn, ParamSpec

import attrs
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from imsuite.app import checks
from imsuite.app.command import CommandError, Row, Value, WrongArguments
from imsuite.app.commands import find
from imsuite.app.config import Config, ConfigError
from imsuite.app.reaching import Reached, reach
from imsuite.app.tap import read_config
from imsuite.xmpp.errors import ImsuiteError

BATCH = 32  # accounts in one request: logins to a running server wait for their passwords
P = ParamSpec("P")


class Refused(click.ClickException):
    """Ends the program with one line, or some, on standard error."""

    def __init__(self, why: ImsuiteError) -> None:
        super().__init__(str(why))
        self._usage = isinstance(why, WrongArguments)

    @property
    def exit_code(self) -> int:  # type: ignore[override] # click has a variable of the class
        """2 for wrong use, otherwise 1."""
        return 2 if self._usage else 1

    def show(self, file: IO[Any] | None = None) -> None:
        """Say what is wrong."""
        for line in self.message.splitlines():
            click.echo(f"imsuitectl: {line}", err=True)


@attrs.define
class Desk:
    """What every command is given. file: of the configuration; as_json: how to print."""

    file: str | None
    as_json: bool

    def config(self) -> Config:
        """Return the configuration. Raises ConfigError."""
        return read_config(self.file)

    @contextmanager
    def reach(self) -> Iterator[Reached]:
        """Give who carries commands out; tell of a database that had to be made."""
        with reach(self.config()) as reached:
            yield reached
            if reached.new_store is not None:
                click.echo(f"imsuitectl: made a new database, {reached.new_store}", err=True)

    def call(self, name: str, **arguments: object) -> Sequence[Row]:
        """Return the rows of one command."""
        with self.reach() as reached:
            return reached.call(name, arguments).rows

    def listing(self, name: str, **arguments: object) -> None:
        """Print all rows of a command that lists something, page by page."""
        rows: list[Row] = []
        with self.reach() as reached:
            while True:
                result = reached.call(name, arguments)
                rows += result.rows
                if not result.after:
                    break
                arguments["after"] = result.after
        self.table(find(name).columns, rows)

    def done(self, name: str, rows: Sequence[Row], text: str) -> None:
        """Print what a command did. text: for people, with a place for the first value of a row."""
        if self.as_json:
            self.table(find(name).columns, rows)
            return
        for row in rows:
            click.echo(text.format(row[0]))

    def table(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Print rows: as JSON, as a table on a terminal, or with a tab between the values."""
        if self.as_json:
            found = [dict(zip(columns, row, strict=True)) for row in rows]
            click.echo(json.dumps(found, ensure_ascii=False, indent=1))
            return
        console = Console()
        if not console.is_terminal:
            for line in (columns, *rows):
                click.echo("\t".join(map(_plain, line)))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(_plain(value)) for value in row))
        console.print(table)


def _plain(value: Value) -> str:
    """Return a value on one line, with nothing in it that a terminal would obey."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = " ".join(value) if isinstance(value, list) else str(value)
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _on_desk(function: Callable[Concatenate[Desk, P], None]) -> Callable[P, None]:
    """Give a command its desk, and turn what is raised into clear lines."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        desk = click.get_current_context().find_object(Desk)
        assert desk is not None  # made by main
        try:
            function(desk, *args, **kwargs)
        except ImsuiteError as why:
            raise Refused(why) from None

    return run


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
@_on_desk
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
                click.echo(f"imsuitectl: {_plain(row[0])}: {_plain(row[1])}", err=True)
        click.echo(f"{len(made)} of {len(rows)} accounts were made")
    if len(made) < len(rows):
        _fail()


@main.command()
@click.argument("jid")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@_on_desk
def passwd(desk: Desk, jid: str, password_stdin: bool) -> None:
    """Change the password of an account; it is asked for, or read from standard input."""
    rows = desk.call("passwd", jid=jid, password=_password(password_stdin))
    desk.done("passwd", rows, "{} has a new password")


@main.command()
@click.argument("jid")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_on_desk
def deluser(desk: Desk, jid: str, yes: bool) -> None:
    """Remove an account and all that belongs to it."""
    if not yes:
        if not sys.stdin.isatty():
            raise WrongArguments("there is nobody to ask; --yes removes the account")
        click.confirm(f"Remove {_plain(jid)} and all that belongs to it?", abort=True)
    desk.done("deluser", desk.call("deluser", jid=jid), "{} was removed")


@main.command()
@click.argument("domain", default="")
@_on_desk
def users(desk: Desk, domain: str) -> None:
    """List the accounts."""
    desk.listing("users", domain=domain)


@main.command()
@click.argument("jid", default="")
@_on_desk
def sessions(desk: Desk, jid: str) -> None:
    """List the sessions of a domain, an account or a resource, or all.

    idle: seconds since the client last sent something.
    """
    desk.listing("sessions", jid=jid)


@main.command()
@click.argument("jid", metavar="JID[/RESOURCE]")
@click.option("--text", default="", help="What the client is told.")
@_on_desk
def kick(desk: Desk, jid: str, text: str) -> None:
    """End the sessions of an account, or one; the client may log in again."""
    desk.done("kick", desk.call("kick", jid=jid, text=text), "{} was ended")


@main.command()
@click.argument("domain", default="")
@_on_desk
def features(desk: Desk, domain: str) -> None:
    """List the features, which are on, and what they advertise."""
    desk.listing("features", domain=domain)


@main.command()
@click.argument("domain", default="")
@_on_desk
def hooks(desk: Desk, domain: str) -> None:
    """List the places where features step in, with those that do."""
    desk.listing("hooks", domain=domain)


@main.command()
@click.argument("id")
@_on_desk
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
@_on_desk
def retention(desk: Desk, jid: str, days: str) -> None:
    """Tell, or with DAYS say, how long the messages of an account are kept.

    DAYS: a number, 0 for ever, or "standard" for as long as those of its domain.
    """
    desk.listing("retention", jid=jid, days=days)


@main.command()
@_on_desk
def status(desk: Desk) -> None:
    """Tell what runs, and where it listens."""
    desk.listing("status")


@main.command()
@_on_desk
def reload(desk: Desk) -> None:
    """Let the server read its configuration and certificates again."""
    rows = desk.call("reload")
    if rows or desk.as_json:
        desk.table(find("reload").columns, rows)
    else:
        click.echo("nothing is different")


@main.command()
@_on_desk
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
