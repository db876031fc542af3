"""Expat parsers shared by all streams with the same root (RFC 6120 §4.8, §11.1).

Between two stanzas a parser knows only the root's name and namespaces, and how much it has
read. So a stream borrows one while it has something to parse and gives it back after the last
end tag: a few hot parsers serve every stream, an idle stream holds none, and throwing them away
after a while bounds the memory of names, of which expat forgets none.
"""

from __future__ import annotations

import re
from pyexpat import ExpatError
from pyexpat.errors import XML_ERROR_UNBOUND_PREFIX, codes
from xml.sax.saxutils import quoteattr

import attrs

from imsuite.xmpp import ns as NS
from imsuite.xmpp.build import (
    MOST_BYTES,
    MOST_USES,
    SPACE,
    TAG,
    Builder,
    Refused,
    condition_of,
    quiet_parser,
)

MOST_IDLE = 16  # parsers kept for each root
MOST_ROOTS = 64  # kept; a stream with another root has its parsers to itself
LONGEST_ROOT = 512  # bytes of a root, or of a header, that is kept
MOST_STARTS = 256  # headers kept

# A stanza as the handlers saw it: qualified name, attributes, qualified names of the children,
# and two indexes in all bytes that the parser was given: where it begins, and what expat calls
# its end, which is the start of `</x>` but the end of `<x/>`.
Seen = tuple[str, dict[str, str], list[str], int, int]


class Parser:
    """One expat parser inside a root, reporting whole stanzas into `seen`.

    depth: open elements below the root; total: bytes given; cdata: inside a CDATA section;
    closed: index of the root's end tag, or -1; deepest, most: limits of depth and attributes.
    """

    __slots__ = (
        "expat",
        "seen",
        "depth",
        "total",
        "uses",
        "cdata",
        "closed",
        "deepest",
        "most",
        "_name",
        "_attrs",
        "_children",
        "_begin",
    )

    def __init__(self, head: bytes) -> None:
        self.seen: list[Seen] = []
        self.depth = 0
        self.total = len(head)
        self.uses = 0
        self.cdata = False
        self.closed = -1
        self.deepest = 0
        self.most = 0
        self._name = ""
        self._attrs: dict[str, str] = {}
        self._children: list[str] = []
        self._begin = 0
        expat = self.expat = quiet_parser()
        expat.Parse(head, False)
        expat.StartElementHandler = self._start
        expat.EndElementHandler = self._end
        expat.StartCdataSectionHandler = self._start_cdata
        expat.EndCdataSectionHandler = self._end_cdata

    def parse(self, data: bytes | bytearray) -> str:
        """Give bytes to expat. Return "" or the condition of a stream error."""
        before = self.total
        self.total += len(data)
        try:
            self.expat.Parse(data, False)
        except Refused as refused:
            return refused.condition
        except ExpatError as error:
            return condition_of(error, bytes(data), self.expat.ErrorByteIndex - before)
        return ""

    def _start(self, name: str, attrs: dict[str, str]) -> None:
        depth = self.depth
        if depth == 1:
            self._children.append(name)
        elif not depth:
            self._name = name
            self._attrs = attrs
            self._children = []
            self._begin = self.expat.CurrentByteIndex
        if depth >= self.deepest or len(attrs) > self.most:
            raise Refused("policy-violation")
        self.depth = depth + 1

    def _end(self, _name: str) -> None:
        depth = self.depth = self.depth - 1
        if not depth:
            self.seen.append(
                (self._name, self._attrs, self._children, self._begin, self.expat.CurrentByteIndex)
            )
        elif depth < 0:
            self.closed = self.expat.CurrentByteIndex

    def _start_cdata(self) -> None:
        self.cdata = True

    def _end_cdata(self) -> None:
        self.cdata = False

    def discard(self) -> None:
        """Break the cycle of the parser and its handlers, so that it goes at once."""
        expat = self.expat
        expat.StartElementHandler = None
        expat.EndElementHandler = None
        expat.StartCdataSectionHandler = None
        expat.EndCdataSectionHandler = None
        self._attrs = {}
        self._children = []
        self.seen = []


