"""The jitter buffer against arrival traces: clean, late, lost, doubled, reordered, stalled, and hostile."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.audio.jitter import (
    CATCH_UP_FRAMES,
    SEQ_MAX,
    Conceal,
    Decision,
    Frame,
    JitterBuffer,
    JitterConfig,
    Wait,
)

FRAME_MS = 60


def play(
    arrivals: Sequence[tuple[float, int]],
    *,
    until_ms: float,
    pull_phase_ms: float = 0.0,
    buffer: JitterBuffer | None = None,
) -> tuple[JitterBuffer, list[tuple[float, Decision]]]:
    """Feed (arrival ms, seq) pairs and pull on a 60 ms clock."""
    buffer = buffer or JitterBuffer()
    waiting = sorted(arrivals)
    decisions: list[tuple[float, Decision]] = []
    now = pull_phase_ms
    while now < until_ms:
        while waiting and waiting[0][0] <= now:
            arrival, seq = waiting.pop(0)
            buffer.push(seq, b"%d" % seq, arrival)
        decisions.append((now, buffer.pop(now)))
        now += FRAME_MS
    return buffer, decisions


def played(decisions: list[tuple[float, Decision]]) -> list[int]:
    return [decision.seq for _, decision in decisions if isinstance(decision, Frame)]


def after_start(decisions: list[tuple[float, Decision]]) -> list[Decision]:
    kinds = [decision for _, decision in decisions]
    first = next(index for index, decision in enumerate(kinds) if isinstance(decision, Frame))
    return kinds[first:]


@pytest.mark.parametrize("phase_ms", [0, 7, 31, 59])
@pytest.mark.parametrize("spread_ms", [0, 4, 12])
def test_clean_network_plays_every_frame_untouched(phase_ms: int, spread_ms: int) -> None:
    count = 400
    arrivals = [(1000 + seq * FRAME_MS + (seq * 7919 % (spread_ms + 1)), seq) for seq in range(count)]
    buffer, decisions = play(arrivals, until_ms=1000 + count * FRAME_MS, pull_phase_ms=phase_ms)
    heard = after_start(decisions)
    assert played(decisions) == list(range(len(heard)))
    assert len(heard) >= count - 3
    assert not any(isinstance(decision, Frame) and decision.surplus for decision in heard)
    stats = buffer.stats
    assert (stats.concealed, stats.late, stats.duplicate, stats.discarded, stats.grown) == (0, 0, 0, 0, 0)
    assert stats.target_ms == 60
    assert 60 <= stats.delay_ms < 60 + FRAME_MS + spread_ms


def test_wait_tells_when_to_start_so_that_the_delay_is_the_target() -> None:
    buffer = JitterBuffer()
    assert buffer.pop(0.0) == Wait(None)
    assert buffer.wait_ms(0.0) is None
    buffer.push(5, b"a", 1000.0)
    assert buffer.wait_ms(1010.0) == 50.0
    assert buffer.pop(1010.0) == Wait(50.0)
    assert buffer.pop(1060.0) == Frame(5, b"a")
    assert buffer.stats.delay_ms == 60.0


def test_lost_frame_is_concealed_once_and_the_rest_is_in_time() -> None:
    arrivals = [(seq * FRAME_MS, seq) for seq in range(50) if seq != 20]
    buffer, decisions = play(arrivals, until_ms=50 * FRAME_MS)
    concealed = [decision for decision in after_start(decisions) if isinstance(decision, Conceal)]
    assert concealed == [Conceal(20, 1)]
    assert played(decisions) == [seq for seq in range(49) if seq != 20]
    assert buffer.stats.concealed == 1


def test_conceal_counts_the_run() -> None:
    arrivals = [(seq * FRAME_MS, seq) for seq in range(30) if not 10 <= seq < 15]
    _, decisions = play(arrivals, until_ms=30 * FRAME_MS)
    runs = [decision.run for decision in after_start(decisions) if isinstance(decision, Conceal)]
    assert runs == [1, 2, 3, 4, 5]


def test_second_copy_is_refused_before_and_after_playing() -> None:
    buffer = JitterBuffer()
    assert buffer.push(0, b"a", 0.0)
    assert not buffer.push(0, b"b", 1.0)
    assert buffer.pop(60.0) == Frame(0, b"a")
    assert not buffer.push(0, b"c", 61.0)
    assert buffer.stats.duplicate == 2
    assert buffer.stats.late == 0


def test_late_frame_is_counted_and_its_copy_is_a_duplicate() -> None:
    buffer = JitterBuffer()
    buffer.push(0, b"a", 0.0)
    buffer.push(2, b"c", 110.0)
    assert isinstance(buffer.pop(60.0), Frame)
    assert isinstance(buffer.pop(120.0), Conceal)
    assert not buffer.push(1, b"b", 130.0)
    assert not buffer.push(1, b"b", 131.0)
    assert (buffer.stats.late, buffer.stats.duplicate) == (1, 1)
    assert buffer.pop(180.0) == Frame(2, b"c")


def test_reordered_frames_play_in_order() -> None:
    arrivals = [(seq * FRAME_MS + (50 if seq % 2 == 0 else -5), seq) for seq in range(40)]
    _, decisions = play(arrivals, until_ms=40 * FRAME_MS)
    assert played(decisions) == sorted(played(decisions))
    assert len(played(decisions)) >= 37


def test_target_follows_the_tail_and_the_delay_grows_at_missing_frames() -> None:
    # One frame in twenty comes 200 ms late: more than the quantile ignores.
    arrivals = [(seq * FRAME_MS + (200 if seq % 20 == 10 else 0), seq) for seq in range(300)]
    buffer, decisions = play(arrivals, until_ms=300 * FRAME_MS)
    assert 200 <= buffer.stats.target_ms <= 220
    assert buffer.stats.grown >= 1
    heard = after_start(decisions)
    assert not any(isinstance(decision, Conceal) for decision in heard[60:])


def test_target_is_bounded() -> None:
    config = JitterConfig(target_ms_max=300)
    buffer = JitterBuffer(config)
    arrivals = [(seq * FRAME_MS + (500 if seq % 3 == 0 else 0), seq) for seq in range(200)]
    buffer, _ = play(arrivals, until_ms=200 * FRAME_MS, buffer=buffer)
    assert buffer.stats.target_ms <= 300


def test_start_up_delay_does_not_stay() -> None:
    # The first frames come 240 ms late, as on a connection that is still being set up.
    arrivals = [(max(seq * FRAME_MS, 240.0), seq) for seq in range(600)]
    buffer = JitterBuffer()
    waiting = sorted(arrivals)
    for now in range(0, 600 * FRAME_MS, FRAME_MS):
        while waiting and waiting[0][0] <= now:
            arrival, seq = waiting.pop(0)
            buffer.push(seq, b"x", arrival)
        decision = buffer.pop(now)
        while isinstance(decision, Frame) and decision.surplus:  # a player in silence
            buffer.skip()
            decision = buffer.pop(now)
    assert buffer.stats.skipped >= 1
    assert buffer.stats.delay_ms < 60 + 2 * FRAME_MS
    assert buffer.stats.concealed == 0


def test_player_that_starts_late_does_not_play_the_backlog() -> None:
    buffer = JitterBuffer()
    for seq in range(30):
        buffer.push(seq, b"x", seq * FRAME_MS)
    decision = buffer.pop(30 * FRAME_MS)
    assert isinstance(decision, Frame)
    assert buffer.stats.delay_ms < 60 + FRAME_MS
    assert buffer.stats.discarded > 20


def test_player_that_stalls_jumps_to_the_present() -> None:
    buffer, _ = play([(seq * FRAME_MS, seq) for seq in range(50)], until_ms=20 * FRAME_MS)
    for seq in range(20, 50):
        buffer.push(seq, b"x", seq * FRAME_MS)
    decision = buffer.pop(50 * FRAME_MS)
    assert isinstance(decision, Frame)
    assert buffer.stats.delay_ms <= 60 + FRAME_MS
    assert buffer.stats.discarded >= 25


def test_path_that_gets_slower_for_good_costs_seconds_not_the_call() -> None:
    arrivals = [(seq * FRAME_MS + (0 if seq < 100 else 1500), seq) for seq in range(400)]
    buffer, decisions = play(arrivals, until_ms=400 * FRAME_MS)
    assert buffer.stats.restarts == 1
    tail = [decision for _, decision in decisions[-200:]]
    assert all(isinstance(decision, Frame) for decision in tail)


def test_stall_with_burst_does_not_restart() -> None:
    arrivals = [(3000.0 if 10 <= seq < 50 else seq * FRAME_MS, seq) for seq in range(120)]
    buffer, decisions = play(arrivals, until_ms=120 * FRAME_MS)
    assert buffer.stats.restarts == 0
    assert all(isinstance(decision, Frame) for _, decision in decisions[-50:])


def test_numbers_that_jump_start_over_and_hold_little() -> None:
    buffer, _ = play([(seq * FRAME_MS, seq) for seq in range(20)], until_ms=20 * FRAME_MS)
    for offset in range(10):
        assert buffer.push(SEQ_MAX - 100 + offset, b"y", 20 * FRAME_MS + offset * FRAME_MS)
    assert not buffer.push(21, b"old", 30 * FRAME_MS)
    decision = buffer.pop(30 * FRAME_MS)
    assert isinstance(decision, Frame)
    assert decision.seq >= SEQ_MAX - 100
    assert buffer.stats.restarts == 1


@pytest.mark.parametrize("seq", [-1, SEQ_MAX + 1])
def test_number_outside_64_bits_is_refused(seq: int) -> None:
    buffer = JitterBuffer()
    assert not buffer.push(seq, b"x", 0.0)
    assert buffer.frames_held == 0


def test_large_first_number_keeps_its_milliseconds() -> None:
    first = SEQ_MAX - 500
    arrivals = [(seq * FRAME_MS + 3.5, first + seq) for seq in range(100)]
    buffer, decisions = play(arrivals, until_ms=100 * FRAME_MS)
    assert buffer.stats.concealed == 0
    assert played(decisions) == list(range(first, first + len(played(decisions))))
    assert 60 <= buffer.stats.delay_ms <= 120


def test_urgent_surplus_is_rare() -> None:
    # The path gets 500 ms faster at once: the surplus must go, but not as double speed.
    arrivals = [(seq * FRAME_MS + (500 if seq < 40 else 0), seq) for seq in range(300)]
    buffer = JitterBuffer(JitterConfig(window_frames=64))
    waiting = sorted(arrivals)
    skipped_at: list[int] = []
    for tick, now in enumerate(range(0, 290 * FRAME_MS, FRAME_MS)):
        while waiting and waiting[0][0] <= now:
            arrival, seq = waiting.pop(0)
            buffer.push(seq, b"x", arrival)
        decision = buffer.pop(now)
        if isinstance(decision, Frame) and decision.urgent:  # a player amid speech
            buffer.skip()
            skipped_at.append(tick)
            assert isinstance(buffer.pop(now), Frame)
    assert skipped_at
    assert all(later - earlier >= 4 for earlier, later in itertools.pairwise(skipped_at))


def test_frames_that_nobody_plays_are_bounded() -> None:
    buffer = JitterBuffer()
    for seq in range(1000):
        buffer.push(seq, b"x", seq * FRAME_MS)
        assert buffer.frames_held <= buffer.config.frames_max
    assert buffer.stats.discarded == 1000 - buffer.frames_held
    assert buffer.stats.restarts == 0


def test_player_that_starts_a_little_late_still_plays_at_the_target() -> None:
    buffer = JitterBuffer()
    for seq in range(8):
        buffer.push(seq, b"x", seq * FRAME_MS)
    assert isinstance(buffer.pop(8 * FRAME_MS), Frame)
    assert buffer.stats.delay_ms < 60 + FRAME_MS
    assert buffer.stats.discarded == 7


def test_late_frames_now_and_then_do_not_restart() -> None:
    # Each eighth frame comes seconds late, with good ones between.
    arrivals = [(seq * FRAME_MS + (2000 if seq % 8 == 0 else 0), seq) for seq in range(300)]
    buffer, _ = play(arrivals, until_ms=300 * FRAME_MS)
    assert buffer.stats.late > 20
    assert buffer.stats.restarts == 0


def test_milliseconds_survive_a_jump_to_large_numbers() -> None:
    buffer, _ = play([(seq * FRAME_MS, seq) for seq in range(20)], until_ms=20 * FRAME_MS)
    first, begin_ms = SEQ_MAX - 1000, 20.0 * FRAME_MS
    arrivals = [(begin_ms + seq * FRAME_MS + 3.5, first + seq) for seq in range(50)]
    heard = 0
    for index, (arrival, seq) in enumerate(arrivals):
        buffer.push(seq, b"x", arrival)
        heard += isinstance(buffer.pop(begin_ms + (index + 1) * FRAME_MS), Frame)
    assert heard >= 48
    assert buffer.stats.concealed <= 1
    assert 60 <= buffer.stats.delay_ms <= 120


def test_floor_that_rises_makes_no_surplus() -> None:
    # The path gets 240 ms slower; once the window forgets the past, the delay is short again, not long.
    config = JitterConfig(window_frames=10)
    arrivals = [(seq * FRAME_MS + (0 if seq < 30 else 240), seq) for seq in range(80)]
    _, decisions = play(arrivals, until_ms=80 * FRAME_MS, buffer=JitterBuffer(config))
    assert not any(isinstance(decision, Frame) and decision.surplus for _, decision in decisions)


@pytest.mark.parametrize("scheduled", [True, False])
def test_program_that_hangs_loses_nothing_when_it_reads_before_it_pulls(scheduled: bool) -> None:
    # From 6000 to 6300 ms nothing runs; then the socket is read, and the pulls that were due are made up for.
    buffer = JitterBuffer()
    arrivals = [(6300 if 6000 <= seq * FRAME_MS < 6300 else seq * FRAME_MS, seq) for seq in range(200)]
    for due in range(60, 200 * FRAME_MS, FRAME_MS):
        real = 6300 if 6000 <= due < 6300 else due
        while arrivals and arrivals[0][0] <= real:
            arrival, seq = arrivals.pop(0)
            buffer.push(seq, b"x", arrival)
        assert isinstance(buffer.pop(due if scheduled else real), Frame)
    assert buffer.stats.played == 199
    assert (buffer.stats.concealed, buffer.stats.skipped, buffer.stats.discarded) == (0, 0, 0)


def test_frame_before_a_missing_one_is_never_surplus() -> None:
    arrivals = [(max(seq * FRAME_MS, 240.0), seq) for seq in range(600) if seq < 20 or seq % 3]
    _, decisions = play(arrivals, until_ms=600 * FRAME_MS)
    frames = [decision for _, decision in decisions if isinstance(decision, Frame) and decision.seq >= 20]
    assert any(frame.surplus for frame in frames)
    assert not any(frame.surplus for frame in frames if (frame.seq + 1) % 3 == 0)


@pytest.mark.parametrize(
    "wrong",
    [{"frame_ms": 0}, {"target_ms_min": 700}, {"quantile": 0.0}, {"frames_max": 8}, {"window_frames": 0}],
)
def test_config_out_of_bounds_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        JitterConfig(**wrong)  # type: ignore[arg-type]


Trace = list[tuple[int, int, int]]
traces = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=2000),  # extra delay of the first copy
        st.integers(min_value=0, max_value=3),  # copies; none is a loss
        st.integers(min_value=-200, max_value=200),  # lead or lag of the further copies
    ),
    min_size=1,
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(trace=traces, phase_ms=st.integers(0, 59), stall=st.integers(0, 100))
def test_any_trace_plays_once_in_order_bounded_and_drains(trace: Trace, phase_ms: int, stall: int) -> None:
    arrivals = [
        (float(max(0, seq * FRAME_MS + extra + copy * shift)), seq)
        for seq, (extra, copies, shift) in enumerate(trace)
        for copy in range(copies)
    ]
    buffer = JitterBuffer()
    waiting = sorted(arrivals)
    arrived: set[int] = set()
    heard: list[int] = []
    bound_ms = buffer.config.target_ms_max + CATCH_UP_FRAMES * FRAME_MS
    end = len(trace) + 80
    for tick in range(end):
        now = tick * FRAME_MS + phase_ms
        while waiting and waiting[0][0] <= now:
            arrival, seq = waiting.pop(0)
            assert buffer.push(seq, b"%d" % seq, arrival) <= (seq not in arrived)
            arrived.add(seq)
            assert buffer.frames_held <= buffer.config.frames_max
        if stall <= tick < stall + 15:
            continue  # the player hangs
        decision = buffer.pop(now)
        if isinstance(decision, Frame):
            assert decision.packet == b"%d" % decision.seq
            assert decision.seq in arrived
            heard.append(decision.seq)
            assert buffer.stats.delay_ms <= bound_ms
            if decision.surplus and tick % 2:
                buffer.skip()
        assert buffer.config.target_ms_min <= buffer.stats.target_ms <= buffer.config.target_ms_max
    assert heard == sorted(set(heard))
    assert buffer.frames_held == 0
    stats = buffer.stats
    first_copies = stats.received - stats.duplicate
    assert first_copies == stats.played + stats.skipped + stats.late + stats.discarded


@settings(max_examples=100, deadline=None)
@given(
    pushes=st.lists(
        st.tuples(
            st.one_of(st.integers(0, 300), st.integers(0, SEQ_MAX)),
            st.integers(min_value=0, max_value=500),
            st.integers(0, 3),
        ),
        max_size=150,
    )
)
def test_hostile_numbers_never_break_order_or_memory(pushes: list[tuple[int, int, int]]) -> None:
    buffer = JitterBuffer()
    now = 0.0
    last = -1
    for seq, step_ms, pops in pushes:
        now += step_ms
        buffer.push(seq, b"x", now)
        assert buffer.frames_held <= buffer.config.frames_max
        for _ in range(pops):
            decision = buffer.pop(now)
            if isinstance(decision, Frame):
                assert decision.seq > last
                last = decision.seq
