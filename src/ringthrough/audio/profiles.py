"""How a call is coded: the lengths and rates the sender chooses from, measured in docs/decisions."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .payload import PACKET_BYTES_MAX
from .report import Redundancy


class Bandwidth(enum.IntEnum):
    """Audio bandwidth, RFC 6716 table 1, by libopus's numbers."""

    NARROW = 1101
    MEDIUM = 1102
    WIDE = 1103
    SUPERWIDE = 1104
    FULL = 1105


@dataclass(frozen=True, slots=True)
class Profile:
    """`slots` of sound in a packet, coded at `bitrate_bps` into at most `packet_bytes_max` bytes, of an audio
    `bandwidth` that libopus is not left to choose (docs/decisions/0002-four-profiles.md).

    `redundancy` is what the frame repeats in any case, where it has room; the peer may wish for more.
    """

    name: str
    slots: int
    bitrate_bps: int
    redundancy: Redundancy
    packet_bytes_max: int = PACKET_BYTES_MAX
    bandwidth: Bandwidth = Bandwidth.WIDE


DIRECT = Profile("direct", 1, 22_000, Redundancy.D1)
"""A path that loses little and delays less: the shortest delay."""

LOSSY = Profile("lossy", 1, 15_000, Redundancy.D12, 45)
"""A path that loses much: packets short enough for two copies."""

ORDINARY = Profile("ordinary", 3, 16_000, Redundancy.NONE)
"""The message connection."""

LEAN = Profile("lean", 6, 9_000, Redundancy.NONE, bandwidth=Bandwidth.MEDIUM)
"""A path too narrow for a frame every 60 ms."""

PROFILES = {profile.name: profile for profile in (DIRECT, LOSSY, ORDINARY, LEAN)}
