"""Bytes of a stream to stanzas (RFC 6120 §4, §11).

A reader finds where stanzas begin and end, what their start tags say and what their children
are called; text is checked and not looked at. It gives each stanza in canonical form: the bytes
it came in, when those mean the same in every stream with that content namespace.

Expat never gets a part of a tag: what follows the last tag is held back. So a tag is reported
with its last byte, also where expat puts off parsing after a token that was incomplete
(Debian's 2.5.0, and 2.6.0 and later), and a tag that comes byte by byte is read once.
"""

from __future__ import annotations

import re

import attrs

from imsuite.streams.expatpool import Parser, Root, header_span, read_root
from imsuite.xmpp import ns as NS
from imsuite.xmpp.build import CDATA, SPACE, TAG, Refused, serialise
from imsuite.xmpp.errors import StreamError
from imsuite.xmpp.stanza import Stanza

CONTENT = frozenset((NS.CLIENT, NS.SERVER, "jabber:component:accept"))
_XML_LANG = NS.XML + "}lang"
_ATTRIBUTE = re.compile(rb"""\s([^\s=<>/'"]+)\s*=\s*(?:'[^']*'|"[^"]*")""")
_TOKEN = re.compile(rb"<!\[CDATA\[.*?\]\]>|" + TAG.pattern, re.DOTALL)
_LESS = ord("<")
_AFTER_NAME = SPACE + b"/>"
_SHORTEST_XMLNS = 9  # bytes of " xmlns=''"
_SHORTEST_ELEMENT = 4  # bytes of "<a/>"
# the start tag up to and with its xmlns; no attribute in group 1 is one
_XMLNS = re.compile(
    rb"""(<[^\s/>]+(?:\s+(?!xmlns[\s=])[^\s=<>/'"]+\s*=\s*(?:'[^']*'|"[^"]*"))*)"""
    rb"""\s+xmlns\s*=\s*(?:'[^']*'|"[^"]*")"""
)
# what is known of the usual stanzas: qualified name → kind, namespace, how raw begins
_USUAL = {
    f"{ns}}}{kind}": (kind, ns, b"<" + kind.encode())
    for ns in CONTENT
    for kind in ("message", "presence", "iq")
}


@attrs.frozen
class Limits:
    """What a peer may send; more is policy-violation (RFC 6120 §4.9.3.14)."""

    stanza_bytes: int = 262144  # bytes of one stanza, counted while it comes
    tag_bytes: int = 16384  # bytes of one tag, or of the stream header with its declaration
    depth: int = 64  # elements inside each other, the stanza included
    attributes: int = 64  # in one tag
    namespaces: int = 64  # declarations in one tag
    elements: int = 10000  # in one stanza
    # bytes of a stanza that cannot be over a limit which is looked for in the whole stanza
    harmless: int = attrs.field(init=False)

    @harmless.default
    def _harmless(self) -> int:
        return min(
            self.stanza_bytes,
            self.tag_bytes,
            self.namespaces * _SHORTEST_XMLNS,
            self.elements * _SHORTEST_ELEMENT,
        )


@attrs.frozen
class Header:
    """The start tag of a stream (RFC 6120 §4.7).

    ns: content namespace, "" if the header declares none; attrs: named as in a Stanza.
    """

    ns: str
    attrs: dict[str, str]


