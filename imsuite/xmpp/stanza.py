"""Stanzas: the bytes they came in, what their start tag says, and a tree for whoever opens it.

A stanza is immutable once it is on its way: who wants another one makes it with `amended`,
`plus` or `Stanza.of`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from twisted.words.xish.domish import Element

from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.build import build, serialise
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.times import format_datetime

KINDS = frozenset(("message", "presence", "iq"))
_ESCAPES = {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord("'"): "&apos;",
    ord('"'): "&quot;",
    ord("\t"): "&#9;",
    ord("\n"): "&#10;",
    ord("\r"): "&#13;",
}
_ENTERS = "http://jabber.org/protocol/muc}x"
_START_TAG = re.compile(rb"""<[^\s/>]+((?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(/?)>""")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*(?:"[^"]*"|'[^']*')""")


def quoted(value: str) -> bytes:
    """Return an attribute value, escaped and in single quotes, as UTF-8."""
    return b"'" + value.translate(_ESCAPES).encode() + b"'"


def escaped(text: str) -> bytes:
    """Return character data, escaped, as UTF-8."""
    return text.translate(_ESCAPES).encode()


class Stanza:
    """A top-level child of a stream.

    kind: local name; ns: its namespace; attrs: attributes of the start tag, "xml:lang" for
    xml:lang and "namespace}name" for other namespaced ones; children: "namespace}name" of the
    child elements in order; raw: its bytes, which may be spliced into any stream whose default
    namespace is the content namespace; worth: what was found out about it once (rules.traffic).
    """

    __slots__ = ("kind", "ns", "attrs", "children", "raw", "_element", "worth")

    def __init__(
        self, kind: str, ns: str, attrs: dict[str, str], children: tuple[str, ...], raw: bytes
    ) -> None:
        self.kind = kind
        self.ns = ns
        self.attrs = attrs
        self.children = children
        self.raw = raw
        self._element: Element | None = None
        self.worth: object = None

    def __repr__(self) -> str:
        return f"<Stanza {self.kind} {self.attrs.get('type', '')} {len(self.raw)} bytes>"

    @classmethod
    def of(cls, element: Element, default: str = NS.CLIENT) -> Stanza:
        """Return the stanza of an element, which must not change afterwards.

        An element without a namespace, or in another content namespace, is taken to be in
        the default one.
        """
        if element.uri in (None, "", NS.CLIENT, NS.SERVER):
            element = _moved(element, default)
        attrs: dict[str, str] = {}
        for key, value in element.attributes.items():
            if isinstance(key, tuple):
                key = "xml:lang" if key == (NS.XML, "lang") else f"{key[0]}}}{key[1]}"
            attrs[key] = str(value)
        # as expat has it: what is in no namespace is its name alone
        children = tuple(
            f"{node.uri}}}{node.name}" if node.uri else node.name for node in element.elements()
        )
        raw = serialise(element, default).encode()
        stanza = cls(element.name, element.uri, attrs, children, raw)
        stanza._element = element
        return stanza

    @classmethod
    def parse(cls, raw: bytes, default: str = NS.CLIENT) -> Stanza:
        """Return the stanza that raw spells. Raises ValueError if it is not well-formed."""
        return cls.of(build(raw, default), default)

    @property
    def element(self) -> Element:
        """The stanza as a tree, made on first use; it belongs to everyone: do not change it."""
        if self._element is None:
            self._element = build(self.raw, self.ns)
        return self._element

    @property
    def id(self) -> str | None:
        """The id attribute."""
        return self.attrs.get("id")

    @property
    def type(self) -> str | None:
        """The type attribute as it came: None where it is absent."""
        return self.attrs.get("type")

    @property
    def to(self) -> str | None:
        """The to attribute as it came."""
        return self.attrs.get("to")

    @property
    def sender(self) -> str | None:
        """The from attribute."""
        return self.attrs.get("from")

    def has(self, ns: str, name: str) -> bool:
        """Tell whether there is such a child, without opening the stanza."""
        return f"{ns}}}{name}" in self.children

    def child(self, ns: str, name: str) -> Element | None:
        """Return the first such child; opens the stanza only if there is one."""
        if f"{ns}}}{name}" not in self.children:
            return None
        return child(self.element, ns, name)

    @property
    def payload(self) -> Element | None:
        """The first child element, as of an IQ get or set."""
        if not self.children:
            return None
        found: Element = next(self.element.elements())
        return found

    def amended(self, changes: Mapping[str, str | None]) -> Stanza:
        """Return this stanza with attributes set, or removed where the value is None."""
        attrs = dict(self.attrs)
        for name, value in changes.items():
            if value is None:
                attrs.pop(name, None)
            else:
                attrs[name] = value
        raw = with_attributes(self.raw, changes)
        return Stanza(self.kind, self.ns, attrs, self.children, raw)

    def plus(self, inner: bytes, *names: str) -> Stanza:
        """Return this stanza with bytes before its end tag.

        inner: whole elements that carry their xmlns; names: what they add to `children`.
        """
        raw = self.raw
        if raw.endswith(b"/>"):
            raw = b"%s>%s</%s>" % (raw[:-2], inner, self.kind.encode())
        else:
            end = raw.rindex(b"</")
            raw = raw[:end] + inner + raw[end:]
        return Stanza(self.kind, self.ns, self.attrs, self.children + names, raw)

    def without(self, unwanted: Iterable[Element]) -> Stanza:
        """Return this stanza without some of its child elements."""
        gone = {id(element) for element in unwanted}
        element = Element((self.element.uri, self.element.name))
        element.attributes = dict(self.element.attributes)
        element.children = [node for node in self.element.children if id(node) not in gone]
        return Stanza.of(element)


def _moved(element: Element, ns: str) -> Element:
    """Return the element in a content namespace, with the children that inherited the old one.

    Libraries build stanzas without a namespace, in jabber:client or in jabber:server.
    """
    old = element.uri
    if old == ns:
        return element
    fresh = Element((ns, element.name), ns, element.attributes)
    for node in element.children:
        if isinstance(node, Element) and node.uri == old:
            node = _moved(node, ns)
        fresh.children.append(node)
    return fresh


def with_attributes(raw: bytes, changes: Mapping[str, str | None]) -> bytes:
    """Return the bytes of an element with attributes of its start tag set, or removed for None."""
    match = _START_TAG.match(raw)
    if match is None:
        raise ValueError("not an element")
    tag_name = raw[1 : match.start(1)]
    names = {name.encode() for name in changes}
    kept = [m[0] for m in _ATTRIBUTE.finditer(match[1]) if m[1] not in names]
    fresh = [
        b" %s=%s" % (name.encode(), quoted(value))
        for name, value in changes.items()
        if value is not None
    ]
    return b"<%s%s%s%s>%s" % (
        tag_name,
        b"".join(fresh),
        b"".join(kept),
        match[2],
        raw[match.end() :],
    )


def child(element: Element, ns: str, name: str) -> Element | None:
    """Return the first child element of that name, or None."""
    node: Element
    for node in element.elements():
        if node.name == name and node.uri == ns:
            return node
    return None


def children(element: Element, ns: str, name: str) -> list[Element]:
    """Return the child elements of that name."""
    return [node for node in element.elements() if node.name == name and node.uri == ns]


def text_of(element: Element | None) -> str:
    """Return the character data directly inside an element; "" for None."""
    if element is None:
        return ""
    return "".join(node for node in element.children if isinstance(node, str))


def make(kind: str, attrs: Mapping[str, str | None], inner: bytes = b"", *names: str) -> Stanza:
    """Return a stanza of attributes (None: left out) and whole elements that carry their xmlns.

    names: "namespace}name" of the elements in inner.
    """
    present = {name: value for name, value in attrs.items() if value is not None}
    tag = b"".join(b" %s=%s" % (name.encode(), quoted(value)) for name, value in present.items())
    word = kind.encode()
    raw = b"<%s%s>%s</%s>" % (word, tag, inner, word) if inner else b"<%s%s/>" % (word, tag)
    return Stanza(kind, NS.CLIENT, present, names, raw)


def delayed(stanza: Stanza, by: str, came: int) -> Stanza:
    """Return a stanza with the time when it came (XEP-0203), unless it has one already.

    by: the address that delayed it; came: µs since 1970 UTC.
    """
    if stanza.has(NS.DELAY, "delay"):
        return stanza
    stamp = format_datetime(came).encode()
    inner = b"<delay xmlns='%s' from=%s stamp='%s'/>" % (NS.DELAY.encode(), quoted(by), stamp)
    return stanza.plus(inner, f"{NS.DELAY}}}delay")


def to_bytes(element: Element) -> bytes:
    """Return an element as bytes that carry their namespace."""
    return serialise(element, NS.CLIENT).encode()


def presence(sender: str, to: str | None, type: str | None = None) -> Stanza:
    """Return an empty presence."""
    return make("presence", {"from": sender, "to": to, "type": type})


def iq_set(sender: str | None, to: str, id: str, payload: Element) -> Stanza:
    """Return an IQ set, such as a push."""
    name = f"{payload.uri}}}{payload.name}"
    return make("iq", {"type": "set", "from": sender, "to": to, "id": id}, to_bytes(payload), name)


def result(request: Stanza, payload: Element | None = None) -> Stanza:
    """Return the result of an IQ (RFC 6120 §8.2.3), with addresses swapped."""
    attrs = _swapped(request, "result")
    if payload is None:
        return make("iq", attrs)
    return make("iq", attrs, to_bytes(payload), f"{payload.uri}}}{payload.name}")


def error(request: Stanza, why: StanzaError, by: str | None = None) -> Stanza:
    """Return the error that answers a stanza (RFC 6120 §8.3), without most of its payload.

    by: who found the error, if that is not the address the stanza was sent to.
    """
    inner = b"<%s xmlns='%s'/>" % (why.condition.encode(), NS.STANZAS.encode())
    if why.uri is not None:
        inner = b"%s>%s</%s>" % (inner[:-2], escaped(why.uri), why.condition.encode())
    if why.text:
        inner += b"<text xmlns='%s' xml:lang='en'>%s</text>" % (
            NS.STANZAS.encode(),
            escaped(why.text),
        )
    if why.app is not None:
        named = b"" if why.feature is None else b" feature=%s" % quoted(why.feature)
        inner += b"<%s xmlns=%s%s/>" % (why.app[1].encode(), quoted(why.app[0]), named)
    said_by = b"" if by is None else b" by=%s" % quoted(by)
    inner = b"<error type='%s'%s>%s</error>" % (why.type.encode(), said_by, inner)
    attrs = _swapped(request, "error")
    if not _is_address(attrs["from"]):
        attrs["from"] = None  # what is no address can not be where the error comes from
    names = [f"{NS.CLIENT}}}error"]
    if request.kind == "presence" and _ENTERS in request.children:
        # XEP-0045 §7.2: clients know by it what it was that failed
        inner = b"<x xmlns='http://jabber.org/protocol/muc'/>" + inner
        names.insert(0, _ENTERS)
    return make(request.kind, attrs, inner, *names)


def _is_address(text: str | None) -> bool:
    try:
        return text is not None and bool(parse(text))
    except StanzaError:
        return False


def _swapped(request: Stanza, type: str) -> dict[str, str | None]:
    """Return the attributes of an answer; without an id there is none to repeat."""
    given = request.attrs
    return {
        "type": type,
        "id": given.get("id"),
        "from": given.get("to"),
        "to": given.get("from"),
    }
