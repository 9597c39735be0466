"""When connections are opened and left."""

from __future__ import annotations

from itertools import pairwise

from ringthrough.protocol.lane_plan import HANDSHAKE_BYTES, LANES_OPEN_MAX, LanePlan, Steps
from ringthrough.protocol.lanes import LaneId


def plan_with(count: int, now_ms: float = 0.0) -> LanePlan:
    plan = LanePlan(0.0, is_sounding=True)
    for number in range(count):
        plan.opened(LaneId(number), now_ms)
    return plan


def test_the_spare_comes_when_a_narrow_pipe_would_have_shown_itself() -> None:
    plan = plan_with(1)
    assert not plan.step(2, [], 2_900, silent=False, stuck=False).dial
    assert plan.step(2, [], 3_000, silent=False, stuck=False).dial


def test_the_spare_comes_at_once_while_the_call_rings() -> None:
    plan = plan_with(1)
    plan.is_sounding = False
    assert not plan.step(2, [], 400, silent=False, stuck=False).dial
    assert plan.step(2, [], 500, silent=False, stuck=False).dial, "there is no sound yet that it could delay"


def test_where_a_loss_holds_up_everything_it_comes_at_once() -> None:
    plan = plan_with(1)
    assert not plan.step(2, [], 400, silent=False, stuck=True).dial
    assert plan.step(2, [], 500, silent=False, stuck=True).dial
    assert plan_with(1).step(4, [], 500, silent=False, stuck=False).dial, "more are wanted than a spare"


def test_a_handshake_that_hangs_is_not_waited_for() -> None:
    plan = plan_with(1)
    plan.dialled(3_000)
    assert not plan.step(2, [], 4_900, silent=False, stuck=False).dial
    assert plan.step(2, [], 5_000, silent=False, stuck=False).dial
    plan.is_sounding = False
    assert plan.step(2, [], 4_000, silent=False, stuck=False).dial, "it rings, and there is nothing to delay"
    assert not plan.step(2, [], 3_900, silent=False, stuck=False).dial
    plan.dialled(4_000)
    assert not plan.step(2, [], 9_000, silent=False, stuck=False).dial, "a pipe too narrow for two must not get four"


def test_others_come_a_second_apart() -> None:
    plan = plan_with(1)
    plan.dialled(500)
    assert not plan.step(4, [], 1_400, silent=False, stuck=False).dial
    assert plan.step(4, [], 1_500, silent=False, stuck=False).dial
    plan.dialled(1_500)
    plan.dialled(1_600)
    assert not plan.step(4, [], 2_700, silent=False, stuck=False).dial, "two are being opened"
    plan.dial_ended()
    assert plan.step(4, [], 2_700, silent=False, stuck=False).dial


def test_enough_is_enough() -> None:
    assert plan_with(2).step(2, [], 9_000, silent=False, stuck=False) == Steps()


def test_a_stalled_lane_is_replaced_and_left_once_it_is_past_hope() -> None:
    plan = plan_with(2)
    assert plan.step(2, [LaneId(0)], 5_000, silent=False, stuck=False) == Steps(dial=True)
    plan.dialled(5_000)
    plan.opened(LaneId(2), 5_300)
    plan.dial_ended()
    assert plan.step(2, [LaneId(0)], 7_900, silent=False, stuck=False) == Steps()
    assert plan.step(2, [LaneId(0)], 8_000, silent=False, stuck=False).leave == (LaneId(0),)


def test_one_that_moves_again_stays() -> None:
    plan = plan_with(3)
    plan.step(2, [LaneId(0)], 5_000, silent=False, stuck=False)
    plan.step(2, [], 7_000, silent=False, stuck=False)
    assert plan.step(2, [LaneId(0)], 8_500, silent=False, stuck=False).leave == ()


