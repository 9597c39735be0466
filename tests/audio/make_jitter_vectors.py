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

from ringthrough.audio.jitter import Conceal, Decision, JitterBuffer, JitterConfig, Packet, Play
from ringthrough.audio.pcm import SLOT_MS

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "jitter"
LARGEST_SLOT = 2**52
"""The largest the page takes: numbers are exact in its language up to 2**53."""

Arrival = tuple[float, int, int, bool]
"""When (ms), first slot, slots, and whether it is a copy inside a later frame."""
Event = list[Any]


def answer(decision: Decision) -> list[Any]:
    """A decision as it stands in the file."""
    if isinstance(decision, Play):
        return ["play", decision.slot, decision.packet.first, decision.surplus]
    if isinstance(decision, Conceal):
        return ["conceal", decision.slot, decision.run, decision.held]
    return ["wait", decision.wait_ms]


def replay(events: list[Event], config: dict[str, Any]) -> tuple[list[Event], dict[str, Any]]:
    """Do what `events` say; return them with the answers filled in, and the final counters.

    Events: ["push", first, slots, repeated, now_ms, accepted], ["pop", now_ms, answer], ["skip"], and before all
    others ["expect", reach_ms]. The counters are those of the buffer and the shares of its report.
    """
    buffer = JitterBuffer(JitterConfig(**config))
    done: list[Event] = []
    for event in events:
        if event[0] == "push":
            _, first, slots, repeated, now_ms, *_ = event
            taken = buffer.push(Packet(first, slots, b"%d" % first), now_ms, repeated=repeated)
            done.append(["push", first, slots, repeated, now_ms, taken])
        elif event[0] == "pop":
            done.append(["pop", event[1], answer(buffer.pop(event[1]))])
        elif event[0] == "expect":
            buffer.expect(event[1])
            done.append(event)
        else:
            buffer.skip()
            done.append(["skip"])
    lost, late = buffer.lost_and_late_percent()
    return done, {**dataclasses.asdict(buffer.stats), "lost_percent": lost, "late_percent": late}


