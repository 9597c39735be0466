"""What of Mumble's protocol a voice client in one channel needs (Mumble's docs/dev/network-protocol, version 1.3)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable
from dataclasses import dataclass

PROTOCOL_VERSION = 0x01_03_04
HEADER_BYTES = 6
OPUS = 4
"""Type of a voice packet, its upper three bits."""
_SIZE_MASK = 0x1FFF


class Kind(enum.IntEnum):
    """Messages of the control channel; the others are skipped by their length."""

    VERSION = 0
    UDP_TUNNEL = 1
    AUTHENTICATE = 2
    PING = 3
    REJECT = 4
    SERVER_SYNC = 5


def message(kind: Kind, body: bytes) -> bytes:
    """A message as it is sent."""
    return struct.pack(">HI", kind, len(body)) + body


def header(data: bytes) -> tuple[int, int]:
    """The kind and the length of a message, from its first HEADER_BYTES."""
    kind, length = struct.unpack(">HI", data)
    return int(kind), int(length)


def protobuf(fields: Iterable[tuple[int, int | str]]) -> bytes:
    """(field number, value) as Protocol Buffers write them: integers as varints, text with its length."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += _base128(number << 3) + _base128(value)
        else:
            text = value.encode()
            out += _base128(number << 3 | 2) + _base128(len(text)) + text
    return bytes(out)


def _base128(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint(value: int) -> bytes:
    """Mumble's own variable-length integer, for 0 to 2^32 - 1."""
    if value < 0x80:
        return bytes([value])
    if value < 0x4000:
        return (0x8000 | value).to_bytes(2, "big")
    if value < 0x200000:
        return (0xC00000 | value).to_bytes(3, "big")
    if value < 0x10000000:
        return (0xE0000000 | value).to_bytes(4, "big")
    return b"\xf0" + value.to_bytes(4, "big")


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The integer at `at`, and where the next thing is. Raises ValueError."""
    first = data[at] if at < len(data) else 0xFF
    for size, mark, mask in ((1, 0x00, 0x7F), (2, 0x80, 0x3F), (3, 0xC0, 0x1F), (4, 0xE0, 0x0F)):
        if first & ~mask & 0xFF == mark:
            part = data[at : at + size]
            if len(part) == size:
                return int.from_bytes(part, "big") & (1 << 7 * size) - 1, at + size
    if first == 0xF0 and len(data) >= at + 5:
        return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    raise ValueError("no integer that a voice packet holds")


@dataclass(frozen=True, slots=True)
class Voice:
    """One packet of sound. `sequence` counts 10 ms."""

    sequence: int
    packet: bytes

    def to_bytes(self) -> bytes:
        """As a client sends it, to all in its channel."""
        return bytes([OPUS << 5]) + varint(self.sequence) + varint(len(self.packet)) + self.packet

    @classmethod
    def from_server(cls, data: bytes) -> Voice | None:
        """From what the server passes on; None for what is no Opus. Raises ValueError."""
        if not data or data[0] >> 5 != OPUS:
            return None
        _, at = read_varint(data, 1)
        sequence, at = read_varint(data, at)
        size, at = read_varint(data, at)
        packet = data[at : at + (size & _SIZE_MASK)]
        if not packet or len(packet) != size & _SIZE_MASK:
            raise ValueError("a voice packet that is cut off")
        return cls(sequence, packet)
