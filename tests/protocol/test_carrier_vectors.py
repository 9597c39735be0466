"""The scripts that both languages' carriers answer alike; the page's tests read the same files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ringthrough.protocol.carriers import Step, Way
from tests.protocol import make_carrier_vectors as vectors

FILES = sorted(vectors.FOLDER.glob("*.json"))
CASES: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in FILES}


@pytest.mark.parametrize("name", CASES)
def test_script_gets_its_answers(name: str) -> None:
    events = CASES[name]["events"]
    assert vectors.replay(events) == events


def test_files_are_those_the_program_writes() -> None:
    assert {path: path.read_text() for path in FILES} == dict(vectors.files())


def test_the_scripts_together_use_every_answer() -> None:
    events = [event for case in CASES.values() for event in case["events"]]
    assert {event[3] for event in events if event[0] == "tick"} == {int(way) for way in Way}
    assert {event[4] for event in events if event[0] == "tick"} == {False, True}
    assert {event[2] for event in events if event[0] == "step"} == {int(step) for step in Step}
    assert any(event[2] for event in events if event[0] == "closed")
    assert {event[3] for event in events if event[0] == "closed"} == {False, True}
