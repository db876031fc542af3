"""XEP-0115 §5 and XEP-0390 §4: hashes of disco#info, computed and checked."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

import attrs
from twisted.words.xish.domish import Element

from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import ImsuiteError, StanzaError
from imsuite.xmpp.hashes import NS_HASHES, SAFE, digest, digest_text, from_element
from imsuite.xmpp.stanza import children, text_of

NS_CAPS = "http://jabber.org/protocol/caps"
NS_CAPS2 = "urn:xmpp:caps"

# what a `ver` of XEP-0115 may be trusted with: preimages are not known of any
_HASHES1 = frozenset(("sha-1", "sha-224", "sha-384", *SAFE))
_LONGEST = 1023  # characters of a node, a hash or its name that are looked at
_FORM_TYPE = "FORM_TYPE"
_LIKE_IDENTITY = re.compile(r"[^/]+/[^/]+/[A-Za-z0-9-]*/.*", re.DOTALL)
_LIKE_LANG = re.compile(r"[A-Za-z0-9-]*")


class NotProven(ImsuiteError):
    """A disco#info result is ill-formed, or does not have the hash that was claimed for it."""


@attrs.frozen(order=True)
class Identity:
    """An identity of XEP-0030; lang and name are "" where absent."""

    category: str
    type: str
    lang: str
    name: str


@attrs.frozen
class Field:
    """A field of a form. type: None where absent."""

    var: str
    type: str | None
    values: tuple[str, ...]


@attrs.frozen
class Info:
    """A disco#info result. forms: fields of each; strange: XEP-0390 refuses to hash it."""

    identities: tuple[Identity, ...]
    features: tuple[str, ...]
    forms: tuple[tuple[Field, ...], ...]
    strange: bool


@attrs.frozen
class Claim:
    """The caps that an entity says it has.

    spec: "115" or "390"; hash: name of the function; ver: the hash in Base64; node: what to
    ask for its meaning, in which entities of the same caps may differ.
    """

    spec: str
    hash: str
    ver: str
    node: str = attrs.field(eq=False)

    @property
    def key(self) -> str:
        """The claim as a text, without its node."""
        return f"{self.spec} {self.hash} {self.ver}"

    @property
    def checkable(self) -> bool:
        """Whether an answer can be checked; otherwise it says something of its sender only."""
        return self.spec == "390" or self.hash in _HASHES1


@attrs.frozen
class Proof:
    """What a checked disco#info result says. shared: it holds for all who make the claim."""

    features: frozenset[str]
    shared: bool


def read_claim(c: Element | None) -> Claim | None:
    """Return the claim of a <c/> of either specification; None if there is none to check.

    The legacy format of XEP-0115 §13 proves nothing and is ignored.
    """
    if c is None:
        return None
    if c.uri == NS_CAPS2:
        return _best_of(children(c, NS_HASHES, "hash"))
    hash, node, ver = (c.getAttribute(name, "") for name in ("hash", "node", "ver"))
    if not (hash and node and ver) or max(map(len, (hash, node, ver))) > _LONGEST:
        return None
    return Claim("115", hash, ver, f"{node}#{ver}")


def _best_of(offered: Iterable[Element]) -> Claim | None:
    """Return the claim by the first hash that is known and safe (XEP-0414)."""
    for element in offered:
        try:
            name, value = from_element(element)
        except StanzaError:
            continue
        if name in SAFE:
            ver = base64.b64encode(value).decode("ascii")
            return Claim("390", name, ver, hash_node(name, ver))
    return None


def hash_node(name: str, ver: str) -> str:
    """Return the capability hash node (XEP-0390 §4.3). ver: the hash in Base64."""
    return f"{NS_CAPS2}#{name}.{ver}"


def read(query: Element, lang: str = "") -> Info:
    """Return what a disco#info <query/> says. lang: of identities that name no other."""
    identities, features, forms, strange = [], [], [], False
    for node in query.elements():
        if node.uri == NS.DISCO_INFO and node.name == "identity":
            said = node.getAttribute((NS.XML, "lang"), lang)
            parts = (node.getAttribute(name, "") for name in ("category", "type", "name"))
            category, type, name = parts
            identities.append(Identity(category, type, said, name))
        elif node.uri == NS.DISCO_INFO and node.name == "feature":
            features.append(node.getAttribute("var", ""))
        elif node.uri == NS.DATA and node.name == "x":
            forms.append(_fields(node))
            inside = {child.name for child in node.elements()}
            strange = strange or bool(inside & {"reported", "item"})
        else:
            strange = True
    return Info(tuple(identities), tuple(features), tuple(forms), strange)


def _fields(form: Element) -> tuple[Field, ...]:
    return tuple(
        Field(
            each.getAttribute("var", ""),
            each.getAttribute("type"),
            tuple(map(text_of, children(each, NS.DATA, "value"))),
        )
        for each in children(form, NS.DATA, "field")
    )


def _form_type(form: tuple[Field, ...]) -> str | None:
    """Return the FORM_TYPE of a form, None if it is not as XEP-0068 wants it in a result.

    Raises NotProven if it says several things.
    """
    for each in form:
        if each.var == _FORM_TYPE:
            if len(set(each.values)) > 1:
                raise NotProven("a FORM_TYPE with several values")
            return each.values[0] if each.type == "hidden" and each.values else None
    return None


