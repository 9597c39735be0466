"""The jitter buffer against arrival traces: clean, late, lost, doubled, reordered, stalled, and hostile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.audio.jitter import (
    CATCH_UP_SLOTS,
    SLOT_MAX,
    Conceal,
    Decision,
    JitterBuffer,
    JitterConfig,
    Packet,
    Play,
    Wait,
)
from ringthrough.audio.pcm import SLOT_MS
from ringthrough.audio.toc import PACKET_SLOTS_MAX

LENGTHS = (1, 3, 6)
"""Slots of a packet, where a test holds for all of them."""


def packet(first: int, slots: int = 1) -> Packet:
    return Packet(first, slots, b"%d" % first)


def steady(count: int, slots: int = 1, extra_ms: float = 0.0) -> list[tuple[float, Packet]]:
    """Packets as they come when nothing goes wrong: each when its last slot has been spoken."""
    return [((index + 1) * slots * SLOT_MS + extra_ms, packet(index * slots, slots)) for index in range(count)]


def play(
    arrivals: Sequence[tuple[float, Packet]],
    *,
    until_ms: float,
    pull_phase_ms: float = 0.0,
    buffer: JitterBuffer | None = None,
) -> tuple[JitterBuffer, list[tuple[float, Decision]]]:
    """Feed (arrival ms, packet) pairs and pull on a 20 ms clock."""
    buffer = buffer or JitterBuffer()
    waiting = sorted(arrivals, key=lambda arrival: arrival[0])
    decisions: list[tuple[float, Decision]] = []
    now = pull_phase_ms
    while now < until_ms:
        while waiting and waiting[0][0] <= now:
            at, arrived = waiting.pop(0)
            buffer.push(arrived, at)
        decisions.append((now, buffer.pop(now)))
        now += SLOT_MS
    return buffer, decisions


def play_in_silence(buffer: JitterBuffer, waiting: list[tuple[float, Packet]], pulls_ms: Iterable[int]) -> None:
    """Feed and pull as a player who may leave out whatever is surplus."""
    for now in pulls_ms:
        while waiting and waiting[0][0] <= now:
            at, sent = waiting.pop(0)
            buffer.push(sent, at)
        decision = buffer.pop(now)
        while isinstance(decision, Play) and decision.surplus:
            buffer.skip()
            decision = buffer.pop(now)


def played(decisions: list[tuple[float, Decision]]) -> list[int]:
    return [decision.slot for _, decision in decisions if isinstance(decision, Play)]


def after_start(decisions: list[tuple[float, Decision]]) -> list[Decision]:
    kinds = [decision for _, decision in decisions]
    first = next(index for index, decision in enumerate(kinds) if isinstance(decision, Play))
    return kinds[first:]


@pytest.mark.parametrize("slots", LENGTHS)
@pytest.mark.parametrize("phase_ms", [0, 7, 19])
@pytest.mark.parametrize("spread_ms", [0, 4, 9])
def test_clean_network_plays_every_slot_untouched(slots: int, phase_ms: int, spread_ms: int) -> None:
    arrivals = [(1000 + at + index * 7919 % (spread_ms + 1), p) for index, (at, p) in enumerate(steady(300, slots))]
    buffer, decisions = play(arrivals, until_ms=1000 + 300 * slots * SLOT_MS, pull_phase_ms=phase_ms)
    heard = after_start(decisions)
    assert played(decisions) == list(range(len(heard)))
    assert len(heard) >= 300 * slots - 2 * slots - 3
    assert not any(isinstance(decision, Play) and decision.surplus for decision in heard)
    stats = buffer.stats
    assert (stats.concealed, stats.late, stats.duplicate, stats.discarded, stats.grown) == (0, 0, 0, 0, 0)
    assert stats.target_ms == {1: 20, 3: 40, 6: 70}[slots]
    assert stats.target_ms <= stats.delay_ms < stats.target_ms + SLOT_MS + spread_ms


def test_wait_tells_when_to_start_so_that_the_delay_is_the_target() -> None:
    buffer = JitterBuffer()
    assert buffer.pop(0.0) == Wait(None)
    assert buffer.wait_ms(0.0) is None
    first = packet(5, 3)
    buffer.push(first, 1000.0)
    assert buffer.wait_ms(1010.0) == 30.0
    assert buffer.pop(1010.0) == Wait(30.0)
    assert buffer.pop(1040.0) == Play(5, first)
    assert buffer.stats.delay_ms == 40.0
    assert [buffer.pop(1060.0), buffer.pop(1080.0)] == [Play(6, first), Play(7, first)]


@pytest.mark.parametrize("slots", LENGTHS)
def test_lost_packet_is_concealed_slot_by_slot_and_the_rest_is_in_time(slots: int) -> None:
    arrivals = [arrival for arrival in steady(50, slots) if arrival[1].first != 20 * slots]
    buffer, decisions = play(arrivals, until_ms=48 * slots * SLOT_MS)
    concealed = [decision for decision in after_start(decisions) if isinstance(decision, Conceal)]
    assert concealed == [Conceal(20 * slots + index, 1 + index) for index in range(slots)]
    assert set(played(decisions)).isdisjoint(range(20 * slots, 21 * slots))
    assert (buffer.stats.concealed, buffer.stats.longest_concealed) == (slots, slots)


def test_second_copy_is_refused_before_and_after_playing() -> None:
    buffer = JitterBuffer()
    assert buffer.push(packet(0), 0.0)
    assert not buffer.push(packet(0), 1.0)
    assert buffer.pop(20.0) == Play(0, packet(0))
    assert not buffer.push(packet(0), 21.0)
    assert buffer.stats.duplicate == 2
    assert buffer.stats.late == 0


def test_late_packet_is_counted_and_its_copy_is_a_duplicate() -> None:
    buffer = JitterBuffer()
    buffer.push(packet(0), 20.0)
    buffer.push(packet(3), 75.0)
    assert isinstance(buffer.pop(40.0), Play)
    assert isinstance(buffer.pop(60.0), Conceal)
    assert isinstance(buffer.pop(80.0), Conceal)
    assert isinstance(buffer.pop(100.0), Play)
    assert not buffer.push(packet(1), 110.0)
    assert not buffer.push(packet(1), 111.0)
    assert (buffer.stats.late, buffer.stats.duplicate) == (1, 1)


def test_of_a_packet_that_is_late_in_part_the_rest_is_played() -> None:
    late = packet(600, 3)
    arrivals = [(at, sent) for at, sent in steady(203, 3) if sent != late]
    # Due 100 ms after its first slot began; 33 ms later than that.
    arrivals.append((600 * SLOT_MS + 100 + 33.0, late))
    buffer, decisions = play(arrivals, until_ms=610 * SLOT_MS)
    assert [decision for _, decision in decisions if isinstance(decision, Conceal)] == [
        Conceal(600, 1),
        Conceal(601, 2),
    ]
    assert Play(602, late) in [decision for _, decision in decisions]
    assert (buffer.stats.late, buffer.stats.grown) == (2, 0)


def test_late_slots_are_played_after_all_where_the_delay_has_to_grow_anyway() -> None:
    arrivals = [(at + (50 if sent.first >= 120 else 0), sent) for at, sent in steady(100, 3)]
    buffer, decisions = play(arrivals, until_ms=290 * SLOT_MS)
    heard = played(decisions)
    assert heard == list(range(len(heard))), "nothing is left out"
    assert 1 <= buffer.stats.grown == buffer.stats.concealed <= 2
    assert buffer.stats.late == 0


def test_reordered_packets_play_in_order() -> None:
    arrivals = [(at + (50 if sent.first % 2 == 0 else 0), sent) for at, sent in steady(60)]
    _, decisions = play(arrivals, until_ms=60 * SLOT_MS)
    assert played(decisions) == sorted(played(decisions))
    assert len(played(decisions)) >= 50


def test_order_and_copies_ask_for_no_more_delay_than_the_first_arrivals() -> None:
    # Two lanes: one is always quick, the other brings everything again, late and in groups turned round.
    arrivals = [
        arrival for at, sent in steady(400) for arrival in ((at, sent), (at + 150 - sent.first % 5 * 30, sent))
    ]
    buffer, decisions = play(arrivals, until_ms=400 * SLOT_MS)
    assert buffer.stats.target_ms == 20
    assert buffer.stats.late == 0
    assert not any(isinstance(decision, Conceal) for decision in after_start(decisions))


def test_target_follows_the_tail_and_the_delay_grows_at_missing_slots() -> None:
    # One packet in twenty comes 200 ms late: more than the quantile ignores.
    arrivals = [(at + (200 if sent.first // 3 % 20 == 10 else 0), sent) for at, sent in steady(300, 3)]
    buffer, decisions = play(arrivals, until_ms=300 * 3 * SLOT_MS)
    assert 200 <= buffer.stats.target_ms <= 220
    assert buffer.stats.grown >= 1
    heard = after_start(decisions)
    assert not any(isinstance(decision, Conceal) for decision in heard[180:])


def test_target_is_bounded() -> None:
    arrivals = [(at + (500 if sent.first % 3 == 0 else 0), sent) for at, sent in steady(200)]
    buffer, _ = play(arrivals, until_ms=200 * SLOT_MS, buffer=JitterBuffer(JitterConfig(target_ms_max=300)))
    assert buffer.stats.target_ms <= 300


def test_start_up_delay_does_not_stay() -> None:
    # The first packets come 240 ms late, as on a connection that is still being set up.
    buffer = JitterBuffer()
    waiting = [(max(at, 300.0), sent) for at, sent in steady(600, 3)]
    play_in_silence(buffer, waiting, range(0, 1800 * SLOT_MS, SLOT_MS))
    assert buffer.stats.skipped >= 1
    assert buffer.stats.delay_ms < 40 + 2 * SLOT_MS
    assert buffer.stats.concealed == 0


def test_what_a_queue_held_up_at_the_start_is_left_out_before_the_first_word() -> None:
    # The first second comes 600 ms late at first, and faster than it was spoken.
    arrivals = [(at + max(0, 600 - 15 * sent.first), sent) for at, sent in steady(100)]
    buffer = JitterBuffer()
    play_in_silence(buffer, arrivals, range(SLOT_MS, 900, SLOT_MS))
    assert buffer.stats.concealed == 0
    assert buffer.stats.delay_ms < 20 + 2 * SLOT_MS


def test_trouble_that_is_over_is_forgotten_within_seconds() -> None:
    # Half a second of the first five comes 400 ms late: far more than the quantile ignores.
    arrivals = [(at + (400 if 200 <= sent.first < 225 else 0), sent) for at, sent in steady(800)]
    recent_ms = JitterConfig().recent_slots * SLOT_MS
    for after_ms, expected in ((recent_ms - 100, 410), (recent_ms + 40, 20)):
        buffer, _ = play(arrivals, until_ms=225 * SLOT_MS + 400 + after_ms)
        assert buffer.stats.target_ms == expected


def test_one_late_packet_in_many_seconds_is_not_waited_for() -> None:
    arrivals = [(at + (300 if sent.first == 600 else 0), sent) for at, sent in steady(300, 3)]
    buffer, _ = play(arrivals, until_ms=640 * SLOT_MS)
    assert buffer.stats.late == 3
    assert buffer.stats.target_ms == 40


def test_player_that_starts_late_does_not_play_the_backlog() -> None:
    buffer = JitterBuffer()
    for at, sent in steady(30, 3):
        buffer.push(sent, at)
    assert isinstance(buffer.pop(30 * 3 * SLOT_MS), Play)
    assert buffer.stats.delay_ms < 40 + SLOT_MS
    assert buffer.stats.discarded > 60


def test_player_that_stalls_jumps_to_the_present() -> None:
    buffer, _ = play(steady(150), until_ms=60 * SLOT_MS)
    for at, sent in steady(150)[60:]:
        buffer.push(sent, at)
    assert isinstance(buffer.pop(150 * SLOT_MS), Play)
    assert buffer.stats.delay_ms <= 20 + SLOT_MS
    assert buffer.stats.discarded >= 75


@pytest.mark.parametrize("slots", LENGTHS)
def test_path_that_gets_slower_for_good_costs_seconds_not_the_call(slots: int) -> None:
    arrivals = [(at + (0 if sent.first < 300 else 1500), sent) for at, sent in steady(1200 // slots, slots)]
    buffer, decisions = play(arrivals, until_ms=1200 * SLOT_MS)
    assert buffer.stats.restarts == 1
    assert all(isinstance(decision, Play) for _, decision in decisions[-600:])


def test_stall_with_burst_does_not_restart() -> None:
    arrivals = [(3000.0 if 30 <= sent.first < 150 else at, sent) for at, sent in steady(360)]
    buffer, decisions = play(arrivals, until_ms=360 * SLOT_MS)
    assert buffer.stats.restarts == 0
    assert all(isinstance(decision, Play) for _, decision in decisions[-150:])


def test_numbers_that_jump_start_over_and_hold_little() -> None:
    buffer, _ = play(steady(60), until_ms=60 * SLOT_MS)
    for offset in range(10):
        assert buffer.push(packet(SLOT_MAX - 100 + offset), (61 + offset) * SLOT_MS)
    assert not buffer.push(packet(63), 72 * SLOT_MS)
    decision = buffer.pop(72 * SLOT_MS)
    assert isinstance(decision, Play)
    assert decision.slot >= SLOT_MAX - 100
    assert buffer.stats.restarts == 1


@pytest.mark.parametrize(
    "wrong",
    [packet(-1), packet(SLOT_MAX + 1), packet(SLOT_MAX - 1, 3), packet(0, 0), packet(0, PACKET_SLOTS_MAX + 1)],
)
def test_packet_outside_the_bounds_is_refused(wrong: Packet) -> None:
    buffer = JitterBuffer()
    assert not buffer.push(wrong, 0.0)
    assert (buffer.slots_held, buffer.stats.received) == (0, 0)


def test_large_first_number_keeps_its_milliseconds() -> None:
    first = SLOT_MAX - 500
    arrivals = [(at + 3.5, packet(first + sent.first)) for at, sent in steady(100)]
    buffer, decisions = play(arrivals, until_ms=100 * SLOT_MS)
    assert buffer.stats.concealed == 0
    assert played(decisions) == list(range(first, first + len(played(decisions))))
    assert 20 <= buffer.stats.delay_ms <= 40


@pytest.mark.parametrize("slots", LENGTHS)
def test_packets_that_nobody_plays_are_bounded(slots: int) -> None:
    buffer = JitterBuffer()
    for at, sent in steady(600, slots):
        buffer.push(sent, at)
        assert buffer.slots_held <= buffer.config.slots_max
    assert buffer.stats.discarded == 600 * slots - buffer.slots_held
    assert buffer.stats.restarts == 0


def test_late_packets_now_and_then_do_not_restart() -> None:
    # Each eighth packet comes seconds late, with good ones between.
    arrivals = [(at + (2000 if sent.first // 3 % 8 == 0 else 0), sent) for at, sent in steady(300, 3)]
    buffer, _ = play(arrivals, until_ms=300 * 3 * SLOT_MS)
    assert buffer.stats.late > 60
    assert buffer.stats.restarts == 0


def test_milliseconds_survive_a_jump_to_large_numbers() -> None:
    buffer, _ = play(steady(60), until_ms=60 * SLOT_MS)
    first, begin_ms = SLOT_MAX - 1000, 60.0 * SLOT_MS
    heard = 0
    for index in range(50):
        buffer.push(packet(first + index), begin_ms + index * SLOT_MS + 3.5)
        heard += isinstance(buffer.pop(begin_ms + (index + 1) * SLOT_MS + 5), Play)
    assert heard >= 48
    assert buffer.stats.concealed <= 1
    assert 20 <= buffer.stats.delay_ms <= 40


def test_floor_that_rises_makes_no_surplus() -> None:
    # The path gets 240 ms slower; once the window forgets the past, the delay is short again, not long.
    arrivals = [(at + (0 if sent.first < 90 else 240), sent) for at, sent in steady(240)]
    _, decisions = play(arrivals, until_ms=240 * SLOT_MS, buffer=JitterBuffer(JitterConfig(window_slots=30)))
    assert not any(isinstance(decision, Play) and decision.surplus for _, decision in decisions)


@pytest.mark.parametrize("scheduled", [True, False])
def test_program_that_hangs_loses_nothing_when_it_reads_before_it_pulls(scheduled: bool) -> None:
    # From 6000 to 6300 ms nothing runs; then the socket is read, and the pulls that were due are made up for.
    buffer = JitterBuffer()
    arrivals = [(6300 if 6000 <= at < 6300 else at, sent) for at, sent in steady(600)]
    for due in range(2 * SLOT_MS, 600 * SLOT_MS, SLOT_MS):
        real = 6300 if 6000 <= due < 6300 else due
        while arrivals and arrivals[0][0] <= real:
            at, sent = arrivals.pop(0)
            buffer.push(sent, at)
        assert isinstance(buffer.pop(due if scheduled else real), Play)
    assert buffer.stats.played == 598
    assert (buffer.stats.concealed, buffer.stats.skipped, buffer.stats.discarded) == (0, 0, 0)


def test_slot_before_a_missing_one_is_never_surplus() -> None:
    arrivals = [(max(at, 240.0), sent) for at, sent in steady(1800) if sent.first < 60 or sent.first % 3]
    _, decisions = play(arrivals, until_ms=1800 * SLOT_MS)
    plays = [decision for _, decision in decisions if isinstance(decision, Play) and decision.slot >= 60]
    assert any(each.surplus for each in plays)
    assert not any(each.surplus for each in plays if (each.slot + 1) % 3 == 0)


# -- packets whose length changes ---------------------------------------------------------------------------------


def changing(lengths: Sequence[int]) -> list[tuple[float, Packet]]:
    arrivals: list[tuple[float, Packet]] = []
    first = 0
    for slots in lengths:
        arrivals.append(((first + slots) * SLOT_MS, packet(first, slots)))
        first += slots
    return arrivals


@pytest.mark.parametrize("longer", [2, 3, 6])
def test_longer_packets_cost_the_time_they_take_and_no_sound(longer: int) -> None:
    arrivals = changing([1] * 200 + [longer] * (300 // longer))
    buffer, decisions = play(arrivals, until_ms=480 * SLOT_MS)
    heard = played(decisions)
    assert heard == list(range(len(heard))), "nothing is left out"
    assert buffer.stats.grown == buffer.stats.concealed <= longer
    assert 0 <= buffer.stats.delay_ms < buffer.stats.target_ms + SLOT_MS


def test_shorter_packets_give_the_delay_back_where_it_is_quiet() -> None:
    buffer = JitterBuffer()
    waiting = changing([3] * 100 + [1] * 300)
    play_in_silence(buffer, waiting, range(10, 580 * SLOT_MS, SLOT_MS))
    assert buffer.stats.concealed == 0
    assert buffer.stats.skipped in (2, 3)
    assert 20 <= buffer.stats.delay_ms <= 20 + 1.5 * SLOT_MS


def test_packets_that_overlap_are_each_played_where_they_are_new() -> None:
    buffer = JitterBuffer()
    long, short = packet(0, 3), packet(2, 1)
    assert buffer.push(short, 60.0)
    assert buffer.push(long, 60.0)
    assert buffer.stats.duplicate == 1
    assert [buffer.pop(100.0 + at) for at in (0, 20, 40)] == [Play(0, long), Play(1, long), Play(2, short)]


# -- copies inside later frames -----------------------------------------------------------------------------------


def redundant(count: int, distances: tuple[int, ...], lost: set[int]) -> tuple[JitterBuffer, list[Decision]]:
    """Frames of one slot with copies of those `distances` back; the lost ones bring nothing."""
    buffer = JitterBuffer()
    decisions = []
    for frame in range(count):
        now = (frame + 1) * SLOT_MS
        if frame not in lost:
            buffer.push(packet(frame), now)
            for distance in distances:
                buffer.push(packet(frame - distance), now, repeated=True)
        decisions.append(buffer.pop(now + 10))
    return buffer, decisions


def test_a_copy_stands_for_its_packet() -> None:
    lost = set(range(10, 1000, 20))
    buffer, decisions = redundant(1000, (1,), lost)
    late_half = [decision for decision in decisions[500:] if isinstance(decision, Conceal)]
    assert late_half == []
    assert buffer.stats.repaired >= len(lost) - 5
    assert buffer.stats.late == 0
    assert buffer.stats.target_ms <= 20 + 10
    assert buffer.lost_and_late_percent()[0] in range(4, 7), "repair does not hide the loss"


def test_copies_of_what_came_change_nothing() -> None:
    plain, without = redundant(300, (), set())
    buffer, decisions = redundant(300, (1, 2, 3), set())
    assert decisions == without
    assert buffer.stats == plain.stats


def test_a_copy_that_is_too_late_is_no_late_packet() -> None:
    buffer, _ = redundant(100, (3,), {50})
    assert (buffer.stats.late, buffer.stats.duplicate, buffer.stats.repaired) == (0, 0, 0)
    assert buffer.stats.restarts == 0


def test_a_packet_behind_its_copy_is_late_for_the_report_alone() -> None:
    buffer, _ = redundant(100, (1,), {98})
    buffer.pop(101 * SLOT_MS + 10)
    assert buffer.lost_and_late_percent() == (4, 0) if buffer.stats.grown else (2, 0)
    buffer.push(packet(98), 102 * SLOT_MS)
    assert buffer.lost_and_late_percent()[1] == 2
    assert buffer.stats.duplicate + buffer.stats.late == 1


def test_copies_from_before_the_beginning_teach_no_delay() -> None:
    buffer = JitterBuffer()
    buffer.push(packet(100), 0.0)
    for distance in (1, 3):
        assert not buffer.push(packet(100 - distance), 0.0, repeated=True)
    assert buffer.wait_ms(0.0) == 20.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"target_ms_min": 700},
        {"target_ms_min": 0},
        {"quantile": 0.0},
        {"slots_max": 24},
        {"window_slots": 0},
        {"recent_slots": 0},
    ],
)
def test_config_out_of_bounds_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        JitterConfig(**wrong)  # type: ignore[arg-type]


Trace = list[tuple[int, int, int, int, bool]]
traces = st.lists(
    st.tuples(
        st.integers(min_value=1, max_value=PACKET_SLOTS_MAX),
        st.integers(min_value=0, max_value=2000),  # extra delay of the first copy
        st.integers(min_value=0, max_value=3),  # copies; none is a loss
        st.integers(min_value=-200, max_value=200),  # lead or lag of the further copies
        st.booleans(),  # whether the second is one inside a later frame
    ),
    min_size=1,
    max_size=100,
)


@settings(max_examples=150, deadline=None)
@given(trace=traces, phase_ms=st.integers(0, 19), stall=st.integers(0, 300))
def test_any_trace_plays_once_in_order_bounded_and_drains(trace: Trace, phase_ms: int, stall: int) -> None:
    arrivals: list[tuple[float, int, int, bool]] = []
    first = 0
    for slots, extra, copies, shift, inside in trace:
        at = (first + slots) * SLOT_MS + extra
        for copy in range(copies):
            arrivals.append((float(max(0, at + copy * shift)), first, slots, inside and copy == 1))
        first += slots
    buffer = JitterBuffer()
    arrivals.sort()
    arrived: set[int] = set()
    taken: set[int] = set()
    heard: list[int] = []
    bound_ms = buffer.config.target_ms_max + CATCH_UP_SLOTS * SLOT_MS
    for tick in range(first + 250):
        now = tick * SLOT_MS + phase_ms
        while arrivals and arrivals[0][0] <= now:
            at_ms, begin, slots, inside = arrivals.pop(0)
            if buffer.push(packet(begin, slots), at_ms, repeated=inside):
                assert begin not in taken
                taken.add(begin)
            arrived.update(range(begin, begin + slots))
            assert buffer.slots_held <= buffer.config.slots_max
        if stall <= tick < stall + 45:
            continue  # the player hangs
        decision = buffer.pop(now)
        if isinstance(decision, Play):
            assert decision.packet.data == b"%d" % decision.packet.first
            assert decision.packet.first <= decision.slot < decision.packet.first + decision.packet.slots
            assert decision.slot in arrived
            heard.append(decision.slot)
            assert buffer.stats.delay_ms <= bound_ms
            if decision.surplus and tick % 2:
                buffer.skip()
        assert buffer.config.target_ms_min <= buffer.stats.target_ms <= buffer.config.target_ms_max
        assert sum(buffer.lost_and_late_percent()) <= 100
    assert heard == sorted(set(heard))
    assert buffer.slots_held == 0
    stats = buffer.stats
    assert stats.played + stats.skipped == len(heard)
    assert 0 <= stats.grown <= stats.concealed
    first_copies = stats.received - stats.duplicate + stats.repaired
    assert first_copies == stats.played + stats.skipped + stats.late + stats.discarded


@settings(max_examples=100, deadline=None)
@given(
    pushes=st.lists(
        st.tuples(
            st.one_of(st.integers(0, 300), st.integers(0, SLOT_MAX)),
            st.integers(1, PACKET_SLOTS_MAX),
            st.booleans(),
            st.integers(min_value=0, max_value=500),
            st.integers(0, 3),
        ),
        max_size=150,
    )
)
def test_hostile_numbers_never_break_order_or_memory(pushes: list[tuple[int, int, bool, int, int]]) -> None:
    buffer = JitterBuffer()
    now = 0.0
    last = -1
    for first, slots, repeated, step_ms, pops in pushes:
        now += step_ms
        buffer.push(packet(first, slots), now, repeated=repeated)
        assert buffer.slots_held <= buffer.config.slots_max
        buffer.wait_ms(now)
        for _ in range(pops):
            decision = buffer.pop(now)
            if isinstance(decision, Play):
                assert decision.slot > last
                last = decision.slot
