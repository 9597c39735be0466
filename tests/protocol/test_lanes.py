"""Lanes on a virtual clock: what arrives when, at which cost, and that no frame comes twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.protocol.lane_control import (
    HOLD_SHORT_MS,
    PROBATION_MS,
    SHORT_AFTER_MS,
    SHORT_AGAIN_MS,
    Controller,
    Level,
)
from ringthrough.protocol.lanes import (
    FRAME_LIFETIME_MS,
    UNANSWERED_MAX,
    WINDOW_FRAMES,
    Ack,
    LaneId,
    LaneReceiver,
    LaneSender,
    Transmission,
)
from tests.protocol.lane_world import ACK_BYTES, Path, World, random_loss

A, B, C = LaneId(0), LaneId(1), LaneId(2)


class Held(Controller):
    """Keeps its level."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.level = level

    def update(self, now_ms: float) -> None:
        """It stays."""


def sender(*lanes: LaneId, full: frozenset[LaneId] = frozenset(), level: Level = Level.NORMAL) -> LaneSender:
    made = LaneSender(Held(level), lambda lane: lane not in full)
    for lane in lanes:
        made.open(lane, 0.0)
    return made


def answered(*lanes: LaneId) -> LaneSender:
    """At 0 ms the first frame was answered, after 200 ms."""
    hop = sender(*lanes)
    hop.send(b"first", -200)
    hop.acked(lanes[0], Ack(0, 100), 0)
    return hop


def where(transmissions: list[Transmission]) -> list[tuple[int, int]]:
    return [(t.lane, t.seq) for t in transmissions]


def test_a_frame_goes_on_an_idle_lane() -> None:
    hop = sender(A, B)
    assert where(hop.send(b"0", 0)) == [(A, 0)]
    assert where(hop.send(b"1", 60)) == [(B, 1)], "A has something under way"
    hop.acked(A, Ack(0, 25), 70)
    assert where(hop.send(b"2", 120)) == [(A, 2)]


def test_what_is_late_goes_again_on_another_lane_twice_at_most() -> None:
    hop = answered(A, B, C)
    hop.send(b"1", 0)
    assert hop.tick(264) == [], "1.25 times the round trip of 200 ms and 15 ms"
    assert where(hop.tick(265)) == [(B, 1)]
    assert where(hop.tick(530)) == [(C, 1)]
    assert hop.tick(795) == []


def test_nothing_goes_again_before_the_first_answer() -> None:
    hop = sender(A, B)
    awaits = [hop.awaits_first_answer]
    hop.send(b"0", 0)
    awaits.append(hop.awaits_first_answer)
    assert hop.tick(265) == [], "a full pipe cannot be told from a long way yet"
    hop.acked(A, Ack(0, 300), 400)
    awaits.append(hop.awaits_first_answer)
    hop.send(b"1", 420)
    awaits.append(hop.awaits_first_answer)
    assert where(hop.tick(420 + 515)) == [(B, 1)], "1.25 times 400 ms and 15 ms"
    assert awaits == [False, True, False, False]


def test_an_answer_on_any_lane_ends_the_repeats() -> None:
    hop = answered(A, B, C)
    hop.send(b"1", 0)
    hop.tick(265)
    hop.acked(B, Ack(1, 300), 300)
    assert hop.due_ms is None
    assert hop.tick(600) == []


def test_one_answer_stands_for_all_before_it_on_its_lane() -> None:
    hop = sender(A)
    for number in range(3):
        hop.send(b"%d" % number, number * 60)
    hop.acked(A, Ack(2, 25), 200)
    assert hop.due_ms is None


def test_an_answer_to_nothing_changes_nothing() -> None:
    hop = sender(A, B)
    hop.send(b"0", 0)
    hop.acked(B, Ack(0, 25), 50)
    hop.acked(A, Ack(7, 25), 50)
    hop.acked(C, Ack(0, 25), 50)
    assert hop.due_ms == 265


