import json
import re
from pathlib import Path

import pytest

from bench.quiet import Disturbance
from bench.report import Goal, Result, Row, compare, table

ROW_KEYS = {"case", "metric", "unit", "ours", "reference", "reference_name", "ratio", "ratio_means", "runs"}


def rate(ours: list[float], reference: list[float], goal: Goal | None = None) -> Row:
    return compare("64 pairs", "messages", "1/s", ours, reference, "echo", higher_is_better=True, goal=goal)


def test_a_row_holds_the_medians_of_its_runs_and_their_ratio() -> None:
    row = rate([100.0, 900.0, 300.0], [100.0, 150.0, 9000.0])
    assert (row.ours, row.reference, row.ratio, row.runs) == (300.0, 150.0, 2.0, 3)
    assert (row.spread, row.reference_spread) == ((100.0, 900.0), (100.0, 9000.0))
    assert "ours / reference" in row.ratio_means


def test_the_ratio_of_times_is_the_speed_up() -> None:
    row = compare("n", "join", "ms", [2.0], [10.0], "other")
    assert row.ratio == 5.0
    assert "reference / ours" in row.ratio_means


def test_a_series_without_runs_is_no_row() -> None:
    with pytest.raises(ValueError, match="no values"):
        rate([], [1.0])


@pytest.mark.parametrize(
    ("goal", "ours", "ratio", "met"),
    [
        (Goal(ratio_min=5), 1.0, 5.0, True),
        (Goal(ratio_min=5), 1.0, 4.99, False),
        (Goal(ours_max=16), 16.0, 0.1, True),
        (Goal(ours_max=16), 16.1, 9.0, False),
        (Goal(ratio_min=2, ours_max=16), 3.0, 1.0, False),
    ],
)
def test_a_goal_is_a_least_ratio_or_a_largest_value(goal: Goal, ours: float, ratio: float, met: bool) -> None:
    assert goal.met(ours, ratio) is met


def test_a_goal_is_judged_before_figures_are_rounded() -> None:
    row = rate([99_999.0], [20_000.0], Goal(ratio_min=5))
    assert row.ratio == 5.0
    assert row.goal_met is False


def test_the_file_has_all_that_readers_rely_on(tmp_path: Path) -> None:
    result = Result("messages", 3, False, [rate([2.0], [1.0], Goal(ratio_min=3)), rate([2.0], [1.0])], {"note": 1})
    path = result.write(tmp_path)
    assert path == tmp_path / "messages.json"
    found = json.loads(path.read_text())
    assert set(found) == {"name", "commit", "machine", "disturbance", "runs", "quick", "rows", "notes"}
    assert (found["name"], found["runs"]) == ("messages", 3)
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", found["commit"])
    assert set(found["machine"]) >= {"cpu", "cores", "kernel", "python"}
    assert all(set(row) >= ROW_KEYS for row in found["rows"])
    assert [row.get("goal_met") for row in found["rows"]] == [False, None]


def test_a_quick_run_does_not_overwrite_what_is_quoted(tmp_path: Path) -> None:
    full = Result("relay", 5, False, [rate([2.0], [1.0])]).write(tmp_path)
    before = full.read_text()
    quick = Result("relay", 1, True, [rate([9.0], [1.0])]).write(tmp_path)
    assert quick != full
    assert full.read_text() == before


def test_figures_from_a_busy_machine_say_so(tmp_path: Path) -> None:
    result = Result("fanout", 1, False, [rate([2.0], [1.0])], disturbance=Disturbance(0.9, 0.0))
    assert "not fit to be quoted" in table(result)
    assert json.loads(result.write(tmp_path).read_text())["disturbance"] == {"others_cores": 0.9, "stolen_cores": 0.0}
    result.disturbance = Disturbance(0.05, 0.01)
    assert "not fit" not in table(result)


def test_the_table_names_missed_goals() -> None:
    text = table(Result("fanout", 1, False, [rate([2.0], [1.0], Goal(ratio_min=3)), rate([4.0], [1.0])]))
    lines = [line for line in text.splitlines() if line.startswith("| 64 pairs")]
    assert "**missed**" in lines[0]
    assert "missed" not in lines[1]
    assert all(line.count("|") == 7 for line in lines)
