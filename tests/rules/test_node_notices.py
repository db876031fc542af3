"""XEP-0060 §7, §12, XEP-0248 §4: whom an event reaches."""

import attrs
import pytest

from imsuite.rules.node_notices import (
    Event,
    Interest,
    Notice,
    Verdict,
    notices,
    verdict,
    words,
)
from imsuite.rules.node_options import (
    DEFAULT,
    SHOWS,
    TYPES,
    Terms,
    is_over,
)
from imsuite.xmpp import ns as NS
from imsuite.xmpp.build import build
from imsuite.xmpp.times import parse_datetime

NOW = parse_datetime("2026-01-01T00:00:00Z")
ONLINE = frozenset(("online",))


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("depth", [0, 1, 2, None])
@pytest.mark.parametrize("distance", [0, 1, 2, 3])
@pytest.mark.parametrize("event", Event)
def test_type_and_depth_count_below_a_collection(type, depth, distance, event):
    """XEP-0248 §5.1: of the node itself everything is told."""
    options = Terms(type=type, depth=depth)
    wanted = distance == 0 or (
        type in ("all", event.value) and (depth is None or depth >= distance)
    )
    assert verdict(options, event, distance, None) is (Verdict.NOW if wanted else Verdict.NOTHING)


@pytest.mark.parametrize("show", SHOWS)
def test_presence_decides_where_it_is_chosen(show):
    """§16.4.2: pubsub#show-values"""
    options = Terms(shows=frozenset((show,)))
    others = frozenset(SHOWS) - {show}
    assert verdict(options, Event.ITEMS, 0, frozenset((show,))) is Verdict.NOW
    assert verdict(options, Event.ITEMS, 0, frozenset(SHOWS)) is Verdict.NOW
    assert verdict(options, Event.ITEMS, 0, others) is Verdict.NOTHING
    assert verdict(options, Event.ITEMS, 0, frozenset()) is Verdict.NOTHING
    assert verdict(options, Event.ITEMS, 0, None) is Verdict.NOW


def test_presence_does_not_matter_unless_it_is_chosen():
    """§16.4.2"""
    assert verdict(DEFAULT, Event.ITEMS, 0, frozenset()) is Verdict.NOW


def test_digest_is_of_items_that_are_kept():
    """§16.4.2: pubsub#digest; that an item or a node is gone can not wait."""
    options = Terms(digest=True)
    assert verdict(options, Event.ITEMS, 0, ONLINE, True) is Verdict.DIGEST
    assert verdict(options, Event.ITEMS, 0, ONLINE) is Verdict.NOW
    assert verdict(options, Event.NODES, 0, ONLINE) is Verdict.NOW
    undelivered = attrs.evolve(options, deliver=False)
    assert verdict(undelivered, Event.ITEMS, 0, ONLINE, True) is Verdict.NOTHING
    assert notices([Interest("a@x", "1", options)], Event.ITEMS, lambda _: None, NOW, True) == []


def told(interests, event=Event.ITEMS, presence=lambda jid: ONLINE, now=NOW):
    return notices(interests, event, presence, now)


def test_one_notice_for_several_subscriptions_of_one_address():
    """§6.1.6, §7.1.2.4: which name themselves only where they are several."""
    found = told(
        [
            Interest("a@x", "1"),
            Interest("b@x", "2"),
            Interest("a@x", "3", Terms(include_body=True)),
            Interest("a@x/r", "4"),
        ]
    )
    assert found == [
        Notice("a@x", ("1", "3"), (), True),
        Notice("b@x"),
        Notice("a@x/r"),
    ]


def test_collections_are_named():
    """XEP-0248 §4.1: every one through which the subscriber hears of it, once."""
    items = Terms(type="items", depth=None)
    found = told(
        [
            Interest("a@x", "1", items, "blogs", 1),
            Interest("a@x", "2", items, "blogs", 2),
            Interest("a@x", "3", items, "all", 2),
            Interest("b@x", "4", DEFAULT, "blogs", 1),
        ]
    )
    assert found == [Notice("a@x", (), ("blogs", "all"))]


def test_root_collection_has_a_name_that_is_empty():
    """XEP-0248 §7.1"""
    items = Terms(type="items")
    assert told([Interest("a@x", "1", items, "", 1)]) == [Notice("a@x", (), ("",))]


def test_lease_that_ended_hears_nothing():
    """§12.18"""
    options = Terms(expire=NOW)
    assert is_over(options, NOW)
    assert not is_over(options, NOW - 1)
    assert not is_over(DEFAULT, NOW)
    assert told([Interest("a@x", "1", options)]) == []
    assert told([Interest("a@x", "1", options)], now=NOW - 1) == [Notice("a@x")]


def test_presence_is_asked_only_where_it_matters():
    """A look-up for each of a thousand subscribers would cost."""
    asked = []

    def presence(jid):
        asked.append(jid)
        return frozenset()

    told(
        [Interest("a@x", "1"), Interest("b@x", "2", Terms(shows=ONLINE))],
        presence=presence,
    )
    assert asked == ["b@x"]


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ("<entry xmlns='http://www.w3.org/2005/Atom'><title>T</title></entry>", "T"),
        (
            "<entry xmlns='http://www.w3.org/2005/Atom'><title>T</title>"
            "<summary> S </summary></entry>",
            "S",
        ),
        ("<entry xmlns='http://www.w3.org/2005/Atom'><summary/></entry>", None),
        ("<mood xmlns='http://jabber.org/protocol/mood'><text>yay</text></mood>", "yay"),
        ("<entry xmlns='urn:other'><title>T</title></entry>", None),
    ],
)
def test_known_payloads_are_said_in_words(payload, text):
    """§12.7"""
    assert words(build(payload.encode(), NS.CLIENT)) == text
