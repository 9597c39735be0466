"""When connections are opened and left."""

from __future__ import annotations

from ringthrough.protocol.lane_plan import HANDSHAKE_BYTES, LANES_OPEN_MAX, LanePlan, Steps
from ringthrough.protocol.lanes import LaneId


def plan_with(count: int, now_ms: float = 0.0) -> LanePlan:
    plan = LanePlan(0.0)
    for number in range(count):
        plan.opened(LaneId(number), now_ms)
    return plan


def test_the_spare_comes_half_a_second_after_the_call_began() -> None:
    plan = plan_with(1)
    assert not plan.step(2, [], False, 400).dial
    assert plan.step(2, [], False, 500).dial


def test_others_come_seconds_apart() -> None:
    plan = plan_with(1)
    plan.dialled(500)
    assert not plan.step(4, [], False, 2_400).dial
    assert plan.step(4, [], False, 2_500).dial
    plan.dialled(2_500)
    assert not plan.step(4, [], False, 9_000).dial, "two are being opened"
    plan.dial_ended()
    assert plan.step(4, [], False, 9_000).dial


def test_enough_is_enough() -> None:
    assert plan_with(2).step(2, [], False, 9_000) == Steps()


def test_a_stalled_lane_is_replaced_and_left_once_it_is_past_hope() -> None:
    plan = plan_with(2)
    assert plan.step(2, [LaneId(0)], False, 5_000) == Steps(dial=True)
    plan.dialled(5_000)
    assert plan.step(2, [LaneId(0)], False, 7_900) == Steps()
    assert plan.step(2, [LaneId(0)], False, 8_000).leave == (LaneId(0),)


def test_one_that_moves_again_stays() -> None:
    plan = plan_with(3)
    plan.step(2, [LaneId(0)], False, 5_000)
    plan.step(2, [], False, 7_000)
    assert plan.step(2, [LaneId(0)], False, 8_500).leave == ()


def died(plan: LanePlan, lane: int, size: int, now_ms: float) -> None:
    plan.opened(LaneId(lane), now_ms)
    plan.received(LaneId(lane), size - HANDSHAKE_BYTES)
    plan.step(2, [LaneId(lane)], False, now_ms + 1_000)
    plan.step(2, [LaneId(lane)], False, now_ms + 4_000)
    plan.closed(LaneId(lane), now_ms + 4_000, reset=False)


def test_two_that_die_after_as_many_bytes_show_the_rule() -> None:
    plan = plan_with(2)
    died(plan, 7, 15_500, 0)
    before = plan.freeze_bytes
    died(plan, 8, 16_500, 10_000)
    assert (before, plan.freeze_bytes) == (None, 15_500)
    plan.received(LaneId(0), 4_000)
    assert plan.step(2, [], False, 20_000) == Steps(dial=True), "worn, but kept until another is there"
    plan.opened(LaneId(9), 21_000)
    assert plan.step(2, [], False, 21_000).leave == (LaneId(0),)


def test_lanes_that_die_after_any_number_of_bytes_show_nothing() -> None:
    plan = plan_with(2)
    for number, size in enumerate((7_000, 30_000, 12_000, 200_000, 5_000, 50_000)):
        died(plan, 10 + number, size, number * 10_000.0)
    assert plan.freeze_bytes is None


def test_connections_that_are_reset_early_are_counted_by_somebody() -> None:
    plan = plan_with(3)
    for now_ms in (4_000.0, 8_000.0):
        plan.opened(LaneId(9), now_ms)
        plan.closed(LaneId(9), now_ms + 500, reset=True)
    assert plan.lanes_max == 3
    assert not plan.step(6, [], False, 20_000).dial


def test_one_refused_opening_proves_nothing() -> None:
    plan = plan_with(2)
    plan.refused()
    plan.opened(LaneId(9), 0)
    plan.closed(LaneId(9), 60_000, reset=True)
    plan.refused()
    assert plan.lanes_max is None


def test_when_all_are_silent_a_new_one_is_tried_each_second() -> None:
    plan = plan_with(2)
    plan.dialled(10_000)
    plan.dial_ended()
    assert not plan.step(2, [], True, 10_900).dial
    assert plan.step(2, [], True, 11_000).dial


def test_never_more_than_six_at_once() -> None:
    plan = plan_with(LANES_OPEN_MAX)
    stalled = [LaneId(0), LaneId(1), LaneId(2)]
    assert not plan.step(6, stalled, False, 9_000).dial
    assert plan_with(LANES_OPEN_MAX).step(6, stalled, True, 9_000).dial, "unless none of them works"
