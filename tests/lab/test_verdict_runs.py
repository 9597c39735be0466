"""Many calls of each restriction: which are played, and how they are counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from lab import rules, verdict_runs
from lab.cases.cells import CELLS
from lab.verdict_runs import FIRST_SEED, RULES, Run, main, played, rows, seed_after, told_in


def test_every_restriction_file_is_played() -> None:
    files = {path.stem for path in Path(rules.__file__).parent.glob("*.py")}
    others = {
        "__init__",
        "restriction",
        "servers_apart",  # how a world is laid out
        "message_host_only",  # the demo's, in a world of another kind; it drops UDP as `udp_dropped` does
    }
    assert files - others == {name.split(",")[0] for name in RULES}
    assert set(RULES.values()) <= {case.name for case in CELLS}


def test_a_call_that_did_not_come_to_be_is_not_right() -> None:
    told = {("tcp_frozen", "ours"): Counter({"frozen": 97, "lossy": 2, "no call: it broke": 1})}
    (row,) = rows(told)
    assert (row["right"], row["calls"], row["right_ones"]) == (97, 100, ["frozen"])


def test_what_is_right_depends_on_whether_there_is_a_direct_way() -> None:
    told = {("udp_dropped", name): Counter({"direct_blocked": 1}) for name in ("ours", "ours in browsers")}
    assert [row["right"] for row in rows(told)] == [0, 1]


def test_later_runs_are_added_with_seeds_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def plays(runs: Sequence[Run], at_once: int, goes_on: Callable[[], bool]) -> Iterator[tuple[Run, str]]:
        assert goes_on()
        seeds.extend(run.seed for run in runs)
        yield from ((run, "frozen") for run in runs)

    monkeypatch.setattr(verdict_runs, "played", plays)
    monkeypatch.setattr(verdict_runs, "demanded", dict)
    out = tmp_path / "verdicts.json"
    for _ in range(2):
        main(["--only", "tcp_frozen", "--runs", "3", "--out", str(out)])
    assert seeds == list(range(FIRST_SEED, FIRST_SEED + 6))
    document = json.loads(out.read_text())
    assert told_in(document) == {("tcp_frozen", "ours"): Counter({"frozen": 6})}
    assert seed_after(document) == FIRST_SEED + 6
    assert [part["seeds"] for part in document["parts"]] == [3, 3]


def test_none_is_begun_once_the_time_is_over() -> None:
    assert list(played([Run("tcp_frozen", "ours", 1)], 2, lambda: False)) == []
