"""Statistics of the measurements: medians, percentiles, spread."""

import math
from collections.abc import Iterable, Sequence
from statistics import median


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least percent of the values do not exceed.

    Nearest rank, so it is a value that was measured. Raises ValueError without values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(rank, 1) - 1]


def middle(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are there, None when there is none."""
    present = [value for value in values if value is not None]
    return median(present) if present else None


def spread(values: Iterable[float | None]) -> float | None:
    """Return how far the values lie apart: (greatest - least) / median, None below two values."""
    present = [value for value in values if value is not None]
    if len(present) < 2 or not median(present):
        return None
    return (max(present) - min(present)) / median(present)


def least(values: Iterable[float | None]) -> float | None:
    """Return the least of the values that are there, None when there is none."""
    return min((value for value in values if value is not None), default=None)


def ratio(value: float | None, base: float | None) -> float | None:
    """Return value / base, None when either is missing or the base is nothing."""
    if value is None or not base:
        return None
    return value / base
