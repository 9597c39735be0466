"""Writes vectors/rehearsal: frames of nothing, and what was learnt from those that came, for both languages.

Run it after a deliberate change: `python -m tests.audio.make_rehearsal_vectors`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from ringthrough.audio.rehearsal import FRAMES_MAX, RECENT_MS, SENDERS_MAX, Rehearsed, rehearsal

PATH = Path(__file__).resolve().parents[2] / "vectors" / "rehearsal" / "rehearsals.json"

Came = tuple[float, bytes]
"""When a frame came, and it."""


def steady(name: bytes, delays_ms: list[float], began_ms: float = 0.0) -> list[Came]:
    """A frame each 120 ms, so much later."""
    sent = [(began_ms + 120 * n, delay) for n, delay in enumerate(delays_ms)]
    return [(at + delay, rehearsal(name, at, b"noise")) for at, delay in sent]


def cases() -> Iterator[tuple[str, list[Came]]]:
    """(what it shows, what came)."""
    yield "nobody rehearsed", []
    yield "one frame tells of no spread", steady(b"bob1", [250])
    yield "the slowest less the fastest", steady(b"bob1", [50.9, 80, 230.2, 50.1])
    yield "of each sender by itself", steady(b"bob1", [50, 90]) + steady(b"bob2", [5000, 5300])
    yield "the sender's clock goes round", steady(b"bob1", [40, 70, 40, 45], 2**32 - 200)
    yield "the receiver's clock is behind", [(at - 1000, body) for at, body in steady(b"bob1", [40, 70, 40])]
    yield "a queue that runs empty is no unevenness", steady(b"bob1", [60.0 * n for n in range(10, 0, -1)])
    yield "what was long ago is forgotten", steady(b"bob1", [900, *[30, 60] * (RECENT_MS // 240 + 8)])
    yield "what was a while ago is not", steady(b"bob1", [900, *[30, 60] * (RECENT_MS // 240)])
    yield "a flood is not remembered", [(500.0, rehearsal(b"bob1", 10 * n, b"")) for n in range(FRAMES_MAX + 9)]
    many = [steady(b"n%03d" % n, [10, 10 + 10 * n]) for n in range(SENDERS_MAX + 3)]
    yield "of no more senders than may ring", [came for one in many for came in one]
    yield "too short to tell anything", [(10.0, b"\x04"), (20.0, b"\x04bob10000\1"[:9])]
    yield "no rehearsal", [(10.0, b"\x01bob10000\1"), (500.0, b""), *steady(b"bob1", [7, 9])]
    short = [(at, rehearsal(b"bob1", at, b"", takes_short=at > 1)) for at in (0.0, 120.0)]
    yield "short packets are welcome by now", short
    yield "and not to all", [*short, (240.0, rehearsal(b"bob2", 240, b""))]
    yield "and no longer", [*short, (240.0, rehearsal(b"bob1", 240, b""))]
    chance = random.Random(1)
    yield "any delays", steady(b"bob1", [round(chance.expovariate(1 / 60), 3) for _ in range(120)], 5000.5)


def files() -> Iterator[tuple[Path, str]]:
    """The one file there is to be."""
    written = []
    for name, came in cases():
        rehearsed = Rehearsed()
        events = [[at, body.hex(), rehearsed.arrived(body, at)] for at, body in came]
        learnt = {"reach_ms": rehearsed.reach_ms, "takes_short": rehearsed.takes_short}
        written.append({"name": name, "came": events, **learnt})
    frame = rehearsal(b"bob1", 2**32 + 77.9, b"noise", takes_short=True)
    made = {"name": b"bob1".hex(), "now_ms": 2**32 + 77.9, "noise": b"noise".hex(), "frame": frame.hex()}
    yield PATH, json.dumps({"frame": made, "cases": written}, indent=1) + "\n"


def main() -> None:
    """Write it."""
    for path, text in files():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
