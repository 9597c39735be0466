"""Which carrier a call's frames take, and when a direct channel is tried for."""

from __future__ import annotations

import pytest

from ringthrough.protocol import carriers as rule
from ringthrough.protocol.carriers import Arrivals, Attempts, Carriers, Step, Way

from .carrier_world import FRAME_MS, World, bursts, cut, lossy, steady


def test_without_a_channel_everything_goes_on_the_lanes() -> None:
    world = World(steady(10), steady(40)).run(5, opened_ms=-1)
    assert world.carriers.frames_direct == 0
    assert world.gap_ms() == FRAME_MS


def test_a_good_channel_is_overlapped_for_two_seconds_and_then_taken() -> None:
    world = World(steady(10), steady(40)).run(2.9)
    assert world.way() is Way.BOTH
    world.run(1)
    assert world.way() is Way.DIRECT
    before = world.carriers.frames_lanes
    world.run(10)
    assert world.carriers.frames_lanes == before
    assert world.gap_ms() <= FRAME_MS


def test_one_that_is_slower_than_the_lanes_is_not_taken_and_measured_again_later() -> None:
    world = World(steady(60), steady(20)).run(3.5)
    assert world.way() is Way.LANES
    assert not world.carriers.is_lost
    world.run(10)
    assert world.way() is Way.BOTH
    world.run(3)
    assert world.way() is Way.LANES


def test_one_that_loses_much_is_not_taken() -> None:
    world = World(lossy(10, 0.15, 1), steady(40)).run(4)
    assert world.way() is Way.LANES


def test_what_it_loses_now_and_then_comes_on_the_lanes() -> None:
    world = World(lossy(10, 0.01, 2), steady(40)).run(60)
    assert world.way() is Way.DIRECT
    assert len(world.heard) >= 60_000 // FRAME_MS - 2
    assert world.gap_ms() <= 3 * FRAME_MS


@pytest.mark.parametrize("at_ms", range(10_000, 10_060, 10))
@pytest.mark.parametrize("both_directions", [True, False])
def test_a_path_that_is_silently_cut_is_left_without_a_gap(at_ms: int, both_directions: bool) -> None:
    answers = cut(steady(20), at_ms) if both_directions else steady(20)
    world = World(cut(steady(20), at_ms), steady(60), answers).run(15)
    assert world.lost_ms is not None
    assert world.lost_ms - at_ms <= rule.SILENT_MS + 2 * FRAME_MS
    assert world.gap_ms() <= 300
    assert len(world.heard) >= 15_000 // FRAME_MS - 3, "what was under way came on the lanes"


@pytest.mark.parametrize("at_ms", range(2_000, 10_000, 700))
def test_one_that_falls_silent_was_good_if_it_answered_until_then(at_ms: int) -> None:
    world = World(cut(steady(20), at_ms), steady(60)).run(12)
    assert world.lost_ms is not None
    assert not world.carriers.was_bad


@pytest.mark.parametrize("closed_ms", [None, 2_000])
def test_one_that_loses_much_before_it_falls_silent_or_is_closed_was_bad(closed_ms: int | None) -> None:
    bad = cut(bursts(20, 0.25, 6), 2_500)
    world = World(bad, steady(60)).run(5, closed_ms=closed_ms)
    assert world.carriers.was_bad


def test_one_that_opened_and_answered_nothing_was_bad() -> None:
    world = World(cut(steady(20), 1_000), steady(60)).run(5)
    assert world.lost_ms is not None
    assert world.carriers.was_bad


def test_answers_that_do_not_come_back_are_no_better_than_none() -> None:
    world = World(steady(20), steady(60), cut(steady(20), 10_000)).run(15)
    assert world.lost_ms is not None
    assert world.gap_ms() <= 2 * FRAME_MS


def test_a_path_that_freezes_for_a_moment_is_kept() -> None:
    world = World(cut(steady(10), 10_000, 10_150), steady(40)).run(14)
    assert world.lost_ms is None
    assert world.way() is Way.DIRECT
    assert world.gap_ms() <= 200


