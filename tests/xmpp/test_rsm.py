"""XEP-0059: Result Set Management."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.words.xish.domish import Element

from imsuite.xmpp.build import build
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.rsm import RSM, Page, answer, cut, wanted
from imsuite.xmpp.stanza import child, text_of, to_bytes


def asked(inner, most=100, default=None):
    """Return the page that the inside of a <set/> asks for."""
    raw = f"<query xmlns='urn:a'><a/><set xmlns='{RSM}'>{inner}</set></query>"
    return wanted(build(raw.encode(), "jabber:client"), most, default)


@pytest.mark.parametrize(
    ("inner", "page"),
    [
        ("<max>10</max>", Page(10)),
        ("<max>0</max>", Page(0)),
        ("<max> \n+010\t</max>", Page(10)),
        ("<max>101</max>", Page(100)),
        (f"<max>{'9' * 10_000}</max>", Page(100)),
        (f"<max>{'0' * 10_000}7</max>", Page(7)),
        ("", Page(100)),
        ("<max>10</max><after>a</after>", Page(10, after="a")),
        ("<after>&lt;a&gt;&#32;</after>", Page(100, after="<a> ")),
        ("<after/>", Page(100)),
        ("<max>10</max><before>a</before>", Page(10, before="a")),
        ("<max>10</max><before/>", Page(10, last=True)),
        ("<before></before>", Page(100, last=True)),
        ("<max>10</max><index>371</index>", Page(10, index=371)),
        ("<index>0</index>", Page(100, index=0)),
        ("<max>10</max><count>3</count><first/><b xmlns='urn:b'/>", Page(10)),
        ("<max>10</max><max xmlns='urn:b'>x</max>", Page(10)),
    ],
)
def test_page_is_read(inner, page):
    """§2.1-§2.7; more than may be had is as much as may be had, what is unknown is ignored."""
    assert asked(inner) == page


@pytest.mark.parametrize(
    "inner",
    [
        "<max/>",
        "<max>-1</max>",
        "<max>1.5</max>",
        "<max>1e3</max>",
        "<max>0x10</max>",
        "<max>ten</max>",
        "<max>1 0</max>",
        "<max>1_0</max>",
        "<max>\u0661\u0662</max>",
        "<max>\u00b2</max>",
        "<max>\xa010</max>",
        "<max>1<b/>0</max>",
        "<max>1</max><max>1</max>",
        "<index/>",
        "<index>-1</index>",
        "<index>a</index>",
        "<index>1</index><index>1</index>",
        "<after>a</after><after>a</after>",
        "<after><b/></after>",
        "<before/><before/>",
        "<before>a</before><before/>",
        "<before>a</before><after>b</after>",
        "<before/><after>b</after>",
        "<before/><index>1</index>",
        "<after>a</after><index>1</index>",
    ],
)
def test_nonsense_is_refused(inner):
    """What is no number, twice there, or contradicts itself."""
    with pytest.raises(StanzaError) as why:
        asked(inner)
    assert why.value.condition == "bad-request"


def test_two_sets_are_refused():
    raw = f"<query xmlns='urn:a'><set xmlns='{RSM}'/><set xmlns='{RSM}'/></query>"
    with pytest.raises(StanzaError) as why:
        wanted(build(raw.encode(), "jabber:client"), 10)
    assert why.value.condition == "bad-request"


def test_no_set_is_no_wish():
    """§4: who does not ask for pages may not know them."""
    raw = b"<query xmlns='urn:a'><set/><set xmlns='urn:b'><max>x</max></set></query>"
    assert wanted(build(raw, "jabber:client"), 10) is None


def test_limits_of_a_page():
    """What the request does not name is the default; nothing exceeds the most."""
    assert asked("", most=50, default=20).max == 20
    assert asked("<max>30</max>", most=50, default=20).max == 30
    assert asked("<max>60</max>", most=50, default=20).max == 50
    assert asked("", most=10, default=20).max == 10


def test_direction_of_a_page():
    """§2.3, §2.5: the page is found from its end."""
    assert asked("<before/>").backwards
    assert asked("<before>a</before>").backwards
    assert not asked("<after>a</after>").backwards
    assert not asked("").backwards


@given(st.text(max_size=30) | st.integers(0).map(str) | st.text("+-0123456789 ", max_size=9))
def test_any_number_is_read_or_refused(text):
    """Nothing else than a page or bad-request comes of what a client writes."""
    query = Element(("urn:a", "query"))
    inner = query.addElement((RSM, "set"))
    inner.addElement("max", content=text)
    inner.addElement("index", content=text)
    try:
        page = wanted(query, 100)
    except StanzaError as why:
        condition, page = why.condition, None
    if page is None:
        assert condition == "bad-request"
    else:
        assert 0 <= page.max <= 100
        assert page.index >= page.max


@pytest.mark.parametrize(
    ("given_", "inner"),
    [
        (
            {"first": "a", "last": "b", "index": 0, "count": 2},
            "<first index='0'>a</first><last>b</last><count>2</count>",
        ),
        ({"first": "a", "last": "a"}, "<first>a</first><last>a</last>"),
        ({"count": 800}, "<count>800</count>"),
        ({"count": 0, "index": 3}, "<count>0</count>"),
        ({"first": "<'", "last": "&"}, "<first>&lt;'</first><last>&amp;</last>"),
    ],
)
def test_answer_is_written(given_, inner):
    """§2.2: without first and last if the page is empty."""
    assert to_bytes(answer(**given_)) == f"<set xmlns='{RSM}'>{inner}</set>".encode()


def test_empty_answer_is_written():
    """XEP-0313 §4.2: a <fin/> has a <set/>, even if it says nothing."""
    assert to_bytes(answer()) == f"<set xmlns='{RSM}'/>".encode()


PLACES = list("abcdefghij")


@pytest.mark.parametrize(
    ("page", "found"),
    [
        (Page(3), "abc"),
        (Page(100), "abcdefghij"),
        (Page(3, after="c"), "def"),
        (Page(3, after="i"), "j"),
        (Page(3, after="j"), ""),
        (Page(3, before="d"), "abc"),
        (Page(3, before="c"), "ab"),
        (Page(3, before="a"), ""),
        (Page(3, last=True), "hij"),
        (Page(0), ""),
        (Page(0, last=True), ""),
        (Page(3, index=0), "abc"),
        (Page(3, index=9), "j"),
        (Page(3, index=10), ""),
        (Page(3, index=10**18), ""),
    ],
)
def test_page_is_cut(page, found):
    """§2.2-§2.7: in the order of the result, whichever way it was found."""
    part, element = cut(PLACES, page)
    assert "".join(PLACES[part]) == found
    first, last = child(element, RSM, "first"), child(element, RSM, "last")
    assert text_of(child(element, RSM, "count")) == "10"
    assert (first is None) == (last is None) == (found == "")
    if first is not None:
        assert (text_of(first), text_of(last)) == (found[0], found[-1])
        assert int(first["index"]) == PLACES.index(found[0])


@pytest.mark.parametrize("page", [Page(3, after="z"), Page(3, before="z"), Page(0, after="")])
def test_unknown_item_is_not_found(page):
    """§2.4"""
    with pytest.raises(StanzaError) as why:
        cut(PLACES, page)
    assert why.value.condition == "item-not-found"


def test_empty_result_is_an_empty_page():
    """§2.7: there is nothing, and that is said."""
    for page in (Page(3), Page(3, last=True), Page(3, index=0)):
        part, element = cut([], page)
        assert [][part] == []
        assert to_bytes(element) == f"<set xmlns='{RSM}'><count>0</count></set>".encode()


@given(st.integers(0, 50), st.integers(1, 20))
def test_pages_forwards_and_backwards_are_the_whole(count, most):
    """§2.2: no item is left out, none comes twice."""
    uids = [str(number) for number in range(count)]
    forwards, page = [], Page(most)
    while uids[(part := cut(uids, page)[0])]:
        forwards += uids[part]
        page = Page(most, after=forwards[-1])
    assert forwards == uids
    backwards, page = [], Page(most, last=True)
    while uids[(part := cut(uids, page)[0])]:
        backwards = uids[part] + backwards
        page = Page(most, before=backwards[0])
    assert backwards == uids