def test_a_lane_that_ends_gives_back_what_it_alone_had() -> None:
    hop = sender(A, B)
    hop.send(b"0", 0)
    assert where(hop.close(A, 10)) == [(B, 0)]
    assert hop.close(B, 20) == [], "there is no lane left"
    assert hop.send(b"1", 60) == []
    assert hop.frames_dropped == 1


def test_a_full_lane_is_passed_over() -> None:
    assert where(sender(A, B, full=frozenset({A})).send(b"0", 0)) == [(B, 0)]
    assert sender(A, full=frozenset({A})).send(b"0", 0) == []


def test_a_lane_that_never_answered_takes_a_few_frames_and_no_more() -> None:
    hop = sender(A)
    sent = [bool(hop.send(b"", number)) for number in range(UNANSWERED_MAX + 2)]
    assert sent == [True] * UNANSWERED_MAX + [False, False]


def test_nothing_queues_on_a_lane_that_stands_still() -> None:
    hop = sender(A)
    hop.send(b"", 0)
    hop.acked(A, Ack(0, 25), 50)
    taken = [bool(hop.send(b"", 100 + number * 60)) for number in range(40)]
    assert taken[:8] == [True] * 8, "450 ms are a round trip and what may wait"
    assert sum(taken[8:]) <= 5, "one now and then, to see whether it moves again"


def test_old_frames_are_forgotten() -> None:
    hop = sender(A)
    hop.send(b"", 0)
    hop.tick(FRAME_LIFETIME_MS + 1)
    assert hop.due_ms is None


def test_copies_of_a_level_go_on_different_lanes() -> None:
    hop = sender(A, B, C, level=Level.HEAVY)
    assert where(hop.send(b"0", 0)) == [(A, 0), (B, 0), (C, 0)]
    hop = sender(A, B, level=Level.HEAVY)
    assert where(hop.send(b"0", 0)) == [(A, 0), (B, 0)], "never twice on one lane"


def test_a_lean_hop_keeps_to_one_lane() -> None:
    hop = sender(A, B, level=Level.LEAN)
    assert [where(hop.send(b"", number * 120)) for number in range(3)] == [[(A, 0)], [(A, 1)], [(A, 2)]]


def test_a_lean_hop_leaves_repairs_to_its_connection() -> None:
    """Three frames at once, when one answer for all of them is late, would fill the pipe."""
    hop = sender(A, B, level=Level.LEAN)
    for number in range(3):
        hop.send(b"", number * 120)
    assert hop.tick(900) == []


def test_stalled_and_silent() -> None:
    hop = sender(A, B)
    hop.send(b"", 0)
    hop.acked(A, Ack(0, 25), 50)
    hop.send(b"", 100)
    hop.send(b"", 160)
    hop.acked(B, Ack(2, 25), 200)
    assert hop.stalled(1_000) == []
    assert hop.stalled(1_101) == [A]
    assert not hop.is_silent(900)
    assert hop.is_silent(1_000), "nothing has come since 200"


def test_frames_whose_answer_is_spared_say_nothing_when_they_were_the_last() -> None:
    """The direct channel carries the call: nothing follows them for minutes."""
    hop = sender(A, level=Level.LEAN)
    hop.send(b"", 0)
    hop.acked(A, Ack(0, 25), 50)
    for number in range(2):
        hop.send(b"", 120 + number * 120)
    hop.tick(60_000)
    assert (hop.stalled(60_000), hop.is_silent(60_000), hop.is_stuck(60_000)) == ([], False, False)
    hop.send(b"", 60_000)
    assert not hop.is_silent(60_500)
    assert (hop.stalled(61_001), hop.is_silent(61_001), hop.is_stuck(61_001)) == ([A], True, True), (
        "three are answered"
    )


