"""The audio clock of a browser on the machine's clock."""

from __future__ import annotations

import time

import pytest

from lab.peers.clocks import axis_of, wall_offset_s

RATE_HZ = 48_000
BLOCK = 2400


def test_a_steady_clock_has_one_pair_whatever_the_thread_waited() -> None:
    waits_ms = [3.0, 0.0, 41.0, 0.0, 7.0, 0.0]
    marks = [((i + 1) * BLOCK, 1000.0 + (i + 1) * 50 + wait) for i, wait in enumerate(waits_ms)]
    ((position_s, at_s),) = axis_of(marks, RATE_HZ, 500.0)
    assert position_s == 0
    assert at_s == pytest.approx(501.0)


def test_sound_that_paused_goes_on_later() -> None:
    marks = [((i + 1) * BLOCK, 1000.0 + (i + 1) * 50 + (120 if i >= 3 else 0)) for i in range(6)]
    first, second = axis_of(marks, RATE_HZ, 0.0)
    assert list(first) == pytest.approx([0.0, 1.0])
    assert list(second) == pytest.approx([3 * BLOCK / RATE_HZ, 1.0 + 0.15 + 0.12])


def test_the_offset_leads_from_the_wall_clock_to_the_monotonic_one() -> None:
    assert time.time() + wall_offset_s() == pytest.approx(time.monotonic(), abs=0.05)
