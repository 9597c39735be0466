"""From slots of sound to packets, at the length and rate of the profile in force."""

from __future__ import annotations

import numpy as np

from .opus import OpusEncoder
from .pcm import Pcm
from .profiles import ORDINARY, Profile
from .toc import joined

CODED_SLOTS_MAX = 3
"""The longest single Opus frame. A packet of twice that is two frames, coded one after the other: the second may use
what the first leaves over, which libopus itself does not allow. The first gets half, so that both sound alike."""


class PacketMaker:
    """Groups slots and codes them. One encoder for all profiles: libopus takes another length and rate at any packet,
    and its prediction goes on, so a change is not heard."""

    def __init__(self, profile: Profile = ORDINARY) -> None:
        """Raises `OpusUnavailable` without libopus."""
        self._encoder = OpusEncoder()
        self._next_profile = profile
        self._slots: list[Pcm] = []
        self._first: bytes | None = None
        """The first of two frames, while the second is spoken."""
        self._begin()

    @property
    def profile(self) -> Profile:
        """Of the packet being filled."""
        return self._profile

    def set_profile(self, profile: Profile) -> None:
        """Change from the next packet on."""
        self._next_profile = profile
        if not self._slots and self._first is None:
            self._begin()

    def push(self, slot: Pcm) -> list[bytes]:
        """Take the next slot of sound; return the packets it completes: none, one, or two that do not join.

        Raises `PcmShapeError`.
        """
        self._slots.append(slot)
        if len(self._slots) < min(self._profile.slots, CODED_SLOTS_MAX):
            return []
        sound, self._slots = np.concatenate(self._slots), []
        if self._profile.slots <= CODED_SLOTS_MAX:
            packets = [self._encode(sound, self._profile.packet_bytes_max)]
        elif self._first is None:
            self._first = self._encode(sound, self._profile.packet_bytes_max // 2)
            return []
        else:
            second = self._encode(sound, self._profile.packet_bytes_max - len(self._first))
            whole = joined(self._first, second)
            packets = [self._first, second] if whole is None else [whole]
            self._first = None
        self._begin()
        return packets

    def _encode(self, sound: Pcm, bytes_max: int) -> bytes:
        self._encoder.set_packet_bytes_max(bytes_max)
        return self._encoder.encode(sound)

    def _begin(self) -> None:
        self._profile = self._next_profile
        self._encoder.set_bitrate_bps(self._profile.bitrate_bps)
        self._encoder.set_bandwidth(self._profile.bandwidth)