def test_a_lane_that_was_left_unheard_gets_nothing_where_answers_are_spared() -> None:
    hop = sender(A, B)
    now_ms, seq = 0, 0
    for seq in range(3):
        hop.send(b"", now_ms)
        hop.acked(A, Ack(seq, 25), now_ms + 50)
        now_ms += 60
    used = set()
    for seq in range(3, 200):  # A falls silent; the end of it never comes
        lanes = {one.lane for one in [*hop.send(b"", now_ms), *hop.tick(now_ms + 59)]}
        if B in lanes:
            hop.acked(B, Ack(seq, 25), now_ms + 59)
        used |= lanes if now_ms > 8_000 else set()
        now_ms += 60
    assert hop.controller.is_sparing(now_ms)
    assert used == {B}


def test_of_copies_that_wait_for_one_loss_one_is_counted() -> None:
    hop = sender(A)
    for number in range(25):
        hop.send(b"", number * 60)
        hop.acked(A, Ack(number, 25), number * 60 + 50)
    for number in range(25, 30):
        hop.send(b"", number * 60)
    hop.tick(30 * 60 + 50)
    assert hop.controller.miss_share(30 * 60 + 50) == pytest.approx(1 / 26)


def test_what_a_loss_held_is_no_queue() -> None:
    """A full pipe lets one out after the other."""
    for apart_ms, is_queue in ((0, False), (30, True)):
        hop = sender(A)
        hop.send(b"", 0)
        hop.acked(A, Ack(0, 25), 50)
        for number in range(1, 4):
            hop.send(b"", number * 60)
        for number in range(1, 4):
            came_ms = 400 + number * apart_ms
            hop.acked(A, Ack(number, came_ms - number * 60), came_ms + 25)
        assert (hop.controller.queueing_ms(520) > 100) is is_queue


def test_a_lone_late_copy_is_no_queue() -> None:
    control = Controller()
    control.measured(50, 25, 0)
    control.update(PROBATION_MS)
    for late in range(2):
        control.measured(400, 375, PROBATION_MS + late * 400)
        control.update(PROBATION_MS + late * 400)
    control.update(PROBATION_MS + 550)
    assert control.level is Level.NORMAL
    control.measured(400, 375, PROBATION_MS + 560)
    control.update(PROBATION_MS + 560)
    assert [control.level] == [Level.LEAN], "three in a row"


def test_stuck_is_not_narrow() -> None:
    hop = sender(A)
    for number in range(10):
        hop.send(b"", number * 60)
    assert not hop.is_stuck(1_000), "the first answer may wait for what opened the call"
    assert hop.is_stuck(1_001)
    hop.acked(A, Ack(0, 25), 400)
    assert not hop.is_stuck(500), "answers come, late as they are"
    assert hop.is_stuck(400 + 1.25 * 400 + 15 + 61)


def test_the_receiver_tells_copies_from_frames_across_the_end_of_the_numbers() -> None:
    receiver, back = LaneReceiver(), Controller()

    def is_new(seq: int) -> bool:
        return receiver.arrived(A, seq, 0, 0.0, back)[0]

    last = 0xFFFF_FFFF
    assert [is_new(seq) for seq in (last - 1, last, last, 0, last - 1, 1, 0)] == [
        True, True, False, True, False, True, False,
    ]  # fmt: skip
    assert is_new(5000)
    assert not is_new(5000 - WINDOW_FRAMES), "too old to know"
    assert is_new(5001 - WINDOW_FRAMES)


def test_news_are_answered_at_once() -> None:
    receiver, back = LaneReceiver(), Controller()
    back.heard(Level.NORMAL, False, True, 0)
    assert receiver.arrived(A, 0, 0, 0, back)[1] is not None
    assert receiver.arrived(A, 1, 0, 60, back)[1] is None
    assert receiver.arrived(A, 2, 0, 120, back, is_narrow=True)[1] is not None


def test_a_lean_direction_is_answered_sparingly() -> None:
    receiver, back = LaneReceiver(), Controller()
    back.heard(Level.LEAN, False, True, 0)
    answers = [receiver.arrived(A, seq, 0, seq * 120.0, back)[1] for seq in range(7)]
    assert [answer is not None for answer in answers] == [True, False, False, True, False, False, True]
    assert receiver.arrived(A, 7, 0, 5_000.0, back)[1] is not None, "a pause is answered at once"


