"""What an administration command is: a name, typed arguments, a result of plain data.

Nothing here knows a socket or a terminal, so that whatever shows the commands to somebody (the
control socket, ad-hoc commands, HTTP) shows the same ones, and `Command.run` is the one place where
it is decided whether they may be given (rules/administration.py) and where that is logged.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs
from twisted.logger import Logger

from imsuite.core.options import Check, WrongValue, checked, ge, le, nearest, one_of, option
from imsuite.rules.administration import OPERATOR, Actor, Who, permits
from imsuite.xmpp.address import InvalidAddress, parse
from imsuite.xmpp.errors import ImsuiteError

if TYPE_CHECKING:
    from imsuite.app.server import Server

Value: TypeAlias = str | int | float | bool | list[str] | None
Row: TypeAlias = tuple[Value, ...]
A = TypeVar("A")
T = TypeVar("T")

TYPES = {bool: "true or false", int: "a whole number", str: "a text"}


class CommandError(ImsuiteError):
    """The command is refused; one line for whoever gave it.

    condition: the stanza error that says so to a client.
    """

    condition: ClassVar[str] = "not-acceptable"


class WrongArguments(CommandError):
    """There is no such command, or it does not take these arguments."""

    condition: ClassVar[str] = "bad-request"


class NotPermitted(CommandError):
    """Whoever gave the command may not give it."""

    condition: ClassVar[str] = "forbidden"


class NotAllowed(CommandError):
    """Nobody may do this here, or to the account with which they do it."""

    condition: ClassVar[str] = "not-allowed"


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


def argument(
    default: T,
    doc: str,
    *checks: Check,
    kind: str = "",
    choices: tuple[str, ...] = (),
    least: int | None = None,
    most: int | None = None,
    secret: bool = False,
) -> T:
    """Return a field of a class of arguments: an option that a form can show as what it is.

    kind: "jid" for an address, "lines" for a text of several lines, "" for what its type says;
    choices: the words it may be; least, most: of a number.
    """
    bounds = [ge(least)] if least is not None else []
    bounds += [le(most)] if most is not None else []
    words = [one_of(*choices)] if choices else []
    made: Any = option(default, doc, *words, *bounds, *checks, secret=secret)
    shape = {"kind": kind, "choices": choices, "least": least, "most": most}
    made.metadata = {**made.metadata, **shape}
    made_as_declared: T = made
    return made_as_declared


@attrs.frozen
class Command:
    """One thing that an administrator can ask for.

    doc: what it does, one sentence; arguments: an attrs class made of options; columns: names of
    the values in each row of the result; function: called with the server, the arguments and the
    Actor; who: may give it; about: name of the argument that says whom it concerns, an address or
    a domain; changes: it does not only tell something; others: nobody gives it about the account
    with which they give it.
    """

    log: ClassVar[Logger] = Logger()

    name: str
    doc: str
    arguments: type[Any]
    columns: tuple[str, ...]
    needs: Needs
    function: Callable[[Server, Any, Actor], Coroutine[Any, Any, Result]]
    who: Who = Who.OPERATOR
    about: str = ""
    changes: bool = False
    others: bool = False

    async def run(
        self, server: Server, given: Mapping[str, object], actor: Actor = OPERATOR
    ) -> Result:
        """Return the result. given: arguments by name, as JSON has them.

        Raises NotPermitted, WrongArguments, CommandError, and whatever of ImsuiteError the work
        raises.
        """
        try:
            given = self._allowed(given, actor)
            arguments = read(self.arguments, given)
            if self.needs is Needs.SERVER and not server.running:
                raise CommandError(f"{self.name} needs a server that runs, and none does")
            result = await self.function(server, arguments, actor)
        except ImsuiteError as why:
            self._note("{actor} was refused {command} {given}: {why}", given, actor, str(why))
            raise
        self._note("{actor} gave {command} {given}", given, actor)
        return result

    def _allowed(self, given: Mapping[str, object], actor: Actor) -> Mapping[str, object]:
        """Return the arguments, about what the actor may ask. Raises NotPermitted."""
        if not permits(self.who, actor):
            raise NotPermitted(f"{self.name} is for {self.who.value}")
        if actor.operator or not self.about:
            return given
        about = given.get(self.about)
        if not about:
            if attrs.fields_dict(self.arguments)[self.about].default is attrs.NOTHING:
                return given  # which lacks it
            return {**given, self.about: next(iter(actor.domains), actor.account)}
        try:
            jid = parse(str(about))
        except InvalidAddress as why:
            raise CommandError(f"{about!r} is no address: {why}") from None
        if not permits(self.who, actor, (jid,)):
            raise NotPermitted(f"{self.name} is for {self.who.value}")
        if self.others and jid.bare == actor.account:
            raise NotAllowed("nobody does this to the account with which they do it")
        return given

    def _note(self, text: str, given: Mapping[str, object], actor: Actor, why: str = "") -> None:
        """Log who gave the command. Secrets are left out, and texts, which are for others."""
        say = self.log.info if self.changes or not actor.operator else self.log.debug
        say(text, actor=actor.name, command=self.name, given=self._told(given), why=why)

    def _told(self, given: Mapping[str, object]) -> str:
        fields = attrs.fields_dict(self.arguments)
        hidden = {
            name
            for name, field in fields.items()
            if field.metadata["secret"] or field.metadata.get("kind") == "lines"
        }
        return " ".join(
            f"{name}={given[name]!r:.200}"
            for name in fields
            if name in given and name not in hidden and given[name] not in ("", None)
        )


def command(
    arguments: type[A],
    *columns: str,
    needs: Needs,
    who: Who = Who.OPERATOR,
    about: str = "",
    changes: bool = False,
    others: bool = False,
) -> Callable[[Callable[[Server, A], Coroutine[Any, Any, Result]]], Command]:
    """Make a command of a coroutine function; its name and docstring are the command's."""

    def make(function: Callable[[Server, A], Coroutine[Any, Any, Result]]) -> Command:
        def run(server: Server, given: A, actor: Actor) -> Coroutine[Any, Any, Result]:
            return function(server, given)

        run.__name__, run.__doc__ = function.__name__, function.__doc__
        acting = command_of_actor(
            arguments,
            *columns,
            needs=needs,
            who=who,
            about=about,
            changes=changes,
            others=others,
        )
        return acting(run)

    return make


def command_of_actor(
    arguments: type[A],
    *columns: str,
    needs: Needs,
    who: Who = Who.OPERATOR,
    about: str = "",
    changes: bool = False,
    others: bool = False,
) -> Callable[[Callable[[Server, A, Actor], Coroutine[Any, Any, Result]]], Command]:
    """Make a command of a coroutine function that wants to know who gives it."""

    def make(function: Callable[[Server, A, Actor], Coroutine[Any, Any, Result]]) -> Command:
        doc = (function.__doc__ or "").strip().split("\n")[0]
        name = function.__name__
        return Command(name, doc, arguments, columns, needs, function, who, about, changes, others)

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
