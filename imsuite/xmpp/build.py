"""Bytes to `domish.Element` and back (RFC 6120 §11), for stanzas that carry no foreign prefix.

`build` reads with expat parsers that are kept between stanzas: after an element has ended, a
parser knows only the element that was opened before it, which is the same for all stanzas of
one namespace. `serialise` writes by namespace name and never by remembered prefix, so that an
element means the same wherever it is put.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from pyexpat import ErrorString, ExpatError, ParserCreate, XMLParserType
from pyexpat.errors import XML_ERROR_UNDEFINED_ENTITY, XML_ERROR_XML_DECL, codes
from typing import Any

from twisted.words.xish.domish import Element, SerializedXML

from imsuite.xmpp import ns as NS

SPACE = b" \t\r\n"  # white space as XML has it
MOST_USES = 2000  # stanzas a parser reads before it is thrown away: expat forgets no name
MOST_BYTES = 2**20  # bytes, likewise
_MOST_BUILDERS = 32  # namespaces
_MOST_NAMES = 4096  # names found good, or taken apart

CDATA = b"<![CDATA["  # begins what is text
# From "<" to the ">" outside quotes; exact for a start or end tag in which expat finds no fault.
# No possessive quantifiers here and below: COMPAT(CPython 3.11.4 and before) loses matches.
TAG = re.compile(rb"""<[^'">]*(?:(?:'[^']*'|"[^"]*")[^'">]*)*>""")
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 §2.2
# Namespaces in XML §3, NCName
_FIRST = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME = re.compile(f"[{_FIRST}][{_FIRST}\\-.0-9\xb7\u0300-\u036f\u203f\u2040]*")


class Refused(Exception):
    """Raised in a handler of expat. condition: that of the stream error."""

    def __init__(self, condition: str) -> None:
        super().__init__(condition)
        self.condition = condition


def quiet_parser() -> XMLParserType:
    """Return an expat parser of UTF-8 with names as "namespace}name", which refuses what
    RFC 6120 §11.1 forbids.
    """
    parser = ParserCreate("UTF-8", "}")
    parser.CommentHandler = refuse
    parser.ProcessingInstructionHandler = refuse
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    # COMPAT(CPython 3.11.8 and before): no such method. Nothing depends on it: `TAG` keeps
    # unfinished tags away from expat.
    defer = getattr(parser, "SetReparseDeferralEnabled", None)
    if defer is not None:
        defer(False)
    return parser


def refuse(*_: object) -> int:
    """A handler for what is not allowed in a stream (RFC 6120 §11.1)."""
    raise Refused("restricted-xml")


def condition_of(error: ExpatError, text: bytes, at: int) -> str:
    """Return the stream error condition for what expat found (RFC 6120 §4.9.3).

    text: bytes that it was given; at: index in them of the fault.
    """
    reason = ErrorString(error.code)
    if error.code == codes[XML_ERROR_UNDEFINED_ENTITY]:
        return "restricted-xml"
    if error.code == codes[XML_ERROR_XML_DECL]:
        return "not-well-formed"
    at = max(at, 0)
    begin = text.rfind(b"<", 0, at + 1)
    mark = text[begin : begin + len(CDATA)] if begin >= 0 else b""
    if mark[:2] == b"<?" or (mark[:2] == b"<!" and mark != CDATA):
        return "restricted-xml"
    if "invalid token" in reason:
        # §4.9.3.22: also what violates the rules of UTF-8
        try:
            text[at : at + 4].decode()
        except UnicodeDecodeError as wrong:
            if wrong.start == 0:
                return "unsupported-encoding"
    return "not-well-formed"


class Builder:
    """Makes elements; one for each set of namespaces in scope, not re-entrant."""

    __slots__ = (
        "_head",
        "_default",
        "_expat",
        "_open",
        "_made",
        "_declared",
        "_prefixes",
        "_uses",
        "_bytes",
    )

    def __init__(self, head: bytes, default: str) -> None:
        """Head: start tag of the element around; default: the default namespace in it."""
        self._head = head
        self._default = default
        self._expat: XMLParserType | None = None
        self._open: Element | None = None
        self._made: Element | None = None
        self._declared: str | None = None
        self._prefixes: dict[str, str] = {}
        self._uses = 0
        self._bytes = 0

    def build(self, raw: bytes) -> Element:
        """Return the element that raw spells. Raises ValueError if it is not exactly one."""
        expat = self._expat or self._begin()
        before = self._bytes
        self._bytes += len(raw)
        self._uses += 1
        try:
            expat.Parse(raw, False)
        except (ExpatError, Refused) as error:
            self.discard()
            raise ValueError(f"not an element: {error}") from None
        made = self._made
        if made is None or self._open is not None or expat.CurrentByteIndex != self._bytes:
            self.discard()
            raise ValueError(f"not one whole element in {self._bytes - before} bytes")
        self._made = None
        if self._uses >= MOST_USES or self._bytes >= MOST_BYTES:
            self.discard()
        return made

    def _begin(self) -> XMLParserType:
        expat = self._expat = quiet_parser()
        expat.buffer_text = True
        expat.Parse(self._head, False)
        self._bytes = len(self._head)
        self._uses = 0
        expat.StartElementHandler = self._start
        expat.EndElementHandler = self._end
        expat.CharacterDataHandler = self._text
        expat.StartNamespaceDeclHandler = self._declare
        return expat

    def discard(self) -> None:
        """Throw the parser away, and the cycle that it makes with its handlers."""
        expat = self._expat
        self._expat = self._open = self._made = self._declared = None
        self._prefixes = {}
        if expat is not None:
            expat.StartElementHandler = None
            expat.EndElementHandler = None
            with suppress(Refused):  # it gives away the text that it still has
                expat.CharacterDataHandler = None
            expat.CharacterDataHandler = None
            expat.StartNamespaceDeclHandler = None

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        if prefix is None:
            self._declared = uri or ""
        else:
            self._prefixes[prefix] = uri or ""

    def _start(self, name: str, attrs: dict[Any, str]) -> None:
        pair = _names.get(name)
        if pair is None:
            pair = _take_apart(name)
        parent = self._open
        # what Element() does costs as much as all the rest
        element = Element.__new__(Element)
        element.uri, element.name = pair
        if self._declared is not None:
            element.defaultUri = self._declared
            self._declared = None
        else:
            element.defaultUri = self._default if parent is None else parent.defaultUri
        if self._prefixes:
            element.localPrefixes = self._prefixes
            self._prefixes = {}
        else:
            element.localPrefixes = {}
        for key in attrs:
            if "}" in key:
                attrs = {_attribute_key(key): value for key, value in attrs.items()}
                break
        element.attributes = attrs
        element.children = []
        element.parent = parent
        if parent is not None:
            parent.children.append(element)
        elif self._made is not None:
            raise Refused("bad-format")
        self._open = element

    def _end(self, _name: str) -> None:
        element = self._open
        if element is None:
            raise Refused("bad-format")
        self._open = element.parent
        if element.parent is None:
            self._made = element

    def _text(self, text: str) -> None:
        if self._open is not None:
            nodes = self._open.children
            if nodes and isinstance(nodes[-1], str):
                nodes[-1] += text
            else:
                nodes.append(text)
        elif text.strip(" \t\r\n"):
            raise Refused("bad-format")


_names: dict[str, tuple[str, str]] = {}
_mine = threading.local()  # a builder is in the middle of something while it works


def _take_apart(name: str) -> tuple[str, str]:
    uri, _, local = name.rpartition("}")
    if len(_names) >= _MOST_NAMES:
        _names.clear()
    if len(name) < 256:
        _names[name] = (uri, local)
    return uri, local


def _attribute_key(key: str) -> str | tuple[str, str]:
    uri, bracket, local = key.rpartition("}")
    return (uri, local) if bracket else key


def build(raw: bytes, ns: str) -> Element:
    """Return the element that raw spells where ns is the default namespace.

    Raises ValueError if raw is not exactly one well-formed element, or uses a prefix that it
    does not declare, or a comment, a processing instruction, a DTD or an entity.
    """
    try:
        builders: dict[str, Builder] = _mine.builders
    except AttributeError:
        builders = _mine.builders = {}
    builder = builders.get(ns)
    if builder is None:
        builder = Builder(f"<s xmlns='{_quoted(ns)}'>".encode(), ns)
        if len(builders) >= _MOST_BUILDERS:
            builders.popitem()[1].discard()
        builders[ns] = builder
    return builder.build(raw)


def serialise(element: Element, ns: str, limit: int | None = None) -> str:
    """Return the canonical text of an element where ns is the default namespace.

    The top tag has no prefix, and no xmlns if its namespace is ns or None; a namespace
    declaration stays on it only for an attribute that needs it. Characters that XML 1.0 does
    not have are left out. limit: characters of namespace declarations.
    Raises ValueError for a name that is not one, and when the limit is passed.
    """
    writer = _Writer(limit)
    writer.write(element, ns, True)
    return "".join(writer.out)


class _Writer:
    """The text so far, and the prefixes in scope."""

    __slots__ = ("left", "out", "prefixes", "uris")

    def __init__(self, limit: int | None) -> None:
        self.out: list[str] = []
        self.left = limit
        self.prefixes: dict[str, str] = {}  # prefix: namespace
        self.uris: dict[str, str] = {}  # namespace: prefix, unless that was bound anew

    def write(self, element: Element, default: str, top: bool = False) -> None:
        out = self.out
        attributes = element.attributes
        local = element.localPrefixes
        uri = attributes.get("xmlns", element.uri)
        if uri is None:
            uri = default
        tag = element.name
        if tag not in _good:
            _check(tag)
        undo: list[tuple[dict[str, str], str, str | None]] = []
        if uri == default and not (local or self.prefixes):
            out.append("<" + tag)
        elif top and uri != NS.XML:
            out.append("<" + tag)
            if uri != default:
                self._declare("xmlns", uri)
            default = uri
        else:
            fresh = [
                (prefix, name)
                for prefix, name in local.items()
                if name and prefix not in ("xml", "xmlns") and self.prefixes.get(prefix) != name
            ]
            for prefix, name in fresh:
                self._bind(prefix, name, undo)
            start = len(out)
            prefix = "" if uri == default else self.uris.get(uri, "")
            if uri == NS.XML:  # it may not be declared as anything but "xml"
                tag = f"xml:{tag}"
            elif prefix and self.prefixes.get(prefix) == uri:
                tag = f"{prefix}:{tag}"
            elif uri != default:
                self._declare("xmlns", uri)
                default = uri
            for prefix, name in fresh:
                self._declare("xmlns:" + prefix, name)
            out.insert(start, "<" + tag)
        for key, value in attributes.items():
            if key.__class__ is not str:
                key = self._prefixed(key, undo)
            elif key not in _good:
                if key == "xmlns" or key[:6] == "xmlns:":
                    continue
                _check_attribute(key)
            out.append(f" {key}='{_quoted(value)}'")
        nodes = element.children
        if nodes:
            out.append(">")
            for node in nodes:
                if node.__class__ is str:
                    out.append(_escaped(node))
                elif isinstance(node, SerializedXML):
                    out.append(node)
                elif isinstance(node, str):
                    out.append(_escaped(str(node)))
                elif top and local:
                    self._write_child(node, default, local)
                else:
                    self.write(node, default)
            out.append(f"</{tag}>")
        else:
            out.append("/>")
        for scope, key, old in reversed(undo):
            if old is None:
                del scope[key]
            else:
                scope[key] = old

    def _write_child(self, node: Element, default: str, outer: dict[str, str]) -> None:
        """Write a child with the prefixes that the top tag declared and may not keep.

        They may be used in text (as QNames), so all of them go along.
        """
        kept = node.localPrefixes
        node.localPrefixes = {**outer, **kept}
        try:
            self.write(node, default)
        finally:
            node.localPrefixes = kept

    def _declare(self, name: str, uri: str) -> None:
        if name != "xmlns" and name[6:] not in _good:
            _check(name[6:])
        if self.left is not None:
            self.left -= len(uri) + len(name) + 4
            if self.left < 0:
                raise ValueError("too many namespace declarations")
        self.out.append(f" {name}='{_quoted(uri)}'")

    def _bind(
        self, prefix: str, uri: str, undo: list[tuple[dict[str, str], str, str | None]]
    ) -> None:
        undo.append((self.prefixes, prefix, self.prefixes.get(prefix)))
        undo.append((self.uris, uri, self.uris.get(uri)))
        self.prefixes[prefix] = uri
        self.uris[uri] = prefix

    def _prefixed(
        self, key: tuple[str, str], undo: list[tuple[dict[str, str], str, str | None]]
    ) -> str:
        """Return the name of a namespaced attribute, declaring a prefix if there is none."""
        uri, name = key
        if name not in _good:
            _check(name)
        if uri == NS.XML:
            return "xml:" + name
        if not uri:
            return name
        prefix = self.uris.get(uri, "")
        if not prefix or self.prefixes.get(prefix) != uri:
            number = len(self.prefixes)
            while f"ns{number}" in self.prefixes:
                number += 1
            prefix = f"ns{number}"
            self._bind(prefix, uri, undo)
            self._declare("xmlns:" + prefix, uri)
        return f"{prefix}:{name}"


_good = {"xml:lang", "xml:space", "xml:base", "xml:id"}


def _check(name: str) -> None:
    """Remember a name as good. Raises ValueError if it is none (XML names §3, NCName)."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ValueError(f"not a name: {name!r}")
    if len(_good) >= _MOST_NAMES:
        _good.clear()
    if len(name) < 256:
        _good.add(name)


def _check_attribute(name: str) -> None:
    prefix, colon, local = name.partition(":")
    if not colon:
        _check(name)
    elif prefix != "xml" or _NAME.fullmatch(local) is None:
        raise ValueError(f"not the name of an attribute: {name!r}")


def _escaped(text: str) -> str:
    if text.isprintable():
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _ILLEGAL.sub("", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "&#13;")


def _quoted(value: str) -> str:
    text = _escaped(str(value)).replace("'", "&apos;")
    if not text.isprintable():
        text = text.replace("\t", "&#9;").replace("\n", "&#10;")
    return text