def died(plan: LanePlan, lane: int, size: int, now_ms: float) -> None:
    plan.opened(LaneId(lane), now_ms)
    plan.received(LaneId(lane), size - HANDSHAKE_BYTES)
    plan.step(2, [LaneId(lane)], now_ms + 1_000, silent=False, stuck=False)
    plan.step(2, [LaneId(lane)], now_ms + 4_000, silent=False, stuck=False)
    plan.closed(LaneId(lane), now_ms + 4_000, reset=False)


def test_two_that_die_after_as_many_bytes_show_the_rule() -> None:
    plan = plan_with(2)
    died(plan, 7, 15_500, 0)
    before = plan.freeze_bytes
    died(plan, 8, 16_500, 10_000)
    assert (before, plan.freeze_bytes) == (None, 15_500)
    plan.received(LaneId(0), 4_000)
    assert plan.step(2, [], 20_000, silent=False, stuck=False) == Steps(dial=True), (
        "worn, but kept until another is there"
    )
    plan.opened(LaneId(9), 21_000)
    assert plan.step(2, [], 21_000, silent=False, stuck=False).leave == (LaneId(0),)


def test_lanes_that_die_after_any_number_of_bytes_show_nothing() -> None:
    plan = plan_with(2)
    for number, size in enumerate((7_000, 30_000, 12_000, 200_000, 5_000, 50_000)):
        died(plan, 10 + number, size, number * 10_000.0)
    assert plan.freeze_bytes is None


def test_where_another_has_received_more_than_those_that_died_nothing_freezes() -> None:
    plan = plan_with(2)
    plan.received(LaneId(0), 21_000)
    died(plan, 7, 15_500, 0)
    died(plan, 8, 16_500, 10_000)
    assert plan.freeze_bytes is None


def test_a_lane_that_lives_on_past_what_froze_others_disproves_the_rule() -> None:
    plan = plan_with(2)
    died(plan, 7, 15_500, 0)
    died(plan, 8, 16_500, 10_000)
    plan.received(LaneId(0), 16_500)
    before = plan.freeze_bytes
    plan.received(LaneId(0), 200)
    assert (before, plan.freeze_bytes) == (15_500, None), "20.5 KB are nearly as many, 20.7 KB are not"
    died(plan, 9, 16_000, 20_000)
    assert plan.freeze_bytes is None, "not learnt again"


def test_where_stalled_lanes_answer_again_those_that_died_were_lost() -> None:
    plan = plan_with(2)
    for now_ms in (1_000, 3_000):
        plan.step(2, [LaneId(0)], now_ms, silent=False, stuck=False)
        plan.step(2, [], now_ms + 1_000, silent=False, stuck=False)
    died(plan, 7, 15_500, 10_000)
    died(plan, 8, 16_500, 20_000)
    before = plan.freeze_bytes
    died(plan, 9, 16_000, 30_000)
    assert (before, plan.freeze_bytes) == (None, 16_000), "more died than came back"


def test_losses_of_long_ago_say_nothing_of_the_network_of_now() -> None:
    plan = plan_with(2)
    for now_ms in range(0, 60_000, 3_000):
        plan.step(2, [LaneId(0)], now_ms, silent=False, stuck=False)
        plan.step(2, [], now_ms + 1_000, silent=False, stuck=False)
    died(plan, 7, 16_000, 60_000)
    died(plan, 8, 16_000, 70_000)
    before = plan.freeze_bytes
    died(plan, 9, 16_000, 120_000)
    assert (before, plan.freeze_bytes) == (None, 16_000)


def test_a_moment_in_which_nothing_passes_says_nothing_of_losses() -> None:
    plan = plan_with(2)
    lanes = [LaneId(0), LaneId(1)]
    plan.step(2, lanes, 1_000, silent=False, stuck=False)
    plan.step(2, lanes, 1_100, silent=True, stuck=False)
    plan.step(2, [], 2_000, silent=False, stuck=False)
    died(plan, 7, 15_500, 10_000)
    died(plan, 8, 16_500, 20_000)
    assert plan.freeze_bytes == 15_500


def counted(plan: LanePlan, *times_ms: float) -> None:
    """At each of these times one more connection opens and is reset at once."""
    for now_ms in times_ms:
        plan.opened(LaneId(99), now_ms)
        plan.closed(LaneId(99), now_ms + 500, reset=True)


