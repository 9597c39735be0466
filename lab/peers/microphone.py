"""The files that fake microphones play, and where in a recording the speech of such a file is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ringthrough.audio.alignment import best_lag, take
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm, as_float
from ringthrough.client.audiofile import WavWriter, read_pcm

HELLO_S = 1.0
"""From the answer to the first word: nobody speaks before the other one is there."""
RING_S = 6.0
"""From the call to the first word: it rings until HELLO_S before."""
AFTER_S = 1.0
SHARE_MIN = 0.3
ROOM_PEAK = 16
"""The quiet of a room, -66 dBFS: what plays it can be told from what plays nothing."""


class NotSaid(Exception):
    """The recording of a microphone does not hold the speech."""


def write_microphone(path: Path, speech: Path, before_s: float, whole_s: float = 0.0) -> float:
    """Save quiet, the speech and quiet, `whole_s` long or longer; what plays it begins again at its end. Returns
    its length in seconds."""
    said = read_pcm(speech)
    samples = max(int((before_s + AFTER_S) * SAMPLE_RATE_HZ) + said.size, int(whole_s * SAMPLE_RATE_HZ))
    room = np.random.default_rng(1).integers(-ROOM_PEAK, ROOM_PEAK + 1, samples).astype(np.int16)
    start = int(before_s * SAMPLE_RATE_HZ)
    room[start : start + said.size] = np.clip(room[start : start + said.size].astype(np.int32) + said, -32768, 32767)
    with WavWriter(path) as wav:
        wav.write(room)
    return samples / SAMPLE_RATE_HZ


def find(speech: Pcm, recording: Pcm, rate_hz: int) -> tuple[float, float]:
    """Where in `recording` (at `rate_hz`) sample 0 of `speech` (16 kHz) is, in seconds, and how much of it lies
    there (correlation, 1 is all). Raises `NotSaid`.

    Less than all is there when the machine stood still and the fake microphone with it: most of it counts.
    """
    said, heard = as_float(speech), as_float(resampled(recording, rate_hz, SAMPLE_RATE_HZ))
    lag = best_lag(said, heard)
    there = take(heard, lag, lag + said.size)
    energy = float(np.linalg.norm(said) * np.linalg.norm(there))
    share = float(said @ there) / energy if energy else 0.0
    if share < SHARE_MIN:
        raise NotSaid(f"the microphone did not play its file: correlation {share:.2f}")
    return lag / SAMPLE_RATE_HZ, share


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
