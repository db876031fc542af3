"""XEP-0082: dates and times."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.xmpp import times
from imsuite.xmpp.errors import StanzaError

FIRST, LAST = -62135596800 * times.SECOND, 253402300800 * times.SECOND - 1  # years 1 to 9999


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-07-21T02:56:15Z", -14159025_000000),
        ("1969-07-20T21:56:15-05:00", -14159025_000000),
        ("2000-02-29T12:00:00.5Z", 951825600_500000),
        ("2000-02-29T12:00:00.1234569Z", 951825600_123456),
        ("2000-02-29T12:00:00+14:00", 951775200_000000),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00Z", FIRST),
        ("9999-12-31T23:59:59.999999Z", LAST),
    ],
)
def test_datetime_names_a_moment(text, moment):
    """§3.2"""
    assert times.parse_datetime(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2000-02-29",
        "2000-02-29T12:00:00",
        "2000-02-29 12:00:00Z",
        "2000-02-29t12:00:00z",
        "2001-02-29T12:00:00Z",
        "2000-13-01T12:00:00Z",
        "2000-02-29T24:00:00Z",
        "2000-02-29T12:60:00Z",
        "2000-02-29T12:00:60Z",
        "2000-02-29T12:00Z",
        "2000-02-29T12:00:00.Z",
        "2000-02-29T12:00:00,5Z",
        "2000-02-29T12:00:00+0100",
        "2000-02-29T12:00:00+14:01",
        "2000-02-29T12:00:00+01:60",
        "20000229T12:00:00Z",
        "-2000-02-29T12:00:00Z",
        "12000-02-29T12:00:00Z",
        "0000-02-29T12:00:00Z",
        "2000-02-29T12:00:00Z\n",
        " 2000-02-29T12:00:00Z",
        "\u0662000-02-29T12:00:00Z",
    ],
)
def test_other_spellings_are_refused(text):
    """§3.2: bad-request."""
    with pytest.raises(times.InvalidTime) as caught:
        times.parse_datetime(text)
    assert isinstance(caught.value, StanzaError)
    assert caught.value.condition == "bad-request"


def test_moment_is_written_in_utc():
    """§3.2, §7"""
    assert times.format_datetime(-14159025_000000) == "1969-07-21T02:56:15Z"
    assert times.format_datetime(951825600_500000) == "2000-02-29T12:00:00.500000Z"
    assert times.format_datetime(-1) == "1969-12-31T23:59:59.999999Z"


@given(st.integers(FIRST, LAST))
def test_moment_comes_back_to_the_microsecond(moment):
    assert times.parse_datetime(times.format_datetime(moment)) == moment


@pytest.mark.parametrize("moment", [FIRST - 1, LAST + 1])
def test_moment_beyond_four_digits_of_year_cannot_be_written(moment):
    with pytest.raises(OverflowError):
        times.format_datetime(moment)


def test_date():
    """§3.1"""
    assert times.parse_date("1776-07-04") == date(1776, 7, 4)
    assert times.format_date(date(1776, 7, 4)) == "1776-07-04"
    for text in ("1776-7-4", "17760704", "1776-02-30", "1776-07-04Z", "1776-W27-4"):
        with pytest.raises(times.InvalidTime):
            times.parse_date(text)


def test_time_of_day():
    """§3.3: the zone may be left out."""
    tea = 16 * 3600 * times.SECOND
    assert times.parse_time("16:00:00") == (tea, None)
    assert times.parse_time("16:00:00Z") == (tea, 0)
    assert times.parse_time("16:00:00.25-07:30") == (tea + 250000, -450)
    assert times.format_time(tea) == "16:00:00Z"
    for text in ("16:00", "24:00:00", "16:00:00+15:00", "1600:00"):
        with pytest.raises(times.InvalidTime):
            times.parse_time(text)


@pytest.mark.parametrize(("minutes", "text"), [(0, "+00:00"), (420, "+07:00"), (-210, "-03:30")])
def test_zone(minutes, text):
    """§2.1"""
    assert times.format_zone(minutes) == text
