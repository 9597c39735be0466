"""Puts a browser's audio clock on CLOCK_MONOTONIC, the clock that all processes of a machine share."""

from __future__ import annotations

import time
from collections.abc import Sequence

STEP_MAX_S = 0.003
"""The wall clock of a page counts whole milliseconds: less than this is no pause of the sound."""


def wall_offset_s() -> float:
    """What to add to CLOCK_REALTIME to have CLOCK_MONOTONIC."""
    return time.monotonic() - time.time()


def axis_of(marks: Sequence[tuple[int, float]], rate_hz: int, offset_s: float) -> tuple[tuple[float, float], ...]:
    """(position in s, CLOCK_MONOTONIC in s) wherever a recording began or went on after a pause.

    `marks`: (frames so far, wall clock in ms), at least one, in order. A mark is late by however long the browser's
    thread waited for the processor, never early, and sound that paused never catches up: so the true lag of the audio
    clock at a mark is the least of all marks from there on.
    """
    lags = [wall_ms / 1000 - frames / rate_hz for frames, wall_ms in marks]
    for index in range(len(lags) - 2, -1, -1):
        lags[index] = min(lags[index], lags[index + 1])
    pairs = [(0.0, lags[0] + offset_s)]
    known = lags[0]
    for (before, _), lag in zip(marks, lags[1:], strict=False):
        if lag - known > STEP_MAX_S:
            known = lag
            pairs.append((before / rate_hz, before / rate_hz + lag + offset_s))
    return tuple(pairs)
