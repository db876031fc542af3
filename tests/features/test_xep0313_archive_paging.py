"""XEP-0313 §4.3: pages, with XEP-0059."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imsuite.testing.memory import MemoryServer
from tests.archives import ask, ask_for, fill
from tests.helpers import holds, iq_error

JULIET = "juliet@example.org"
COUNT = 11


@pytest.fixture(scope="module")
def filled():
    """A client whose archive has eleven messages, "b" with one contact and "a" with another."""
    server = MemoryServer(options={"archive": {"page": 7}})
    for name in ("juliet", "nurse"):
        server.login(f"{name}@example.org/house")
    romeo = server.login("romeo@example.org/orchard")
    for number in range(COUNT):
        who = "nurse" if number % 3 == 0 else "juliet"
        fill(romeo, f"{who}@example.org", [f"{number} {who} says hello"])
    yield romeo
    server.stop()
    assert server.failures.take() == []


def pages(client, size, backwards, flipped, fields):
    """Yield every page of a query, in the order in which it was asked for."""
    at = "<before/>" if backwards else ""
    inner = "<flip-page/>" if flipped else ""
    for _ in range(COUNT + 2):
        answer = ask_for(client, fields, f"<max>{size}</max>{at}", inner)
        assert not answer.error, answer.fin
        yield answer
        if answer.complete:
            return
        at = f"<before>{answer.first}</before>" if backwards else f"<after>{answer.last}</after>"
    raise AssertionError("the pages do not end")


FILTERS = [
    {},
    {"with": "juliet@example.org"},
    {"with": "nurse@example.org"},
    {"with": "tybalt@example.org"},
    {"start": "2026-01-01T00:00:00.000003Z"},
    {"end": "2026-01-01T00:00:00.000006Z", "with": "juliet@example.org"},
    {"{urn:xmpp:fulltext:0}fulltext": "hello"},
    {"{urn:xmpp:fulltext:0}fulltext": "NURSE says"},
    {"include-groupchat": "false"},
]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(1, COUNT + 2),
    backwards=st.booleans(),
    flipped=st.booleans(),
    fields=st.sampled_from(FILTERS),
)
def test_pages_are_the_whole(filled, size, backwards, flipped, fields):
    """§4.2, §4.3.2-4: whatever the size and the direction, the same messages in the same order."""
    every = ask_for(filled, fields, "<max>7</max>")
    whole = every.ids
    while not every.complete:
        every = ask_for(filled, fields, f"<max>7</max><after>{every.last}</after>")
        whole = [*whole, *every.ids]
    found = []
    for page in pages(filled, size, backwards, flipped, fields):
        ids = page.ids[::-1] if flipped else page.ids
        assert len(ids) <= min(size, 7)
        assert (page.first, page.last) == ((ids[0], ids[-1]) if ids else (None, None))
        found = [*ids, *found] if backwards else [*found, *ids]
    assert found == whole
    assert whole == sorted(whole)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(0, COUNT),
    after=st.integers(0, COUNT - 1),
    before=st.integers(0, COUNT - 1),
    place=st.none() | st.integers(0, COUNT - 1),
    backwards=st.booleans(),
)
def test_any_page_is_a_slice(filled, size, after, before, place, backwards):
    """§4.1.3, §4.3: before-id and after-id say which results there are, <set/> which page."""
    ids = [id for page in pages(filled, 7, False, False, {}) for id in page.ids]
    if place is None:
        at = "<before/>" if backwards else ""
    else:
        name = "before" if backwards else "after"
        at = f"<{name}>{ids[place]}</{name}>"
    answer = ask(filled, f"<max>{size}</max>{at}", after_id=ids[after], before_id=ids[before])
    chosen = ids[after + 1 : before]
    if place is not None:
        chosen = [id for id in chosen if (id < ids[place] if backwards else id > ids[place])]
    most = min(size, 7)
    page = chosen[max(0, len(chosen) - most) :] if backwards else chosen[:most]
    assert answer.ids == page
    assert answer.complete == (len(page) == len(chosen))


def test_absurd_sizes_are_cut(filled):
    """§4.3.1"""
    for size in ("8", "1000000", "9" * 50):
        answer = ask(filled, f"<max>{size}</max>")
        assert (len(answer.ids), answer.complete) == (7, False)
    assert len(ask(filled).ids) == 7  # nor is more sent where nothing is said


def test_the_last_page(filled):
    """§4.3.3: in chronological order, the newest last"""
    answer = ask(filled, "<max>2</max><before/>")
    assert [body[:2] for body in answer.bodies] == ["9 ", "10"]
    assert not answer.complete


def test_a_flipped_page(filled):
    """§4.3.4: the same results, the newest sent first"""
    straight = ask(filled, "<max>3</max>")
    flipped = ask(filled, "<max>3</max>", "<flip-page/>")
    assert flipped.ids == straight.ids[::-1]
    assert flipped.fin == straight.fin


def test_only_the_count(filled):
    """XEP-0059 §2.7"""
    for fields, count in (({}, COUNT), ({"with": JULIET}, 7), ({"with": "x@example.org"}, 0)):
        answer = ask_for(filled, fields, "<max>0</max>")
        assert answer.results == []
        assert f"<count>{count}</count>" in answer.fin
        assert answer.complete == (count == 0)


def test_count_and_place_are_said_where_they_are_known(filled):
    """§4.3.2: the count of a whole result, the index of a first page"""
    assert "index='0'" in ask(filled, "<max>3</max>").fin
    assert "<count>" not in ask(filled, "<max>3</max>").fin
    assert "index" not in ask(filled, "<max>3</max><before/>").fin
    answer = ask(filled, "<max>7</max><before/>", with_=JULIET)
    assert "index='0'" in answer.fin
    assert "<count>7</count>" in answer.fin


@pytest.mark.parametrize("name", ["after", "before"])
def test_unknown_places_are_not_found(filled, name):
    """§4.3.2: item-not-found, whatever else is asked"""
    answer = ask(filled, f"<max>3</max><{name}>{'0' * 32}</{name}>", with_=JULIET)
    assert holds(answer.fin, iq_error("q", "item-not-found"))


def test_a_place_need_not_be_among_the_results(filled):
    """§4.3.2: it is enough that the archive has it"""
    (first,) = ask(filled, "<max>1</max>").ids
    found = ask(filled, f"<max>1</max><after>{first}</after>", with_="nurse@example.org")
    assert found.bodies == ["3 nurse says hello"]


def test_pages_have_no_numbers(filled):
    """XEP-0059 §2.6: feature-not-implemented; 0 is the first one"""
    answer = ask(filled, "<max>3</max><index>4</index>")
    assert holds(answer.fin, iq_error("q", "feature-not-implemented"))
    assert ask(filled, "<max>3</max><index>0</index>").ids == ask(filled, "<max>3</max>").ids


def test_a_page_has_a_bounded_size(server, romeo, juliet):
    """§4.3.1: the server may end a page; a large message still comes"""
    fill(romeo, JULIET, ["x" * 200_000, "y" * 200_000, "z" * 200_000, "small"])
    sizes = [len(page.ids) for page in pages(juliet, 50, False, False, {})]
    assert sizes == [2, 2]
    sizes = [len(page.ids) for page in pages(juliet, 50, True, False, {})]
    assert sizes == [3, 1]


@pytest.mark.server(options={"archive": {"page_bytes": 1024}})
def test_a_message_larger_than_a_page_is_one(romeo, juliet):
    fill(romeo, JULIET, ["x" * 5000, "y" * 5000])
    found = list(pages(juliet, 50, False, False, {}))
    assert [len(page.ids) for page in found] == [1, 1]
    by_id = ask(juliet, ids=[page.ids[0] for page in found])
    assert (len(by_id.ids), by_id.complete) == (1, False)
