"""What every command of imsuitectl is given: who carries it out, and how results are printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import IO, Any, Concatenate, ParamSpec

import attrs
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from imsuite.app.command import Row, Value, WrongArguments
from imsuite.app.commands import find
from imsuite.app.config import Config
from imsuite.app.reaching import Reached, reach
from imsuite.app.tap import read_config
from imsuite.xmpp.errors import ImsuiteError

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
                click.echo("\t".join(map(plain, line)))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(plain(value)) for value in row))
        console.print(table)


def plain(value: Value) -> str:
    """Return a value on one line, with nothing in it that a terminal would obey."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = " ".join(value) if isinstance(value, list) else str(value)
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def on_desk(function: Callable[Concatenate[Desk, P], None]) -> Callable[P, None]:
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
