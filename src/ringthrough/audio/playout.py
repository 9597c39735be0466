"""Playout of one direction: packets in as they arrive, exactly one slot of sound out at each pull."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import AudioError, MalformedPayload
from .jitter import Conceal, JitterBuffer, JitterConfig, JitterStats, Packet, Play
from .opus import OpusDecoder
from .pauses import Pauses
from .pcm import SAMPLE_RATE_HZ, SLOT_MS, Pcm, rms, silence
from .report import REPORT_SLOTS, RedundancyWish, Report
from .toc import packet_slots

CONCEALED_SLOTS_MAX = 9
"""Invented sound lasts so many slots; then it fades to nothing, for a voice that goes on is a lie."""

FADE_SLOTS = 3

_SEAM_MS = 5


@dataclass(slots=True)
class PlayoutStats:
    """What was heard, in slots of 20 ms. `jitter` holds the network's side."""

    jitter: JitterStats
    pulled: int = 0
    silent: int = 0
    """Nothing was there to play: before the start, or after the fade."""
    corrupt: int = 0
    """Slots of packets that the decoder refused; each was concealed."""
    malformed: int = 0
    """Packets (not slots) that were no packets of a call."""

    @property
    def played(self) -> int:
        """Slots heard as they were spoken."""
        return self.jitter.played - self.corrupt

    @property
    def concealed(self) -> int:
        """Slots invented, or silent in their stead, from the first sound on."""
        return self.jitter.concealed + self.corrupt

    @property
    def lost_share(self) -> float:
        """Share of the speech that was never heard: given up or corrupt, of all that was due."""
        lost = self.concealed - self.jitter.grown
        due = lost + self.played + self.jitter.skipped
        return lost / due if due else 0.0

    @property
    def longest_concealed_ms(self) -> int:
        """Longest time in which nothing of the speech was heard."""
        return self.jitter.longest_concealed * SLOT_MS


class Playout:
    """Jitter buffer and decoder together. Neither `push` nor `pull` raises on what came from the network."""

    def __init__(self, config: JitterConfig | None = None, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """Raises `OpusUnavailable` without libopus, `OpusError` for a rate Opus does not have."""
        self._jitter = JitterBuffer(config)
        self._decoder = OpusDecoder(sample_rate_hz)
        self.slot_samples = sample_rate_hz * SLOT_MS // 1000
        self._seam = sample_rate_hz * _SEAM_MS // 1000
        self._packet: Packet | None = None
        """Whose sound is in `_sound`, None where it was refused."""
        self._sound: Pcm | None = None
        self._expected: int | None = None
        """The slot that goes on where the sound so far ends."""
        self._wish = RedundancyWish()
        self._pauses = Pauses()
        self._concealed_run = 0
        self._was_silent = True
        self.stats = PlayoutStats(self._jitter.stats)

    @property
    def started(self) -> bool:
        """Whether the first fill is over and slots are played."""
        return self._jitter.started

    def expect(self, reach_ms: float) -> None:
        """Before the first packet: how much later than the fastest the slowest will come, in ms."""
        self._jitter.expect(reach_ms)

    def push(self, slot: int, packet: bytes, now_ms: float, *, repeated: bool = False) -> bool:
        """Take the packet that begins in `slot` (64 bits) and arrived at `now_ms`; return whether any of it can still
        be played. `repeated`: a copy inside a later frame."""
        try:
            slots = packet_slots(packet)
        except MalformedPayload:
            self.stats.malformed += 1
            return False
        return self._jitter.push(Packet(slot, slots, packet), now_ms, repeated=repeated)

    def report(self) -> Report:
        """What the sender is told about this direction."""
        lost, late = self._jitter.lost_and_late_percent()
        target_ms = round(self._jitter.stats.target_ms) if self._jitter.stats.received else 0
        return Report(lost, late, target_ms, redundancy=self._wish.wish)

    def wait_ms(self, now_ms: float) -> float | None:
        """Return the ms until playout may start (0 when it runs), None while nothing has arrived.

        A player with a free choice of its first pull makes it then: the delay is the target and not more.
        """
        return self._jitter.wait_ms(now_ms)

    def pull(self, now_ms: float) -> Pcm:
        """Return the slot of sound to be played at `now_ms`: `slot_samples` int16, whatever happened."""
        self.stats.pulled += 1
        if self.started and self.stats.pulled % REPORT_SLOTS == 0:
            self._wish.second(self._jitter.lost_and_late_percent()[0], self._jitter.lost_run_packets())
        before: Pcm | None = None
        while True:
            decision = self._jitter.pop(now_ms)
            if not isinstance(decision, Play):
                self._expected = None
                if isinstance(decision, Conceal) and not decision.held:
                    self._expected = decision.slot + 1
                return self._conceal()
            if before is None:
                before = self._joint(decision)
            sound = self._decode(decision)
            self._expected = decision.slot + 1
            if sound is None:
                return self._conceal()
            # Every slot is heard by the judge of pauses, also where none is to be left out.
            is_pause = self._pauses.is_pause(rms(sound))
            if decision.surplus and is_pause:
                self._jitter.skip()
                # The slot left out is what joins on to the sound before.
                before = sound if before is None else before
                continue
            self._was_silent = False
            self._concealed_run = 0
            return sound if before is None else self._cross(before, sound)

    def _joint(self, play: Play) -> Pcm | None:
        """What the sound so far would go on with, where the decoder itself does not join the slot on to it."""
        if self._was_silent:
            return silence(self._seam) if self.stats.pulled > 1 else None
        amid = play.slot != play.packet.first and (self._concealed_run or play.packet is not self._packet)
        return self._decoder.conceal(self._seam) if amid or play.slot != self._expected else None

    def _decode(self, play: Play) -> Pcm | None:
        if play.packet is not self._packet:
            self._packet = play.packet
            self._sound = self._decoded(play.packet)
        if self._sound is None:
            self.stats.corrupt += 1
            return None
        start = (play.slot - play.packet.first) * self.slot_samples
        return self._sound[start : start + self.slot_samples]

    def _decoded(self, packet: Packet) -> Pcm | None:
        try:
            sound = self._decoder.decode(packet.data)
        except AudioError:
            return None
        return sound if sound.size == packet.slots * self.slot_samples else None

    def _cross(self, before: Pcm, after: Pcm) -> Pcm:
        weight = np.linspace(0.0, 1.0, self._seam)
        crossed = after.copy()
        seam = before[: self._seam] * (1.0 - weight) + after[: self._seam] * weight
        crossed[: self._seam] = np.rint(seam).astype(np.int16)
        return crossed

    def _conceal(self) -> Pcm:
        if self._was_silent:
            self.stats.silent += 1
            return silence(self.slot_samples)
        self._concealed_run += 1
        sound = self._decoder.conceal(self.slot_samples)
        faded = self._concealed_run - CONCEALED_SLOTS_MAX
        if faded <= 0:
            return sound
        self._was_silent = faded == FADE_SLOTS
        fade = np.linspace(1 - (faded - 1) / FADE_SLOTS, 1 - faded / FADE_SLOTS, self.slot_samples)
        return np.rint(sound * fade).astype(np.int16)
