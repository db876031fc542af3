"""Token buckets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules.throttle import Bucket


def test_burst_passes_at_once_and_more_has_to_wait():
    bucket = Bucket(rate=10, burst=100)
    assert bucket.take(0, 100) == 0
    assert bucket.take(0, 5) == 0.5
    assert bucket.take(0.5) == pytest.approx(0.1)


def test_bucket_fills_as_time_goes_by_and_not_above_the_burst():
    bucket = Bucket(rate=10, burst=100)
    bucket.take(0, 100)
    assert bucket.take(5, 50) == 0
    assert bucket.take(1000, 100) == 0
    assert bucket.take(1000, 10) == 1


def test_more_than_a_burst_at_once_is_a_longer_debt():
    bucket = Bucket(rate=10, burst=100)
    assert bucket.take(0, 300) == 20
    assert bucket.take(20, 0) == 0


def test_bucket_made_later_is_no_fuller():
    bucket = Bucket(rate=10, burst=100, now=1000)
    assert bucket.take(1000, 110) == 1


def test_clock_that_jumps_back_takes_nothing_away():
    bucket = Bucket(rate=10, burst=100, now=50)
    assert bucket.take(40, 100) == 0
    assert bucket.take(45, 10) == 1
    assert bucket.take(51, 0) == 0


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0), (-1, 1), (math.nan, 1), (math.inf, 1)])
def test_rate_and_burst_are_positive(numbers):
    with pytest.raises(ValueError, match="positive"):
        Bucket(*numbers)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 200)), max_size=40))
def test_who_waits_as_told_never_gets_more_than_burst_and_rate_allow(steps):
    bucket, now, passed = Bucket(rate=7, burst=100), 0.0, 0
    for pause, amount in steps:
        now += pause
        wait = bucket.take(now, amount)
        passed += amount
        now += wait
        assert passed <= 100 + 7 * now + 1e-6
