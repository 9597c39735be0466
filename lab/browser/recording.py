"""What a tap in the page recorded, at the rate that the score needs."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm


@dataclass(frozen=True, slots=True)
class Recording:
    """16-bit samples at the context's rate, the first at `start` of the audio clock."""

    start: int
    pcm: Pcm
    rate_hz: int
    start_wall_ms: float = 0.0
    """The first sample's time of day, where the tap took it."""

    @classmethod
    def of(cls, taken: dict[str, Any], rate_hz: int | None = None) -> Self:
        """From what the page handed out."""
        pcm = np.frombuffer(base64.b64decode(taken["pcm"]), dtype=np.int16)
        return cls(taken["start"], pcm, rate_hz or int(taken["rateHz"]), float(taken.get("startMs", 0)))

    def speech(self) -> Pcm:
        """The whole recording at the rate the score needs."""
        return resampled(self.pcm, self.rate_hz, SAMPLE_RATE_HZ)

    @property
    def start_ms(self) -> float:
        """Place of the first sample on the audio clock."""
        return self.start * 1000 / self.rate_hz


def resampled(pcm: Pcm, from_hz: int, to_hz: int) -> Pcm:
    """Change the rate of a whole recording, exactly up to the lower rate's band."""
    if from_hz == to_hz or pcm.size == 0:
        return pcm
    size = round(pcm.size * to_hz / from_hz)
    spectrum = np.fft.rfft(pcm.astype(np.float64))
    kept = np.zeros(size // 2 + 1, dtype=np.complex128)
    count = min(kept.size, spectrum.size)
    kept[:count] = spectrum[:count]
    sound = np.fft.irfft(kept, size) * (size / pcm.size)
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
