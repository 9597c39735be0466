"""Playout of one direction: packets in as they arrive, exactly one frame of sound out at each pull."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import AudioError
from .jitter import Frame, JitterBuffer, JitterConfig, JitterStats
from .opus import OpusDecoder
from .pcm import SAMPLE_RATE_HZ, Pcm, rms, silence

CONCEALED_FRAMES_MAX = 3
"""Invented sound lasts so many frames; the next one fades to nothing, for a voice that goes on is a lie."""

QUIET_RMS = 10 ** (-50 / 20)
"""Below this level (-50 dB of full scale) a frame may be left out unheard."""

_SEAM_MS = 5


@dataclass(slots=True)
class PlayoutStats:
    """What was heard, in frames. `jitter` holds the network's side."""

    jitter: JitterStats
    pulled: int = 0
    silent: int = 0
    """Nothing was there to play: before the start, or after the fade."""
    corrupt: int = 0
    """Packets the decoder refused; each was concealed."""


class Playout:
    """Jitter buffer and decoder together. Neither `push` nor `pull` raises on what came from the network."""

    def __init__(self, config: JitterConfig | None = None, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """Raises `OpusUnavailable` without libopus, `OpusError` for a rate Opus does not have."""
        self._jitter = JitterBuffer(config)
        self._decoder = OpusDecoder(sample_rate_hz)
        self.frame_samples = sample_rate_hz * self._jitter.config.frame_ms // 1000
        self._seam = sample_rate_hz * _SEAM_MS // 1000
        self._concealed_run = 0
        self._was_silent = True
        self.stats = PlayoutStats(self._jitter.stats)

    @property
    def started(self) -> bool:
        """Whether the first fill is over and frames are played."""
        return self._jitter.started

    def push(self, seq: int, packet: bytes, now_ms: float) -> bool:
        """Take the packet `seq` (64 bits) that arrived at `now_ms`; return whether it can still be played."""
        return self._jitter.push(seq, packet, now_ms)

    def wait_ms(self, now_ms: float) -> float | None:
        """Return the ms until playout may start (0 when it runs), None while nothing has arrived.

        A player with a free choice of its first pull makes it then: the delay is the target and not more.
        """
        return self._jitter.wait_ms(now_ms)

    def pull(self, now_ms: float) -> Pcm:
        """Return the frame of sound to be played at `now_ms`: `frame_samples` int16, whatever happened."""
        self.stats.pulled += 1
        skipped: Pcm | None = None
        while True:
            decision = self._jitter.pop(now_ms)
            if not isinstance(decision, Frame):
                return self._conceal()
            sound = self._decode(decision)
            if sound is None:
                return self._conceal()
            if decision.surplus and (decision.urgent or rms(sound) < QUIET_RMS):
                self._jitter.skip()
                skipped = sound if skipped is None else skipped
                continue
            return self._heard(sound, skipped)

    def _decode(self, frame: Frame) -> Pcm | None:
        try:
            sound = self._decoder.decode(frame.packet)
        except AudioError:
            self.stats.corrupt += 1
            return None
        if sound.size == self.frame_samples:
            return sound
        # A packet of another length is the sender's mistake: keep the clock, lose the rest.
        self.stats.corrupt += 1
        return None

    def _heard(self, sound: Pcm, skipped: Pcm | None) -> Pcm:
        if skipped is not None:
            # The skipped frame is what joins on to the sound before: cross from it into the one that is heard.
            sound = self._cross(skipped, sound)
        elif self._was_silent and self.stats.pulled > 1:
            sound = self._cross(silence(self.frame_samples), sound)
        self._was_silent = False
        self._concealed_run = 0
        return sound

    def _cross(self, before: Pcm, after: Pcm) -> Pcm:
        weight = np.linspace(0.0, 1.0, self._seam)
        crossed = after.copy()
        seam = before[: self._seam] * (1.0 - weight) + after[: self._seam] * weight
        crossed[: self._seam] = np.rint(seam).astype(np.int16)
        return crossed

    def _conceal(self) -> Pcm:
        if self._was_silent:
            self.stats.silent += 1
            return silence(self.frame_samples)
        self._concealed_run += 1
        sound = self._decoder.conceal(self.frame_samples)
        if self._concealed_run <= CONCEALED_FRAMES_MAX:
            return sound
        self._was_silent = True
        fade = np.linspace(1.0, 0.0, self.frame_samples)
        return np.rint(sound * fade).astype(np.int16)
