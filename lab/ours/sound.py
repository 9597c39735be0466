"""A mouth and an ear that know the time: what the lab puts in place of microphone and loudspeaker."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np

from ringthrough.audio.pcm import SAMPLE_RATE_HZ, SLOT_SAMPLES, Pcm, silence
from ringthrough.client.audiofile import WavWriter

AXIS_TOLERANCE_S = 0.001


class Mouth:
    """An `AudioSource` that speaks from memory as a microphone does: a slot is there when its last sample was said.
    It says nothing for `hello_s` first. After the speech it is silent, but open, as a microphone is."""

    def __init__(self, pcm: Pcm, hello_s: float = 0.0) -> None:
        self._pcm = np.concatenate([silence(round(hello_s * SAMPLE_RATE_HZ)), pcm])
        self._hello_s = hello_s
        self._at = 0
        self.spoken_at_s: float | None = None
        """When sample 0 was said."""

    async def read(self) -> Pcm:
        """The next slot."""
        if self.spoken_at_s is None:
            self.spoken_at_s = time.monotonic() + self._hello_s
        slot = silence(SLOT_SAMPLES)
        spoken = self._pcm[self._at : self._at + SLOT_SAMPLES]
        slot[: spoken.size] = spoken
        self._at += SLOT_SAMPLES
        await asyncio.sleep(max(0.0, self.spoken_at_s - self._hello_s + self._at / SAMPLE_RATE_HZ - time.monotonic()))
        return slot


class Ear:
    """An `AudioSink` that records, and notes when each slot began to sound."""

    def __init__(self, path: Path) -> None:
        self._wav = WavWriter(path)
        self.axis: list[tuple[float, float]] = []
        """(position in the recording in s, CLOCK_MONOTONIC in s), wherever the time does not follow by itself."""

    def write(self, slot: Pcm) -> None:
        """Play a slot now."""
        now_s, position_s = time.monotonic(), self._wav.seconds
        if self.axis:
            expected_s = self.axis[-1][1] + position_s - self.axis[-1][0]
            if abs(now_s - expected_s) > AXIS_TOLERANCE_S:
                self.axis.append((position_s, now_s))
        else:
            self.axis.append((position_s, now_s))
        self._wav.write(slot)

    def close(self) -> None:
        """Finish the recording."""
        self._wav.close()
