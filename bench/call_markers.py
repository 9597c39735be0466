"""Markers in sound: chirps said at known times and found again in what was heard, on the system's monotonic clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ringthrough.audio.pcm import SAMPLE_RATE_HZ, SLOT_SAMPLES, Pcm, silence

CHIRP_S = 0.1
CHIRP_EVERY_S = 1.21
"""No multiple of a slot, so that markers fall on several places within packets; longer than any delay of interest."""
CHIRP_FIRST_S = 0.6
_FROM_HZ, _TO_HZ = 500.0, 3000.0
_LEVEL = 0.3
_LIKENESS_MIN = 0.5


def chirp() -> Pcm:
    """A sweep that an Opus decoder gives back with its timing."""
    t = np.arange(int(CHIRP_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * (_FROM_HZ * t + (_TO_HZ - _FROM_HZ) * t**2 / (2 * CHIRP_S))
    sound = np.sin(phase) * np.hanning(t.size) * _LEVEL
    return np.rint(sound * 32767).astype(np.int16)


def marked_sound(seconds: float) -> tuple[Pcm, list[float]]:
    """Silence with chirps, in whole slots, and where they begin, in seconds."""
    slots = int(seconds * SAMPLE_RATE_HZ) // SLOT_SAMPLES
    sound, marker = silence(slots * SLOT_SAMPLES), chirp()
    starts_s: list[float] = []
    at_s = CHIRP_FIRST_S
    while (at := int(at_s * SAMPLE_RATE_HZ)) + marker.size <= sound.size:
        sound[at : at + marker.size] = marker
        starts_s.append(at / SAMPLE_RATE_HZ)
        at_s += CHIRP_EVERY_S
    return sound, starts_s


def find_chirps(sound: Pcm) -> list[int]:
    """Sample positions at which chirps begin."""
    marker = chirp().astype(np.float64)
    if sound.size < marker.size:
        return []
    heard = sound.astype(np.float64)
    size = 1 << (heard.size + marker.size).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(marker, size))
    alike = np.fft.irfft(spectrum, size)[: heard.size - marker.size + 1]
    energy = np.concatenate(([0.0], np.cumsum(heard**2)))
    local = np.sqrt(energy[marker.size :] - energy[: -marker.size]) * np.linalg.norm(marker)
    likeness: npt.NDArray[np.float64] = alike / np.maximum(local, np.linalg.norm(marker) ** 2 / 20)
    found: list[int] = []
    apart = int(SAMPLE_RATE_HZ * CHIRP_EVERY_S / 2)
    while True:
        best = int(np.argmax(likeness))
        if likeness[best] < _LIKENESS_MIN:
            return sorted(found)
        found.append(best)
        likeness[max(0, best - apart) : best + apart] = 0.0


def delays_ms(said_s: Sequence[float], heard_s: Sequence[float]) -> list[float]:
    """For each chirp heard, the time since the last one said before; in the order heard."""
    delays = []
    for heard in heard_s:
        before = [said for said in said_s if said <= heard]
        if before and heard - before[-1] < CHIRP_EVERY_S:
            delays.append((heard - before[-1]) * 1000)
    return delays


class MarkedMicrophone:
    """An `AudioSource` that behaves as a microphone: a slot is there when its last sample has been spoken."""

    def __init__(self, seconds: float) -> None:
        self._sound, self._starts_s = marked_sound(seconds)
        self._at = 0
        self._started_s: float | None = None

    async def read(self) -> Pcm | None:
        """The next slot; None at the end."""
        if self._started_s is None:
            self._started_s = time.monotonic()
        slot = self._sound[self._at : self._at + SLOT_SAMPLES]
        self._at += SLOT_SAMPLES
        if slot.size == 0:
            return None
        await asyncio.sleep(max(0.0, self._started_s + self._at / SAMPLE_RATE_HZ - time.monotonic()))
        return slot

    @property
    def said_s(self) -> list[float]:
        """When each chirp began at the mouth."""
        started_s = self._started_s
        return [] if started_s is None else [started_s + start for start in self._starts_s]


class TimedEar:
    """An `AudioSink` that notes when each slot began to sound."""

    def __init__(self) -> None:
        self._slots: list[Pcm] = []
        self._written_s: list[float] = []

    def write(self, slot: Pcm) -> None:
        """Play a slot."""
        self._written_s.append(time.monotonic())
        self._slots.append(slot)

    @property
    def first_s(self) -> float | None:
        """When the first sound came."""
        return self._written_s[0] if self._written_s else None

    @property
    def heard_s(self) -> list[float]:
        """When each chirp began at the ear."""
        if not self._slots:
            return []
        positions = find_chirps(np.concatenate(self._slots))
        return [self._written_s[p // SLOT_SAMPLES] + p % SLOT_SAMPLES / SAMPLE_RATE_HZ for p in positions]
