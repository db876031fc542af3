"""The commands of imsuitectl as forms, made from the classes of their arguments."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.feature import At
from imsuite.core.hooks import Passing
from imsuite.core.host import Host
from imsuite.rules.adhoc import AdHoc, Done, Page, refused
from imsuite.rules.administration import Who
from imsuite.xmpp import forms
from imsuite.xmpp.errors import ImsuiteError, StanzaError
from imsuite.xmpp.forms import text as text_of

if TYPE_CHECKING:
    from imsuite.features.xep0050_commands import Commands

PREFIX = "imsuite#"  # of the nodes
PAGED = ("after", "limit")  # arguments by which a long result is read


class ServerCommands:
    """The commands of `host.commands`, as ad-hoc commands."""

    def __init__(self, host: Host, feature: Commands) -> None:
        self._host = host
        self._feature = feature

    def commands(self, at: At, covered: Collection[str]) -> Iterator[AdHoc]:
        """Yield the commands of an address; covered: names of those shown in another form."""
        desk = self._host.commands
        if desk is None or at not in (At.HOST, At.SELF):
            return
        for command in desk.all():
            if at is At.SELF and command.who is not Who.OWNER:
                continue
            if command.who is Who.OPERATOR:
                continue
            yield AdHoc(
                PREFIX + command.name,
                command.doc.rstrip("."),
                partial(self._begin, command, at),
                command.who,
                listed=command.name not in covered,
            )

    async def _begin(self, command: Any, at: At, passing: Passing) -> Page | Done:
        fields = self._fields(command, at)
        if not fields:
            return await self._run(command, at, {}, passing)
        form = forms.make(
            "form", None, [shape.field for shape in fields], command.name, [command.doc]
        )
        numbers = {shape.name: shape.bounds for shape in fields if shape.bounds is not None}
        return Page(partial(self._filled, command, at, fields), form, numbers=numbers)

    def _fields(self, command: Any, at: At) -> list[Shape]:
        """Return the fields of the form of a command; what follows from the address is no field."""
        hints = get_type_hints(command.arguments)
        found = []
        for each in attrs.fields(command.arguments):
            implied = each.name == command.about and each.default is not attrs.NOTHING
            if each.name in PAGED or (implied and (at is At.SELF or each.name == "domain")):
                continue
            found.append(Shape.of(each, hints[each.name]))
        return found

    async def _filled(
        self, command: Any, at: At, fields: Sequence[Shape], passing: Passing, form: Any
    ) -> Page | Done:
        given = {shape.name: value for shape in fields if (value := shape.read(form)) is not None}
        return await self._run(command, at, given, passing)

    async def _run(
        self, command: Any, at: At, given: Mapping[str, Any], passing: Passing, _: object = None
    ) -> Page | Done:
        """Give the command; a long result is shown page by page."""
        desk, paged = self._host.commands, dict(given)
        names = [each.name for each in attrs.fields(command.arguments)]
        if "limit" in names:
            paged["limit"] = self._feature.options.page
        actor = desk.actor(self._host, passing.sender, own=at is At.SELF)
        try:
            found = await desk.run(actor, command.name, paged)
        except StanzaError:
            raise
        except ImsuiteError as why:
            match getattr(why, "condition", ""):
                case "bad-request":
                    raise refused("bad-payload", str(why)) from None
                case "forbidden" | "not-allowed" as condition:
                    raise StanzaError(condition, type="cancel", text=str(why)) from None
            raise
        payload = (_table(command, found.rows),) if found.rows else ()
        notes = (
            () if found.rows else (("info", "Done." if command.changes else "There is nothing."),)
        )
        if not found.after:
            return Done(notes, payload)
        onward = partial(self._run, command, at, {**given, "after": found.after})
        return Page(onward, payload=payload, last=False)


@attrs.frozen
class Shape:
    """An argument as a field. many: it is a list; kind: its type in Python; bounds: of a number."""

    name: str
    field: Any  # of wokkel
    kind: type
    many: bool
    bounds: tuple[int | None, int | None] | None

    @classmethod
    def of(cls, argument: Any, hint: Any) -> Shape:
        """Return the shape of a field of an attrs class of options."""
        marks = argument.metadata
        many = get_origin(hint) is tuple
        kind = get_args(hint)[0] if many else hint
        required = argument.default is attrs.NOTHING
        value = None if required or argument.default in ("", ()) else argument.default
        field = forms.field(
            _type(kind, many, marks),
            argument.name,
            value,
            label=argument.name,
            options=marks.get("choices", ()),
            required=required,
            desc=marks["doc"],
        )
        bounds = (marks.get("least"), marks.get("most")) if kind is int else None
        return cls(argument.name, field, kind, many, bounds)

    def read(self, form: Any) -> Any:
        """Return what was filled in, as JSON has it; None for nothing. Raises StanzaError."""
        if self.many:
            found = forms.texts(form, self.name)
            return None if found is None else [each for each in found if each]
        if self.kind is bool:
            return forms.boolean(form, self.name)
        if self.kind is int:
            return forms.number(form, self.name)
        if self.field.fieldType == "text-multi":
            return forms.lines(form, self.name)
        return text_of(form, self.name)


def _type(kind: type, many: bool, marks: Mapping[str, Any]) -> str:
    """Return the type of the field for an argument (XEP-0004 §3.3)."""
    if marks.get("kind") == "jid":
        return "jid-multi" if many else "jid-single"
    if many or marks.get("kind") == "lines":
        return "text-multi"
    if marks["secret"]:
        return "text-private"
    if marks.get("choices"):
        return "list-single"
    return "boolean" if kind is bool else "text-single"


def _table(command: Any, rows: Sequence[Sequence[Any]]) -> Element:
    """Return the rows of a result as a form (XEP-0004 §3.4)."""
    columns = []
    for place, name in enumerate(command.columns):
        many = any(isinstance(row[place], list) for row in rows)
        columns.append(forms.field("text-multi" if many else "text-single", name, label=name))
    found = [
        {
            name: _cell(value)
            for name, value in zip(command.columns, row, strict=True)
            if value is not None
        }
        for row in rows
    ]
    return forms.table(None, columns, found, command.doc.rstrip("."))


def _cell(value: Any) -> str | list[str]:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return [str(each) for each in value] if isinstance(value, list) else str(value)
