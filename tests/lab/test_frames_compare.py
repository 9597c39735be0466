"""How the controller is compared with the levels held."""

from __future__ import annotations

import pytest

from lab.frames.compare import NETWORKS, Result, Row

FIFTH_LOST = NETWORKS[2]


def result(level: str, late: float, bytes_per_s: float = 10_000, late_down: float = 0.0) -> Result:
    return Result(FIFTH_LOST.name, level, late, late_down, 0, 0, 1, bytes_per_s, 0, 0)


def row(controlled: Result) -> Row:
    held = (result("lean", 0.3, 3_000), result("boost", 0.0040, 9_000), result("heavy", 0.0035, 12_000))
    return Row(FIFTH_LOST, controlled, held)


def test_of_levels_about_as_good_the_one_with_the_fewest_bytes_is_the_best() -> None:
    made = row(result("controlled", 0.004, 9_450))
    assert made.best.level == "boost"
    assert made.bytes_to_best == pytest.approx(1.05)


@pytest.mark.parametrize(("up", "down", "holds"), [(0.005, 0.005, True), (0.006, 0, False), (0, 0.006, False)])
def test_both_directions_have_to_hold(up: float, down: float, holds: bool) -> None:
    assert FIFTH_LOST.share_min == 0.995
    assert row(result("controlled", up, late_down=down)).holds is holds
