"""What an administration command is: a name, typed arguments, a result of plain data.

Nothing here knows a socket or a terminal, so that whatever shows the commands to somebody (the
control socket, ad-hoc commands, HTTP) shows the same ones.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

import attrs

from imsuite.core.options import WrongValue, checked, nearest
from imsuite.xmpp.errors import ImsuiteError

if TYPE_CHECKING:
    from imsuite.app.server import Server

Value: TypeAlias = str | int | float | bool | list[str] | None
Row: TypeAlias = tuple[Value, ...]
A = TypeVar("A")

TYPES = {bool: "true or false", int: "a whole number", str: "a text"}


class CommandError(ImsuiteError):
    """The command is refused; one line for whoever gave it."""


class WrongArguments(CommandError):
    """There is no such command, or it does not take these arguments."""


class Needs(enum.Enum):
    """What must be there for a command to run."""

    CONFIGURATION = "configuration"  # the hosts with their features
    STORE = "store"  # and the database
    SERVER = "server"  # and the streams: a server that runs


@attrs.frozen
class Result:
    """What a command answers.

    rows: values in the order of the command's columns; after: what to give as `after` for the
    rows behind these, "" if there are none.
    """

    rows: Sequence[Row] = ()
    after: str = ""


@attrs.frozen
class NoArguments:
    """Of a command that takes none."""


@attrs.frozen
class Command:
    """One thing that an administrator can ask for.

    doc: what it does, one sentence; arguments: an attrs class made of options; columns: names of
    the values in each row of the result; function: called with the server and the arguments.
    """

    name: str
    doc: str
    arguments: type[Any]
    columns: tuple[str, ...]
    needs: Needs
    function: Callable[[Server, Any], Coroutine[Any, Any, Result]]

    async def run(self, server: Server, given: Mapping[str, object]) -> Result:
        """Return the result. given: arguments by name, as JSON has them.

        Raises WrongArguments, CommandError, and whatever of ImsuiteError the work raises.
        """
        arguments = read(self.arguments, given)
        if self.needs is Needs.SERVER and not server.running:
            raise CommandError(f"{self.name} needs a server that runs, and none does")
        return await self.function(server, arguments)


def command(
    arguments: type[A], *columns: str, needs: Needs
) -> Callable[[Callable[[Server, A], Coroutine[Any, Any, Result]]], Command]:
    """Make a command of a coroutine function; its name and docstring are the command's."""

    def make(function: Callable[[Server, A], Coroutine[Any, Any, Result]]) -> Command:
        doc = (function.__doc__ or "").strip().split("\n")[0]
        return Command(function.__name__, doc, arguments, columns, needs, function)

    return make


def read(cls: type[A], given: Mapping[str, object]) -> A:
    """Return arguments of that class. Raises WrongArguments, which never shows a value."""
    fields, hints = attrs.fields_dict(cls), get_type_hints(cls)  # type: ignore[arg-type]
    for name in given:
        if name not in fields:
            raise WrongArguments(f"there is no argument {name[:40]}{nearest(name, fields)}")
    values = {}
    for name, field in fields.items():
        if name in given:
            value = _fit(name, hints[name], given[name])
            try:
                values[name] = checked(value, field.metadata["checks"])
            except WrongValue as why:
                raise WrongArguments(f"{name} {why}") from None
        elif field.default is attrs.NOTHING:
            raise WrongArguments(f"{name} is missing")
    return cls(**values)


def _fit(name: str, kind: Any, value: Any) -> Any:
    """Return a value of JSON as the type of its argument has it."""
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_fit(name, get_args(kind)[0], item) for item in value)
    if attrs.has(kind) and isinstance(value, dict):
        return read(kind, value)
    if type(value) is kind:  # to isinstance, true is a whole number
        return value
    raise WrongArguments(f"{name} must be {TYPES.get(kind, 'a list')}")
