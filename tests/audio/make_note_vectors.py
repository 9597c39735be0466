"""Writes vectors/note-sounds/notes.json: packets of voice notes, and what is wrong with those that are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ringthrough.audio.note import note_slots

PATH = Path(__file__).resolve().parents[2] / "vectors" / "note-sounds" / "notes.json"

SHORT = b"\x48" + b"s" * 20
"""20 ms."""
ORDINARY = b"\x58" + b"o" * 40
"""60 ms."""
LEAN = bytes((0x5A, 40)) + b"l" * 80
"""120 ms."""


def good() -> Iterator[tuple[str, list[bytes]]]:
    yield "3 s of 120 ms", [LEAN] * 25
    yield "3 s of 60 ms", [ORDINARY] * 50
    yield "3 s of 20 ms", [SHORT] * 150
    yield "1 s of 20 ms", [SHORT] * 50
    yield "mixed lengths", [LEAN, ORDINARY, ORDINARY, SHORT] * 4
    yield "packets of the greatest length", [b"\x58" + b"o" * 127] * 20


def bad() -> Iterator[tuple[str, list[bytes]]]:
    yield "nothing", []
    yield "less than a second", [SHORT] * 49
    yield "more than three seconds", [LEAN] * 25 + [SHORT]
    yield "one packet too long", [LEAN] * 10 + [b"\x58" + b"o" * 128]
    yield "an empty packet", [LEAN] * 10 + [b""]
    yield "a packet of 10 ms", [LEAN] * 10 + [b"\x40a"]
    yield "a packet of 140 ms", [LEAN] * 10 + [b"\x4b\x07a"]
    yield "a packet of no frames", [LEAN] * 10 + [b"\x4b\x00a"]
    yield "a packet without its number of frames", [LEAN] * 10 + [b"\x4b"]


def content() -> str:
    """The whole file."""
    cases = [
        {"name": name, "expect": "ok", "slots": note_slots(packets), "packets": [p.hex() for p in packets]}
        for name, packets in good()
    ]
    cases += [{"name": name, "expect": "malformed", "packets": [p.hex() for p in packets]} for name, packets in bad()]
    about = "Packets of voice notes (docs/spec/media.md section 9): the slots of sound in them, or why not."
    rows = ",\n  ".join(json.dumps(case) for case in cases)
    return f'{{"format": "ringthrough-vectors-1",\n "about": {json.dumps(about)},\n "cases": [\n  {rows}\n]}}\n'


if __name__ == "__main__":
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(content())