def test_a_device_that_was_stopped_itself_looks_at_the_answers_before_it_judges() -> None:
    carriers = Carriers()
    carriers.opened(0)
    carriers.tick(0)
    sending = carriers.send(b"x", 0)
    assert sending.seq is not None
    assert carriers.tick(5_000) == []
    carriers.acked(sending.seq, 0, 5_001)
    carriers.tick(5_002)
    assert not carriers.is_lost
    carriers.send(b"y", 5_003)
    carriers.tick(5_100)
    carriers.tick(5_200)
    carriers.tick(5_303)
    assert carriers.is_lost


def test_a_channel_that_closes_gives_what_was_under_way_to_the_lanes() -> None:
    carriers = Carriers()
    carriers.opened(0)
    for number in range(60):
        carriers.tick(number * 60)
        sending = carriers.send(bytes([number]), number * 60)
        if sending.seq is not None:
            carriers.acked(sending.seq, 0, number * 60 + 10)
    assert not carriers.send(b"x", 3_600).lanes
    assert carriers.closed(3_610) == [b"x"]
    assert carriers.tick(9_000) == []
    assert carriers.send(b"y", 9_000) == rule.Sending(None, lanes=True)


def test_an_answer_says_how_far_behind_the_lanes_a_frame_came() -> None:
    arrivals = Arrivals()
    assert arrivals.by_direct(7, 100) == 0
    arrivals.by_lanes(8, 100)
    arrivals.by_lanes(8, 150)
    assert arrivals.by_direct(8, 130) == 30
    assert arrivals.by_direct(8, 1e9) == 65_535
    for counter in range(9, 9 + rule.ARRIVALS_KEPT):
        arrivals.by_lanes(counter, 200)
    assert arrivals.by_direct(8, 230) == 0, "forgotten"


def test_an_answer_to_nothing_changes_nothing() -> None:
    carriers = Carriers()
    carriers.acked(5, 0, 10)
    assert (carriers.way, carriers.late_ms) == (Way.LANES, rule.LATE_MS_MAX)


def test_an_attempt_that_opens_nothing_is_given_up_and_tried_again_ever_later() -> None:
    attempts = Attempts(offers=True)
    assert attempts.step(0) is Step.NONE
    attempts.wanted(100)
    now, pauses = 100.0, []
    for _ in range(6):
        assert attempts.step(now) is Step.BEGIN
        attempts.began(now)
        assert attempts.step(now + rule.ATTEMPT_MS_MAX - 1) is Step.NONE
        ended = now = now + rule.ATTEMPT_MS_MAX
        assert attempts.step(now) is Step.GIVE_UP
        attempts.ended(now)
        while attempts.step(now) is Step.NONE:
            now += 100
        pauses.append(now - ended)
    assert pauses == [10_000, 20_000, 40_000, 80_000, 120_000, 120_000]
    attempts.began(now)
    attempts.ended(now)
    attempts.wanted(now + 1)
    assert attempts.step(now + 1) is Step.BEGIN, "the network has changed"


def test_the_loss_of_a_steady_channel_is_followed_by_another_attempt_soon() -> None:
    attempts = Attempts(offers=True)
    for _ in range(3):
        attempts.began(0)
        attempts.ended(0)
    attempts.began(0)
    attempts.opened(0)
    attempts.ended(rule.STEADY_MS)
    assert attempts.step(rule.STEADY_MS + rule.RETRY_MS) is Step.BEGIN


def test_after_a_refusal_there_is_no_attempt_until_one_is_asked_for() -> None:
    attempts = Attempts(offers=True)
    attempts.began(0)
    attempts.refused()
    assert attempts.step(1e9) is Step.NONE
    attempts.wanted(1e9)
    assert attempts.step(1e9) is Step.BEGIN


def test_who_does_not_offer_begins_nothing() -> None:
    attempts = Attempts(offers=False)
    attempts.wanted(0)
    assert attempts.step(1_000_000) is Step.NONE
    attempts.began(0)
    assert attempts.step(rule.ATTEMPT_MS_MAX) is Step.GIVE_UP


