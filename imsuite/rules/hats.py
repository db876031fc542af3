"""XEP-0317: what a hat may be, how it is shown, and the forms by which hats are handed out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

import attrs
from twisted.words.xish.domish import Element
from wokkel.data_form import Field, Form

from imsuite.rules.adhoc import refused
from imsuite.xmpp import forms
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import quoted

NS_HATS = "urn:xmpp:hats:0"
NS_HATS_COMMANDS = "urn:xmpp:hats:commands"
HATS = f"{NS_HATS}}}hats"
HASH = "hats#hash"
JID, TITLE, URI, HUE = "hats#jid", "hats#title", "hats#uri", "hats#hue"
LONGEST_TITLE = 100  # characters
LONGEST_URI = 1000  # characters

_LABELS = {JID: "User Address", TITLE: "Hat Title", URI: "Hat URI", HUE: "Hat Hue"}
_uri = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\"<>\\^`{|}\x00-\x20\x7f]+").fullmatch  # RFC 3986
_hue = re.compile(r"[0-9]{1,3}(\.[0-9]{1,12})?").fullmatch


@attrs.frozen
class Hat:
    """A hat. title: for people; hue: angle of its colour (XEP-0392), degrees, "" for none."""

    uri: str
    title: str
    hue: str = ""

    def to_bytes(self) -> bytes:
        """Return it as an element that inherits its namespace."""
        hue = b" hue=" + quoted(self.hue) if self.hue else b""
        return b"<hat title=%s uri=%s%s/>" % (quoted(self.title), quoted(self.uri), hue)

    @property
    def row(self) -> dict[str, str]:
        """What a list shows of it."""
        shown = {TITLE: self.title, URI: self.uri}
        return shown | {HUE: self.hue} if self.hue else shown


@attrs.define
class Hats:
    """The hats of a room. known: by URI; worn: URIs by bare JID, in the order they were given."""

    known: dict[str, Hat] = attrs.field(factory=dict)
    worn: dict[str, tuple[str, ...]] = attrs.field(factory=dict)

    def of(self, bare: str) -> tuple[Hat, ...]:
        """Return what somebody wears."""
        return tuple(self.known[uri] for uri in self.worn.get(bare, ()))

    def shown(self, bare: str) -> bytes:
        """Return the element that shows what somebody wears, nothing if that is none."""
        if bare not in self.worn:
            return b""
        inner = b"".join(hat.to_bytes() for hat in self.of(bare))
        return b"<hats xmlns='%s'>%s</hats>" % (NS_HATS.encode(), inner)

    def wearers(self, uri: str) -> list[str]:
        """Return who wears a hat."""
        return [bare for bare, uris in self.worn.items() if uri in uris]

    def hash(self) -> str:
        """Return what changes with the list of hats (§2)."""
        parts = sorted("\0".join((hat.uri, hat.title, hat.hue)) for hat in self.known.values())
        return hashlib.sha1("\1".join(parts).encode(), usedforsecurity=False).hexdigest()

    # changes

    def put(self, hat: Hat) -> None:
        """Know a hat, in the place of the one of that URI."""
        self.known[hat.uri] = hat

    def destroy(self, uri: str) -> list[str]:
        """Know a hat no more; return who wore it (§3.3)."""
        wearers = self.wearers(uri)
        for bare in wearers:
            self.take(bare, uri)
        self.known.pop(uri, None)
        return wearers

    def give(self, bare: str, uri: str) -> None:
        """Let somebody wear a hat."""
        self.worn[bare] = tuple(dict.fromkeys((*self.worn.get(bare, ()), uri)))

    def take(self, bare: str, uri: str) -> None:
        """Let somebody wear a hat no more."""
        left = tuple(each for each in self.worn.get(bare, ()) if each != uri)
        if left:
            self.worn[bare] = left
        else:
            self.worn.pop(bare, None)


# forms (§3.8)


def creation() -> Form:
    """Return the form that makes a hat, or changes one (§3.2)."""
    fields = [_field("text-single", name, required=name != HUE) for name in (TITLE, URI, HUE)]
    return _form("Creating a Hat", "Fill out this form to create a hat.", fields)


def destruction(known: Mapping[str, Hat]) -> Form:
    """Return the form that destroys a hat (§3.3)."""
    return _form("Destroying a Hat", "Fill out this form to destroy a hat.", [_choice(known)])


def assignment(known: Mapping[str, Hat]) -> Form:
    """Return the form that gives somebody a hat (§3.5)."""
    fields = [_field("jid-single", JID, required=True), _choice(known)]
    return _form("Assigning a Hat", "Fill out this form to assign a hat.", fields)


def removal(known: Mapping[str, Hat]) -> Form:
    """Return the form that takes a hat from somebody (§3.6)."""
    fields = [_field("jid-single", JID, required=True), _choice(known)]
    return _form("Removing a Hat", "Fill out this form to remove a hat.", fields)


def _form(title: str, instructions: str, fields: Iterable[Field]) -> Form:
    return forms.make("form", NS_HATS_COMMANDS, fields, title, [instructions])


def _field(type: str, var: str, required: bool = False) -> Field:
    return forms.field(type, var, label=_LABELS[var], required=required)


def _choice(known: Mapping[str, Hat]) -> Field:
    options = {hat.uri: hat.title for hat in known.values()}
    return forms.field("list-single", URI, label="The role", options=options, required=True)


def read(form: Any) -> Hat:
    """Return the hat that a form makes. Raises StanzaError."""
    title = (forms.text(form, TITLE) or "").strip()
    uri = (forms.text(form, URI) or "").strip()
    hue = (forms.text(form, HUE) or "").strip()
    if not title or len(title) > LONGEST_TITLE or not title.isprintable():
        raise _wrong(TITLE, f"is no line of at most {LONGEST_TITLE} characters")
    if len(uri) > LONGEST_URI or not _uri(uri):
        raise _wrong(URI, "is no URI")
    if hue and not (_hue(hue) and float(hue) <= 360):
        raise _wrong(HUE, "is no angle from 0 to 360")
    return Hat(uri, title, hue)


def _wrong(var: str, why: str) -> StanzaError:
    return refused("bad-payload", f"the field {var} {why}")


def listed(known: Iterable[Hat]) -> Element:
    """Return the list of hats (§3.4)."""
    return _table("Hats List", (TITLE, URI, HUE), [hat.row for hat in known])


def listed_worn(hats: Hats) -> Element:
    """Return the list of those who wear hats (§3.7)."""
    rows = [{JID: bare} | hat.row for bare in hats.worn for hat in hats.of(bare)]
    return _table("Assigned Hats List", (JID, URI, TITLE, HUE), rows)


def _table(title: str, columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> Element:
    shown = [forms.field("text-single", name, label=_LABELS[name]) for name in columns]
    return forms.table(None, shown, rows, title)