def dials(plan: LanePlan, wanted: int, from_ms: int, to_ms: int) -> list[int]:
    """When openings begin that are all refused 100 ms later."""
    found = []
    for now_ms in range(from_ms, to_ms, 100):
        if plan.step(wanted, [], now_ms, silent=False, stuck=False).dial:
            found.append(now_ms)
            plan.dialled(now_ms)
            plan.refused(now_ms + 100)
            plan.dial_ended()
    return found


def test_connections_that_are_reset_early_are_counted_by_somebody() -> None:
    plan = plan_with(3)
    counted(plan, 4_000, 8_000)
    assert plan.lanes_max == 3
    assert not plan.step(6, [], 18_400, silent=False, stuck=False).dial


def test_where_connections_are_counted_one_more_is_tried_ever_more_rarely() -> None:
    plan = plan_with(3)
    counted(plan, 4_000, 8_000)
    found = dials(plan, 6, 8_500, 600_000)
    gaps = [after - before for before, after in pairwise([8_500, *found])]
    assert gaps[:4] == [10_000, 20_100, 40_100, 80_100]
    assert set(gaps[4:]) == {120_100}
    assert plan.lanes_max == 3


def test_a_limit_that_is_gone_is_forgotten() -> None:
    plan = plan_with(3)
    counted(plan, 4_000, 8_000)
    assert plan.step(6, [], 18_500, silent=False, stuck=False).dial
    plan.dialled(18_500)
    plan.dial_ended()
    plan.opened(LaneId(3), 18_600)
    assert not plan.step(6, [], 21_500, silent=False, stuck=False).dial, "it may be reset yet"
    assert plan.step(6, [], 21_600, silent=False, stuck=False).dial
    assert plan.lanes_max is None


def test_refusals_after_a_lane_died_are_an_outage() -> None:
    plan = plan_with(2)
    plan.closed(LaneId(0), 10_000, reset=False)
    assert dials(plan, 2, 10_000, 19_900) == list(range(10_000, 19_900, 1_000))
    assert plan.lanes_max is None


def test_refusals_while_a_lane_is_stalled_are_an_outage() -> None:
    for stalled, silent in (([LaneId(1)], False), ([], True)):
        plan = plan_with(2)
        for now_ms in (10_000, 11_000, 12_000):
            plan.step(2, stalled, now_ms, silent=silent, stuck=False)
            plan.refused(now_ms)
        assert plan.lanes_max is None


def test_an_outage_leaves_no_call_with_one_lane_for_good() -> None:
    plan = plan_with(2)
    plan.closed(LaneId(0), 10_000, reset=False)
    dials(plan, 2, 10_000, 60_000)
    assert plan.lanes_max == 1
    assert any(plan.step(2, [], now_ms, silent=False, stuck=False).dial for now_ms in range(60_000, 120_000, 100))


def test_one_refused_opening_proves_nothing() -> None:
    plan = plan_with(2)
    plan.refused(0)
    plan.opened(LaneId(9), 0)
    plan.closed(LaneId(9), 60_000, reset=True)
    plan.refused(80_000)
    assert plan.lanes_max is None


def test_when_all_are_silent_a_new_one_is_tried_each_second() -> None:
    plan = plan_with(2)
    plan.dialled(10_000)
    plan.dial_ended()
    assert not plan.step(2, [], 10_900, silent=True, stuck=False).dial
    assert plan.step(2, [], 11_000, silent=True, stuck=False).dial


def test_never_more_than_six_at_once() -> None:
    plan = plan_with(LANES_OPEN_MAX)
    stalled = [LaneId(0), LaneId(1), LaneId(2)]
    assert not plan.step(6, stalled, 9_000, silent=False, stuck=False).dial
    assert plan_with(LANES_OPEN_MAX).step(6, stalled, 9_000, silent=True, stuck=False).dial, (
        "unless none of them works"
    )
