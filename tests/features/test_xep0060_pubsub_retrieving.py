"""XEP-0060 §6.5: items are read."""

import pytest

from tests.eventing import PUBSUB
from tests.helpers import holds
from tests.owning import affiliates, creates, done, publishes, read, refusal, subscribes, wants

RSM = "http://jabber.org/protocol/rsm"
BIG = "<x xmlns='urn:x'>" + "y" * 60_000 + "</x>"


def asks_items(client, more="", inner="", after="", node="n"):
    return wants(client, f"<items node='{node}'{more}>{inner}</items>{after}", "get")


def got(answer):
    """Return the ids in an answer, and its <set/> as text."""
    pubsub = next(read(done(answer)).elements())
    ids, page = [], None
    for element in pubsub.elements():
        if element.name == "items":
            ids = [item["id"] for item in element.elements()]
        else:
            page = element.toXml()
    return ids, page


def page(*parts):
    return f"<set xmlns='{RSM}'>{''.join(parts)}</set>"


@pytest.fixture
def node(romeo):
    """A node with items a to e."""
    creates(romeo, "n")
    for item in "abcde":
        publishes(romeo, "n", item, f"<x xmlns='urn:x'>{item}</x>")
    romeo.forget()
    return "n"


def test_all_items(node, juliet):
    """§6.5.4: oldest first; nothing is said of pages where it is all."""
    assert got(asks_items(juliet)) == (list("abcde"), None)


def test_items_have_their_payloads(node, juliet):
    """§6.5.4"""
    inside = "<items node='n'><item id='c'><x xmlns='urn:x'>c</x></item></items>"
    assert holds(asks_items(juliet), f"<iq><pubsub xmlns='{PUBSUB}'>{inside}</pubsub></iq>")


def test_items_by_id(node, juliet):
    """§6.5.6, §6.5.8: those that are not there are left out."""
    inner = "<item id='d'/><item id='x'/><item id='b'/>"
    assert got(asks_items(juliet, inner=inner)) == (["d", "b"], None)
    assert got(asks_items(juliet, inner="<item id='x'/>")) == ([], None)
    wrong = asks_items(juliet, inner="<item/>")
    assert refusal(wrong) == ("modify", "bad-request")


def test_newest_items(node, juliet):
    """§6.5.7"""
    assert got(asks_items(juliet, " max_items='2'")) == (["d", "e"], None)
    assert got(asks_items(juliet, " max_items='7'")) == (list("abcde"), None)
    for wrong in ("-1", "two", "", "²"):
        answer = asks_items(juliet, f" max_items='{wrong}'")
        assert refusal(answer) == ("modify", "bad-request")


@pytest.mark.parametrize(
    ("parts", "ids", "first"),
    [
        (("<max>2</max>",), "ab", 0),
        (("<max>2</max>", "<after>b</after>"), "cd", 2),
        (("<max>2</max>", "<after>e</after>"), "", None),
        (("<max>2</max>", "<before>d</before>"), "bc", 1),
        (("<max>2</max>", "<before/>"), "de", 3),
        (("<max>2</max>", "<index>3</index>"), "de", 3),
        (("<max>0</max>",), "", None),
    ],
)
def test_pages(node, juliet, parts, ids, first):
    """XEP-0059 §2.2 to §2.7"""
    answer = asks_items(juliet, after=page(*parts))
    assert got(answer)[0] == list(ids)
    ends = ""
    if ids:
        ends = f"<first index='{first}'>{ids[0]}</first><last>{ids[-1]}</last>"
    whole = f"<pubsub xmlns='{PUBSUB}'>{page(ends, '<count>5</count>')}</pubsub>"
    assert holds(answer, f"<iq>{whole}</iq>")


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        (("<after>x</after>",), ("cancel", "item-not-found")),
        (("<max>many</max>",), ("modify", "bad-request")),
        (("<after>a</after>", "<before>b</before>"), ("modify", "bad-request")),
    ],
)
def test_page_that_is_none(node, juliet, parts, error):
    """XEP-0059 §2.4"""
    assert refusal(asks_items(juliet, after=page(*parts))) == error


@pytest.mark.server(options={"pubsub": {"page": 3}})
def test_long_answer_says_that_there_is_more(node, juliet):
    """§6.5.5: the newest, as those are wanted most. [features.pubsub] page."""
    ids, more = got(asks_items(juliet))
    assert ids == list("cde")
    assert "<count>5</count>" in more
    ids, _ = got(asks_items(juliet, after=page("<max>10</max>", "<before>c</before>")))
    assert ids == list("ab")
    many = "".join(f"<item id='{id}'/>" for id in "abcd")
    assert refusal(asks_items(juliet, inner=many)) == ("modify", "policy-violation")
    assert got(asks_items(juliet, " max_items='5'"))[0] == list("cde")


