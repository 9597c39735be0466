"""How long an Opus packet is, from its first bytes (RFC 6716 section 3.1): no decoder needed."""

from __future__ import annotations

from .errors import MalformedPayload
from .pcm import SLOT_MS

PACKET_SLOTS_MAX = 6
"""No Opus packet holds more than 120 ms."""

_SILK_MS = (10.0, 20.0, 40.0, 60.0)
_HYBRID_MS = (10.0, 20.0)
_CELT_MS = (2.5, 5.0, 10.0, 20.0)

_SHORT_LENGTH_MAX = 251
"""The longest frame whose length takes one byte (RFC 6716 section 3.2.1)."""


def packet_slots(packet: bytes) -> int:
    """Return the slots of sound in `packet`, 1 to 6.

    Raises `MalformedPayload` for an empty packet, one that is no whole number of slots, and one longer than Opus has.
    """
    if not packet:
        raise MalformedPayload("an empty packet")
    duration_ms = _frame_ms(packet[0] >> 3) * _frames(packet)
    slots = duration_ms / SLOT_MS
    if not 1 <= slots <= PACKET_SLOTS_MAX or slots != int(slots):
        raise MalformedPayload(f"a packet of {duration_ms:g} ms")
    return int(slots)


def _frame_ms(config: int) -> float:
    if config < 12:
        return _SILK_MS[config & 3]
    return _HYBRID_MS[config & 1] if config < 16 else _CELT_MS[config & 3]


def _frames(packet: bytes) -> int:
    code = packet[0] & 3
    if code < 3:
        return 1 if code == 0 else 2
    if len(packet) < 2:
        raise MalformedPayload("a packet without its number of frames")
    return packet[1] & 0x3F


def joined(first: bytes, second: bytes) -> bytes | None:
    """Return two packets of one frame as one of two frames (RFC 6716 section 3.2.4), None where they differ in kind.

    It is as long as the two together.
    """
    alike = first[:1] == second[:1] and first[0] & 3 == 0
    if not alike or len(first) - 1 > _SHORT_LENGTH_MAX:
        return None
    return bytes((first[0] | 2, len(first) - 1)) + first[1:] + second[1:]