def played(
    arrivals: Sequence[Arrival],
    until_ms: float,
    phase_ms: float = 0.0,
    config: dict[str, Any] | None = None,
    leave_out: Callable[[Play, int], bool] = lambda play, tick: False,
    hangs: range = range(0),
    expected_ms: float | None = None,
) -> list[Event]:
    """Pull on a 20 ms clock while packets arrive; `leave_out` says where the player skips."""
    buffer = JitterBuffer(JitterConfig(**(config or {})))
    events: list[Event] = []
    if expected_ms is not None:
        buffer.expect(expected_ms)
        events.append(["expect", expected_ms])
    waiting = sorted(arrivals)
    for tick in range(int(until_ms // SLOT_MS)):
        now = tick * SLOT_MS + phase_ms
        while waiting and waiting[0][0] <= now:
            at, first, slots, repeated = waiting.pop(0)
            buffer.push(Packet(first, slots, b"x"), at, repeated=repeated)
            events.append(["push", first, slots, repeated, at])
        if tick in hangs:
            continue
        for _ in range(8):
            decision = buffer.pop(now)
            events.append(["pop", now])
            if not (isinstance(decision, Play) and decision.surplus and leave_out(decision, tick)):
                break
            buffer.skip()
            events.append(["skip"])
    return events


def in_pauses(play: Play, _tick: int) -> bool:
    """Skip as a player does who hears somebody speak: 1.2 s of words, 0.5 s of none."""
    return play.slot % 85 >= 60


def any_surplus(_play: Play, _tick: int) -> bool:
    """Skip as a player in silence does."""
    return True


def steady(count: int, slots: int, extra_ms: Callable[[int], float] = lambda first: 0.0) -> list[Arrival]:
    """Each packet when its last slot has been spoken, and later by what `extra_ms` gives for its first slot."""
    firsts = range(0, count * slots, slots)
    return [((first + slots) * SLOT_MS + float(extra_ms(first)), first, slots, False) for first in firsts]


def spread(count: int, slots: int, seed: int, loss: float, jitter_ms: float, lanes: float = 0.0) -> list[Arrival]:
    """A lossy path: exponential jitter, with now and then a second arrival."""
    chance = random.Random(seed)
    arrivals: list[Arrival] = []
    for at, first, _, _ in steady(count, slots):
        if chance.random() < loss:
            continue
        late = 1000 + at + round(chance.expovariate(1 / jitter_ms), 3)
        arrivals.append((late, first, slots, False))
        if chance.random() < lanes:
            arrivals.append((late + round(chance.uniform(0, 120), 3), first, slots, False))
    return arrivals


def redundant(count: int, seed: int, loss: float, distances: tuple[int, ...]) -> list[Arrival]:
    """Frames of one slot with copies so far back, some frames lost, jitter of a few ms."""
    chance = random.Random(seed)
    arrivals: list[Arrival] = []
    for at, first, slots, _ in steady(count, 1):
        if chance.random() < loss:
            continue
        late = at + round(chance.expovariate(1 / 3), 3)
        arrivals.append((late, first, slots, False))
        # Sorted behind their frame, as they are taken out of it.
        arrivals += [(late + 0.001 * back, first - back, 1, True) for back in distances]
    return arrivals


def changing() -> list[Arrival]:
    """Every length in turn, as the profiles change."""
    arrivals: list[Arrival] = []
    first = 0
    for slots, count in ((3, 30), (1, 90), (6, 20), (1, 60), (2, 20), (3, 20)):
        for _ in range(count):
            arrivals.append(((first + slots) * SLOT_MS + first % 7, first, slots, False))
            first += slots
    return arrivals


def wild(seed: int) -> list[Event]:
    """Numbers, lengths, times and pulls without order, as a hostile peer and a broken clock make them."""
    chance = random.Random(seed)
    now, first = 0.0, chance.choice([0, 5, LARGEST_SLOT - 400])
    events: list[Event] = []
    for _ in range(500):
        now += chance.choice([0, 0, 3.5, 17, 20, 20, 60, 250, 1700])
        step = chance.choice([1, 1, 1, 1, 2, 3, -1, -3, 0, 200, -200, 4000])
        first = min(max(first + step, 0), LARGEST_SLOT - 6)
        slots = chance.choice([1, 1, 1, 2, 3, 3, 6, 0, 7])
        events.append(["push", first, slots, chance.random() < 0.25, now])
        if chance.random() < 0.8:
            events.append(["pop", now])
    return events


def cases() -> Iterator[tuple[str, str, dict[str, Any], list[Event]]]:
    """(name, what it shows, configuration, events without answers)."""
    for slots in (1, 3, 6):
        clean = steady(120 // slots, slots, lambda first: 1000.0)
        yield f"clean-{slots}", "nothing goes wrong", {}, played(clean, 3400, 7)
    for slots in (1, 3):
        lossy = spread(360 // slots, slots, 1, 0.1, 15)
        yield f"lossy-{slots}", "one packet in ten is lost", {}, played(lossy, 8200, 11.25, leave_out=any_surplus)
    lanes = spread(300, 1, 2, 0.05, 60, lanes=0.5)
    yield "lanes", "second arrivals, out of order", {}, played(lanes, 7000, 0, leave_out=in_pauses)
    tail = steady(140, 3, lambda first: 200 if first // 3 % 20 == 10 else 0)
    yield "tail", "one packet in twenty comes 200 ms late", {}, played(tail, 8400)
    heavy = steady(180, 3, lambda first: 180 if first // 3 % 15 == 10 else 30 * (first % 4))
    yield "expected", "as late as was expected: never too late", {}, played(heavy, 11000, 3, expected_ms=180)
    dear = steady(180, 3, lambda first: 420 if first // 3 in (4, 90) else 240 if first // 3 % 9 == 8 else 10)
    yield "dear", "few packets are so late that they are not waited for", {}, played(dear, 11000, 3, expected_ms=900)
    late_start = [(max(at, 240.0), first, slots, False) for at, first, slots, _ in steady(300, 1)]
    yield "start-up", "the first packets come late", {}, played(late_start, 6000, leave_out=any_surplus)
    queued = steady(150, 3, lambda first: max(0.0, 600.0 - 15 * first))
    yield "queued", "the first packets come out of a queue", {}, played(queued, 4000, 3, leave_out=any_surplus)
    faster = steady(300, 1, lambda first: 500 if first < 60 else 0)
    window = {"window_slots": 64}
    yield "faster", "the path gets faster amid speech", window, played(faster, 6000, 0, window, in_pauses)
    slower = steady(100, 3, lambda first: 0 if first < 100 else 1500)
    yield "slower", "the path gets slower for good: start over", {}, played(slower, 7600)
    burst = [(2500.0 if 30 <= first < 120 else at, first, 1, False) for at, first, *_ in steady(180, 1)]
    yield "burst", "two seconds of silence, then all at once", {}, played(burst, 3700)
    steadily = steady(250, 1)
    yield "player-stalls", "the player hangs for 1.5 s", {}, played(steadily, 5000, 3, hangs=range(100, 175))
    backlog: list[Event] = [["push", first, 3, False, at] for at, first, _, _ in steady(90, 3)]
    yield "backlog", "nobody plays for longer than the buffer holds", {}, [*backlog, ["pop", 270.0 * SLOT_MS]]
    first = LARGEST_SLOT - 200
    large = [(at + 3.5, first + slot, 1, False) for at, slot, *_ in steady(100, 1)]
    yield "large-numbers", "milliseconds survive large numbers", {}, played(large, 2000)
    jump = [(at, slot if slot < 60 else slot + 10**9, 3, False) for at, slot, *_ in steady(50, 3)]
    yield "jump", "the numbering jumps: start over", {}, played(jump, 3100)
    short = {"target_ms_min": 40, "target_ms_max": 300, "quantile": 0.95, "margin_ms": 5, "window_slots": 150}
    short |= {"dear_ms": 100, "quantile_dear": 0.9}
    configured = spread(120, 3, 3, 0.03, 45)
    yield "configured", "other bounds", short, played(configured, 8200, 11, short, any_surplus)
    yield "changing", "packets of every length", {}, played(changing(), 9500, 5, leave_out=any_surplus)
    for name, distances in (("d1", (1,)), ("d12", (1, 2)), ("d13", (1, 3))):
        copies = redundant(300, 4, 0.15, distances)
        yield f"copies-{name}", "copies inside later frames", {}, played(copies, 6000, 5, leave_out=in_pauses)
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