class Root:
    """What the streams with one root have in common.

    ns: the content namespace, "" if it is not declared as the default; prefixes: what a raw
    stanza must not hold if it is to mean the same elsewhere, each with its colon;
    declarations: how a stanza may repeat the content namespace.
    """

    __slots__ = ("ns", "prefixes", "declarations", "_builder", "_default", "_head", "_idle")

    def __init__(self, name: str, declared: dict[str, str]) -> None:
        """Name: as written; declared: namespaces by prefix, "" for the default one."""
        words = [
            f" xmlns{prefix and ':'}{prefix}={quoteattr(uri)}" for prefix, uri in declared.items()
        ]
        self._head = f"<{name}{''.join(words)}>".encode()
        self._default = declared.get("", "")
        self.ns = "" if self._default == NS.STREAM else self._default
        self.prefixes = tuple(f"{prefix}:".encode() for prefix in declared if prefix)
        self.declarations = (f"xmlns='{self.ns}'".encode(), f'xmlns="{self.ns}"'.encode())
        self._idle: list[Parser] = []
        self._builder: Builder | None = None

    @property
    def idle(self) -> int:
        """Parsers that wait in the pool."""
        return len(self._idle)

    @property
    def builder(self) -> Builder:
        """Makes elements of what has the root's prefixes in it."""
        if self._builder is None:
            self._builder = Builder(self._head, self._default)
        return self._builder

    def lease(self) -> Parser:
        """Return a parser that is between two stanzas."""
        return self._idle.pop() if self._idle else Parser(self._head)

    def give_back(self, parser: Parser) -> None:
        """Take a parser that is between two stanzas and holds no part of a token."""
        if parser.uses < MOST_USES and parser.total < MOST_BYTES and len(self._idle) < MOST_IDLE:
            self._idle.append(parser)
        else:
            parser.discard()

    def discard(self) -> None:
        """Throw away what waits."""
        while self._idle:
            self._idle.pop().discard()
        if self._builder is not None:
            self._builder.discard()

    @property
    def kept(self) -> bool:
        """Whether other streams may use it too."""
        return _roots.get(self._head) is self


_roots: dict[bytes, Root] = {}


def root_of(name: str, declared: dict[str, str]) -> Root:
    """Return the root with this name, as written, and these namespaces by prefix."""
    ordered = {prefix: declared[prefix] for prefix in sorted(declared) if prefix != "xml"}
    fresh = Root(name, ordered)
    kept = _roots.get(fresh._head)
    if kept is None:
        if len(_roots) >= MOST_ROOTS or len(fresh._head) > LONGEST_ROOT:
            return fresh
        kept = _roots[fresh._head] = fresh
    return kept


@attrs.frozen
class Start:
    """What the start tag of a stream says.

    attrs: names as expat gives them; declarations: of namespaces; empty: it is `<…/>`.
    """

    root: Root
    attrs: dict[str, str]
    declarations: int
    empty: bool


_DECLARATION = re.compile(rb"<\?xml\s")
_WRITTEN_NAME = re.compile(rb"<([^\s/>]+)")


def header_span(text: bytes) -> tuple[int, int]:
    """Return where the start tag of the stream begins and ends in text; the end is 0 if it has
    not come whole.

    Raises Refused as soon as something else is seen (RFC 6120 §4.9.3.13, §11.1, §11.6).
    """
    if text[0] == 0 or text[0] >= 0x80 or text[1:2] == b"\0":
        raise Refused("unsupported-encoding")
    begin = 0
    if text.startswith(b"<?"):
        if _DECLARATION.match(text) is None and len(text) >= len("<?xml "):
            raise Refused("restricted-xml")
        begin = text.find(b"?>") + 2
        if begin == 1:
            return 0, 0
    begin = len(text) - len(text[begin:].lstrip(SPACE))
    if begin == len(text):
        return 0, 0
    if text[begin] != ord("<"):
        raise Refused("not-well-formed")
    if text[begin + 1 : begin + 2] in (b"!", b"?"):
        raise Refused("restricted-xml")
    tag = TAG.match(text, begin)
    return begin, tag.end() if tag is not None else 0


_starts: dict[bytes, Start] = {}  # of headers that came before; most clients send the same


def read_root(text: bytes, begin: int) -> Start:
    """Return what a stream header says; its start tag is text[begin:].

    Raises Refused for another root (§4.8.1), and for what is no XML in UTF-8.
    """
    start = _starts.get(text)
    if start is None:
        start = _read_root(text, begin)
        if len(text) <= LONGEST_ROOT and start.root.kept:
            if len(_starts) >= MOST_STARTS:
                _starts.clear()
            _starts[text] = start
    return start


def _read_root(text: bytes, begin: int) -> Start:
    found: list[tuple[str, dict[str, str]]] = []
    declared: dict[str, str] = {}

    def declare(prefix: str | None, uri: str | None) -> None:
        declared[prefix or ""] = uri or ""

    expat = quiet_parser()
    expat.StartElementHandler = lambda name, attrs: found.append((name, attrs))
    expat.StartNamespaceDeclHandler = declare
    expat.XmlDeclHandler = _read_declaration
    try:
        expat.Parse(text, False)
    except ExpatError as error:
        if error.code == codes[XML_ERROR_UNBOUND_PREFIX]:
            raise Refused("bad-namespace-prefix") from None
        raise Refused(condition_of(error, text, expat.ErrorByteIndex)) from None
    written = _WRITTEN_NAME.match(text, begin)
    if not found or written is None:
        raise Refused("not-well-formed")
    name, attributes = found[0]
    if name != NS.STREAM + "}stream":
        wrong_name = name.startswith(NS.STREAM + "}")
        raise Refused("bad-format" if wrong_name else "invalid-namespace")
    root = root_of(written[1].decode(), declared)
    return Start(root, attributes, len(declared), text.endswith(b"/>"))


def _read_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.lower() != "utf-8":  # §11.6
        raise Refused("unsupported-encoding")


for _ns in (NS.CLIENT, NS.SERVER, "jabber:component:accept"):
    root_of("stream:stream", {"": _ns, "stream": NS.STREAM})
