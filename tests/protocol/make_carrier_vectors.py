"""Writes vectors/carriers: what happens to a call's carriers, with each answer of the rule.

Run it after a deliberate change of the rule: `python -m tests.protocol.make_carrier_vectors`.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path

from ringthrough.protocol.carriers import Arrivals, Attempts, Carriers

from .carrier_world import Event, World, bursts, cut, lossy, steady

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "carriers"


def replay(events: list[Event]) -> list[Event]:
    """Do what `events` say; return them with the answers filled in, at their end.

    ["opened", now], ["narrow", now], ["closed", now, bodies, was_bad], ["send", number, now, seq, lanes, way],
    ["acked", seq, behind, now],
    ["tick", now, bodies, way, is_lost, late_ms, is_worse], ["by_lanes", counter, now],
    ["by_direct", counter, now, behind];
    of the attempts of one that offers: ["wanted", now], ["began", now], ["ready", now], ["ended", now],
    ["refused", now],
    ["step", now, what]. Bodies are numbers of 4 bytes.
    """
    carriers, arrivals, attempts = Carriers(), Arrivals(), Attempts(offers=True)

    def numbers(bodies: list[bytes]) -> list[int]:
        return [int.from_bytes(body, "big") for body in bodies]

    done: list[Event] = []
    for event in events:
        kind, *given = event
        match kind, *given:
            case "opened", now:
                carriers.opened(now)
            case "narrow", now:
                carriers.make_room(now)
            case "closed", now, *_:
                event = ["closed", now, numbers(carriers.closed(now)), carriers.was_bad]
            case "send", number, now, *_:
                sending = carriers.send(number.to_bytes(4, "big"), now)
                event = ["send", number, now, sending.seq, sending.lanes, int(carriers.way)]
            case "acked", seq, behind, now:
                carriers.acked(seq, behind, now)
            case "tick", now, *_:
                bodies = numbers(carriers.tick(now))
                state = int(carriers.way), carriers.is_lost, carriers.late_ms, carriers.is_worse
                event = ["tick", now, bodies, *state]
            case "by_lanes", counter, now:
                arrivals.by_lanes(counter, now)
            case "by_direct", counter, now, *_:
                event = ["by_direct", counter, now, arrivals.by_direct(counter, now)]
            case "step", now, *_:
                event = ["step", now, int(attempts.step(now))]
            case "refused", _:
                attempts.refused()
            case "ready", now:
                attempts.opened(now)
            case (("wanted" | "began" | "ended"), now):
                getattr(attempts, kind)(now)
            case _:
                raise ValueError(f"no such event: {event}")
        done.append(event)
    return done


def attempts() -> list[Event]:
    """Failures, a change of network, a channel that lived and one that did not."""
    dice = random.Random(5)
    events: list[Event] = [["step", 0], ["wanted", 500]]
    for now in range(500, 1_200_000, 500):
        events.append(["step", now])
        if dice.random() < 0.02:
            events.append([dice.choice(["wanted", "began", "ready", "ended", "refused"]), now])
    return replay(events)


WORLDS: dict[str, tuple[str, World, float, int | None]] = {
    "clean": ("a good channel is taken", World(steady(10), steady(40)), 6, None),
    "slower": ("the channel is slower than the lanes", World(steady(70), steady(20)), 20, None),
    "lossy": ("one in twenty is lost", World(lossy(10, 0.05, 3), lossy(40, 0.01, 4)), 30, None),
    "cut": ("the path is cut silently", World(cut(steady(20), 6_010), steady(60)), 9, None),
    "frozen": ("it freezes for a moment", World(cut(steady(10), 6_000, 6_150), steady(40)), 10, None),
    "degraded": ("much is lost in bursts before it falls silent", World(bursts(80, 0.3, 0), steady(40)), 6, None),
    "closed": ("the channel is closed", World(steady(30), steady(40)), 9, 6_010),
    "narrow": (
        "there is no room for both ways for a while",
        World(steady(10), steady(40), has_room=lambda now: not 1_500 <= now < 4_000 and now < 12_000),
        14,
        None,
    ),
    "stalled": (
        "a good channel stalls once before it falls silent",
        World(cut(cut(steady(20), 6_000, 6_200), 6_700), steady(60)),
        9,
        None,
    ),
    "narrow_closed": (
        "the channel closes while there is no room for both ways",
        World(steady(10), steady(40), has_room=lambda now: now < 1_020),
        4,
        3_010,
    ),
    "slower_closed": (
        "the channel closes after it was worse",
        World(steady(70), steady(20)),
        6,
        5_010,
    ),
}
"""What each shows, its paths, how many seconds it runs and when the channel closes."""


def files() -> Iterator[tuple[Path, str]]:
    """Each file and what it holds."""
    for name, (shows, blank, seconds, closed_ms) in copy.deepcopy(WORLDS).items():
        yield FOLDER / f"{name}.json", written(shows, blank.run(seconds, closed_ms=closed_ms).events)
    yield FOLDER / "attempts.json", written("when a channel is tried for", attempts())


def written(shows: str, events: list[Event]) -> str:
    lines = ",\n".join("  " + json.dumps(event, separators=(",", ":")) for event in events)
    return f'{{\n "shows": {json.dumps(shows)},\n "events": [\n{lines}\n ]\n}}\n'


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, content in files():
        path.write_text(content)
