"""Writes vectors/jitter: traces of arrivals and pulls with every answer of the jitter buffer, for both languages.

Run it after a deliberate change of the algorithm: `python -m tests.audio.make_jitter_vectors`.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ringthrough.audio.jitter import Conceal, Decision, Frame, JitterBuffer, JitterConfig

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "jitter"
FRAME_MS = 60
LARGEST_SEQ = 2**52
"""The largest the page takes: numbers are exact in its language up to 2**53."""

Arrival = tuple[float, int]
Event = list[Any]


def answer(decision: Decision) -> list[Any]:
    """A decision as it stands in the file."""
    if isinstance(decision, Frame):
        return ["frame", decision.seq, decision.surplus, decision.urgent]
    if isinstance(decision, Conceal):
        return ["conceal", decision.seq, decision.run, decision.held]
    return ["wait", decision.wait_ms]


def replay(events: list[Event], config: dict[str, Any]) -> tuple[list[Event], dict[str, Any]]:
    """Do what `events` say; return them with the answers filled in, and the final counters.

    Events: ["push", seq, now_ms, accepted], ["pop", now_ms, answer], ["skip"].
    """
    buffer = JitterBuffer(JitterConfig(**config))
    done: list[Event] = []
    for event in events:
        if event[0] == "push":
            done.append(["push", event[1], event[2], buffer.push(event[1], b"%d" % event[1], event[2])])
        elif event[0] == "pop":
            done.append(["pop", event[1], answer(buffer.pop(event[1]))])
        else:
            buffer.skip()
            done.append(["skip"])
    return done, dataclasses.asdict(buffer.stats)


def played(
    arrivals: Sequence[Arrival],
    until_ms: float,
    phase_ms: float = 0.0,
    config: dict[str, Any] | None = None,
    leave_out: Callable[[Frame, int], bool] = lambda frame, tick: False,
    hangs: range = range(0),
) -> list[Event]:
    """Pull on a 60 ms clock while frames arrive; `leave_out` says where the player skips."""
    buffer = JitterBuffer(JitterConfig(**(config or {})))
    events: list[Event] = []
    waiting = sorted(arrivals)
    for tick in range(int(until_ms // FRAME_MS)):
        now = tick * FRAME_MS + phase_ms
        while waiting and waiting[0][0] <= now:
            at, seq = waiting.pop(0)
            buffer.push(seq, b"x", at)
            events.append(["push", seq, at])
        if tick in hangs:
            continue
        for _ in range(8):
            decision = buffer.pop(now)
            events.append(["pop", now])
            if not (isinstance(decision, Frame) and decision.surplus and leave_out(decision, tick)):
                break
            buffer.skip()
            events.append(["skip"])
    return events


def urgent(frame: Frame, _tick: int) -> bool:
    """Skip as a player amid speech does."""
    return frame.urgent


def any_surplus(_frame: Frame, _tick: int) -> bool:
    """Skip as a player in silence does."""
    return True


def spread(count: int, seed: int, loss: float, jitter_ms: float, copies: float = 0.0) -> list[Arrival]:
    """A lossy path: exponential jitter, with now and then a second copy."""
    chance = random.Random(seed)
    arrivals: list[Arrival] = []
    for seq in range(count):
        if chance.random() < loss:
            continue
        at = 1000 + seq * FRAME_MS + round(chance.expovariate(1 / jitter_ms), 3) if jitter_ms else 1000.0 + seq * 60
        arrivals.append((at, seq))
        if chance.random() < copies:
            arrivals.append((at + round(chance.uniform(0, 120), 3), seq))
    return arrivals


def wild(seed: int) -> list[Event]:
    """Numbers, times and pulls without order, as a hostile peer and a broken clock make them."""
    chance = random.Random(seed)
    now, seq = 0.0, chance.choice([0, 5, LARGEST_SEQ - 400])
    events: list[Event] = []
    for _ in range(500):
        now += chance.choice([0, 0, 3.5, 17, 60, 60, 60, 250, 1700])
        seq = min(max(seq + chance.choice([1, 1, 1, 1, 2, -1, -3, 0, 70, -70, 4000]), 0), LARGEST_SEQ)
        events.append(["push", seq, now])
        if chance.random() < 0.8:
            events.append(["pop", now])
    return events


def cases() -> Iterator[tuple[str, str, dict[str, Any], list[Event]]]:
    """(name, what it shows, configuration, events without answers)."""
    clean = [(1000.0 + seq * FRAME_MS, seq) for seq in range(120)]
    yield "clean", "nothing goes wrong", {}, played(clean, 8200, 7)
    lossy = spread(250, 1, 0.1, 15)
    yield "lossy", "one frame in ten is lost", {}, played(lossy, 17_000, 31.25, leave_out=any_surplus)
    copies = spread(200, 2, 0.05, 60, copies=0.5)
    yield "copies", "second copies, out of order", {}, played(copies, 14_000, 0, leave_out=urgent)
    tail = [(seq * FRAME_MS + (200 if seq % 20 == 10 else 0), seq) for seq in range(200)]
    yield "tail", "one frame in twenty comes 200 ms late", {}, played(tail, 12_000)
    late_start = [(max(seq * FRAME_MS, 240.0), seq) for seq in range(200)]
    yield "start-up", "the first frames come late", {}, played(late_start, 12_000, leave_out=any_surplus)
    faster = [(seq * FRAME_MS + (500 if seq < 40 else 0), seq) for seq in range(200)]
    window = {"window_frames": 64}
    yield "faster", "the path gets faster amid speech", window, played(faster, 12_000, 0, window, urgent)
    slower = [(seq * FRAME_MS + (0 if seq < 60 else 1500), seq) for seq in range(160)]
    yield "slower", "the path gets slower for good: start over", {}, played(slower, 11_000)
    burst = [(3000.0 if 10 <= seq < 50 else seq * FRAME_MS, seq) for seq in range(100)]
    yield "burst", "three seconds of silence, then all at once", {}, played(burst, 6000)
    yield "player-stalls", "the player hangs for 1.5 s", {}, played(clean, 8200, 3, hangs=range(60, 85))
    backlog: list[Event] = [["push", seq, float(seq * FRAME_MS)] for seq in range(90)]
    yield "backlog", "nobody plays for longer than the buffer holds", {}, [*backlog, ["pop", 90.0 * FRAME_MS]]
    first = LARGEST_SEQ - 200
    large = [(seq * FRAME_MS + 3.5, first + seq) for seq in range(100)]
    yield "large-numbers", "milliseconds survive large numbers", {}, played(large, 6000)
    jump = [(seq * FRAME_MS, seq if seq < 30 else seq + 10**9) for seq in range(80)]
    yield "jump", "the numbering jumps: start over", {}, played([(float(at), seq) for at, seq in jump], 5000)
    short = {"target_ms_min": 40, "target_ms_max": 300, "quantile": 0.95, "margin_ms": 5, "window_frames": 50}
    yield "configured", "other bounds", short, played(spread(200, 3, 0.03, 45), 14_000, 11, short, any_surplus)
    for seed in range(6):
        yield f"wild-{seed}", "no order at all", {}, wild(seed)


def files() -> Iterator[tuple[Path, str]]:
    """Every file with its content."""
    for name, shows, config, events in cases():
        answered, stats = replay(events, config)
        rows = ",\n".join("  " + json.dumps(event, separators=(",", ":")) for event in answered)
        head = json.dumps({"shows": shows, "config": config, "stats": stats}, indent=1)
        yield FOLDER / f"{name}.json", head[:-2] + f',\n "events": [\n{rows}\n ]\n}}\n'


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, content in files():
        path.write_text(content)


if __name__ == "__main__":
    main()