def test_without_room_the_lanes_go_alone_and_the_ways_are_compared_later() -> None:
    world = World(steady(10), steady(40), has_room=lambda now: not 1_500 <= now < 4_000).run(4)
    assert world.way() is Way.LANES
    on_both = [event for event in world.events if event[0] == "send" and event[2] >= 1_520 and event[3] is not None]
    assert on_both == []
    assert world.run(2.9).way() is Way.LANES
    assert world.run(0.3).way() is Way.BOTH
    assert world.run(3).way() is Way.DIRECT


def test_what_goes_directly_alone_needs_no_room_on_the_lanes() -> None:
    world = World(steady(10), steady(40), has_room=lambda now: now < 5_000).run(9)
    assert world.way() is Way.DIRECT


def test_what_ends_for_want_of_room_was_not_worse() -> None:
    world = World(steady(10), steady(40), has_room=lambda now: now < 1_500).run(4)
    assert not world.carriers.is_worse
    world.close()
    assert not world.carriers.was_bad


def test_a_channel_that_closes_before_anything_was_sent_on_it_was_not_bad() -> None:
    world = World(steady(10), steady(40), has_room=lambda now: now < 1_000).run(2)
    assert world.carriers.way is Way.LANES
    world.close()
    assert not world.carriers.was_bad


def test_what_was_worse_was_bad_when_it_closes() -> None:
    world = World(steady(70), steady(20)).run(5)
    assert world.carriers.is_worse
    world.close()
    assert world.carriers.was_bad


def test_what_was_late_before_both_ways_were_taken_is_not_of_their_comparison() -> None:
    carriers = Carriers()
    carriers.opened(0)
    answered(carriers, 0, 4_000, after_ms=20)
    ways = [carriers.way]
    for now_ms in range(4_000, 4_080, 20):
        assert carriers.send(bytes(4), now_ms).seq is not None
    carriers.tick(4_040)
    carriers.tick(4_150)  # all four are late at once
    ways.append(carriers.way)
    answered(carriers, 4_160, 6_300, after_ms=20)
    assert [*ways, carriers.way] == [Way.DIRECT, Way.BOTH, Way.DIRECT]


def test_one_stall_before_it_falls_silent_does_not_make_a_good_channel_bad() -> None:
    stalled = World(cut(cut(steady(20), 6_000, 6_200), 6_700), steady(60)).run(9)
    assert stalled.lost_ms is not None
    assert stalled.lost_ms > 6_700
    assert not stalled.carriers.was_bad


def reopened() -> Carriers:
    """A channel after one that was worse than the lanes."""
    world = World(steady(70), steady(20)).run(5)
    assert world.carriers.is_worse
    world.close()
    world.carriers.opened(world.now)
    return world.carriers


def test_another_channel_is_not_worse_before_it_was_compared() -> None:
    carriers = reopened()
    assert not carriers.is_worse
    carriers.make_room(5_100)
    carriers.closed(5_200)
    assert not carriers.was_bad


def answered(carriers: Carriers, since_ms: int, until_ms: int, after_ms: int) -> None:
    """A frame every 60 ms, each answered so long after it was sent."""
    waiting: dict[int, int] = {}
    for now_ms in range(since_ms, until_ms, 20):
        carriers.tick(now_ms)
        for due in [seq for seq, due_ms in waiting.items() if due_ms <= now_ms]:
            del waiting[due]
            carriers.acked(due, 0, now_ms)
        if (now_ms - since_ms) % 60 == 0:
            seq = carriers.send(bytes(4), now_ms).seq
            assert seq is not None
            waiting[seq] = now_ms + after_ms


def test_another_channel_does_not_answer_for_the_one_before() -> None:
    carriers = Carriers()
    carriers.opened(0)
    answered(carriers, 0, 1_200, after_ms=280)
    carriers.closed(1_200)
    assert carriers.was_bad
    carriers.opened(1_300)
    answered(carriers, 1_300, 1_500, after_ms=20)
    carriers.closed(1_500)
    assert not carriers.was_bad
