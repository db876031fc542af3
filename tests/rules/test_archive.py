"""XEP-0313, XEP-0441, XEP-0431, XEP-0424: what can be said of archives without opening one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules import archive
from imsuite.rules.archive import (
    FULLTEXT,
    NEWEST,
    NS_MAM,
    Preferences,
    Query,
    Spans,
    Standard,
    bounds,
    is_retracted_by,
    parse_preferences,
    parse_query,
    parse_search,
    preferences_element,
    readable,
    retracts,
    searchable,
    token,
    tombstone,
)
from imsuite.xmpp.address import parse
from imsuite.xmpp.build import build
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza
from tests.archives import form


def query(inner="", attributes="", searches=True):
    raw = f"<query xmlns='{NS_MAM}'{attributes}>{inner}</query>"
    return parse_query(build(raw.encode(), NS_MAM), searches)


def message(inner, attributes=""):
    raw = (
        f"<message from='romeo@example.org/a' to='juliet@example.org'{attributes}>{inner}</message>"
    )
    return Stanza.parse(raw.encode())


# queries


def test_nothing_asked_is_everything():
    """XEP-0313 §4.1"""
    assert query() == query(form({})) == Query()
    assert query().everything


def test_every_field():
    """XEP-0313 §4.1"""
    fields = {
        "with": "Juliet@example.org/Balcony",
        "start": "1970-01-01T00:00:01Z",
        "end": "1970-01-01T00:00:02.5Z",
        "before-id": "b",
        "after-id": "a",
        "ids": ["x", "y", "x"],
        "include-groupchat": "false",
        FULLTEXT: "sweet sorrow",
    }
    assert query(form(fields) + "<flip-page/>", " queryid='f27'") == Query(
        peer=parse("juliet@example.org/Balcony"),
        start=1_000_000,
        end=2_500_000,
        after="a",
        before="b",
        ids=("x", "y"),
        groupchat=False,
        words=("sweet", "sorrow"),
        id="f27",
        flipped=True,
    )


@pytest.mark.parametrize(
    ("fields", "everything"),
    [
        ({"start": "2026-01-01T00:00:00Z"}, True),
        ({"before-id": "x"}, True),
        ({"with": "a@b"}, False),
        ({"ids": "x"}, False),
        ({FULLTEXT: "x"}, False),
        ({FULLTEXT: " "}, True),
        ({"include-groupchat": "0"}, False),
    ],
)
def test_what_leaves_nothing_out(fields, everything):
    assert query(form(fields)).everything is everything


def test_a_search_is_unknown_where_there_is_no_index():
    """XEP-0313 §4.1.5"""
    with pytest.raises(StanzaError) as caught:
        query(form({FULLTEXT: "x"}), searches=False)
    assert caught.value.condition == "feature-not-implemented"


@pytest.mark.parametrize(
    ("asked", "after", "before", "expected"),
    [
        (Query(), (), (), (0, NEWEST)),
        (Query(start=5, end=9), (), (), (5, 9)),
        (Query(start=5, end=9), (3,), (12,), (5, 9)),
        (Query(start=5, end=9), (5, 7), (9,), (8, 8)),
        (Query(start=-5), (), (), (0, NEWEST)),
        (Query(end=NEWEST * 2), (), (), (0, NEWEST)),
    ],
)
def test_bounds(asked, after, before, expected):
    """XEP-0313 §4.1.2: start and end are included; §4.1.3: ids are not."""
    assert bounds(asked, after, before) == expected


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=12))
def test_spans_hold_what_was_put_in(pairs):
    spans, expected = Spans(), set()
    for least, length in pairs:
        spans = spans.plus(least, least + length)
        expected |= set(range(least, least + length + 1))
    assert {id for id in range(80) if id in spans} == expected
    assert all(
        one[1] + 1 < other[0] for one, other in zip(spans.pairs, spans.pairs[1:], strict=False)
    )


def test_spans_are_bounded():
    spans = Spans()
    for id in range(0, 1000, 2):
        spans = spans.plus(id, id)
    assert len(spans.pairs) == archive.MOST_SPANS
    assert 998 in spans
    assert 0 not in spans


# preferences


def test_preferences_are_written_and_read():
    """XEP-0441 §2.1"""
    wanted = Preferences(Standard.ROSTER, frozenset({"a@b/c", "d@e"}), frozenset({"f"}))
    assert parse_preferences(preferences_element(wanted), 3) == wanted
    with pytest.raises(StanzaError) as caught:
        parse_preferences(preferences_element(wanted), 2)
    assert caught.value.condition == "resource-constraint"


BOTH = Preferences(
    always=frozenset({"always@x", "both@x", "mixed@x", "one@x/phone"}),
    never=frozenset({"never@x", "both@x", "mixed@x/tv", "x.example"}),
)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("always@x", True),
        ("always@x/any", True),
        ("never@x/any", False),
        ("both@x", False),
        ("mixed@x/phone", True),
        ("mixed@x/tv", False),
        ("one@x/phone", True),
        ("one@x", None),
        ("one@x/tv", None),
        ("other@x", None),
        ("x.example", False),
        ("a@x.example", None),
    ],
)
def test_lists(peer, expected):
    """XEP-0441 §2.3.1"""
    assert BOTH.lists(parse(peer)) is expected


# texts


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("<body>hello</body>", "hello"),
        ("<body>one</body><body xml:lang='de'>eins</body>", "one\neins"),
        ("<body>&lt;b&gt; &amp;</body>", "<b> &"),
        ("<body/>", ""),
        ("<subject>hello</subject>", ""),
        ("<body>x</body><encrypted xmlns='urn:xmpp:omemo:2'/>", ""),
        ("<body>x</body><reactions xmlns='urn:xmpp:reactions:0' id='1'/>", ""),
        ("<body>?OTR?v2?</body>", ""),
        ("<body>hi</body><markable xmlns='urn:xmpp:chat-markers:0'/>", "hi"),
    ],
)
def test_readable(inner, text):
    """XEP-0431, XEP-0428 §2"""
    assert readable(message(inner)) == text


def test_a_long_text_is_searched_from_its_beginning():
    assert len(readable(message(f"<body>{'x' * 30_000}</body>"))) == archive.LONGEST_TEXT


def test_search_words():
    """XEP-0431 §2.2: what could be syntax is no part of a word or stays inside it."""
    assert parse_search('  Sweet "sorrow"  ... sweet* (x) - don\'t ') == (
        "sweet",
        "sorrow",
        "sweet*",
        "(x)",
        "don't",
    )
    assert parse_search("?! -- *") == ()
    assert parse_search("薔薇 x") == ("薔 薇", "x")


def test_scripts_without_spaces_are_taken_apart():
    assert searchable("私は x").split() == ["私", "は", "x"]
    assert searchable("Parting is") == "parting is"


@pytest.mark.parametrize(
    ("text", "other"),
    [("Épée", "epee"), ("STRASSE", "straße"), ("ΣΊΣΥΦΟΣ", "σισυφος"), ("ｆｕｌｌ", "full")],
)
def test_case_accents_and_widths_do_not_count(text, other):
    """The same for every database."""
    assert searchable(text) == searchable(other)


def test_marks_that_are_no_accents_count():
    assert searchable("ガ") != searchable("カ")


def test_a_token_tells_nothing_and_is_one_word():
    """An account's name is not in the index."""
    assert token("romeo@example.org").isalnum()
    assert "romeo" not in token("romeo@example.org")
    assert token("romeo@example.org") != token("juliet@example.org")


