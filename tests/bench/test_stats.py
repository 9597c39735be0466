import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import median, percentile, ratio

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([1.0], 99, 1.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 50, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 51, 3.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
        ([float(n) for n in range(1, 101)], 100, 100.0),
        ([float(n) for n in range(1, 1001)], 99, 990.0),
        ([5.0, 6.0], 0, 5.0),
    ],
)
def test_a_percentile_is_the_nearest_rank(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


@given(VALUES, st.floats(0, 100))
def test_a_percentile_is_one_of_the_values_and_enough_are_not_above_it(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(v <= found for v in values) >= len(values) * percent / 100 * (1 - 1e-12)
    below = [v for v in values if v < found]
    assert len(below) <= len(values) * percent / 100


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], -1), ([1.0], 101), ([1.0], float("nan"))])
def test_a_percentile_of_nothing_or_beyond_all_is_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


def test_the_median_is_the_middle_and_nothing_has_none() -> None:
    assert median([9.0, 1.0, 2.0]) == 2.0
    assert median([1.0, 2.0, 4.0, 9.0]) == 3.0
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_twice_as_good_is_a_ratio_of_two_for_rates_and_for_times() -> None:
    assert ratio(200.0, 100.0, higher_is_better=True) == 2.0
    assert ratio(50.0, 100.0, higher_is_better=False) == 2.0


@pytest.mark.parametrize("bad", [0.0, -1.0, float("inf"), float("nan")])
def test_what_was_not_measured_is_not_compared(bad: float) -> None:
    for ours, reference in ((bad, 1.0), (1.0, bad)):
        with pytest.raises(ValueError, match="nothing to compare"):
            ratio(ours, reference, higher_is_better=True)
