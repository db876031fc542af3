"""XEP-0198 §3 to §6: counts on the wire and inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules.resumption import (
    WRAP,
    TooHigh,
    acknowledged,
    acknowledged_anew,
    on_wire,
    parse_count,
    wants,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("4294967295", WRAP - 1),
        (" 7 ", 7),
        ("007", 7),
        ("4294967296", None),
        ("-1", None),
        ("", None),
        (None, None),
        ("1.0", None),
        ("0x1", None),
        ("٣", None),  # a digit, but none of XML Schema's
        ("1" * 400, None),
    ],
)
def test_a_count_is_an_unsigned_int(text, count):
    """§8"""
    assert parse_count(text) == count


@given(st.integers(0, 2**40), st.integers(0, 1000), st.data())
def test_a_count_survives_the_wire(acked, waiting, data):
    """§4: it wraps at 2³²."""
    now = data.draw(st.integers(acked, acked + waiting))
    assert acknowledged(on_wire(now), acked, acked + waiting) == now


@given(st.integers(0, 2**40), st.integers(0, 1000), st.integers(1, 1000))
def test_a_count_of_what_was_never_sent_is_too_high(acked, waiting, more):
    """§6"""
    sent = acked + waiting
    assert acknowledged(on_wire(sent + more), acked, sent) == TooHigh(
        on_wire(sent + more), on_wire(sent)
    )


@given(st.integers(1, 2**40), st.integers(1, 1000))
def test_a_count_that_goes_back_is_too_high(acked, less):
    assert isinstance(acknowledged(on_wire(acked - min(less, acked)), acked, acked), TooHigh)


@given(st.integers(0, 2**40), st.integers(0, 99))
def test_after_a_crash_the_client_knows_better(acked, more):
    assert acknowledged_anew(on_wire(acked + more), acked, 100) == acked + more
    assert isinstance(acknowledged_anew(on_wire(acked + 100), acked, 100), TooHigh)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [("true", True), ("1", True), ("false", False), ("0", False), (None, False)],
)
def test_a_boolean_has_two_spellings(value, meaning):
    assert wants(value) is meaning
