"""How far what is heard lies behind what is said, at each tenth of a second: the playout delay breathes in a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .alignment import Segment, likeness, take
from .pcm import SAMPLE_RATE_HZ, FloatPcm

WINDOW_MS = 400
STEP_MS = 100
SEARCH_MS = 400
"""How far a window may lie from its segment: what a jitter buffer moves within 2 to 3 s."""

SURE_LIKENESS = 0.5
"""Correlation coefficient from which on a window has been recognised; speech coded at 12 kbit/s has about 0.9."""

_STAY_LIKENESS = 0.05
_AUDIBLE_RMS = 10 ** (-45 / 20)
"""Of full scale: a window with less says too little to be recognised."""


@dataclass(frozen=True, slots=True)
class LagTrack:
    """Lags of windows of the reference, arrays of one length."""

    centre: npt.NDArray[np.int64]
    """Samples of the reference."""
    lag: npt.NDArray[np.int64]
    """Samples; where a window was not recognised, the lag of the nearest one that was, else of its segment."""
    sure: npt.NDArray[np.bool_]
    """The window holds speech and was recognised."""
    audible: npt.NDArray[np.bool_]
    """The window holds speech."""

    def at(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The lag at each position of the reference (samples): that of the nearest window."""
        if not self.centre.size:
            return np.zeros_like(positions)
        after = np.clip(np.searchsorted(self.centre, positions), 1, max(1, self.centre.size - 1))
        before = after - 1
        after = np.minimum(after, self.centre.size - 1)
        nearer = np.abs(self.centre[after] - positions) < np.abs(self.centre[before] - positions)
        return np.asarray(self.lag[np.where(nearer, after, before)])


def track_lags(reference: FloatPcm, heard: FloatPcm, segments: Sequence[Segment]) -> LagTrack:
    """Find windows of the reference in the recording, each near where `segments` (from `align`) say."""
    window, step = SAMPLE_RATE_HZ * WINDOW_MS // 1000, SAMPLE_RATE_HZ * STEP_MS // 1000
    search = SAMPLE_RATE_HZ * SEARCH_MS // 1000
    starts = np.arange(0, max(1, reference.size - window + 1), step)
    lags, sure = np.zeros(starts.size, dtype=np.int64), np.zeros(starts.size, dtype=np.bool_)
    audible = sure.copy()
    stops = np.array([segment.stop for segment in segments])
    last: int | None = None
    for i, start in enumerate(starts.tolist()):
        piece = reference[start : start + window]
        segment = segments[min(int(np.searchsorted(stops, start + window // 2, side="right")), len(segments) - 1)]
        lags[i] = segment.lag
        if float(np.sqrt(np.mean(np.square(piece)))) < _AUDIBLE_RMS:
            continue
        audible[i] = True
        first = segment.lag - search
        alike = likeness(piece, take(heard, start + first, start + window + segment.lag + search))
        peak = int(np.argmax(alike))
        if last is not None and 0 <= last - first < alike.size and alike[last - first] > alike[peak] - _STAY_LIKENESS:
            near = slice(max(0, last - first - 16), last - first + 17)
            peak = near.start + int(np.argmax(alike[near]))
        if alike[peak] >= SURE_LIKENESS:
            last = lags[i] = first + peak
            sure[i] = True
    found = np.flatnonzero(sure)
    if found.size:
        positions = np.arange(starts.size)
        nearest = found[np.abs(found[None, :] - positions[:, None]).argmin(axis=1)]
        close = np.abs(nearest - positions) * STEP_MS <= SEARCH_MS * 2
        lags = np.where(sure | ~close, lags, lags[nearest])
    return LagTrack(starts + window // 2, lags, sure, audible)
