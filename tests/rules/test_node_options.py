"""XEP-0060 §6.3, XEP-0248 §5.1: options of subscriptions, and whom an event reaches."""

import attrs
import pytest

from imsuite.rules.node_options import (
    DAY,
    DEFAULT,
    NS_ERRORS,
    NS_SUBSCRIBE_OPTIONS,
    Offer,
    Terms,
    from_form,
    from_text,
    overlap,
    to_form,
    to_text,
)
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.build import build
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.times import parse_datetime

NOW = parse_datetime("2026-01-01T00:00:00Z")
SECOND = 1_000_000
EVERYTHING = Offer(collection=True, digest=True, body=True, presence=True)
NOTHING = Offer(collection=False, digest=False, body=False, presence=False)


def submit(**fields):
    """Return a submission; values by the name of the field without its prefix, - for _."""
    inner = "".join(
        f"<field var='pubsub#{name}'>"
        + "".join(
            f"<value>{each}</value>" for each in ([value] if isinstance(value, str) else value)
        )
        + "</field>"
        for name, value in fields.items()
    )
    raw = (
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
        f"<value>{NS_SUBSCRIBE_OPTIONS}</value></field>{inner}</x>"
    )
    return forms.read(build(raw.encode(), NS.CLIENT))


def put(before=DEFAULT, offer=EVERYTHING, **fields):
    return from_form(submit(**fields), before, offer, NOW)


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({"deliver": "0"}, {"deliver": False}),
        ({"deliver": "false"}, {"deliver": False}),
        ({"digest": "true"}, {"digest": True}),
        ({"digest_frequency": "3600000"}, {"digest_frequency": 3_600_000}),
        ({"expire": "2026-02-01T00:00:00Z"}, {"expire": parse_datetime("2026-02-01T00:00:00Z")}),
        ({"expire": "presence"}, {"temporary": True}),
        ({"expire": ""}, {}),
        ({"include_body": "1"}, {"include_body": True}),
        ({"show-values": ["chat", "online"]}, {"shows": frozenset(("chat", "online"))}),
        ({"show-values": []}, {}),
        ({"subscription_type": "items"}, {"type": "items"}),
        ({"subscription_type": "all"}, {"type": "all"}),
        ({"subscription_depth": "0"}, {"depth": 0}),
        ({"subscription_depth": "7"}, {"depth": 7}),
        ({"subscription_depth": "all"}, {"depth": None}),
        ({"color": "green"}, {}),
    ],
)
def test_each_field_sets_its_option(fields, changes):
    """§16.4.2, XEP-0248 §9.2.1; what a form does not name stays as it is."""
    assert put(**fields) == attrs.evolve(DEFAULT, **changes)


@pytest.mark.parametrize(
    "fields",
    [
        {"deliver": "maybe"},
        {"deliver": ["1", "0"]},
        {"digest": "2"},
        {"digest_frequency": "often"},
        {"digest_frequency": "-1"},
        {"digest_frequency": "99999999999999"},
        {"expire": "tomorrow"},
        {"expire": "2025-12-31T23:59:59Z"},
        {"include_body": "x"},
        {"show-values": ["chat", "invisible"]},
        {"subscription_type": "leaves"},
        {"subscription_depth": "-1"},
        {"subscription_depth": "deep"},
    ],
)
def test_invalid_options_are_refused(fields):
    """§6.3.6.2"""
    with pytest.raises(StanzaError) as caught:
        put(**fields)
    assert caught.value.condition == "bad-request"
    assert caught.value.app == (NS_ERRORS, "invalid-options")


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"digest": "1"}, True),
        ({"digest": "0"}, False),
        ({"include_body": "1"}, True),
        ({"include_body": "0"}, False),
        ({"show-values": "chat"}, True),
        ({"expire": "presence"}, True),
        ({"subscription_type": "items"}, True),
        ({"subscription_type": "nodes"}, False),
        ({"subscription_depth": "all"}, True),
    ],
)
def test_what_a_node_does_not_offer_is_refused_unless_it_changes_nothing(fields, refused):
    """§6.3.6.2, §12.7: no option that would not be obeyed."""
    if not refused:
        assert put(offer=NOTHING, **fields) == DEFAULT
        return
    with pytest.raises(StanzaError) as caught:
        put(offer=NOTHING, **fields)
    assert caught.value.app == (NS_ERRORS, "invalid-options")


