"""The network check behind the lab's restrictions: what counts as right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import check_runs
from lab.check_runs import NETWORKS, Row, main
from ringthrough.protocol.verdicts import Verdict


def test_what_heads_the_result_counts() -> None:
    assert Row("n", ["lossy"], ["lossy", "far"], {}).is_right
    assert not Row("n", ["far"], ["lossy", "far"], {}).is_right
    assert not Row("n", ["clear"], [], {}).is_right


def test_what_a_check_can_tell_is_played() -> None:
    told = {verdict for network in NETWORKS.values() for verdict in network.right}
    seen_without_a_call = {
        Verdict.FAR,
        Verdict.LOSSY,
        Verdict.NARROW,
        Verdict.FROZEN,
        Verdict.IDLE_CUT,
        Verdict.COUNTED,
    }
    assert told == {Verdict.CLEAR, *seen_without_a_call}


def test_a_wrong_one_is_told_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_runs, "demanded", dict)
    monkeypatch.setattr(check_runs, "play", lambda name, seed: Row(name, ["far"], ["clear"], {"Many bytes": "pass"}))
    out = tmp_path / "checks.json"
    assert main(["--only", "RTT 400", "--runs", "2", "--out", str(out)]) == 1
    document = json.loads(out.read_text())
    assert (document["right"], document["checks"]) == (0, 2)
    assert document["rows"][0]["steps"] == {"Many bytes": "pass"}
