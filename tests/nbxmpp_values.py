"""Values of nbxmpp as JSON and back, for tests/nbxmpp_gajim.py."""

import dataclasses
from enum import Enum

from nbxmpp.const import AdHocAction, InviteType
from nbxmpp.modules.dataforms import DataForm, extend_form
from nbxmpp.modules.user_avatar import Avatar
from nbxmpp.modules.vcard4 import VCard as VCard4
from nbxmpp.modules.vcard_temp import VCard
from nbxmpp.protocol import JID
from nbxmpp.simplexml import Node
from nbxmpp.structs import AnnotationNote, BookmarkData, OMEMOBundle, TuneData


def plain(value):
    """Return a value as JSON knows it: forms as values by name, bytes as hexadecimal digits."""
    if isinstance(value, DataForm):
        return {field.var: getattr(field, "value", None) for field in value.iter_fields()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, VCard4):
        value = value.to_node()
    if isinstance(value, JID | Node):
        return str(value)
    if hasattr(value, "_asdict"):
        value = value._asdict()
    elif dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value))
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def _picture(data):
    avatar = Avatar()
    avatar.add_image_source(bytes.fromhex(data), "image/png", 1, 1)
    return avatar


def _photo(data):
    card = VCard()
    card.set_avatar(bytes.fromhex(data), "image/png")
    return card


def _card(**texts):
    card = VCard4()
    for name, text in texts.items():
        card.add_property(name, text)
    return card


def _bundle(keys):
    first, *others = ({"id": number, "key": bytes.fromhex(key)} for number, key in enumerate(keys))
    return OMEMOBundle(spk=first, spk_signature=b"signed", ik=b"identity", otpks=others)


MAKERS = {
    "jid": JID.from_string,
    "tune": TuneData,
    "node": lambda text: Node(node=text),
    "note": lambda jid, text: AnnotationNote(jid=jid, data=text, cdate=None, mdate=None),
    "bookmark": BookmarkData,
    "picture": _picture,
    "photo": _photo,
    "card": _card,
    "bundle": _bundle,
    "action": AdHocAction,
    "invitation": InviteType,
}


def values_made(value, last):
    """Return a value from JSON: {"make": name, "of": …} is made, {"last": path} taken of `last`."""
    if isinstance(value, list):
        return [values_made(each, last) for each in value]
    if not isinstance(value, dict):
        return value
    if "make" in value:
        of = values_made(value["of"], last)
        make = MAKERS[value["make"]]
        return make(**of) if isinstance(of, dict) else make(of)
    if "last" in value:
        return last if value["last"] is None else last[value["last"]]
    return {name: values_made(each, last) for name, each in value.items()}


def purged(result, values):
    """Return the form of a result with these values, and without what is empty."""
    found = getattr(result, "form", None) or getattr(result, "data", None) or result
    assert isinstance(found, Node)
    form = extend_form(node=found)
    for var, value in values.items():
        field = form[var]
        if isinstance(value, list):
            field.values = value
        else:
            field.value = value
    form = form.get_purged()
    form.type_ = "submit"
    return form
