"""What the lab says of a run: whom ours is measured by, where it falls short, and what is never written."""

from __future__ import annotations

import pytest

from lab.calibration.checks import Report, exact_check
from lab.cases.case import Case
from lab.middlebox.rules import Counts
from lab.play import Call
from lab.report import METRICS, Cell, cells, document, rows, shortcomings, table, verdicts, without_effect
from ringthrough.protocol.verdicts import Verdict

from .make_calls import CALIBRATED, call, no_call, told


def cell(ours: Call | None, *peers: Call, conversation: bool = True) -> Cell:
    return Cell("clean", ours, {peer.driver: peer for peer in peers}, conversation)


def test_the_best_peer_is_intelligible_then_clear_then_quick() -> None:
    clear, quick = call("webrtc", estoi=0.960, mouth_to_ear_ms_p95=90.0), call("mumble", estoi=0.955)
    slow = call("turn", estoi=0.955, mouth_to_ear_ms_p95=300.0)
    lost = call("lossy", estoi=0.999, intelligible=False)
    assert cell(None, clear, quick, slow, lost).best_peer is clear
    quicker = call("mumble", estoi=0.955, mouth_to_ear_ms_p95=60.0)
    assert cell(None, clear, quicker).best_peer is quicker
    assert cell(None, lost, no_call("turn")).best_peer is lost
    assert cell(None, no_call("turn"), call("mute", speech_lost=1.0, intelligible=False)).best_peer is None


@pytest.mark.parametrize(
    ("ours", "peer", "count"),
    [
        (call("ours"), call("mumble", estoi=0.969, mouth_to_ear_ms_p95=140.0), 0),
        (call("ours"), call("mumble", estoi=0.971), 1),
        (call("ours"), call("mumble", mouth_to_ear_ms_p95=139.0), 1),
        (call("ours", intelligible=False), call("mumble", intelligible=False), 1),
        (no_call("ours"), no_call("mumble"), 1),
        (no_call("ours"), call("mumble"), 3),
    ],
)
def test_where_ours_falls_short(ours: Call, peer: Call, count: int) -> None:
    assert len(cell(ours, peer).behind) == count


def test_ours_by_another_way_is_no_peer_and_is_measured_by_the_same() -> None:
    direct = call("ours direct", estoi=0.99, mouth_to_ear_ms_p95=300.0)
    (made,) = cells([call("ours"), direct, call("mumble")], [Case("clean")])
    assert made.best_peer is made.peers["mumble"]
    assert (made.otherwise, list(made.peers)) == ({"ours direct": direct}, ["mumble"])
    late, right = made.behind[0], made.behind[1:]
    assert (late, right) == ("180 ms of mumble (ours direct)", [])
    row = rows(made)[0]
    assert (row["ours"], row["otherwise"], row["peers"]) == (0.95, {"ours direct": 0.99}, {"mumble": 0.95})
    assert "**0.99, 300 ms" in table([made], ["ours", "ours direct", "mumble"])


@pytest.mark.parametrize(
    ("caller", "callee", "behind"),
    [
        ([(9.0, "notes")], [(11.0, "notes"), (30.0, "interactive")], []),
        ([(9.0, "notes")], [], ["neither intelligible nor push-to-talk"]),
        ([(9.0, "notes")], [(9.0, "interactive")], ["neither intelligible nor push-to-talk"]),
    ],
)
def test_where_no_conversation_is_possible_both_turn_to_push_to_talk(
    caller: list[tuple[float, str]], callee: list[tuple[float, str]], behind: list[str]
) -> None:
    ours = call("ours", intelligible=False, notes={"modes": {"caller": caller, "callee": callee}})
    assert cell(ours, no_call("mumble"), conversation=False).behind == behind
    assert cell(call("ours"), no_call("mumble"), conversation=False).behind == [], "or they can talk"


def test_where_no_conversation_is_possible_none_is_asked_for() -> None:
    # A call that never came to be turns to nothing.
    behind = cell(no_call("ours"), no_call("mumble"), conversation=False).behind
    assert behind == ["neither intelligible nor push-to-talk"]


