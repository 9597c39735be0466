"""Many calls of each restriction: which are played, and how they are counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lab import rules
from lab.cases.cells import CELLS
from lab.verdict_runs import RULES, rows


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
