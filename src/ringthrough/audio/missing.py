"""Speech that did not arrive: frames of 20 ms in which something was said and something else, or nothing, heard.

Concealment that sounds like the speech it replaces is not a loss; a robot's voice or a hole is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .lags import LagTrack
from .pcm import SAMPLE_RATE_HZ, FloatPcm

FRAME_MS = 20
LOST_DB = 6.0
"""Root mean square difference of the two log spectra from which on a frame is lost. Clean Opus at 9.6 kbit/s stays
below 5 dB in 999 of 1000 frames."""

SPEECH_BELOW_PEAK_DB = 25.0
"""A frame holds speech when its level is no further below the 95 % quantile of levels."""

SILENT_BELOW_SPEECH_DB = 30.0
"""A frame is silent when what is heard lies further below the level of speech."""

_WINDOW = 512
_HOP = SAMPLE_RATE_HZ * FRAME_MS // 1000
_BANDS = 18
_FROM_HZ, _TO_HZ = 150.0, 3800.0
"""The band of a telephone: what is lost above costs beauty, not words."""
_DYNAMIC_DB = 50.0
_SLACK = SAMPLE_RATE_HZ * 10 // 1000
_SHIFTS = (-_SLACK, 0, _SLACK)


@dataclass(frozen=True, slots=True)
class Missing:
    """Shares are of the frames with speech."""

    speech_lost: float
    """0 to 1."""
    longest_silence_ms: float
    """The longest time during which the other side spoke and nothing was heard."""


def missing(reference: FloatPcm, heard: FloatPcm, track: LagTrack) -> Missing:
    """Compare frame by frame, each with its counterpart at the lag of `track` (give or take 10 ms)."""
    said = _spectra(_frames(reference, np.zeros(_count(reference), dtype=np.int64)))
    positions = np.arange(said.shape[0], dtype=np.int64) * _HOP
    lag = track.at(positions + _WINDOW // 2)
    got = [_spectra(_frames(heard, lag + shift, said.shape[0])) for shift in _SHIFTS]
    level = 10 * np.log10(said.sum(axis=1) + 1e-12)
    top = float(np.quantile(level, 0.95))
    speech = level > top - SPEECH_BELOW_PEAK_DB
    gain_db = _gain_db(said, got[len(got) // 2], speech)
    distance = np.min([_distance_db(said, one, gain_db) for one in got], axis=0)
    loudest_db = 10 * np.log10(np.max([one.sum(axis=1) for one in got], axis=0) + 1e-12)
    silent = speech & (loudest_db + gain_db < top - SILENT_BELOW_SPEECH_DB)
    lost = speech & ((distance > LOST_DB) | silent)
    return Missing(float(lost.sum() / max(1, speech.sum())), _longest(speech, silent) * FRAME_MS)


def _count(samples: FloatPcm) -> int:
    return max(1, (samples.size - _WINDOW) // _HOP + 1)


def _frames(samples: FloatPcm, lag: npt.NDArray[np.int64], count: int | None = None) -> FloatPcm:
    """Windows at each hop plus its lag; silence where there is nothing."""
    starts = np.arange(count or _count(samples), dtype=np.int64) * _HOP + lag
    index = starts[:, None] + np.arange(_WINDOW)
    inside = (index >= 0) & (index < samples.size)
    padded = np.append(samples, 0.0)
    result: FloatPcm = padded[np.where(inside, index, samples.size)]
    return result


def _spectra(frames: FloatPcm) -> FloatPcm:
    """Energy in bands of equal width on the mel scale."""
    energy = np.square(np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), axis=1)))
    mel = _mel(np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE_HZ))
    edges = np.linspace(_mel(_FROM_HZ), _mel(_TO_HZ), _BANDS + 2)
    rising = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
    result: FloatPcm = energy @ np.maximum(0.0, np.minimum(rising, falling))
    return result


def _mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + np.asarray(hz, dtype=np.float64) / 700))


def _gain_db(said: FloatPcm, got: FloatPcm, speech: npt.NDArray[np.bool_]) -> float:
    """By how much the call made speech quieter, over all; 0 where nothing was heard."""
    before, after = said.sum(axis=1), got.sum(axis=1)
    heard = speech & (after > after.max() * 10 ** (-_DYNAMIC_DB / 10))
    return float(np.median(10 * np.log10(before[heard] / after[heard]))) if heard.any() and after.any() else 0.0


def _distance_db(said: FloatPcm, got: FloatPcm, gain_db: float) -> npt.NDArray[np.float64]:
    """Distance of the log spectra, after the gain of the call is taken out."""
    floor_db = 10 * np.log10(float(said.max()) + 1e-12) - _DYNAMIC_DB
    a, b = 10 * np.log10(said + 1e-12), 10 * np.log10(got + 1e-12) + gain_db
    difference = np.maximum(a, floor_db) - np.maximum(b, floor_db)
    return np.asarray(np.sqrt(np.mean(np.square(difference), axis=1)))


def _longest(speech: npt.NDArray[np.bool_], silent: npt.NDArray[np.bool_]) -> int:
    """Frames from the first to the last silent frame of the longest run; pauses of the speaker do not end a run."""
    longest, first = 0, None
    for i in range(speech.size):
        if silent[i]:
            first = i if first is None else first
            longest = max(longest, i - first + 1)
        elif speech[i]:
            first = None
    return longest
