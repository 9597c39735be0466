"""What a block of sound is everywhere in this package: one-dimensional int16, mono."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .errors import PcmShapeError

Pcm = npt.NDArray[np.int16]
"""Mono samples, one dimension, int16, machine byte order."""

FloatPcm = npt.NDArray[np.float64]
"""Mono samples, one dimension, float64 from -1 to 1."""

SAMPLE_RATE_HZ = 16_000
"""Speech rate of the pipeline: what the codec profile carries (wideband, 8 kHz of audio)."""

SLOT_MS = 20
"""Time is counted in slots: what a packet holds, what is lost and what is played is a number of them."""

SLOT_SAMPLES = SAMPLE_RATE_HZ * SLOT_MS // 1000

_FULL_SCALE = 32768.0


def as_pcm(samples: npt.NDArray[np.generic]) -> Pcm:
    """Return mono `samples` as int16: integers must be int16 already, floats are -1..1 and clipped.

    Raises `PcmShapeError` for anything else (several channels, other integers, NaN).
    """
    if samples.ndim != 1:
        raise PcmShapeError(f"mono samples have one dimension, not {samples.ndim}")
    if samples.dtype == np.int16:
        return np.ascontiguousarray(samples, dtype=np.int16)
    if samples.dtype not in (np.float32, np.float64):
        raise PcmShapeError(f"samples are int16 or float, not {samples.dtype}")
    scaled = samples.astype(np.float64) * _FULL_SCALE
    if not np.all(np.isfinite(scaled)):
        raise PcmShapeError("samples must be finite")
    return np.clip(np.rint(scaled), -32768, 32767).astype(np.int16)


def as_float(samples: npt.NDArray[np.generic]) -> FloatPcm:
    """Return mono `samples` (int16, or float -1..1) as float64. Raises `PcmShapeError`."""
    return as_pcm(samples).astype(np.float64) / _FULL_SCALE


def silence(samples: int) -> Pcm:
    """Return `samples` zeros."""
    return np.zeros(samples, dtype=np.int16)


def rms(samples: Pcm) -> float:
    """Return the root mean square of `samples`, in units of full scale (0..1); 0 for none."""
    if samples.size == 0:
        return 0.0
    return float(np.sqrt(np.mean(np.square(samples.astype(np.float64))))) / _FULL_SCALE