# retraction

RETRACT = "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>"


@pytest.mark.parametrize(
    ("inner", "attributes", "id"),
    [
        (RETRACT, " id='r'", "m1"),
        (RETRACT, " id='r' type='chat'", "m1"),
        (RETRACT, " id='r' type='groupchat'", None),
        (RETRACT, " id='r' type='error'", None),
        (RETRACT, "", None),
        (RETRACT.replace(" id='m1'", ""), " id='r'", None),
        (RETRACT.replace(":1'", ":0'"), " id='r'", None),
        ("<body>x</body>", " id='r'", None),
    ],
)
def test_retracts(inner, attributes, id):
    """XEP-0424 §3, §5.1"""
    assert retracts(message(inner, attributes)) == id


@pytest.mark.parametrize(
    ("raw", "author", "expected"),
    [
        (b"<message from='a@b/c' id='m1'><body>x</body></message>", "a@b", True),
        (b"<message from='a@b/c' id='m1'><body>x</body></message>", "a@b/c", True),
        (b"<message from='a@b/c' id='m1'><body>x</body></message>", "a@b/d", False),
        (b"<message from='a@b/c' id='m1'><body>x</body></message>", "d@b", False),
        (b"<message from='a@b/c' id='m2'><body>m1</body></message>", "a@b", False),
        (b"<message from='a@b/c' id='&#109;1'><body>x</body></message>", "a@b", True),
        (b"<message from='a@b/c' id='m1'/>", "a@b", False),
        (
            b"<message from='a@b/c' id='m1'><body>x</body>%s</message>" % RETRACT.encode(),
            "a@b",
            False,
        ),
    ],
)
def test_is_retracted_by(raw, author, expected):
    """XEP-0424 §5"""
    assert is_retracted_by(raw, "m1", author) is expected


@given(id=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1))
def test_tombstone(id):
    """XEP-0424 §4: addresses, type and id stay, all else goes."""
    raw = message("<body>secret</body><thread>t</thread>", " type='chat' id='m1' xml:lang='en'").raw
    buried = Stanza.parse(tombstone(raw, id, 1_568_972_972_000_000))
    assert buried.attrs == {
        "from": "romeo@example.org/a",
        "to": "juliet@example.org",
        "type": "chat",
        "id": "m1",
    }
    assert buried.children == ("urn:xmpp:message-retract:1}retracted",)
    retracted = buried.payload
    assert retracted["id"] == id
    assert retracted["stamp"] == "2019-09-20T09:49:32Z"
