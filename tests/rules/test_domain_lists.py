"""XEP-0133 §4.11, §4.12: blacklists and whitelists of a domain."""

import pytest

from imsuite.rules.domain_lists import IN, OUT, Lists, matches
from imsuite.xmpp.address import parse


@pytest.mark.parametrize(
    ("listed", "jid", "found"),
    [
        ("verona.lit", "tybalt@verona.lit/street", True),
        ("verona.lit", "verona.lit", True),
        ("verona.lit", "north.verona.lit", False),
        ("tybalt@verona.lit", "tybalt@verona.lit/street", True),
        ("tybalt@verona.lit", "paris@verona.lit/street", False),
        ("tybalt@verona.lit/street", "tybalt@verona.lit/street", True),
        ("tybalt@verona.lit/street", "tybalt@verona.lit", False),
        ("verona.lit/street", "tybalt@verona.lit/street", True),
        ("verona.lit/street", "tybalt@verona.lit/home", False),
    ],
)
def test_an_entry_is_a_jid_of_any_form(listed, jid, found):
    """§4.11; XEP-0016 §2.1"""
    assert matches({listed}, parse(jid)) is found


@pytest.mark.parametrize(
    ("black", "white", "jid", "inward", "outward"),
    [
        ({}, {}, "a@verona.lit", False, False),
        ({"verona.lit": "both"}, {}, "a@verona.lit", True, True),
        ({"verona.lit": "in"}, {}, "a@verona.lit", True, False),
        ({"verona.lit": "out"}, {}, "a@verona.lit", False, True),
        ({}, {"verona.lit": "both"}, "a@verona.lit", False, False),
        ({}, {"verona.lit": "both"}, "a@mantua.lit", True, True),
        ({}, {"verona.lit": "in"}, "a@mantua.lit", True, False),
        ({}, {"verona.lit": "both"}, "a@example.org", False, False),
        ({"a@verona.lit": "both"}, {"verona.lit": "both"}, "a@verona.lit", True, True),
        ({"a@example.org": "both"}, {}, "a@example.org", True, True),
    ],
)
def test_who_is_refused(black, white, jid, inward, outward):
    """§4.11, §4.12: the domain itself needs no place on a whitelist."""
    for way, refused in ((IN, inward), (OUT, outward)):
        lists = Lists.of(black, white, way)
        assert lists.refuse(parse(jid), "example.org".__eq__) is refused


def test_without_entries_nothing_is_looked_at():
    assert not Lists.of({}, {}, IN)
    assert not Lists.of({"a.lit": "out"}, {}, IN)
    assert Lists.of({}, {"a.lit": "both"}, OUT)
