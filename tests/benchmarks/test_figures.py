"""Statistics of the benchmark, and its judgement."""

import itertools

import pytest

from benchmarks.figures import least, middle, percentile, ratio, spread
from benchmarks.loads.catalogue import LOADS
from benchmarks.loads.load import Measurement
from benchmarks.targets import TARGETS, against_peers, judge


def measured(load: str, server: str, number: int = 0, **figures: float) -> Measurement:
    """Return a measurement with some figures."""
    return Measurement(load=load, server=server, round=number, delivered=1, **figures)


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)]
)
def test_percentile_is_the_nearest_rank(percent, value):
    assert percentile([*range(100, 0, -1)], percent) == value


def test_percentile_of_one_value_is_that_value():
    assert percentile([7.0], 99) == 7.0


def test_percentile_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_missing_values_do_not_count():
    assert middle([3.0, None, 1.0, 2.0]) == 2.0
    assert middle([None]) is None
    assert least([3.0, None, 1.0]) == 1.0
    assert least([]) is None
    assert spread([None, 1.0]) is None
    assert spread([1.0, 2.0, 3.0]) == 1.0
    assert ratio(1.0, None) is None
    assert ratio(1.0, 4.0) == 0.25


def test_ratio_is_to_the_better_peer_by_medians():
    measurements = [
        *(measured("one", "imsuite", n, cpu=cpu) for n, cpu in enumerate((9.0, 10.0, 90.0))),
        *(measured("one", "ejabberd", n, cpu=cpu) for n, cpu in enumerate((1.0, 50.0, 60.0))),
        *(measured("one", "prosody-gen", n, cpu=cpu) for n, cpu in enumerate((39.0, 40.0, 41.0))),
        measured("one", "prosody", cpu=5.0),
    ]
    assert against_peers(measurements, "one", "imsuite", "cpu") == 0.25
    assert against_peers(measurements, "one", "ejabberd", "cpu") == 1.25


def test_targets_are_judged_from_their_bound_on():
    peers = [measured("one", "ejabberd", cpu=100.0), measured("one", "prosody-gen", cpu=200.0)]
    (reached,) = judge([*peers, measured("one", "imsuite", cpu=35.0)])
    (missed,) = judge([*peers, measured("one", "imsuite", cpu=36.0)])
    (absent,) = judge(peers)
    assert (reached.word, missed.word, absent.word) == ("pass", "FAIL", "not measured")


def test_absolute_target_needs_no_peer():
    (verdict,) = judge([measured("idle", "imsuite", kib=7.5)])
    assert verdict.passed


def test_failed_measurement_is_no_pass():
    failed = Measurement(load="idle", server="imsuite", round=0, delivered=0, failure="Stalled")
    (verdict,) = judge([failed])
    assert verdict.passed is None


def test_every_target_is_of_a_load_that_exists():
    assert {target.load for target in TARGETS} <= set(LOADS)


def test_target_may_compare_two_loads_of_one_server():
    measurements = [
        measured("page-1000", "imsuite", p50=2.0),
        measured("page-1000000", "imsuite", p50=2.2),
    ]
    (verdict,) = judge(measurements)
    assert verdict.value == pytest.approx(1.1)
    assert verdict.passed
    (absent,) = judge(measurements[1:])
    assert absent.passed is None


def test_loads_of_a_profile_stand_together():
    """Servers of a profile are started once in a round."""
    profiles = [load.profile for load in LOADS.values()]
    assert len([*itertools.groupby(profiles)]) == len(set(profiles))


def test_our_default_is_compared_with_theirs():
    """Rooms have archives by default here, and none there."""
    measurements = [
        measured("room-300-archive", "imsuite", cpu=6.0),
        measured("room-300-archive", "ejabberd", cpu=40.0),
        measured("room-300", "ejabberd", cpu=10.0),
    ]
    alike, default = (one for one in judge(measurements) if one.value is not None)
    assert alike.passed
    assert default.value == 0.6
    assert "peer in room-300" in str(default.target)
