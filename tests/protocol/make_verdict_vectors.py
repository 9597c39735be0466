"""Writes vectors/verdicts/wild.json: samples at random, with what a watch says after each.

`rules.json` beside it is written by hand. Run this after a deliberate change of the rules:
`python -m tests.protocol.make_verdict_vectors`.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from ringthrough.protocol.lane_control import Level
from ringthrough.protocol.verdicts import Direct, Sample, Watch

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "verdicts"

Step = list[Any]


def sample(fields: dict[str, Any]) -> Sample:
    """A sample from the fields that differ from an undisturbed one."""
    known = dict(fields)
    if "level" in known:
        known["level"] = Level(known["level"])
    if "direct" in known:
        known["direct"] = Direct(known["direct"])
    return Sample(**known)


def replay(steps: list[Step]) -> list[Step]:
    """[now_ms, fields or null, verdicts]: note these, or only look; return them with the verdicts filled in."""
    watch = Watch(0.0)
    done: list[Step] = []
    for now_ms, fields, *_ in steps:
        if fields is not None:
            watch.note(sample(fields), now_ms)
        done.append([now_ms, fields, [str(verdict) for verdict in watch.verdicts(now_ms)]])
    return done


def wild(seed: int) -> list[Step]:
    """Ten minutes in which everything happens now and then."""
    chance = random.Random(seed)
    steps: list[Step] = []
    now_ms = opened = died = idle = 0
    freeze: int | None = None
    lanes_max: int | None = None
    for _ in range(150):
        now_ms += chance.choice((250, 1_000, 1_000, 2_000, 9_000, 25_000))
        if chance.random() < 0.1:
            steps.append([now_ms, None])
            continue
        opened += chance.random() < 0.2
        died += chance.random() < 0.1
        idle += chance.random() < 0.03
        freeze = 16_000 if chance.random() < 0.01 else freeze
        lanes_max = 4 if chance.random() < 0.01 else lanes_max
        fields: dict[str, Any] = {
            "level": chance.choice((1, 1, 1, 1, 0, 2, 3)),
            "is_narrow": chance.random() < 0.4,
            "miss_share": chance.choice((0.0, 0.0, 0.02, 0.05, 0.08)),
            "queueing_ms": chance.choice((0, 0, 10, 40, 200)),
            "round_trip_ms": chance.choice((20, 100, 299, 300, 500)) if chance.random() < 0.3 else 50,
            "is_silent": chance.random() < 0.15,
            "lanes_opened": opened,
            "lanes_died": died,
            "freeze_bytes": freeze,
            "lanes_max": lanes_max,
            "idle_cuts": idle,
            "direct": chance.choice([str(direct) for direct in Direct]),
        }
        steps.append([now_ms, fields])
    return replay(steps)


def text() -> str:
    """The file as it should be."""
    lines = ",\n".join(f"    {json.dumps(step)}" for step in wild(7))
    return f'{{\n  "cases": [{{"name": "wild", "rule": null, "steps": [\n{lines}\n  ]}}]\n}}\n'


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "wild.json").write_text(text())


if __name__ == "__main__":
    main()