def test_the_delay_in_an_answer_is_modulo_2_32() -> None:
    _, ack = LaneReceiver().arrived(A, 0, 0xFFFF_FFF0, 16.9, Controller())
    assert ack is not None
    assert ack.delay_ms == 32


def run(
    rtt_ms: float,
    loss: float = 0.0,
    rate_bps: float = float("inf"),
    *,
    seconds: float = 60,
    lanes: int = 4,
    seed: int = 1,
    talks_back: bool = False,
    is_short: bool = False,
) -> World:
    def path() -> Path:
        return Path(rtt_ms / 2, random_loss(loss), lambda now_ms: rate_bps)

    world = World(path(), path(), lanes, seed, talks_back=talks_back)
    if is_short:
        world.controller.allow_short()
    world.run(seconds)
    return world


@pytest.mark.parametrize("rtt_ms", [20, 50, 100, 200])
def test_where_nothing_is_in_the_way_packets_get_short_and_stay_so(rtt_ms: float) -> None:
    world = run(rtt_ms, is_short=True)
    (began_ms,) = world.shorts_ms
    assert SHORT_AFTER_MS < began_ms < SHORT_AFTER_MS + 2 * rtt_ms + 200
    assert world.copies_per_frame == 1.0
    assert world.late_share(rtt_ms / 2 + 1) == 0
    assert run(rtt_ms).shorts_ms == [], "nobody asked for it"


@pytest.mark.parametrize("kbit_per_s", [64, 80])
def test_a_pipe_too_narrow_for_short_packets_is_tried_seldom_and_loses_no_level(kbit_per_s: int) -> None:
    world = run(80, rate_bps=kbit_per_s * 1000, seconds=110, lanes=2, is_short=True)
    assert len(world.shorts_ms[::2]) == 2, "and again after 60 s"
    tries = zip(world.shorts_ms[::2], world.shorts_ms[1::2], strict=True)
    assert all(ends - begins < 1_500 for begins, ends in tries)
    assert {level for _, level in world.levels} == {Level.NORMAL}
    assert world.late_share(300) < 0.015


@pytest.mark.parametrize("loss", [0.05, 0.1, 0.2])
def test_packets_are_not_short_for_long_where_some_are_lost(loss: float) -> None:
    world = run(50, loss, is_short=True)
    tries = list(zip(world.shorts_ms[::2], world.shorts_ms[1::2], strict=True))
    assert all(ends - begins < 3_000 for begins, ends in tries)
    assert len(tries) <= 2


def short_controller(until_ms: int = 2_000) -> Controller:
    controller = Controller()
    controller.allow_short()
    controller.measured(50, 25, 0)
    for now_ms in range(0, until_ms, 20):
        controller.update(now_ms)
    return controller


@pytest.mark.parametrize(("level", "is_narrow"), [(Level.NORMAL, True), (Level.BOOST, False)])
def test_packets_are_not_short_where_another_hop_or_the_way_back_has_trouble(level: Level, is_narrow: bool) -> None:
    controller = short_controller()
    assert controller.sends_short
    controller.heard(level, is_narrow=is_narrow, is_sparing=False, now_ms=2_000)
    controller.update(2_000)
    assert not controller.sends_short


def test_short_packets_are_left_for_long_where_a_lane_stalls() -> None:
    controller = short_controller()
    controller.stalled(2_000)
    shorts = []
    for now_ms in range(2_000, 63_000, 60):
        controller.update(now_ms)
        shorts.append(controller.sends_short)
    assert not any(shorts[:990])
    assert shorts[-1]


