"""Patterns of XML: an element that says what another one must hold at least.

Attributes, text and children that the pattern has must be there; the other may have more of
all of them, in any order. `{name}` in a value stands for whatever is there the first time and
for the same afterwards, `{}` for anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast
from xml.etree.ElementTree import Element, ParseError, XMLParser, XMLPullParser

from imsuite.xmpp import ns as NS

HEADER = f"{{{NS.STREAM}}}stream"
_VARIABLE = re.compile(r"\{(\w*)\}")
_OUTSIDE = f"<x xmlns='{NS.CLIENT}' xmlns:stream='{NS.STREAM}'>".encode()

Values = Mapping[str, str]


class BadXML(ValueError):
    """The text is not an element."""


class Wire:
    """Reads one side of a stream as a client would that knows nothing of imsuite's parser.

    An element is what stands directly inside the stream; its header is an element too, empty
    and first. ended: the end tag of the stream came.
    """

    def __init__(self) -> None:
        self.ended = False
        self._parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
        self._open: list[Element] = []

    def restart(self) -> None:
        """Expect a new stream."""
        self.__init__()  # type: ignore[misc]

    def feed(self, data: bytes) -> list[Element]:
        """Return the elements that are complete. Raises BadXML."""
        found = []
        try:
            self._parser.feed(data)
            if hasattr(self._parser, "flush"):  # newer versions put tokens off otherwise
                self._parser.flush()
            for event, what in self._parser.read_events():  # type: ignore[misc]
                element = cast("Element", what)  # as it is for these two events
                if event == "start":
                    self._open.append(element)
                    if len(self._open) == 1:
                        found.append(_copy_of_tag(element))
                    continue
                self._open.pop()
                if len(self._open) == 1:
                    element.tail = None
                    self._open[0].remove(element)
                    found.append(element)
                elif not self._open:
                    self.ended = True
        except ParseError as error:
            raise BadXML(f"{error} in {data!r}") from None
        return found


def _copy_of_tag(element: Element) -> Element:
    return Element(element.tag, dict(element.attrib))


def read(text: str) -> Element:
    """Return the element that a text spells; a stream header needs no end. Raises BadXML."""
    parser = XMLParser()  # noqa: S314 # of what tests say
    body = text.strip()
    if body.startswith("<?xml"):
        body = body.partition("?>")[2]
    if re.match(r"\s*<stream:stream\b[^>]*[^/]>\s*$", body):
        body += "</stream:stream>"
    try:
        parser.feed(_OUTSIDE + body.encode() + b"</x>")
        outside = parser.close()
    except ParseError as error:
        raise BadXML(f"{error}: {text}") from None
    if len(outside) != 1:
        raise BadXML(f"not one element: {text}")
    found: Element = outside[0]
    return found


def fill(text: str, values: Values) -> str:
    """Return a text with the variables that have a value put in, for sending it."""

    def put(match: re.Match[str]) -> str:
        value = values.get(match[1])
        return match[0] if value is None else _escaped(value)

    return _VARIABLE.sub(put, text)


def match(pattern: Element, found: Element, values: Values) -> Iterator[dict[str, str]]:
    """Yield the values of the variables for each way in which an element fits a pattern."""
    if pattern.tag != found.tag:
        return
    pairs = []
    for name, wanted in pattern.attrib.items():
        value = found.attrib.get(name)
        if value is None:
            return
        pairs.append((wanted, value))
    text = (pattern.text or "").strip()
    if text:
        pairs.append((text, (found.text or "").strip()))
    known = dict(values)
    for wanted, value in pairs:
        bound = _match_value(wanted, value, known)
        if bound is None:
            return
        known = bound
    yield from _match_children(list(pattern), list(found), known)


def shown(element: Element, outside: str = NS.CLIENT) -> str:
    """Return an element as people write it, for messages. outside: namespace around it."""
    ns, _, name = element.tag[1:].partition("}") if element.tag[0] == "{" else ("", "", element.tag)
    attributes = "".join(
        f" {key.replace(f'{{{NS.XML}}}', 'xml:')}='{_escaped(value)}'"
        for key, value in element.attrib.items()
    )
    declared = "" if ns == outside else f" xmlns='{ns}'"
    inside = _escaped(element.text or "") + "".join(
        shown(child, ns) + _escaped(child.tail or "") for child in element
    )
    end = f">{inside}</{name}>" if inside else "/>"
    return f"<{name}{attributes}{declared}{end}"


def _match_children(
    patterns: list[Element], found: list[Element], values: dict[str, str]
) -> Iterator[dict[str, str]]:
    if not patterns:
        yield values
        return
    for place, child in enumerate(found):
        for bound in match(patterns[0], child, values):
            yield from _match_children(patterns[1:], found[:place] + found[place + 1 :], bound)


def _match_value(wanted: str, value: str, values: dict[str, str]) -> dict[str, str] | None:
    """Return the values known after a text fits a pattern, None if it does not."""
    if "{" not in wanted:
        return values if wanted == value else None
    expression, names = "", []
    end = 0
    for variable in _VARIABLE.finditer(wanted):
        expression += re.escape(wanted[end : variable.start()])
        end = variable.end()
        name = variable[1]
        if name in values:
            expression += re.escape(values[name])
        elif name in names:
            expression += f"(?P={name})"
        elif name:
            names.append(name)
            expression += f"(?P<{name}>.+?)"
        else:
            expression += ".*?"
    fits = re.fullmatch(expression + re.escape(wanted[end:]), value, re.DOTALL)
    return None if fits is None else {**values, **fits.groupdict()}


def _escaped(value: str) -> str:
    for character, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&apos;")):
        value = value.replace(character, name)
    return value.replace('"', "&quot;")
