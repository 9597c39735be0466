"""Voice notes of a call: packets of speech that are sent whole, 1 to 3 s at a time (docs/spec/media.md section 9)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from .coding import PacketMaker
from .errors import AudioError, MalformedNote, MalformedPayload
from .opus import OpusDecoder
from .pauses import Pauses
from .payload import PACKET_BYTES_MAX
from .pcm import SAMPLE_RATE_HZ, SLOT_MS, SLOT_SAMPLES, Pcm, rms, silence
from .profiles import LEAN
from .toc import packet_slots

NOTE_SLOTS_MIN = 50
NOTE_SLOTS_MAX = 150

ONSET_SLOTS = 6
"""What was heard before speech was noticed belongs to it."""
HUSH_SLOTS = 30
"""So much quiet ends a note."""


def note_slots(packets: Sequence[bytes]) -> int:
    """Return the slots of sound in a note.

    Raises `MalformedNote` for a packet that is none of a call, and for less than 1 s or more than 3.
    """
    slots = 0
    for packet in packets:
        if len(packet) > PACKET_BYTES_MAX:
            raise MalformedNote(f"a packet of {len(packet)} bytes")
        try:
            slots += packet_slots(packet)
        except MalformedPayload as e:
            raise MalformedNote(str(e)) from e
    if not NOTE_SLOTS_MIN <= slots <= NOTE_SLOTS_MAX:
        raise MalformedNote(f"a note of {slots * SLOT_MS} ms")
    return slots


class NoteMaker:
    """Cuts what is said into notes: from the first sound to a pause, 3 s at most; the next goes on where one ended.

    For a microphone without a button. Notes of a person who holds one are cut by the button.
    """

    def __init__(self) -> None:
        self._maker = PacketMaker(LEAN)
        self._before: deque[Pcm] = deque(maxlen=ONSET_SLOTS)
        self._packets: list[bytes] = []
        self._slots = 0
        self._hush = 0
        self._speaks = False
        self._pauses = Pauses()

    @property
    def speaks(self) -> bool:
        """Whether a note is being said."""
        return self._speaks

    def push(self, slot: Pcm) -> tuple[bytes, ...] | None:
        """Take the next slot of sound; return the note that it ends, if it ends one. Raises `PcmShapeError`."""
        is_quiet = self._pauses.is_pause(rms(slot))
        if not self._speaks:
            if is_quiet:
                self._before.append(slot)
                return None
            self._speaks = True
            for earlier in self._before:
                self._add(earlier)
            self._before.clear()
        self._hush = self._hush + 1 if is_quiet else 0
        self._add(slot)
        is_said = self._hush >= HUSH_SLOTS and self._slots >= NOTE_SLOTS_MIN
        return self._take() if self._slots % LEAN.slots == 0 and (is_said or self._slots >= NOTE_SLOTS_MAX) else None

    def finish(self) -> tuple[bytes, ...] | None:
        """Return the note that was begun, filled up with silence: nothing that was said is lost."""
        while self._speaks and (self._slots < NOTE_SLOTS_MIN or self._slots % LEAN.slots):
            self._add(silence(SLOT_SAMPLES))
        self._hush = HUSH_SLOTS
        return self._take() if self._speaks else None

    def _add(self, slot: Pcm) -> None:
        self._packets += self._maker.push(slot)
        self._slots += 1

    def _take(self) -> tuple[bytes, ...]:
        packets, self._packets = tuple(self._packets), []
        self._slots = 0
        # Who is cut off by the limit goes on speaking.
        self._speaks = self._hush < HUSH_SLOTS
        return packets


class NotePlayer:
    """Notes in the order in which they came, one slot of sound at a time. One decoder: notes that follow on join."""

    def __init__(self, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """Raises `OpusUnavailable` without libopus, `OpusError` for a rate Opus does not have."""
        self._decoder = OpusDecoder(sample_rate_hz)
        self._slot_samples = sample_rate_hz * SLOT_MS // 1000
        self._waiting: deque[tuple[bytes, bool]] = deque()
        """Packets, and whether each is the last of its note."""
        self._slots: deque[Pcm] = deque()
        self.played = 0
        """Notes heard to their end."""

    def push(self, packets: Sequence[bytes]) -> None:
        """Take a note. Raises `MalformedNote`, and then plays nothing of it."""
        note_slots(packets)
        self._waiting.extend((packet, at == len(packets) - 1) for at, packet in enumerate(packets))

    def pull(self) -> Pcm | None:
        """Return the next slot of a note, None where none waits."""
        if not self._slots and self._waiting:
            packet, is_last = self._waiting.popleft()
            self._slots.extend(self._decoded(packet))
            self.played += is_last
        return self._slots.popleft() if self._slots else None

    def _decoded(self, packet: bytes) -> list[Pcm]:
        """Silence of the same length where the decoder refuses it: what follows stays in its place."""
        samples = packet_slots(packet) * self._slot_samples
        try:
            sound = self._decoder.decode(packet)
        except AudioError:
            sound = silence(samples)
        if sound.size != samples:
            sound = silence(samples)
        return [sound[at : at + self._slot_samples] for at in range(0, samples, self._slot_samples)]
