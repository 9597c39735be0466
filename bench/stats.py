"""The few figures that the benchmarks quote."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

RATIO_OF_RATES = "ours / reference; above 1 we do more"
RATIO_OF_TIMES = "reference / ours; above 1 we take less time"
RATIO_OF_SIZES = "reference / ours; above 1 we need less"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that at least `percent` of them do not exceed (nearest rank).

    Raises:
        ValueError: there are no values, or `percent` is not within 0 to 100.
    """
    if not values or not 0 <= percent <= 100:
        raise ValueError("a percentile needs values, and a percentage from 0 to 100")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle value. Raises ValueError for none."""
    if not values:
        raise ValueError("no values, no median")
    return statistics.median(values)


def ratio(ours: float, reference: float, *, higher_is_better: bool) -> float:
    """How many times better we are: a rate is divided by the reference's, for a time or a size the other way round.

    Raises:
        ValueError: a value is not a positive number; then nothing was measured.
    """
    if not (math.isfinite(ours) and math.isfinite(reference) and ours > 0 and reference > 0):
        raise ValueError(f"nothing to compare: {ours} and {reference}")
    return ours / reference if higher_is_better else reference / ours
