"""What the sealed part of a media frame carries: a report, copies of earlier packets, and the newest packet.

The format is docs/spec/media.md section 5.1; `vectors/payload` holds both languages to it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from .errors import MalformedPayload
from .report import REPORT_BYTES, Redundancy, Report
from .toc import packet_slots

PAYLOAD_BYTES_MAX = 133
"""What always fits into a voice frame (`sframe.AUDIO_PAYLOAD_BYTES_MAX`)."""

HEAD_BYTES = 1 + REPORT_BYTES
REPEAT_BYTES = 2
REPEATS_MAX = 3
DISTANCE_SLOTS_MAX = 255

PACKET_BYTES_MAX = PAYLOAD_BYTES_MAX - HEAD_BYTES
"""The longest packet that fits."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """An earlier packet that began `distance` slots before the newest."""

    distance: int
    packet: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """One frame's content. `repeats` are in the order of time, so their distances fall."""

    report: Report
    packet: bytes
    repeats: tuple[Repeat, ...] = field(default=())


def encode(payload: Payload) -> bytes:
    """Return the bytes. The caller holds to the rules; `PayloadPacker` does."""
    parts = [bytes((len(payload.repeats),)), payload.report.encode()]
    parts += [bytes((repeat.distance, len(repeat.packet))) for repeat in payload.repeats]
    parts += [repeat.packet for repeat in payload.repeats]
    return b"".join([*parts, payload.packet])


def decode(data: bytes) -> Payload:
    """Read a payload. Raises `MalformedPayload` and nothing else, whatever the bytes."""
    if len(data) <= HEAD_BYTES:
        raise MalformedPayload(f"{len(data)} bytes")
    count = data[0]
    if count > REPEATS_MAX:
        raise MalformedPayload(f"head {count:#x}")
    report = Report.decode(data[1:HEAD_BYTES])
    at = HEAD_BYTES + count * REPEAT_BYTES
    table = data[HEAD_BYTES:at]
    repeats = []
    for distance, length in zip(table[::2], table[1::2], strict=False):
        repeats.append(Repeat(distance, data[at : at + length]))
        at += length
    packet = data[at:]
    packet_slots(packet)
    _check_order(repeats)
    return Payload(report, packet, tuple(repeats))


def _check_order(repeats: list[Repeat]) -> None:
    """Each ends before the next begins; a packet that is cut off is empty or leaves the newest empty."""
    follows = 0
    for repeat in reversed(repeats):
        if repeat.distance - packet_slots(repeat.packet) < follows:
            raise MalformedPayload(f"a packet {repeat.distance} slots back overlaps the next")
        follows = repeat.distance


class PayloadPacker:
    """Puts each packet with copies of earlier ones into a payload; remembers as many as a copy may be back."""

    def __init__(self) -> None:
        self._earlier: deque[tuple[int, bytes]] = deque(maxlen=max(max(r.distances, default=0) for r in Redundancy))

    def pack(self, slot: int, packet: bytes, redundancy: Redundancy, report: Report) -> bytes:
        """Return the payload of the frame whose counter is `slot`, later than any before.

        `packet` has at most `PACKET_BYTES_MAX` bytes. Of the copies that `redundancy` names those that fit go in.
        """
        room = PACKET_BYTES_MAX - len(packet)
        chosen: list[Repeat] = []
        for back in redundancy.distances:
            if back > len(self._earlier):
                continue
            first, earlier = self._earlier[-back]
            cost = REPEAT_BYTES + len(earlier)
            if cost <= room and slot - first <= DISTANCE_SLOTS_MAX:
                room -= cost
                chosen.append(Repeat(slot - first, earlier))
        chosen.sort(key=lambda repeat: -repeat.distance)
        self._earlier.append((slot, packet))
        return encode(Payload(report, packet, tuple(chosen)))
