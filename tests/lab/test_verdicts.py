"""Which verdict counts, and when it is right."""

from __future__ import annotations

from lab.__main__ import wrong_verdict
from lab.cases.case import Case
from lab.verdicts import Judged, expected, headed, judge, tally
from ringthrough.protocol.verdicts import Verdict

from .make_calls import call, no_call, told

BLOCKED = frozenset({Verdict.DIRECT_BLOCKED})
CASE = Case("clean", verdicts=BLOCKED)


def test_what_headed_the_screen_is_noted_with_when_and_how_long() -> None:
    changes = [(-2.0, None), (3.0, "clear"), (5.0, "silent"), (6.5, None), (7.0, "clear")]
    assert headed(changes, 10.0) == {
        "last": "clear",
        "headed": [
            {"verdict": "clear", "first_at_s": 3.0, "for_s": 5.0},
            {"verdict": "silent", "first_at_s": 5.0, "for_s": 1.5},
        ],
    }


def test_a_verdict_that_is_gone_at_the_end_was_the_last_all_the_same() -> None:
    assert headed([(3.0, "clear"), (9.0, None)], 10.0)["last"] == "clear"
    assert headed([], 10.0) == {"last": None, "headed": []}


def test_only_a_client_with_a_direct_way_can_miss_it() -> None:
    assert expected(CASE, "ours in browsers") == BLOCKED
    assert expected(CASE, "ours") == {Verdict.CLEAR}


def test_the_last_verdict_is_judged_and_none_at_all_is_wrong() -> None:
    assert judge(told("ours", "direct_blocked"), BLOCKED) == Judged("direct_blocked", True)
    assert judge(told("ours", "clear"), BLOCKED) == Judged("clear", False)
    assert judge(told("ours", None), BLOCKED) == Judged(None, False)


def test_who_has_no_verdicts_and_a_call_that_never_came_are_not_judged() -> None:
    assert judge(call("mumble"), BLOCKED) == Judged(None, None)
    assert judge(no_call("ours"), BLOCKED) == Judged(None, None)


def test_a_call_that_never_came_is_not_right_either() -> None:
    counted = tally([told("ours", "clear"), told("ours", None), no_call("ours")], frozenset({Verdict.CLEAR}))
    assert (counted.right, counted.calls, counted.wrong) == (1, 3, {"none": 1})
    assert str(counted) == "right in 1 of 3 (right: clear; told: clear 1, none 1)"


def test_the_line_of_a_call_names_a_wrong_verdict() -> None:
    assert (
        wrong_verdict(told("ours in browsers", "clear"), CASE) == ", WRONG VERDICT: clear instead of direct_blocked"
    )
    assert wrong_verdict(told("ours in browsers", "direct_blocked"), CASE) == ""
    assert wrong_verdict(call("mumble"), CASE) == ""
