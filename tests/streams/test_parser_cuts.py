"""The same stanzas however the bytes are cut."""

import random

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.words.xish.domish import ExpatElementStream

from tests.streams.reading import (
    END_TAG,
    HEAD,
    opened,
    plain,
    raws,
    read,
)

TEXT = st.text(st.sampled_from("ab <>&'\"]\n\r\tä€😀:="), max_size=12)
QUOTES = st.sampled_from("'\"")
NAME = st.sampled_from(["a", "b", "body", "x-1", "ä", "f:a", "stream:a"])


def _quoted(value, quote):
    value = value.replace("&", "&amp;").replace("<", "&lt;")
    return quote + value.replace(quote, "&#39;" if quote == "'" else "&quot;") + quote


@st.composite
def elements(draw, depth=2, names=NAME):
    name = draw(names)
    attributes = draw(
        st.dictionaries(st.sampled_from(["to", "id", "xml:lang", "c"]), TEXT, max_size=3)
    )
    words = [f"{k}={_quoted(v, draw(QUOTES))}" for k, v in attributes.items()]
    if name.startswith("f:") or draw(st.booleans()):
        words.append(f"xmlns:f={_quoted('urn:f' + draw(st.sampled_from(['', '2'])), chr(39))}")
    if draw(st.integers(0, 3)) == 0:
        words.insert(
            draw(st.integers(0, len(words))),
            f"xmlns='{draw(st.sampled_from(['jabber:client', 'urn:x']))}'",
        )
    tag = " ".join([name, *words])
    inside = []
    for _ in range(draw(st.integers(0, 3)) if depth else 0):
        which = draw(st.integers(0, 3))
        if which == 0:
            inside.append(
                draw(TEXT).replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;")
            )
        elif which == 1:
            inside.append("<![CDATA[" + draw(TEXT).replace("]]>", "") + "]]>")
        else:
            inside.append(draw(elements(depth - 1)))
    if not inside and draw(st.booleans()):
        return f"<{tag}/>"
    return f"<{tag}>{''.join(inside)}</{name}>"


STANZAS = st.lists(
    st.tuples(
        elements(names=st.sampled_from(["message", "iq", "a", "f:message", "stream:error"])),
        st.sampled_from(["", " ", "\n", "\r\n", "\r"]),
    ),
    max_size=6,
)


def meaning(element):
    """A tree without the ways to write it."""
    nodes = []
    for node in element.children:
        if isinstance(node, str) and nodes and isinstance(nodes[-1], str):
            nodes[-1] += node
        else:
            nodes.append(node if isinstance(node, str) else meaning(node))
    return element.uri, element.name, element.attributes, nodes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stanzas=STANZAS, seed=st.integers(0, 2**32))
@example(stanzas=[("<message><body>a ]]&gt;</body></message>", "\r")], seed=1)
def test_stanzas_are_the_same_however_they_are_cut(stanzas, seed):
    """Whole, byte by byte and at random cuts; and they mean what domish reads."""
    data = "".join(stanza + space for stanza, space in stanzas).encode()
    events = read(data)
    assert len(raws(events)) == len(stanzas)
    rest, reader, singly = data, opened(), []
    dice = random.Random(seed)
    while rest:
        size = dice.choice((1, 2, 3, 7, 20, 100))
        singly += reader.feed(rest[:size])
        rest = rest[size:]
    assert plain(singly) == plain(events)
    for event, (written, _) in zip(events, stanzas, strict=True):
        assert meaning(event.element) == meaning(_by_domish(written))
        assert event.element.uri == event.ns


def _by_domish(written):
    found = []
    stream = ExpatElementStream()
    stream.DocumentStartEvent = lambda element: None
    stream.DocumentEndEvent = lambda: None
    stream.ElementEvent = found.append
    stream.parse(HEAD + written.encode() + END_TAG)
    return found[0]


@settings(max_examples=100, deadline=None)
@given(
    data=st.lists(
        st.sampled_from(
            [
                *(
                    b"<",
                    b">",
                    b"/",
                    b"'",
                    b'"',
                    b"=",
                    b" ",
                    b"a",
                    b":",
                    b"&",
                    b";",
                    b"]",
                    b"!",
                    b"?",
                ),
                *(b"<a>", b"</a>", b"<a/>", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?", b"?>"),
                *(b"&amp;", b"\xff", b"\xc3\xa4", b"\x00", b"\r", b"xmlns='b'", END_TAG),
            ]
        ),
        max_size=25,
    ).map(b"".join)
)
def test_any_input_ends_alike_however_it_is_cut(data):
    """What was good before an error is the same; and so is whether there is an end.

    A fault inside what is not finished shows only when more comes: hence the end tags.
    """
    data += b"</a></a></a>"
    whole = opened().feed(data)
    reader = opened()
    singly = [event for i in range(len(data)) for event in reader.feed(data[i : i + 1])]
    good = [event for event in plain(whole) if not isinstance(event, str)]
    assert [event for event in plain(singly) if not isinstance(event, str)] == good
    assert len(singly) == len(whole)
