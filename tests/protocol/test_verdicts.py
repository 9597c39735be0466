"""Each restriction's own verdict, by the files that the page's tests read too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ringthrough.protocol.verdicts import DIRECT_VERDICTS, WORDS, Direct, Verdict
from tests.protocol import make_verdict_vectors as vectors

ROOT = Path(__file__).resolve().parents[2]
CASES: list[dict[str, Any]] = [
    case for path in sorted(vectors.FOLDER.glob("*.json")) for case in json.loads(path.read_text())["cases"]
]
NO_CALL = {"__init__", "restriction", "servers_apart"}
"""Files of lab/rules that bend nothing on the way of a call."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    assert vectors.replay(case["steps"]) == case["steps"]


def test_the_file_is_that_which_the_program_writes() -> None:
    assert (vectors.FOLDER / "wild.json").read_text() == vectors.text()


def test_every_restriction_of_the_lab_has_a_case() -> None:
    rules = {path.stem for path in (ROOT / "lab" / "rules").glob("*.py")} - NO_CALL
    assert {case["rule"] for case in CASES} - {None} == rules


def test_every_verdict_is_reached_and_has_words_of_its_own() -> None:
    told = {verdict for case in CASES for step in case["steps"] for verdict in step[2]}
    assert told == set(Verdict)
    assert set(WORDS) == set(Verdict)
    assert len({words.matter for words in WORDS.values()}) == len(Verdict)
    assert set(DIRECT_VERDICTS) == set(Direct) - {Direct.OFF, Direct.TRYING, Direct.OPEN}


def test_the_page_of_the_spec_has_every_verdict_with_its_words() -> None:
    spec = (ROOT / "docs" / "spec" / "verdicts.md").read_text()
    _, _, out, *_ = spec.split("\n## ")
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in out.splitlines() if line[:3] == "| `"]
    assert rows == [[f"`{verdict}`", WORDS[verdict].matter, WORDS[verdict].remedy] for verdict in Verdict]
