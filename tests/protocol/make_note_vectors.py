"""Writes vectors/notes/: calls that lose, stall and recover, second by second, and what becomes of each.

`python tests/protocol/make_note_vectors.py`; a test compares the files with what this makes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ringthrough.protocol.notes import Heard, Mode, Notes

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "notes"
Event = list[Any]
Second = tuple[Heard, Heard | None]

CLEAN: Second = (Heard(0, 80), Heard(1, 90))
SILENT: Second = (Heard(100, 200), None)
POOR: Second = (Heard(13, 200), Heard(14, 200))
"""Neither good nor bad."""
UNHEARD: Second = (Heard(0, 80), Heard(100, 200))
"""We hear them, and they do not hear us."""


def script(seconds: Iterable[Second | int | str]) -> list[Event]:
    """A number is a pause of so many ms in which this device is stopped; "said" a note of
    ours, "noted" one of theirs."""
    notes, now, events = Notes(), 1_000, []
    for second in seconds:
        match second:
            case int():
                now += second
                continue
            case "noted":
                events.append(["noted", now, notes.noted(now)])
                continue
            case str():
                notes.said(now)
                events.append(["said", now])
                continue
            case (here, there):
                notes.second(here, there, now)
        told = [None, 0] if there is None else [there.percent, there.target_ms]
        due = notes.is_presence_due(now)
        events.append(["second", here.percent, here.target_ms, *told, now, int(notes.mode), due])
        if due:
            notes.said(now)
            events.append(["said", now])
        now += 1_000
    return events


def lossy(seed: int, percent: int, target_ms: int, seconds: int) -> list[Second]:
    """Each second loses from nothing to twice as much in each direction."""
    dice = random.Random(seed)

    def heard() -> Heard:
        return Heard(min(100, round(percent * 2 * dice.random())), target_ms + dice.randrange(-40, 40))

    return [(heard(), heard()) for _ in range(seconds)]


SCRIPTS: dict[str, Sequence[Second | int | str]] = {
    "clean": [CLEAN] * 40,
    "repaired": lossy(3, 3, 260, 60),
    "one-bad-second-in-four": [*[(Heard(60, 300), Heard(0, 90)), CLEAN, CLEAN, CLEAN] * 15],
    "every-other-second-bad": [*[(Heard(24, 320), Heard(6, 300)), CLEAN] * 12],
    "three-in-eight-bad": [*[*[(Heard(24, 320), Heard(6, 300))] * 3, *[CLEAN] * 5] * 8],
    "heavy-loss": [*[CLEAN] * 10, *lossy(5, 34, 320, 30)],
    "delayed-and-lossy": [*[CLEAN] * 10, *[(Heard(6, 600), Heard(0, 300))] * 20],
    "delayed-but-whole": [*[CLEAN] * 10, *[(Heard(0, 600), Heard(1, 600))] * 20],
    "recovers": [*[CLEAN] * 5, *lossy(8, 60, 200, 12), *[CLEAN] * 20],
    "recovers-slowly": [*[SILENT] * 8, *[(Heard(0, 600), Heard(3, 600))] * 10, *[(Heard(0, 600), Heard(2, 600))] * 6],
    "one-packet-a-second": [
        *[SILENT] * 8,
        *[(Heard(13, 90), Heard(0, 90))] * 8,
        *[(Heard(12, 90), Heard(12, 90))] * 6,
    ],
    "short-blackout": [*[CLEAN] * 10, *[SILENT] * 5, *[CLEAN] * 10],
    "blackout": [*[CLEAN] * 10, *[SILENT] * 14, "said", *[SILENT] * 10, *[CLEAN] * 8],
    "one-way": [*[CLEAN] * 5, *[UNHEARD] * 22, *[CLEAN] * 8],
    "flapping": [*[*[SILENT] * 7, *[CLEAN] * 30] * 5],
    "steady-between": [*[SILENT] * 7, *[CLEAN] * 80, *[SILENT] * 7, *[CLEAN] * 12],
    "followed": [*[POOR] * 3, "noted", *[CLEAN] * 3, "noted", *[CLEAN] * 5],
    "noted-where-speech-passes": [*[CLEAN] * 5, "noted", *[CLEAN] * 5],
    "noted-after-turning-back": [
        *[SILENT] * 6,
        *[CLEAN] * 5,
        *[POOR] * 3,
        "noted",
        *[POOR] * 3,
        "noted",
        *[CLEAN] * 10,
        "noted",
        *[CLEAN] * 6,
        "noted",
    ],
    "followed-in-silence": [POOR, "noted", *[UNHEARD] * 12, *[CLEAN] * 8],
    "stopped": [*[CLEAN] * 5, *[SILENT] * 5, 30_000, *[SILENT] * 5, *[CLEAN] * 3],
}


def contents() -> dict[str, str]:
    """Every file and what is in it."""
    found = {}
    for name, seconds in SCRIPTS.items():
        lines = ",\n  ".join(json.dumps(event) for event in script(seconds))
        about = "[second, here %, ms, there % or null, ms, now, mode, presence due], [said, now], [noted, now, turns]"
        found[f"{name}.json"] = f'{{"about": {json.dumps(about)},\n "events": [\n  {lines}\n]}}\n'
    return found


def modes(events: list[Event]) -> list[Mode]:
    """The modes of a script, each change once."""
    found: list[Mode] = []
    for event in events:
        if event[0] == "second" and (not found or found[-1] != event[6]):
            found.append(Mode(event[6]))
        elif event[0] == "noted" and event[2]:
            found.append(Mode.NOTES)
    return found


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, text in contents().items():
        (FOLDER / file).write_text(text)