class StreamEnd:
    """The end tag of a stream (RFC 6120 §4.4); there is one, END."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "END"


END = StreamEnd()
Event = Header | Stanza | StreamEnd | StreamError


class Reader:
    """Reads one direction of one stream.

    limits: may be replaced between feeds.
    """

    # _held: what came of an unfinished stanza or header; _fed: how much of it expat has;
    # _tag: where in it an unfinished tag begins, or -1
    __slots__ = ("limits", "_root", "_parser", "_held", "_fed", "_tag", "_done")

    def __init__(self, limits: Limits = Limits()) -> None:
        self.limits = limits
        self._root: Root | None = None
        self._parser: Parser | None = None
        self._held: bytes | bytearray = b""
        self._fed = 0
        self._tag = -1
        self._done = False

    @property
    def pending(self) -> int:
        """Bytes held that do not make a whole stanza yet."""
        return len(self._held)

    def restart(self) -> None:
        """Forget everything: the next bytes begin a new stream (RFC 6120 §4.3.3)."""
        self._drop()
        self._done = False

    def close(self) -> None:
        """Let go of the parser; further input is ignored."""
        self._drop()
        self._done = True

    def _drop(self) -> None:
        if self._parser is not None:
            self._parser.discard()
            self._parser = None
        if self._root is not None and not self._root.kept:
            self._root.discard()
        self._root = None
        self._held = b""
        self._fed = 0
        self._tag = -1

    def feed(self, data: bytes) -> list[Event]:
        """Return what data completes, in order.

        Bad input never raises: a StreamError comes last, after what was good before it. After
        that, or END, nothing more comes.
        """
        if self._root is None:
            return self._read_header(data)
        held: bytes | bytearray = self._held
        if not held:
            if data[:1] != b"<":
                data = data.lstrip(SPACE)
                if not data:
                    return []
                if data[0] != _LESS:
                    return self._fail([], "bad-format")
            held = data
            fed = 0
        else:
            tag = self._tag
            known = tag < 0 or len(held) - tag >= len(CDATA)
            if known and b">" not in data and b"<" not in data:
                return self._hold(data)
            assert isinstance(held, bytearray)
            held += data
            fed = self._fed
        after = fed
        if self._parser is not None and self._parser.cdata:
            # in a CDATA section "<" begins no tag
            after = held.find(b"]]>", fed) + 3
            if after == 2:
                cut = max(held.rfind(b">", fed) + 1, held.rfind(b"<", fed), fed)
                return self._parse(held, fed, cut, -1)
        last = held.rfind(b"<", after)
        if last < 0 or TAG.match(held, last):
            return self._parse(held, fed, held.rfind(b">", fed) + 1 or fed, -1)
        return self._parse(held, fed, last, last)

    def _hold(self, data: bytes) -> list[Event]:
        """Keep bytes that end no tag and begin none."""
        held = self._held
        size = len(held) + len(data)
        limits = self.limits
        if size > limits.stanza_bytes or (self._tag >= 0 and size - self._tag > limits.tag_bytes):
            return self._fail([], "policy-violation")
        assert isinstance(held, bytearray)
        held += data
        return []

    def _fail(self, events: list[Event], condition: str) -> list[Event]:
        events.append(StreamError(condition))
        self.close()
        return events

    def _parse(self, held: bytes | bytearray, fed: int, cut: int, tag: int) -> list[Event]:
        """Give held[fed:cut] to expat; tag: where an unfinished tag begins in held, or -1."""
        events: list[Event] = []
        parser = self._parser
        if cut <= fed and parser is None:
            return self._keep(events, held, 0, tag)
        root = self._root
        assert root is not None
        limits = self.limits
        if parser is None:
            parser = self._parser = root.lease()
        parser.deepest = limits.depth
        parser.most = limits.attributes
        base = parser.total - fed  # index of held[0] in all that the parser was given
        chunk = held if cut - fed == len(held) else held[fed:cut]
        condition = parser.parse(chunk) if chunk else ""
        end = 0  # of the last stanza
        seen = parser.seen
        if seen:
            for name, attributes, children, begin, at in seen:
                begin -= base
                if begin != end and held[end:begin].strip(SPACE):
                    return self._fail(events, "bad-format")
                end = at - base
                if held[end : end + 2] == b"</" and (children or not _empty(held, begin, end)):
                    end = held.index(b">", end) + 1
                raw = bytes(held[begin:end])
                try:
                    events.append(_stanza(root, limits, name, attributes, children, raw))
                except Refused as refused:
                    return self._fail(events, refused.condition)
            parser.uses += len(seen)
            seen.clear()
            if end == len(held) and not condition:  # the usual case
                self._parser = None
                root.give_back(parser)
                if self._held:
                    self._held = b""
                    self._fed = 0
                    self._tag = -1
                return events
        return self._between(events, held, end, cut, tag, condition)

    def _between(
        self,
        events: list[Event],
        held: bytes | bytearray,
        end: int,
        cut: int,
        tag: int,
        condition: str,
    ) -> list[Event]:
        """Judge what follows the last stanza, held[end:], of which expat has held[end:cut]."""
        parser, root = self._parser, self._root
        assert parser is not None
        assert root is not None
        base = parser.total - cut
        inside = parser.depth > 0
        if parser.closed >= 0:
            if held[end : parser.closed - base].strip(SPACE):
                return self._fail(events, "bad-format")
            events.append(END)
            self.close()
            return events
        if not inside:
            end += len(held) - end - len(held[end:].lstrip(SPACE))
            between = held[end : end + len(CDATA)]
            if between and (between[:1] != b"<" or between == CDATA):
                return self._fail(events, "bad-format")
        if not condition and parser.expat.CurrentByteIndex < parser.total:
            # a comment or an instruction with ">" in it, or "<" in a tag; but not "\r" or "]"
            # before a tag, which expat reads with the tag
            at = parser.expat.CurrentByteIndex - base
            if held[at] == _LESS:
                condition = "restricted-xml" if held[at + 1] in b"!?" else "not-well-formed"
        if condition:
            return self._fail(events, condition)
        if parser.cdata:
            tag = -1
        elif tag >= 0 and inside and held[tag : tag + len(CDATA)] == CDATA:
            return self._parse_cdata(events, held, end, cut)
        if not inside:
            self._parser = None
            if parser.expat.CurrentByteIndex < parser.total:
                parser.discard()
            else:
                root.give_back(parser)
            cut = end
        self._fed = cut
        return self._keep(events, held, end, tag)

    def _parse_cdata(
        self, events: list[Event], held: bytes | bytearray, end: int, cut: int
    ) -> list[Event]:
        """Let expat have the beginning of a CDATA section, in which a quote means nothing."""
        if end:
            held = held[end:]
            cut -= end
        within = held.rfind(b">", cut) + 1 or cut + len(CDATA)
        return events + self._parse(held, cut, within, -1)

    def _keep(
        self, events: list[Event], held: bytes | bytearray, end: int, tag: int
    ) -> list[Event]:
        """Hold back held[end:], in which an unfinished tag begins at tag, or none: -1."""
        limits = self.limits
        if tag >= 0:
            mark = held[tag : tag + len(CDATA)]
            if mark[1:2] == b"?" or (mark[1:2] == b"!" and not CDATA.startswith(mark)):
                return self._fail(events, "restricted-xml")
            if mark == CDATA:
                return self._fail(events, "bad-format")
            if len(held) - tag > limits.tag_bytes:
                return self._fail(events, "policy-violation")
        if len(held) - end > limits.stanza_bytes:
            return self._fail(events, "policy-violation")
        if isinstance(held, bytearray):
            if end:
                del held[:end]
            self._held = held
        else:
            self._held = bytearray(held[end:]) if end < len(held) else b""
        if not self._held:
            self._held = b""
        self._fed -= end
        self._tag = tag - end if tag >= 0 else -1
        return events

    def _read_header(self, data: bytes) -> list[Event]:
        """Return what data completes before and after the start tag of the stream."""
        if self._done:
            return []
        held = self._held
        limits = self.limits
        if held and b">" not in data:
            if len(held) + len(data) > limits.tag_bytes:
                return self._fail([], "policy-violation")
            self._held = held + data
            return []
        text = bytes(held) + data if held else data.lstrip(SPACE)
        if not text:
            return []
        try:
            begin, end = header_span(text)
            if (end or len(text)) > limits.tag_bytes:
                return self._fail([], "policy-violation")
            if not end:
                self._held = bytearray(text)
                return []
            start = read_root(text[:end], begin)
        except Refused as refused:
            return self._fail([], refused.condition)
        if len(start.attrs) > limits.attributes or start.declarations > limits.namespaces:
            return self._fail([], "policy-violation")
        self._root = start.root
        self._held = b""
        events: list[Event] = [Header(start.root.ns, _plain(dict(start.attrs)))]
        if start.empty:
            events.append(END)
            self.close()
        elif end < len(text):
            events += self.feed(text[end:])
        return events


def _plain(attributes: dict[str, str]) -> dict[str, str]:
    """Name xml:lang as people do."""
    if _XML_LANG in attributes:
        attributes["xml:lang"] = attributes.pop(_XML_LANG)
    return attributes


def _empty(held: bytes | bytearray, begin: int, end: int) -> bool:
    """Tell whether an element without children is `<x/>` and ends at end."""
    if held[end - 2 : end] != b"/>":
        return False
    tag = TAG.match(held, begin)
    return tag is not None and tag.end() == end


def _stanza(
    root: Root,
    limits: Limits,
    name: str,
    attributes: dict[str, str],
    children: list[str],
    raw: bytes,
) -> Stanza:
    """Return the stanza in canonical form. Raises Refused if it is over a limit."""
    if len(raw) > limits.harmless:
        _check(raw, limits)
    if _XML_LANG in attributes:
        attributes["xml:lang"] = attributes.pop(_XML_LANG)
    usual = _USUAL.get(name)
    if usual is not None:
        kind, ns, start = usual
        if ns == root.ns and raw.startswith(start):
            text = raw
            xmlns = text.find(b"xmlns")
            if xmlns == len(start) + 1 and text.startswith(root.declarations, xmlns):
                # some clients declare the content namespace again on each stanza
                text = start + text[xmlns + len(root.declarations[0]) :]
                xmlns = text.find(b"xmlns")
            # "<" does not occur in a tag, so that an xmlns after one is not in the start tag
            if xmlns < 0 or text.find(b"<", 1, xmlns) > 0:
                for prefix in root.prefixes:
                    if prefix in text:
                        break
                else:
                    return Stanza(kind, ns, attributes, tuple(children), text)
    ns, _, kind = name.rpartition("}")
    if ns == NS.XML:  # XML names §3: it may not be declared, so there is no canonical form
        raise Refused("bad-namespace-prefix")
    raw = _canonical(root, limits, ns, kind, raw)
    return Stanza(kind, ns, attributes, tuple(children), raw)


def _check(raw: bytes, limits: Limits) -> None:
    """Look at what only a long stanza can have too much of."""
    size = len(raw)
    if size > limits.stanza_bytes:
        raise Refused("policy-violation")
    may_be_many = size > limits.elements * _SHORTEST_ELEMENT
    # takes "<" in a CDATA section for an element too
    if may_be_many and raw.count(b"<") - raw.count(b"</") > limits.elements:
        raise Refused("policy-violation")
    if size <= limits.tag_bytes and raw.count(b"xmlns") <= limits.namespaces:
        return
    for token in _TOKEN.finditer(raw):
        tag = token[0]
        if tag.startswith(b"<!"):
            continue
        if len(tag) > limits.tag_bytes:
            raise Refused("policy-violation")
        if tag.count(b"xmlns") > limits.namespaces:
            names = [name for name in _ATTRIBUTE.findall(tag) if name[:5] == b"xmlns"]
            if len(names) > limits.namespaces:
                raise Refused("policy-violation")


def _canonical(root: Root, limits: Limits, ns: str, kind: str, raw: bytes) -> bytes:
    """Return raw so that it means the same in any stream with that content namespace."""
    content = root.ns or (ns if ns in CONTENT else "")
    word = kind.encode()
    after = len(word) + 1
    plain = raw.startswith(word, 1) and raw[after] in _AFTER_NAME
    if plain and not any(prefix in raw for prefix in root.prefixes):
        declared = _XMLNS.match(raw)
        if ns != content:
            if declared is not None:
                return raw
        else:
            tag = TAG.match(raw)
            count = tag[0].count(b"xmlns") if tag is not None else 0
            if count == 0:
                return raw
            if count == 1 and declared is not None:
                return bytes(declared[1] + raw[declared.end() :])
    try:
        element = root.builder.build(raw)
        raw = serialise(element, content, limits.stanza_bytes).encode()
    except ValueError:
        raise Refused("policy-violation") from None
    if len(raw) > limits.stanza_bytes:
        raise Refused("policy-violation")
    return raw