def test_a_device_that_is_busy_for_a_moment_gives_up_short_packets_for_a_moment() -> None:
    controller = short_controller()
    left_ms: list[int] = []
    again_ms: list[int] = []
    for now_ms in range(2_000, 70_000, 20):
        for _ in range({2_500: 2, 8_500: 9}.get(now_ms, 0)):
            controller.missed(now_ms - 1)
        controller.arrived(now_ms)
        was_short = controller.sends_short
        controller.measured(50, 25, now_ms)
        controller.update(now_ms)
        if was_short != controller.sends_short:
            (left_ms if was_short else again_ms).append(now_ms)
    assert left_ms == [2_500, 8_500]
    assert len(again_ms) == 2
    assert again_ms[0] == 2_500 + SHORT_AGAIN_MS
    assert again_ms[1] == 8_500 + HOLD_SHORT_MS


def test_a_lane_that_stalls_while_short_packets_rest_makes_it_a_long_rest() -> None:
    controller = short_controller()
    controller.heard(Level.NORMAL, is_narrow=True, is_sparing=False, now_ms=2_000)
    controller.update(2_000)
    assert not controller.sends_short
    controller.stalled(3_000)
    shorts = []
    for now_ms in range(3_000, 63_100, 60):
        controller.update(now_ms)
        shorts.append(controller.sends_short)
    assert not any(shorts[:999])
    assert shorts[-1]


def test_short_packets_are_not_tried_beside_a_handshake() -> None:
    controller = Controller()
    controller.allow_short()
    controller.measured(50, 25, 0)
    controller.excuse(100)
    for now_ms in range(0, 1_200, 60):
        controller.update(now_ms)
    assert not controller.sends_short
    controller.excuse_ends(1_200)
    controller.update(1_200)
    assert controller.sends_short


def test_a_small_queue_does_not_make_short_packets_come_and_go() -> None:
    controller = short_controller(1_000)
    for now_ms in range(1_000, 1_400, 20):
        controller.measured(75, 50, now_ms)
        controller.update(now_ms)
        assert not controller.is_narrow(now_ms)
    assert controller.sends_short


def test_less_is_sent_after_short_packets_for_no_longer_than_their_queue_lasts() -> None:
    controller = short_controller(1_000)
    narrow_ms: list[int] = []
    for now_ms in range(1_000, 3_000, 20):
        controller.measured(50, 125 if now_ms < 1_600 else 25, now_ms)
        controller.update(now_ms)
        if controller.is_narrow(now_ms):
            narrow_ms.append(now_ms)
    assert not controller.sends_short
    assert narrow_ms[0] < 1_600
    assert narrow_ms[-1] < 1_600 + 300
    assert controller.level is Level.NORMAL


def test_a_fifth_lost_gets_three_copies_within_seconds_and_a_tenth_does_not() -> None:
    levels = [run(50, loss, lanes=6, seconds=10, talks_back=True).levels[-1][1] for loss in (0.2, 0.1)]
    assert levels == [Level.HEAVY, Level.BOOST]


@pytest.mark.parametrize("rtt_ms", [20, 50, 100, 200])
def test_without_loss_each_frame_goes_once(rtt_ms: float) -> None:
    world = run(rtt_ms)
    assert world.copies_per_frame == 1.0
    assert world.late_share(rtt_ms / 2 + 1) == 0
    assert [level for _, level in world.levels] == [Level.NORMAL]


def test_a_quiet_hop_costs_few_answers() -> None:
    world = run(50, seconds=30)
    answers = world.down.bytes_carried / ACK_BYTES
    assert answers / len(world.delays_ms) < 0.5
    assert world.controller.is_sparing(world.now_ms)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("talks_back", [False, True])
def test_heavy_loss_on_few_lanes_is_no_full_pipe(talks_back: bool, seed: int) -> None:
    world = run(100, 0.2, lanes=2, seed=seed, talks_back=talks_back)
    assert Level.LEAN not in {level for _, level in world.levels}