@pytest.mark.parametrize("parts", [(), ("<max>50</max>",), ("<before/>",)])
def test_long_items_make_short_answers(romeo, parts):
    """§6.5.5: an answer has so many bytes at most, and a page fewer items than it might."""
    creates(romeo, "n")
    for number in range(20):
        publishes(romeo, "n", f"i{number}", BIG)
    ids, more = got(asks_items(romeo, after=page(*parts) if parts else ""))
    backwards = "<max>50</max>" not in parts
    assert ids == [f"i{number}" for number in (range(3, 20) if backwards else range(17))]
    assert "<count>20</count>" in more


def test_last_item_of_a_node_that_keeps_none(romeo, juliet):
    """§6.5.9.4, and §6.5.5: the last one is remembered for a while."""
    creates(romeo, "n", persist_items="0")
    error = ("cancel", "feature-not-implemented", "unsupported", "persistent-items")
    assert refusal(asks_items(juliet)) == error
    publishes(romeo, "n", "a")
    publishes(romeo, "n", "b")
    assert got(asks_items(juliet))[0] == ["b"]
    assert got(asks_items(juliet, inner="<item id='a'/>"))[0] == []


def test_publisher_is_named_where_the_owner_wants_it(romeo, juliet):
    """§7.1.2.3, §12.16: everywhere, and not by who publishes."""
    creates(romeo, "n", itemreply="publisher", publish_model="open")
    subscribes(juliet, "n")
    forged = "<item id='b' publisher='juliet@example.org'><x xmlns='urn:x'/></item>"
    done(wants(romeo, f"<publish node='n'>{forged}</publish>"))
    publishes(juliet, "n", "a")
    # of those who are on a list of the node the bare JID is known, of others the full one
    for stanza in (juliet.received[0], asks_items(juliet)):
        assert "publisher='romeo@example.org'" in stanza
    assert "<item id='a' publisher='juliet@example.org/balcony'>" in asks_items(juliet)


def test_owner_is_named_where_the_owner_wants_it(romeo, juliet):
    """§12.16"""
    creates(romeo, "n", itemreply="owner", publish_model="open")
    publishes(juliet, "n", "a")
    assert "<item id='a' publisher='romeo@example.org'>" in asks_items(juliet)


def test_nobody_is_named_otherwise(node, juliet):
    """§12.16"""
    assert "publisher" not in asks_items(juliet)


# errors


def test_subid_where_there_are_several(node, juliet):
    """§6.5.9.1, §6.5.9.2"""
    _, subid = subscribes(juliet, "n")
    assert refusal(asks_items(juliet, " subid='x'"))[1:] == ("not-acceptable", "invalid-subid")
    subscribes(juliet, "n", deliver="0")
    assert refusal(asks_items(juliet))[1:] == ("bad-request", "subid-required")
    assert got(asks_items(juliet, f" subid='{subid}'"))[0] == list("abcde")


def test_items_are_for_subscribers(romeo, juliet):
    """§6.5.9.3; §12.13: publishers need not subscribe."""
    creates(romeo, "n", access_model="authorize")
    error = ("auth", "not-authorized", "not-subscribed")
    assert refusal(asks_items(juliet)) == error
    done(affiliates(romeo, "n", juliet="publisher"))
    done(asks_items(juliet))


def test_collection_has_no_items_of_its_own(romeo):
    """§6.5.9.5, XEP-0248 §5.2: those of its leaves; an id would name an item of one node."""
    creates(romeo, "c", node_type="collection")
    assert "<items" not in done(asks_items(romeo, node="c"))
    error = ("cancel", "feature-not-implemented", "unsupported", "retrieve-items")
    assert refusal(asks_items(romeo, inner="<item id='a'/>", node="c")) == error


def test_whitelist_and_outcasts(romeo, juliet):
    """§6.5.9.8, §6.5.9.10"""
    creates(romeo, "n", access_model="whitelist")
    assert refusal(asks_items(juliet)) == ("cancel", "not-allowed", "closed-node")
    done(affiliates(romeo, "n", juliet="outcast"))
    assert refusal(asks_items(juliet)) == ("auth", "forbidden")


def test_node_is_needed(juliet):
    """§6.5.9.11"""
    assert refusal(asks_items(juliet)) == ("cancel", "item-not-found")
    assert refusal(wants(juliet, "<items/>", "get")) == (
        "modify",
        "bad-request",
        "nodeid-required",
    )
