"""XEP-0050: ad-hoc commands as values: what is shown, which action comes next, what is accepted.

A command is begun and gives a page, or is done. What a page was answered with gives the next page,
or is the end of it. Functions of commands receive the `Passing` of the request at hand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

import attrs
from twisted.words.xish.domish import Element
from wokkel.data_form import Form

from imsuite.rules.administration import Who
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import children

NS_COMMANDS = "http://jabber.org/protocol/commands"
NS_VALIDATE = "http://jabber.org/protocol/xdata-validate"

ACTIONS = ("execute", "cancel", "prev", "next", "complete")  # §4.1
_LISTS = ("list-single", "list-multi")
_MULTI = ("jid-multi", "list-multi", "text-multi", "hidden")

Note: TypeAlias = tuple[str, str]  # "info", "warn" or "error" (§4.3), and a text


@attrs.frozen
class Done:
    """The end of a command. payload: elements to show, such as a form of type result."""

    notes: tuple[Note, ...] = ()
    payload: tuple[Element, ...] = ()


@attrs.frozen
class Page:
    """One stage of a command.

    then: given the request and the form as it was filled in (None without a form), returns what
    is next; raises StanzaError, and the stage stays. form: to be filled in; payload: shown instead,
    where the next stage is optional; last: what follows is the end; numbers: least and most of
    fields that hold whole numbers.
    """

    then: Callable[[Any, Any], Awaitable[Page | Done]]  # a Passing, and a Form or None
    form: Form | None = None
    payload: tuple[Element, ...] = ()
    notes: tuple[Note, ...] = ()
    last: bool = True
    numbers: Mapping[str, tuple[int | None, int | None]] = attrs.field(factory=dict)

    @property
    def actions(self) -> tuple[str, ...]:
        """What may follow, besides going back and giving up; first what "execute" stands for."""
        if self.last:
            return ("complete",)
        return ("next",) if self.form is not None else ("next", "complete")


@attrs.frozen
class AdHoc:
    """A command as it is offered at some address.

    node: unique there; name: for people; begin: given the request, returns what is first; who:
    may run it; may: where a service has ranks of its own, says instead whether that request may
    (or waits to say it); covers: name of the server's own command that need not be listed then;
    listed: it is shown to those who may run it.
    """

    node: str
    name: str
    begin: Callable[[Any], Awaitable[Page | Done]]
    who: Who = Who.ADMIN
    may: Callable[[Any], Any] | None = None
    covers: str = ""
    listed: bool = True


def refused(app: str, text: str | None = None) -> StanzaError:
    """Return the error of that application-specific condition (§4.4)."""
    condition = "not-allowed" if app == "session-expired" else "bad-request"
    return StanzaError(condition, text=text, app=(NS_COMMANDS, app))


def forbidden(text: str | None = None) -> StanzaError:
    """Return the error for whoever may not run a command (§4.4)."""
    return StanzaError("forbidden", type="cancel", text=text)


def first_action(given: str | None) -> str:
    """Return "execute", with which a command begins. Raises StanzaError (§4.4)."""
    action = _known(given)
    if action != "execute":
        raise refused("bad-action", "a command begins with execute")
    return action


def next_action(given: str | None, page: Page, number: int) -> str:
    """Return what is wanted at a page: "cancel", "prev", "next" or "complete" (§3.4).

    number: of the page, from 1. Raises StanzaError (§4.4).
    """
    action = _known(given)
    if action == "execute":
        return page.actions[0]
    if action == "cancel" or action in page.actions or (action == "prev" and number > 1):
        return action
    raise refused("bad-action", f"{action} is not possible here")


def _known(given: str | None) -> str:
    action = "execute" if given is None else given
    if action not in ACTIONS:
        raise refused("malformed-action")
    return action


def check_locale(lang: str | None) -> None:
    """Raise StanzaError for a language that there are no texts in (§3.7).

    lang: xml:lang of the <command/> itself. What is on the <iq/> was often put there by the stream,
    and is taken for a wish: UNCLEAR(XEP-0050 §3.7).
    """
    if lang and lang.lower().partition("-")[0] != "en":
        raise refused("bad-locale")


def shown(page: Page, before: Mapping[str, Sequence[str]] | None = None) -> list[Element]:
    """Return what a page shows. before: values that were filled in when it was shown last."""
    if page.form is None:
        return list(page.payload)
    element = forms.to_element(page.form)
    for each in children(element, NS.DATA, "field"):
        var = each.getAttribute("var", "")
        if before is not None and var in before and each.getAttribute("type") != "text-private":
            each.children = [
                node
                for node in each.children
                if not (isinstance(node, Element) and node.name == "value")
            ]
            for value in before[var]:
                each.addElement((NS.DATA, "value"), content=value)
        if var in page.numbers:
            _say_range(each, *page.numbers[var])
    return [element]


def _say_range(field: Element, least: int | None, most: int | None) -> None:
    """XEP-0122 §3.2: what kind of number, and between which."""
    validate = field.addElement((NS_VALIDATE, "validate"))
    validate["datatype"] = "xs:integer"
    if least is None and most is None:
        validate.addElement("basic")
        return
    bounds = validate.addElement("range")
    for name, bound in (("min", least), ("max", most)):
        if bound is not None:
            bounds[name] = str(bound)


def submitted(command: Element, page: Page) -> Form | None:
    """Return the form that answers a page, None for a page without one.

    §3.5.1: one that was cancelled counts as submitted. Raises StanzaError bad-payload.
    """
    if page.form is None:
        return None
    found = children(command, NS.DATA, "x")
    if len(found) != 1:
        raise refused("bad-payload", "there must be one data form")
    try:
        form = forms.read(_as_submission(found[0]))
        if form.formType != "submit":
            raise refused("bad-payload", "the data form is no submission")
        _check(form, page.form)
        for var, bounds in page.numbers.items():
            forms.number(form, var, None, *bounds)
    except StanzaError as why:
        raise refused("bad-payload", why.text) from None
    return form


def _as_submission(element: Element) -> Element:
    if element.getAttribute("type") != "cancel":
        return element
    made = Element((NS.DATA, "x"), attribs={"type": "submit"})
    made.children = list(element.children)
    return made


def _check(form: Form, offered: Form) -> None:
    """Raise StanzaError where a submission does not fit the form that was offered."""
    if form.formNamespace not in (None, offered.formNamespace):
        raise StanzaError("bad-request", text="the data form is for something else")
    for each in offered.fieldList:
        if each.var is None:
            continue
        values = forms.texts(form, each.var) or ()
        if each.required and not any(values):
            raise StanzaError("bad-request", text=f"the field {each.var} is required")
        if each.fieldType not in _MULTI:
            forms.text(form, each.var)
        if each.fieldType == "boolean":
            forms.boolean(form, each.var)
        elif each.fieldType in _LISTS:
            forms.choices(form, each.var, [option.value for option in each.options])
        elif each.fieldType in ("jid-single", "jid-multi"):
            _check_addresses(each.var, values)


def _check_addresses(var: str, values: Iterable[str]) -> None:
    for value in values:
        try:
            parse(value)
        except StanzaError:
            raise StanzaError("bad-request", text=f"the field {var} is no address") from None


def values(form: Form) -> dict[str, tuple[str, ...]]:
    """Return what was filled in, by the names of fields."""
    return {each.var: tuple(each.values) for each in form.fieldList if each.var is not None}
