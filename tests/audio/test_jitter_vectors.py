"""The traces that both languages' jitter buffers answer alike; the page's tests read the same files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.audio import make_jitter_vectors as vectors

FILES = sorted(vectors.FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_trace_gets_its_answers(path: Path) -> None:
    case = json.loads(path.read_text())
    events, stats = vectors.replay(case["events"], case["config"])
    assert events == case["events"]
    assert stats == case["stats"]


def test_files_are_those_the_program_writes() -> None:
    assert {path: path.read_text() for path in FILES} == dict(vectors.files())


def test_the_traces_together_use_every_answer_and_counter() -> None:
    cases = [json.loads(path.read_text()) for path in FILES]
    answers = {(event[2][0], *event[2][-2:]) for case in cases for event in case["events"] if event[0] == "pop"}
    assert {answer[-1] for answer in answers if answer[0] == "play"} == {False, True}
    assert {("conceal", 1, True), ("conceal", 1, False), ("conceal", 4, False)} <= answers
    assert all(any(case["stats"][name] > 0 for case in cases) for name in cases[0]["stats"])
