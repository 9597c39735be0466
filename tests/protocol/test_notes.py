"""The rule of voice notes: the shared scripts, and what holds whatever happens."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ringthrough.protocol import notes as rule
from ringthrough.protocol.notes import Heard, Mode, Notes

from .make_note_vectors import CLEAN, FOLDER, SCRIPTS, SILENT, contents, modes, script

TALK, NOTE = Mode.INTERACTIVE, Mode.NOTES
BECOMES = {
    "clean": [TALK],
    "repaired": [TALK],
    "one-bad-second-in-four": [TALK],
    "every-other-second-bad": [TALK, NOTE],
    "three-in-eight-bad": [TALK, *[NOTE, TALK] * 2, NOTE],
    "heavy-loss": [TALK, NOTE],
    "delayed-and-lossy": [TALK, NOTE],
    "delayed-but-whole": [TALK],
    "recovers": [TALK, NOTE, TALK],
    "recovers-slowly": [TALK, NOTE, TALK],
    "one-packet-a-second": [TALK, NOTE, TALK],
    "short-blackout": [TALK],
    "blackout": [TALK, NOTE, TALK],
    "one-way": [TALK, NOTE, TALK],
    "flapping": [*[TALK, NOTE] * 4, TALK],
    "steady-between": [TALK, NOTE, TALK, NOTE, TALK],
    "followed": [TALK, NOTE, TALK],
    "noted-where-speech-passes": [TALK],
    "noted-after-turning-back": [TALK, NOTE, TALK, NOTE, TALK],
    "followed-in-silence": [TALK, NOTE, TALK],
    "stopped": [TALK],
}


def test_the_files_are_what_is_made_here() -> None:
    assert {file.name: file.read_text() for file in FOLDER.iterdir()} == contents()


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    notes = Notes()
    events = json.loads((FOLDER / f"{name}.json").read_text())["events"]
    for event in events:
        if event[0] == "said":
            notes.said(event[1])
            continue
        if event[0] == "noted":
            assert notes.noted(event[1]) == event[2]
            continue
        _, percent, target_ms, told, told_ms, now, mode, due = event
        before = notes.mode
        there = None if told is None else Heard(told, told_ms)
        assert notes.second(Heard(percent, target_ms), there, now) == (notes.mode is not before)
        assert (notes.mode, notes.is_presence_due(now)) == (mode, due), event
    assert modes(events) == BECOMES[name]


def test_both_ends_decide_alike_from_the_same_numbers() -> None:
    for seed in range(20):
        dice = random.Random(seed)
        ends, now = (Notes(), Notes()), 0
        for _ in range(200):
            now += 1_000
            ab, ba = (Heard(dice.choice([0, 0, 1, 3, 20, 60]), dice.choice([80, 420, 600])) for _ in range(2))
            ends[0].second(ab, ba, now)
            ends[1].second(ba, ab, now)
            assert ends[0].mode is ends[1].mode


def test_no_mode_is_shorter_than_it_takes_to_judge_it() -> None:
    for seed in range(50):
        dice = random.Random(seed)
        notes, now, since = Notes(), 0, 0
        for _ in range(400):
            now += 1_000
            here = Heard(dice.choice([0, 0, 0, 12, 15, 90]), 100)
            was = notes.mode
            if notes.second(here, here if dice.random() < 0.9 else None, now):
                least = rule.PERCENT_SUM // rule.PERCENT_BAD if was is TALK else rule.GOOD_SECONDS
                assert now - since >= least * 1_000
                since = now


def test_each_rest_is_twice_as_long_until_it_is_long_enough() -> None:
    notes, now, rests = Notes(), 0, []
    for _ in range(7):
        while notes.mode is TALK:
            now += 1_000
            notes.second(*SILENT, now)
        began = now
        while notes.mode is NOTE:
            now += 1_000
            notes.second(*CLEAN, now)
        rests.append(now - began)
    assert rests == [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000]


def test_that_speech_was_given_up_is_said_at_once_and_every_eight_seconds() -> None:
    due = {
        name: sum(event[7] for event in script(seconds) if event[0] == "second") for name, seconds in SCRIPTS.items()
    }
    for name, count in due.items():
        seconds = sum(event[0] == "second" and event[6] == Mode.NOTES for event in script(SCRIPTS[name]))
        assert count <= len(BECOMES[name]) // 2 + seconds // 8, name
    assert [due[name] for name in ("clean", "recovers", "steady-between", "blackout", "one-way")] == [0, 2, 2, 3, 3]
    assert (due["followed"], due["followed-in-silence"]) == (0, 1), "who follows has nothing new to say"


def test_both_ends_turn_where_only_one_of_them_would_and_neither_drives_the_other_round() -> None:
    """What they hear differs, on the edge of what is bad, and a note is up to 3 s on its way."""
    for seed in range(40):
        dice = random.Random(seed)
        ends = (Notes(), Notes())
        on_their_way: list[tuple[int, int]] = []
        changes = apart = 0
        for now in range(0, 300_000, 1_000):
            for mine, end in enumerate(ends):
                for to, due_ms in [note for note in on_their_way if note[0] == mine and note[1] <= now]:
                    changes += end.noted(now)
                    on_their_way.remove((to, due_ms))
                losses = [0, 1, 5] if now >= 60_000 else ([12, 20, 40, 60], [0, 14, 14, 14])[mine]
                changes += end.second(Heard(dice.choice(losses), 200), Heard(dice.choice(losses), 200), now)
                speaks = end.mode is NOTE and dice.random() < 0.5
                if speaks or end.is_presence_due(now):
                    end.said(now)
                    on_their_way.append((1 - mine, now + dice.randrange(100, 3_000)))
            apart = apart + 1 if ends[0].mode is not ends[1].mode else 0
            assert apart <= 12, seed
        assert ends[0].mode is ends[1].mode is TALK
        assert changes <= 12, seed


def test_the_spec_states_the_numbers() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "spec" / "media.md").read_text()
    for name, value in vars(rule).items():
        if name.isupper():
            assert f"| `notes.{name}` | {value} |" in text
