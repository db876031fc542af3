"""How a command of imsuitectl is given by a form of XEP-0133."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from twisted.words.xish.domish import Element

from imsuite.core.hooks import Passing
from imsuite.core.host import Host
from imsuite.rules.adhoc import AdHoc, Done, Note, Page, refused
from imsuite.xmpp import forms
from imsuite.xmpp.errors import ImsuiteError, StanzaError

NS_ADMIN = "http://jabber.org/protocol/admin"

Field: TypeAlias = Any  # wokkel's data_form.Field
Form: TypeAlias = Any  # wokkel's data_form.Form
Then: TypeAlias = Callable[[Passing, Form], Awaitable[Done]]
Fields: TypeAlias = Callable[[Passing], Awaitable[Iterable[Field]]]
Row: TypeAlias = tuple[Any, ...]  # of the result of a command

# §8.2: types of fields whose values are not one line
TYPES = {
    "accountjid": "jid-single",
    "accountjids": "jid-multi",
    "activeuserjids": "jid-multi",
    "adminjids": "jid-multi",
    "disableduserjids": "jid-multi",
    "ipaddresses": "list-multi",
    "onlineresources": "text-multi",
    "onlineuserjids": "jid-multi",
    "registereduserjids": "jid-multi",
}


class Faces:
    """Makes ad-hoc commands that give those of the server."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def with_form(
        self,
        word: str,
        name: str,
        covers: str,
        fields: Sequence[Field] | Fields,
        then: Then,
        instructions: str,
        listed: bool = True,
    ) -> AdHoc:
        """Return a command with one form.

        word: of the node, behind "#"; name: for people; covers: the command of the server that it
        gives, and whose permission it needs; fields: of the form, or what makes them; then: given
        the form as it was filled in.
        """

        async def begin(passing: Passing) -> Page:
            made = await fields(passing) if callable(fields) else fields
            return Page(then, forms.make("form", NS_ADMIN, made, name, [instructions]))

        return self._made(word, name, covers, begin, listed)

    def at_once(
        self, word: str, name: str, covers: str, do: Callable[[Passing], Awaitable[Done]]
    ) -> AdHoc:
        """Return a command that asks nothing; arguments as those of `with_form`."""
        return self._made(word, name, covers, do, True)

    def _made(
        self,
        word: str,
        name: str,
        covers: str,
        begin: Callable[[Passing], Awaitable[Page | Done]],
        listed: bool,
    ) -> AdHoc:
        who = self.host.commands.command(covers).who
        return AdHoc(f"{NS_ADMIN}#{word}", name, begin, who, covers=covers, listed=listed)

    async def give(self, passing: Passing, name: str, **given: object) -> list[Row]:
        """Give a command of the server in the name of who sent a request; return its rows.

        Raises StanzaError (§5).
        """
        desk = self.host.commands
        actor = desk.actor(self.host, passing.sender)
        try:
            return list((await desk.run(actor, name, given)).rows)
        except StanzaError:
            raise
        except ImsuiteError as why:
            raise as_stanza_error(why) from None

    async def give_each(
        self, passing: Passing, name: str, jids: Iterable[str], **given: object
    ) -> list[Note]:
        """Give a command about each address; return what went wrong with some.

        Raises StanzaError where it went wrong with all.
        """
        wrong: list[tuple[str, StanzaError]] = []
        wanted = list(dict.fromkeys(jids))
        for jid in wanted:
            try:
                await self.give(passing, name, jid=jid, **given)
            except StanzaError as why:
                wrong.append((jid, why))
        if wrong and len(wrong) == len(wanted):
            raise wrong[0][1]
        return [("error", f"{jid}: {why.text or why.condition}") for jid, why in wrong]


def as_stanza_error(why: ImsuiteError) -> StanzaError:
    """Return the error that tells a client why a command was refused (§5)."""
    condition = getattr(why, "condition", "not-acceptable")
    if condition == "bad-request":
        return refused("bad-payload", str(why))
    type = "cancel" if condition == "forbidden" else None  # XEP-0050 §4.4
    return StanzaError(condition, type, str(why))


def done(text: str, notes: Iterable[Note] = ()) -> Done:
    """Return the end of a command that shows nothing but what was done."""
    wrong = tuple(notes)
    return Done((*(() if wrong else (("info", text),)), *wrong))


def shown(values: Mapping[str, Any], notes: tuple[Note, ...] = ()) -> Done:
    """Return the end of a command that shows fields: values by name of field."""
    return Done(notes, (result_form(values),))


def result_form(values: Mapping[str, Any]) -> Element:
    """Return a form of type result with fields of this specification."""
    return forms.to_element(
        forms.make(
            "result",
            NS_ADMIN,
            [
                forms.field(TYPES.get(var, "text-single"), var, value)
                for var, value in values.items()
            ],
        )
    )


def account_field(label: str) -> Field:
    """Return the field for one account."""
    return forms.field("jid-single", "accountjid", label=label, required=True)


def accounts_field(label: str) -> Field:
    """Return the field for accounts."""
    return forms.field("jid-multi", "accountjids", label=label, required=True)


def one_jid(form: Form, var: str = "accountjid") -> str:
    """Return an address that was filled in; the form was checked for having it."""
    return forms.text(form, var) or ""


def many_jids(form: Form, var: str = "accountjids") -> tuple[str, ...]:
    """Return the addresses that were filled in."""
    return tuple(jid for jid in forms.texts(form, var) or () if jid)