def test_every_metric_has_a_row_with_every_peer() -> None:
    made = rows(cell(call("ours"), call("webrtc", estoi=0.9, pesq=3.0), no_call("webrtc turn/udp")))
    assert [row["metric"] for row in made] == list(METRICS)
    estoi = made[0]
    assert (estoi["ours"], estoi["reference"], estoi["reference_name"]) == (0.95, 0.9, "webrtc")
    assert estoi["peers"] == {"webrtc": 0.9, "webrtc turn/udp": None}


def test_of_several_runs_the_middle_one_counts() -> None:
    runs = [call("ours", estoi=value) for value in (0.5, 0.9, 0.7)]
    (made,) = cells(runs, [Case("clean"), Case("never played")])
    assert made.ours is runs[2]


def test_nothing_is_written_of_a_lab_that_failed_its_calibration() -> None:
    failed = Report((exact_check("x", "n", 1, 2),), realtime=True, attempts=3)
    with pytest.raises(ValueError, match="calibration"):
        document([], [], failed, {})


def test_the_document_holds_rows_cells_calls_and_calibration() -> None:
    calls = [told("ours", "clear"), call("mumble")]
    made = cells(calls, [Case("clean")])
    written = document(made, calls, CALIBRATED, {"commits": ["abc"]})
    assert len(written["rows"]) == len(METRICS)
    assert written["cells"] == [
        {
            "case": "clean",
            "conversation_expected": True,
            "intelligible": {"ours": True, "mumble": True},
            "verdicts": {
                "ours": {
                    "verdict_expected": ["clear"],
                    "verdict": "clear",
                    "verdict_right": True,
                    "told": {"clear": 1},
                    "right": 1,
                    "calls": 1,
                }
            },
            "behind": [],
        }
    ]
    ours, peer = written["calls"]
    assert (ours["verdict"], ours["verdict_right"]) == ("clear", True)
    assert "verdict" not in peer
    assert [one["driver"] for one in written["calls"]] == ["ours", "mumble"]
    assert written["calibration"]["checks"][0]["name"] == "x"


def test_the_table_tells_calls_from_none() -> None:
    made = [cell(call("ours"), no_call("webrtc"), call("mumble", intelligible=False, speech_lost=0.1))]
    line = table(made, ["ours", "webrtc", "mumble", "turn"]).splitlines()[-1]
    assert line == "| clean | **0.95, 180 ms, 0.0 %** | no call | 0.95, 180 ms, 10.0 % |  |"
    assert "disturbed" in table([cell(call("ours", late_share=0.5))], ["ours"])


def test_shortcomings_and_rules_without_effect_are_named() -> None:
    assert shortcomings([cell(no_call("ours"))]) == ["clean: not intelligible"]
    idle = call("ours", rules={"udp dropped": Counts(), "delay": Counts(matched=3)})
    assert without_effect([idle]) == ["clean: udp dropped"]


def test_a_wrong_verdict_is_told_everywhere() -> None:
    right = frozenset({Verdict.DIRECT_BLOCKED, Verdict.LOSSY})
    case = Case("clean", verdicts=right)
    calls = [told("ours", "clear"), *(told("ours in browsers", verdict) for verdict in ("lossy", "clear", "lossy"))]
    made = cells(calls, [case])
    assert verdicts(made) == [
        "clean: ours: right in 1 of 1 (right: clear; told: clear 1)",
        "clean: ours in browsers: right in 2 of 3 (right: lossy or direct_blocked; told: lossy 2, clear 1)",
    ]
    assert shortcomings(made) == [
        "clean: verdict clear instead of lossy or direct_blocked in 1 of 3 (ours in browsers)"
    ]
    *_, ours, browsers = table(made, ["ours", "ours in browsers"]).splitlines()[-1].split(" | ")
    assert "WRONG" not in ours
    assert browsers.endswith("; WRONG VERDICT: clear in 1 of 3 |")
    written = document(made, calls, CALIBRATED, {})
    assert [one["verdict_right"] for one in written["calls"]] == [True, True, False, True]
    assert not written["cells"][0]["verdicts"]["ours in browsers"]["verdict_right"]
