"""Writes vectors/payload: what frames carry, what no frame may carry, and what is wished for, for both languages.

Run it after a deliberate change of the format: `python -m tests.audio.make_payload_vectors`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ringthrough.audio.payload import Payload, PayloadPacker, Repeat, encode
from ringthrough.audio.report import Carrier, Redundancy, RedundancyWish, Report

PATH = Path(__file__).resolve().parents[2] / "vectors" / "payload" / "frames.json"

WISHES = PATH.with_name("wishes.json")

SHORT, LONG, LONGEST = b"\x48" + b"s" * 39, b"\x58" + b"l" * 110, b"\x59" + b"m" * 127
"""20, 60 and 120 ms."""

REPORT = Report(4, 2, 70, Carrier.BOTH, Redundancy.D13)


def described(payload: Payload) -> dict[str, Any]:
    """A payload as it stands in the file."""
    report = payload.report
    return {
        "report": {
            "lost_percent": report.lost_percent,
            "late_percent": report.late_percent,
            "target_ms": report.target_ms,
            "carrier": report.carrier.name.lower(),
            "redundancy": report.redundancy.name.lower(),
            "takes_short": report.takes_short,
        },
        "repeats": [[repeat.distance, repeat.packet.hex()] for repeat in payload.repeats],
        "packet": payload.packet.hex(),
    }


def good() -> Iterator[tuple[str, Payload]]:
    """(what it shows, payload)."""
    yield "one packet of 20 ms", Payload(Report(), SHORT)
    yield "one packet of 60 ms", Payload(REPORT, LONG)
    yield "the longest packet, of 120 ms", Payload(Report(100, 0, 2550), LONGEST)
    yield "short packets are welcome", Payload(Report(0, 0, 30, redundancy=Redundancy.D1, takes_short=True), SHORT)
    yield "nothing comes in time", Payload(Report(0, 100, 600, Carrier.DIRECT), SHORT)
    yield "d1", Payload(Report(redundancy=Redundancy.D1), SHORT, (Repeat(1, SHORT),))
    yield "d12", Payload(Report(redundancy=Redundancy.D12), SHORT, (Repeat(2, SHORT), Repeat(1, SHORT)))
    yield "d13", Payload(REPORT, SHORT, (Repeat(3, SHORT[:20]), Repeat(1, SHORT[:1])))
    yield "three copies, the furthest back", Payload(REPORT, b"\x48", tuple(Repeat(d, b"\x4a") for d in (255, 9, 2)))
    yield "a copy of 60 ms before 20 ms", Payload(REPORT, SHORT, (Repeat(3, LONG[:70]),))
    yield "five slots in code 3", Payload(REPORT, b"\x4b\x05abc")


def bad() -> Iterator[tuple[str, bytes]]:
    """(what is wrong, bytes)."""
    one = encode(Payload(Report(), SHORT))
    d12 = encode(Payload(Report(), SHORT, (Repeat(2, SHORT), Repeat(1, SHORT))))
    yield "nothing", b""
    yield "a head alone", one[:1]
    yield "no packet", one[:5]
    yield "four copies", b"\x04" + one[1:]
    for bit in range(2, 8):
        yield f"bit {bit} of the head", bytes((1 << bit,)) + one[1:]
    yield "101 percent lost", bytes((0, 101, 0)) + one[3:]
    yield "101 percent late", bytes((0, 0, 101)) + one[3:]
    yield "lost and late together", bytes((0, 60, 41)) + one[3:]
    yield "the fourth carrier", one[:4] + b"\x03" + one[5:]
    for bit in range(5, 8):
        yield f"bit {bit} of the wishes", one[:4] + bytes((1 << bit,)) + one[5:]
    yield "a table cut off", d12[:8]
    yield "a copy cut off", d12[:20]
    yield "nothing behind the copies", d12[: 5 + 4 + 80]
    yield "an empty copy", encode(Payload(Report(), SHORT, (Repeat(2, b""), Repeat(1, SHORT))))
    yield "a copy of now", encode(Payload(Report(), SHORT, (Repeat(0, SHORT),)))
    yield "copies out of order", encode(Payload(Report(), SHORT, (Repeat(1, SHORT), Repeat(2, SHORT))))
    yield "one copy twice", encode(Payload(Report(), SHORT, (Repeat(1, SHORT), Repeat(1, SHORT))))
    yield "a copy that overlaps the newest", encode(Payload(Report(), SHORT, (Repeat(2, LONG[:40]),)))
    yield "copies that overlap", encode(Payload(Report(), SHORT, (Repeat(3, LONG[:40]), Repeat(1, SHORT))))
    yield "a copy of 10 ms", encode(Payload(Report(), SHORT, (Repeat(1, b"\x40a"),)))
    yield "a packet of 10 ms", encode(Payload(Report(), b"\x40a"))
    yield "a packet of 140 ms", encode(Payload(Report(), b"\x4b\x07a"))
    yield "a packet of no frames", encode(Payload(Report(), b"\x4b\x00a"))
    yield "a packet without its number of frames", encode(Payload(Report(), b"\x4b"))


def packed() -> Iterator[dict[str, Any]]:
    """Packets as they leave one sender, and the payloads they leave in: what fits goes in."""
    chance = random.Random(5)
    for redundancy in Redundancy:
        packer, slot, steps = PayloadPacker(), 0, []
        for _ in range(14):
            toc, slots = chance.choice([(0x48, 1), (0x48, 1), (0x48, 1), (0x58, 3), (0x59, 6)])
            size = chance.randint(20, 60) if slots == 1 else chance.randint(40, 128)
            packet = bytes([toc]) + bytes(chance.randrange(256) for _ in range(size - 1))
            payload = packer.pack(slot, packet, redundancy, REPORT)
            steps.append({"slot": slot, "packet": packet.hex(), "payload": payload.hex()})
            slot += slots + chance.choice([0, 0, 0, 1, 300])
        yield {"redundancy": redundancy.name.lower(), "steps": steps}


def wishes() -> str:
    """What is wished for, second by second: [percent lost, packets lost in a row, wish]."""
    chance = random.Random(8)
    courses = {
        "nothing is lost": [(0, 0.0)] * 8,
        "little, then nothing": [(2, 1.0)] * 6 + [(0, 0.0)] * 8,
        "one bad second": [(0, 0.0)] * 5 + [(30, 1.2)] + [(0, 0.0)] * 8,
        "more and more": [(percent, 1.2) for percent in range(0, 40, 2)],
        "bursts": [(4, 3.0), (0, 0.0), (6, 2.5), (0, 0.0), (20, 4.0)] + [(0, 0.0)] * 8,
        "anything": [(chance.choice([0, 0, 2, 4, 10, 40]), chance.choice([1.0, 1.4, 1.5, 3.0])) for _ in range(60)],
    }
    rows = []
    for shows, seconds in courses.items():
        wish, answers = RedundancyWish(), []
        for lost, run in seconds:
            wish.second(lost, run)
            answers.append([lost, run, wish.wish.name.lower()])
        rows.append(json.dumps({"shows": shows, "seconds": answers}))
    return "[\n " + ",\n ".join(rows) + "\n]\n"


def content() -> str:
    """The whole file."""
    accepted = [{"shows": shows, "bytes": encode(payload).hex(), **described(payload)} for shows, payload in good()]
    refused = [{"shows": shows, "bytes": data.hex(), "expect": "malformed"} for shows, data in bad()]
    report = described(Payload(REPORT, SHORT))["report"]
    whole = {"accepted": accepted, "refused": refused, "packed": {"report": report, "senders": list(packed())}}
    return json.dumps(whole, indent=1) + "\n"


if __name__ == "__main__":
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(content())
    WISHES.write_text(wishes())
