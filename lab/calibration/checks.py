"""What the middlebox was asked for beside what it did, with bounds that say whether the lab may be believed. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import msgspec

DELAY_ERROR_MS_P50_MAX = 0.5
DELAY_ERROR_MS_P99_MAX = 1.0
RATE_ERROR_MAX = 0.03
DEVIATIONS = 4.0
"""Bounds of a share lie so many standard deviations from the one asked for: one honest run in 16,000 fails."""


class Check(msgspec.Struct, frozen=True):
    """One figure. It passes between `low` and `high`, both included."""

    name: str
    unit: str
    measured: float
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """Whether the middlebox did what it was asked for."""
        return self.low <= self.measured <= self.high


class Report(msgspec.Struct, frozen=True):
    """All checks of one run. A lab whose report did not pass writes no results."""

    checks: tuple[Check, ...]
    realtime: bool
    """The middlebox ran with real-time priority."""
    attempts: int
    """How often the most often repeated step was tried."""

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def lines(self) -> Iterable[str]:
        """The report for people."""
        for check in self.checks:
            mark = "ok  " if check.passed else "FAIL"
            bounds = f"{check.low:g} to {check.high:g}"
            yield f"{mark} {check.name}: {check.measured:.6g} {check.unit} (may be {bounds})"


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of the values do not exceed. Raises ValueError for none."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def delay_checks(name: str, asked_ms: float, measured_ms: Sequence[float]) -> list[Check]:
    """Error of a constant delay: median and 99 % quantile of its size."""
    errors = [abs(value - asked_ms) for value in measured_ms]
    return [
        Check(f"{name}, error p50", "ms", quantile(errors, 0.5), 0.0, DELAY_ERROR_MS_P50_MAX),
        Check(f"{name}, error p99", "ms", quantile(errors, 0.99), 0.0, DELAY_ERROR_MS_P99_MAX),
    ]


def share_check(name: str, asked: float, hits: int, count: int) -> Check:
    """A share of independent events, by the normal approximation of the binomial distribution."""
    margin = DEVIATIONS * math.sqrt(asked * (1 - asked) / count)
    return Check(name, "share", hits / count, asked - margin, asked + margin)


def exact_check(name: str, unit: str, asked: float, measured: float) -> Check:
    """A figure that allows of no error."""
    return Check(name, unit, measured, asked, asked)


def rate_check(name: str, asked_bits_per_s: float, arrivals: Sequence[tuple[float, int]]) -> Check:
    """Bits per second of packets (time in s, IP bytes) that always stood in a queue; the first opens the clock."""
    span_s = arrivals[-1][0] - arrivals[0][0]
    rate = sum(size for _, size in arrivals[1:]) * 8 / span_s
    margin = RATE_ERROR_MAX * asked_bits_per_s
    return Check(name, "bit/s", rate, asked_bits_per_s - margin, asked_bits_per_s + margin)


def runs(lost: Iterable[bool]) -> list[int]:
    """Lengths of the runs of losses."""
    return [len(list(run)) for was_lost, run in itertools.groupby(lost) if was_lost]