def text1(info: Info) -> bytes:
    """Return the verification string of XEP-0115 §5.1. Raises NotProven (§5.4)."""
    if len(set(info.identities)) < len(info.identities):
        raise NotProven("an identity twice")
    if len(set(info.features)) < len(info.features):
        raise NotProven("a feature twice")
    # the string of a str sorts like its octets
    parts = [f"{i.category}/{i.type}/{i.lang}/{i.name}" for i in sorted(info.identities)]
    parts += sorted(info.features)
    for form in _forms_by_type(info):
        parts += _segments(form)
    return "".join(f"{part}<" for part in parts).encode()


def _forms_by_type(info: Info) -> list[tuple[Field, ...]]:
    typed = [(type, form) for form in info.forms if (type := _form_type(form)) is not None]
    types = [type for type, _ in typed]
    if len(set(types)) < len(types):
        raise NotProven("a form twice")
    return [form for _, form in sorted(typed, key=lambda pair: pair[0])]


def _segments(form: tuple[Field, ...]) -> list[str]:
    found = [_form_type(form) or ""]
    for each in sorted(form, key=lambda field: field.var):
        if each.var != _FORM_TYPE:
            found += [each.var, *sorted(each.values)]
    return found


def text2(info: Info) -> bytes:
    """Return the input of hash functions of XEP-0390 §4.1. Raises NotProven."""
    if info.strange or any(_form_type(form) is None for form in info.forms):
        raise NotProven("more than XEP-0390 can hash")
    features = sorted(_ended(name) for name in info.features)
    identities = sorted(
        b"".join(map(_ended, (each.category, each.type, each.lang, each.name))) + b"\x1e"
        for each in info.identities
    )
    forms = sorted(b"".join(sorted(map(_field_text, form))) + b"\x1d" for form in info.forms)
    return b"".join((*features, b"\x1c", *identities, b"\x1c", *forms, b"\x1c"))


def _ended(text: str) -> bytes:
    return text.encode() + b"\x1f"


def _field_text(field: Field) -> bytes:
    return b"".join((_ended(field.var), *sorted(map(_ended, field.values)), b"\x1e"))


def ver1(query: Element) -> str:
    """Return the `ver` of a disco#info <query/>, by SHA-1 (XEP-0115 §5.1). Raises NotProven."""
    return digest_text("sha-1", text1(read(query)))


def vers2(query: Element, names: Iterable[str], lang: str = "") -> dict[str, bytes]:
    """Return the digests of a disco#info <query/> by hash function (XEP-0390 §4.2).

    lang: of identities that name no other. Raises NotProven.
    """
    text = text2(read(query, lang))
    return {name: digest(name, text) for name in names}


def check(claim: Claim, query: Element, lang: str = "") -> Proof:
    """Return what a disco#info <query/> says, if it has the hash that was claimed.

    lang: xml:lang that the answer inherits. Raises NotProven.
    """
    info = read(query)
    features = frozenset(info.features)
    if claim.spec == "390":
        # §4.1 counts inherited languages; senders who forget that lie to nobody
        inherited = read(query, lang)
        if claim.ver not in {digest_text(claim.hash, text2(each)) for each in (info, inherited)}:
            raise NotProven("another hash")
        return Proof(features, True)
    if not claim.checkable:
        return Proof(features, False)  # XEP-0115 §5.4: holds for its sender alone
    if digest_text(claim.hash, text1(info)) != claim.ver:
        raise NotProven("another hash")
    return Proof(features, one_reading(info))


def one_reading(info: Info) -> bool:
    """Tell whether only this result can have its verification string (XEP-0115 §9.3).

    The string joins everything by "<", so that one of a popular client can be made from other
    features: with "<" or "/" inside names, with an identity or a form in the place of features.
    A result that leaves room for that is believed, but of its sender only.
    """
    forms = _forms_by_type(info)
    features = sorted(info.features)
    segments = [part for form in forms for part in _segments(form)]
    texts = [part for each in info.identities for part in attrs.astuple(each)]
    return (
        bool(info.identities)
        and not any("<" in part for part in (*texts, *features, *segments))
        and all(map(_plain, info.identities))
        and not any(map(_LIKE_IDENTITY.fullmatch, features))
        and all(map(_like_namespace, filter(None, map(_form_type, forms))))
        and not _may_be_features(features[-1:], segments)
    )


def _plain(identity: Identity) -> bool:
    category, type = identity.category, identity.type
    if not category or not type or "/" in category or "/" in type:
        return False
    return _LIKE_LANG.fullmatch(identity.lang) is not None


def _like_namespace(text: str) -> bool:
    return ":" in text or "/" in text


def _may_be_features(before: list[str], segments: list[str]) -> bool:
    """Tell whether forms might be more features: as far as they are in order, and no form, or
    the FORM_TYPE of one, comes after them.
    """
    last = before[0] if before else ""
    for place, part in enumerate(segments):
        if place and _like_namespace(part):
            return True
        if part <= last:
            return False
        last = part
    return bool(segments)
