"""XEP-0004: data forms, made and read with wokkel's classes; XEP-0068: FORM_TYPE.

wokkel's own checks of a field are not used on what comes in: they raise a handful of unrelated
exceptions and take addresses through stringprep. The readers here raise StanzaError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

from twisted.words.xish.domish import Element
from wokkel.data_form import Error, Field, Form

from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError

FORM_TYPES = frozenset(("form", "submit", "cancel", "result"))
_JID_FIELDS = frozenset(("jid-single", "jid-multi"))
_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_integer = re.compile(r"[+-]?[0-9]{1,18}").fullmatch

Value = str | bool | int | JID


def field(
    type: str | None,
    var: str,
    value: Value | Sequence[Value] | None = None,
    label: str | None = None,
    options: Mapping[str, str | None] | Iterable[str] = (),
    required: bool = False,
    desc: str | None = None,
) -> Field:
    """Return a field (§3.3).

    type: of the field, such as "text-single"; value: one, several, or None for no value;
    options: what may be chosen, with labels where it is a mapping.
    """
    if value is None:
        values: list[Value] = []
    elif isinstance(value, str | bool | int | JID):
        values = [value]
    else:
        values = list(value)
    if not isinstance(options, Mapping):
        options = dict.fromkeys(options)
    return Field(
        type,
        var,
        values=[_to_wire(type, each) for each in values],
        label=label,
        options=dict(options),
        required=required,
        desc=desc,
    )


def _to_wire(type: str | None, value: Value) -> Value:
    if type in _JID_FIELDS and isinstance(value, str):
        return parse(value)  # a str would be prepared by wokkel, as a JID has it behind itself
    return value if isinstance(value, bool | JID) else str(value)


def fixed(text: str) -> Field:
    """Return a field that only shows a text (§3.3)."""
    return Field("fixed", value=text)


def make(
    type: str,
    namespace: str | None,
    fields: Iterable[Field] = (),
    title: str | None = None,
    instructions: Sequence[str] = (),
) -> Form:
    """Return a form. type: of FORM_TYPES; namespace: its FORM_TYPE, or None (XEP-0068)."""
    return Form(type, title, list(instructions), namespace, list(fields))


def to_element(form: Form) -> Element:
    """Return a form as an element."""
    element: Element = form.toElement()
    return element


def table(
    namespace: str | None,
    columns: Sequence[Field],
    rows: Iterable[Mapping[str, Value | Sequence[Value]]],
    title: str | None = None,
) -> Element:
    """Return a result with several items (§3.4).

    columns: fields without a value, with type and label; rows: values by the names of columns;
    a column that a row does not mention stays away from its item.
    """
    result = to_element(make("result", namespace, title=title))
    reported = result.addElement((NS.DATA, "reported"))
    for column in columns:
        shown = column.toElement()
        if column.label is not None:
            shown["label"] = column.label
        reported.addChild(shown)
    for row in rows:
        item = result.addElement((NS.DATA, "item"))
        for column in columns:
            if column.var in row:
                cell = field(column.fieldType, column.var, row[column.var]).toElement()
                del cell["type"]
                item.addChild(cell)
    return result


def read(element: Element) -> Form:
    """Return the form that an element holds.

    In a submission FORM_TYPE may be of any type, or say none (XEP-0068 §4.1). Raises StanzaError
    bad-request for what is no form: an unknown type, a field twice or without a name.
    """
    try:
        form = Form.fromElement(element)
    except Error:
        raise StanzaError("bad-request", text="not a data form") from None
    if form.formType not in FORM_TYPES:
        raise StanzaError("bad-request", text="a data form of unknown type")
    if any(each.var is None and each.fieldType != "fixed" for each in form.fieldList):
        raise StanzaError("bad-request", text="a field without a name")
    shown = form.fields.get("FORM_TYPE") if form.formType == "submit" else None
    if shown is not None and form.formNamespace is None:
        form.removeField(shown)
        form.formNamespace = shown.value
    return form


def submitted(parent: Element | None, namespace: str | None) -> Form | None:
    """Return the form submitted as a child of an element; None if it was cancelled.

    namespace: the FORM_TYPE that it must have if it has one, or None where any will do.
    Raises StanzaError bad-request if there is no form, or one that is not a submission.
    """
    for node in parent.elements() if parent is not None else ():
        if (node.uri, node.name) == (NS.DATA, "x"):
            form = read(node)
            if form.formType == "cancel":
                return None
            if form.formType != "submit":
                raise StanzaError("bad-request", text="the data form is not a submission")
            if namespace is not None and form.formNamespace not in (None, namespace):
                raise StanzaError("bad-request", text="the data form is for something else")
            return form
    raise StanzaError("bad-request", text="no data form")


def texts(form: Form, var: str) -> tuple[str, ...] | None:
    """Return the values of a field; None if the form has no such field."""
    found = form.fields.get(var)
    return None if found is None else tuple(found.values)


def text(form: Form, var: str, default: str | None = None) -> str | None:
    """Return the value of a field, the default if it is absent or has none.

    Raises StanzaError bad-request if there are several.
    """
    values = texts(form, var)
    if not values:
        return default
    if len(values) > 1:
        raise _wrong(var, "has more than one value")
    return values[0]


def lines(form: Form, var: str, default: str | None = None) -> str | None:
    """Return the value of a text-multi field, its lines joined (§3.3)."""
    values = texts(form, var)
    return default if values is None else "\n".join(values)


def boolean(form: Form, var: str, default: bool | None = None) -> bool | None:
    """Return the value of a boolean field (§3.3). Raises StanzaError bad-request."""
    value = text(form, var)
    if value is None:
        return default
    try:
        return _BOOLEANS[value]
    except KeyError:
        raise _wrong(var, "is neither true nor false") from None


def number(
    form: Form,
    var: str,
    default: int | None = None,
    least: int | None = None,
    most: int | None = None,
) -> int | None:
    """Return the value of a field as an integer from least to most. Raises StanzaError."""
    value = text(form, var)
    if value is None:
        return default
    if not _integer(value):
        raise _wrong(var, "is not a whole number")
    found = int(value)
    if (least is not None and found < least) or (most is not None and found > most):
        raise _wrong(var, "is out of bounds")
    return found


def choice(form: Form, var: str, allowed: Iterable[str], default: str | None = None) -> str | None:
    """Return the value of a list-single field. Raises StanzaError if it is not allowed."""
    value = text(form, var)
    if value is None:
        return default
    if value not in allowed:
        raise _wrong(var, "has a value that was not offered")
    return value


def choices(form: Form, var: str, allowed: Iterable[str]) -> tuple[str, ...] | None:
    """Return the values of a list-multi field. Raises StanzaError if one is not allowed."""
    values = texts(form, var)
    if values is not None and not set(values).issubset(allowed):
        raise _wrong(var, "has a value that was not offered")
    return values


def jid(form: Form, var: str, default: JID | None = None) -> JID | None:
    """Return the value of a jid-single field. Raises InvalidAddress."""
    value = text(form, var)
    return default if value is None else parse(value)


def jids(form: Form, var: str) -> tuple[JID, ...] | None:
    """Return the values of a jid-multi field, each once (§3.3). Raises InvalidAddress."""
    values = texts(form, var)
    return None if values is None else tuple(dict.fromkeys(parse(value) for value in values))


def check_required(form: Form, offered: Form) -> None:
    """Raise StanzaError not-acceptable if a required field of the form offered has no value."""
    for each in offered.fieldList:
        if each.required and not texts(form, each.var):
            raise StanzaError("not-acceptable", text=f"the field {each.var} is required")


def _wrong(var: str, why: str) -> StanzaError:
    return StanzaError("bad-request", text=f"the field {var} {why}")
