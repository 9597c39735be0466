"""The judgement of the calibration: it lets a true middlebox pass and stops one that is a little off."""

from __future__ import annotations

import random

import pytest

from lab.calibration.checks import (
    Check,
    Report,
    delay_checks,
    exact_check,
    quantile,
    rate_check,
    runs,
    share_check,
)


def verdicts(*checks: Check) -> list[bool]:
    return [check.passed for check in checks]


def test_a_delay_may_be_off_by_a_millisecond_once_in_a_hundred() -> None:
    good = [25.1] * 990 + [40.0] * 10
    assert verdicts(*delay_checks("d", 25.0, good)) == [True, True]
    assert verdicts(*delay_checks("d", 25.0, [25.1] * 980 + [26.1] * 20)) == [True, False]
    assert verdicts(*delay_checks("d", 25.0, [24.4] * 100)) == [False, True], "too early is as wrong"


@pytest.mark.parametrize(("hits", "passed"), [(300, True), (366, False), (234, False), (0, False)])
def test_a_share_lies_within_four_deviations(hits: int, passed: bool) -> None:
    assert share_check("loss", 0.1, hits, 3_000).passed is passed


def test_honest_losses_pass() -> None:
    chance = random.Random(5)
    trials = [share_check("l", 0.1, sum(chance.random() < 0.1 for _ in range(3_000)), 3_000) for _ in range(200)]
    assert all(trial.passed for trial in trials)


@pytest.mark.parametrize(("gap_s", "passed"), [(0.0125, True), (0.0130, False), (0.0120, False)])
def test_a_rate_may_be_off_by_three_percent(gap_s: float, passed: bool) -> None:
    arrivals = [(n * gap_s, 200) for n in range(100)]
    assert rate_check("rate", 128_000, arrivals).passed is passed


def test_exact_means_exact() -> None:
    assert verdicts(exact_check("n", "packets", 6, 6), exact_check("n", "packets", 6, 5)) == [True, False]


def test_one_failed_check_fails_the_report() -> None:
    good, bad = exact_check("good", "n", 1, 1), exact_check("bad", "n", 1, 2)
    assert Report((good, good), realtime=True, attempts=1).passed
    report = Report((good, bad), realtime=True, attempts=1)
    assert not report.passed
    assert [line[:4] for line in report.lines()] == ["ok  ", "FAIL"]


def test_quantiles_and_runs() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile(list(range(100)), 0.99) == 98
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)
    assert runs([True, True, False, True, False]) == [2, 1]
