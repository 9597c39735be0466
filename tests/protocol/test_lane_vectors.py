"""The scripts that both languages' lanes answer alike; the page's tests read the same files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ringthrough.protocol.lane_control import Level
from tests.protocol import make_lane_vectors as vectors

FILES = sorted(vectors.FOLDER.glob("*.json"))
CASES: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in FILES}


@pytest.mark.parametrize("name", CASES)
def test_script_gets_its_answers(name: str) -> None:
    events = CASES[name]["events"]
    is_plan = name.startswith("plan-")
    answered = vectors.replay_plan(events) if is_plan else vectors.replay_hop(events, CASES[name]["first_seq"])
    assert answered == events


def test_files_are_those_the_program_writes() -> None:
    assert {path: path.read_text() for path in FILES} == dict(vectors.files())


def looks(name: str) -> list[dict[str, Any]]:
    return [event[2] for event in CASES[name]["events"] if event[0] == "look"]


def steps(name: str) -> list[list[Any]]:
    return [event[6:] for event in CASES[name]["events"] if event[0] == "step"]


def test_the_scripts_together_use_every_level_and_every_kind_of_answer() -> None:
    hops = [name for name in CASES if not name.startswith("plan-")]
    assert {look["level"] for name in hops for look in looks(name)} == {int(level) for level in Level}
    assert {look["level"] for look in looks("clean")} == {int(Level.NORMAL)}
    assert {(look["level"], look["is_narrow"]) for look in looks("busy")} == {(int(Level.NORMAL), False)}
    assert any(look["level"] == Level.LEAN and look["is_narrow"] for look in looks("narrow"))
    assert looks("narrow")[-1]["level"] > Level.LEAN
    assert any(look["level"] > Level.NORMAL for look in looks("loss-20"))
    assert looks("loss-20")[-1]["level"] < max(look["level"] for look in looks("loss-20"))
    assert any(look["stalled"] == [0] for look in looks("lane-stalls"))
    assert any(look["is_silent"] for look in looks("all-stall"))
    assert looks("all-stall")[-1]["frames_dropped"] > 0
    assert any(event[0] == "close" and event[3] for event in CASES["lane-ends"]["events"])
    assert any(event[0] == "tick" and event[2] for event in CASES["loss-5"]["events"])
    numbers = [event[2] for event in CASES["wrap"]["events"] if event[0] == "arrived" and event[6]]
    assert max(numbers) == (1 << 32) - 1
    assert min(numbers) == 0


def test_the_plans_together_learn_everything_there_is_to_learn() -> None:
    assert any(dial for dial, *_ in steps("plan-clean"))
    assert steps("plan-freeze")[-1][2] is not None
    assert any(leave for _, leave, *_ in steps("plan-freeze"))
    assert steps("plan-count")[-1][3] == 2
    assert sum(dial for dial, *_ in steps("plan-heavy")) == 5