def test_what_is_no_longer_offered_can_be_taken_back():
    """§6.3.5"""
    before = attrs.evolve(DEFAULT, digest=True)
    assert put(before, NOTHING, digest="0") == DEFAULT
    assert put(before, NOTHING, deliver="0") == attrs.evolve(before, deliver=False)


def test_lease_is_cut_to_the_longest():
    """§12.18: changed to now and the longest lease."""
    offer = attrs.evolve(EVERYTHING, lease=60 * SECOND)
    assert put(offer=offer, expire="2027-01-01T00:00:00Z").expire == NOW + 60 * SECOND
    assert put(offer=offer, expire="2026-01-01T00:00:30Z").expire == NOW + 30 * SECOND


def test_lease_and_presence_exclude_each_other():
    """§12.4, §12.18: one field says either."""
    leased = put(expire="2026-02-01T00:00:00Z")
    temporary = put(leased, expire="presence")
    assert (temporary.expire, temporary.temporary) == (None, True)
    assert put(temporary, expire="") == DEFAULT


def test_digests_come_no_oftener_than_the_service_wants():
    """§16.4.2: it is a minimum."""
    offer = attrs.evolve(EVERYTHING, frequency=5000)
    assert put(offer=offer, digest_frequency="1").digest_frequency == 5000
    assert put(offer=offer, digest_frequency="6000").digest_frequency == 6000


ALL = Terms(
    deliver=False,
    digest=True,
    digest_frequency=2 * DAY,
    expire=NOW + SECOND,
    include_body=True,
    shows=frozenset(("away", "dnd")),
    type="all",
    depth=None,
)


@pytest.mark.parametrize(
    "options",
    [DEFAULT, ALL, Terms(temporary=True), Terms(depth=0)],
)
def test_form_and_stored_text_say_the_same_options(options):
    """§6.3.3: the form as it is offered, submitted unchanged, changes nothing."""
    form = forms.read(forms.to_element(to_form("form", options, EVERYTHING)))
    assert form.formNamespace == NS_SUBSCRIBE_OPTIONS
    form.formType = "submit"
    assert from_form(form, DEFAULT, EVERYTHING, NOW) == options
    assert from_text(to_text(options)) == options


def test_default_options_take_no_room():
    """What differs is stored."""
    assert to_text(DEFAULT) == ""
    assert from_text("") == DEFAULT


@pytest.mark.parametrize(
    ("offer", "absent"),
    [
        ({"digest": False}, {"pubsub#digest", "pubsub#digest_frequency"}),
        ({"body": False}, {"pubsub#include_body"}),
        ({"presence": False}, {"pubsub#show-values"}),
        ({"collection": False}, {"pubsub#subscription_type", "pubsub#subscription_depth"}),
    ],
)
def test_form_shows_what_is_offered(offer, absent):
    """§12.7, XEP-0248 §5.1"""
    full = set(to_form("form", DEFAULT, EVERYTHING).fields)
    assert set(to_form("form", DEFAULT, attrs.evolve(EVERYTHING, **offer)).fields) == full - absent


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("items", "nodes", False),
        ("items", "items", True),
        ("all", "nodes", True),
        ("items", "all", True),
    ],
)
def test_subscriptions_to_a_collection_overlap(first, second, both):
    """XEP-0248 §5.1.3"""
    pair = Terms(type=first), Terms(type=second, depth=None)
    assert overlap(*pair) is both
