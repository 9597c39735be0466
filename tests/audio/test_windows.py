"""The sliding windows behind jitter buffer and playout."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringthrough.audio.windows import SettledMinimum, SlidingWindow

values_of_a_call = st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=1, max_size=60)


@given(values=values_of_a_call, size=st.integers(1, 20), share=st.floats(0.01, 1.0))
def test_window_equals_a_sort_of_the_last_values(values: list[float], size: int, share: float) -> None:
    window = SlidingWindow(size)
    for value in values:
        window.add(value)
    recent = sorted(values[-size:])
    assert len(window) == len(recent)
    assert (window.smallest(), window.largest()) == (recent[0], recent[-1])
    assert window.is_full == (len(values) >= size)
    reach = window.quantile(share)
    assert sum(value <= reach for value in recent) >= share * len(recent) - 1e-9
    assert sum(value < reach for value in recent) < share * len(recent) + 1e-9


def test_empty_window_has_no_smallest() -> None:
    window = SlidingWindow(3)
    window.add(1.0)
    window.clear()
    with pytest.raises(ValueError, match="no values"):
        window.smallest()


def test_minimum_settles_after_enough_and_moves_with_the_schedule() -> None:
    minimum = SettledMinimum(3, 2)
    minimum.add(5.0)
    assert minimum.settled_ms() is None
    minimum.add(9.0)
    assert minimum.settled_ms() == 5.0
    minimum.add(7.0)
    assert minimum.settled_ms() == 5.0
    minimum.shift(-2.0)
    assert minimum.settled_ms() == 3.0
    minimum.add(8.0)
    assert minimum.settled_ms() == 5.0
    minimum.clear()
    assert minimum.settled_ms() is None


def test_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SlidingWindow(0)
    for size, least in ((0, 0), (3, 0), (3, 4)):
        with pytest.raises(ValueError, match="at least one"):
            SettledMinimum(size, least)