@pytest.mark.parametrize("talks_back", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("rtt_ms", "loss", "limit_ms", "late", "copies"),
    [(50, 0.02, 200, 0.001, 2.1), (50, 0.1, 200, 0.005, 2.4), (100, 0.1, 300, 0.005, 3.0), (50, 0.2, 300, 0.005, 3.6),
     (100, 0.2, 400, 0.01, 3.6)],
)  # fmt: skip
def test_loss_delays_next_to_nothing(
    rtt_ms: float, loss: float, limit_ms: float, late: float, copies: float, seed: int, talks_back: bool
) -> None:
    world = run(rtt_ms, loss, lanes=6 if loss > 0.1 else 4, seed=seed, talks_back=talks_back)
    assert world.late_share(limit_ms, 5_000) <= late
    assert world.copies_per_frame <= copies
    assert Level.LEAN not in {level for _, level in world.levels}, "loss is no full pipe"


@pytest.mark.parametrize("rate_bps", [32_000, 64_000])
@pytest.mark.parametrize("seed", range(3))
def test_a_full_pipe_gets_less(rate_bps: float, seed: int) -> None:
    world = run(80, 0.0, rate_bps, seconds=110, seed=seed)
    assert world.late_share(300, 5_000) <= 0.03
    assert world.levels[-1][1] is (Level.LEAN if rate_bps < 40_000 else Level.NORMAL)


@pytest.mark.parametrize("rate_bps", [32_000, 64_000])
@pytest.mark.parametrize("full_ms", [300, 600, 900])
def test_a_pipe_that_is_full_when_the_call_begins_gets_no_more_copies(rate_bps: float, full_ms: float) -> None:
    up, down = (Path(40, rate_bps=lambda now_ms: rate_bps, free_ms=full_ms) for _ in range(2))
    world = World(up, down, 1, talks_back=True)
    world.run(20)
    assert max(level for _, level in world.levels) is Level.NORMAL
    assert world.late_share(300, 8_000) <= 0.03


def test_less_sound_is_sent_at_the_first_sign_of_a_queue_while_a_hop_is_new() -> None:
    control = Controller()
    control.update(0)
    control.measured(50, 25, 300)
    assert not control.is_narrow(300)
    control.measured(90, 65, 600)
    assert control.is_narrow(600)
    control.measured(50, 25, PROBATION_MS)
    control.measured(120, 95, PROBATION_MS + 1_000)
    assert control.queueing_ms(PROBATION_MS + 1_000) == 70
    assert not control.is_narrow(PROBATION_MS + 1_000), "later on, only a queue that stays"


def test_a_throttle_that_ends_is_left_behind() -> None:
    def rate_bps(now_ms: float) -> float:
        return 32_000 if 10_000 < now_ms < 30_000 else float("inf")

    world = World(Path(40, rate_bps=rate_bps), Path(40, rate_bps=rate_bps), 2)
    world.run(160)
    (lean_ms,) = (at for at, level in world.levels if level is Level.LEAN)
    assert 10_000 < lean_ms < 14_000
    assert world.levels[-1][1] is Level.NORMAL


def test_a_longer_way_is_not_a_full_pipe_for_ever() -> None:
    world = World(Path(25), Path(25), 2)
    world.at(20_000, lambda now_ms: setattr(world.up, "delay_ms", 150.0))
    world.run(150)
    assert world.levels[-1][1] is Level.NORMAL


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1 << 16),
    loss=st.floats(0, 0.4),
    rtt_ms=st.floats(1, 300),
    rate_kbps=st.sampled_from([24, 40, 80, 1000]),
    lanes=st.integers(1, 6),
)
def test_whatever_the_hop_does_no_frame_comes_twice(
    seed: int, loss: float, rtt_ms: float, rate_kbps: int, lanes: int
) -> None:
    """The world asserts it. (CANNOT-FORGE has its own guard; this one spares the cipher.)"""
    world = run(rtt_ms, loss, rate_kbps * 1000, seconds=8, seed=seed, lanes=lanes)
    assert world.copies_per_frame <= 5
