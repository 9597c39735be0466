"""The level of a hop, told by its signals one by one; on whole hops it is judged in test_lanes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ringthrough.protocol.lane_control import (
    HOLD_MS_MIN,
    LOSSY_HOLD_SHARE,
    PROBATION_MS,
    RESEND_AFTER_MS_MIN,
    Controller,
    Level,
)

FRAME_MS = 60.0
FEW, MANY, MOST = 0.23, 0.28, 0.6
"""Shares missed: loss that copies repair, loss that cannot be anything else, and most."""


class Hop:
    """A controller that is told how its copies fared, frame by frame."""

    def __init__(self) -> None:
        self.control = Controller()
        self.now_ms = 0.0
        self._owed = 0.0

    def passes(self, seconds: float, missed: float = 0.0, queueing_ms: int = 0) -> Level:
        """So many seconds with a share of the copies missed, and all late by so much. Returns the level."""
        end_ms = self.now_ms + seconds * 1000
        while self.now_ms < end_ms:
            self.now_ms += FRAME_MS
            self.control.measured(50 + queueing_ms, 25 + queueing_ms, self.now_ms)
            self._owed += missed
            if self._owed >= 1:
                self._owed -= 1
                self.control.missed(self.now_ms)
            else:
                self.control.arrived(self.now_ms)
            self.control.update(self.now_ms)
        return self.control.level

    def hears(self, level: Level) -> None:
        """An answer tells the other direction's level."""
        self.control.heard(level, False, False, self.now_ms)


def test_on_a_short_way_a_device_may_be_busy_for_a_moment() -> None:
    control = Controller()
    control.measured(2, 1, 0)
    assert control.resend_after_ms == RESEND_AFTER_MS_MIN
    control = Controller()
    control.measured(100, 50, 0)
    assert control.resend_after_ms == 140


def test_less_sound_is_sent_where_the_answers_have_no_room() -> None:
    hop = Hop()
    hop.passes(4)
    assert not hop.control.is_narrow(hop.now_ms)
    hop.hears(Level.LEAN)
    assert hop.control.is_narrow(hop.now_ms)
    hop.hears(Level.NORMAL)
    assert not hop.control.is_narrow(hop.now_ms)


@pytest.mark.parametrize(
    ("back", "missed", "level"),
    [
        (Level.NORMAL, FEW, Level.BOOST),
        (Level.LEAN, FEW, Level.NORMAL),
        (Level.LEAN, MANY, Level.BOOST),
        (Level.LEAN, MOST, Level.BOOST),
    ],
)
def test_beside_a_lean_direction_only_many_late_answers_tell_of_loss(
    back: Level, missed: float, level: Level
) -> None:
    hop = Hop()
    hop.passes(4)
    hop.hears(back)
    assert hop.passes(5, missed) is level


@pytest.mark.parametrize("back", [Level.BOOST, Level.HEAVY])
def test_beside_a_direction_that_needs_copies_a_lean_one_is_doubted_ever_more_rarely(back: Level) -> None:
    hop = Hop()
    hop.passes(4)
    for doubt_s in (PROBATION_MS / 1000, PROBATION_MS / 500):
        assert hop.passes(2, queueing_ms=200) is Level.LEAN
        hop.hears(back)
        assert hop.passes(doubt_s - 2) is Level.LEAN
        assert hop.passes(2) is Level.NORMAL


def test_alone_a_lean_direction_stays_so_for_long() -> None:
    hop = Hop()
    hop.passes(4)
    assert hop.passes(2, queueing_ms=200) is Level.LEAN
    assert hop.passes(60) is Level.LEAN


@pytest.mark.parametrize(("missed", "level"), [(FEW, Level.NORMAL), (MANY, Level.BOOST)])
def test_a_level_that_a_queue_ended_is_tried_again_sooner_where_much_is_lost(missed: float, level: Level) -> None:
    hop = Hop()
    hop.passes(4)
    assert hop.passes(3, FEW) is Level.BOOST
    assert hop.passes(0.5, queueing_ms=200) is Level.NORMAL
    hop.passes(1)
    assert hop.passes(LOSSY_HOLD_SHARE * HOLD_MS_MIN[Level.BOOST] / 1000 - 1.5, missed) is Level.NORMAL
    assert hop.passes(4, missed) is level


def test_it_is_held_longer_each_time_though_much_is_lost() -> None:
    hop = Hop()
    hop.passes(4)
    entered_s = []
    for _ in range(3):
        while hop.passes(FRAME_MS / 1000, MANY) is not Level.BOOST:
            assert hop.now_ms < 60_000
        entered_s.append(hop.now_ms / 1000)
        assert hop.passes(1, queueing_ms=200) is Level.NORMAL
        hop.passes(0.5)
    waits_s = [later - sooner for sooner, later in pairwise(entered_s)]
    assert waits_s[0] < LOSSY_HOLD_SHARE * HOLD_MS_MIN[Level.BOOST] / 1000 + 3 < waits_s[1]


def test_a_few_missed_copies_tell_of_loss_before_there_are_many_copies() -> None:
    hop = Hop()
    hop.passes(0.1)
    assert hop.passes(0.4, 1.0) is Level.BOOST, "all of seven"


def test_three_copies_need_more_missed_ones_than_chance_makes() -> None:
    hop = Hop()
    hop.passes(0.1)
    assert hop.passes(0.7, 1.0) is Level.BOOST, "five, and then six"
    assert hop.passes(1, 1.0) is Level.HEAVY


def test_nothing_more_is_tried_beside_a_call_that_is_lean_either_way() -> None:
    hop = Hop()
    hop.passes(1)
    assert hop.control.has_room(hop.now_ms)
    hop.hears(Level.LEAN)
    assert not hop.control.has_room(hop.now_ms)
    hop.hears(Level.NORMAL)
    assert hop.control.has_room(hop.now_ms)
    assert hop.passes(1, queueing_ms=80) is Level.LEAN
    assert not hop.control.has_room(hop.now_ms)


def test_nothing_more_is_tried_while_a_hop_behind_is_narrow() -> None:
    hop = Hop()
    hop.passes(1)
    hop.control.heard(Level.NORMAL, True, False, hop.now_ms)
    assert not hop.control.has_room(hop.now_ms)
    hop.passes(2.1)
    assert hop.control.has_room(hop.now_ms)


@pytest.mark.parametrize("is_queue", [True, False])
def test_what_short_packets_showed_is_remembered(is_queue: bool) -> None:
    """A queue that they made, and not the answers of a busy device."""
    hop = Hop()
    hop.control.allow_short()
    hop.passes(2)
    assert hop.control.sends_short
    for _ in range(30):
        hop.now_ms += 20
        late_ms = 80 if is_queue else 0
        hop.control.measured(50 + late_ms, 25 + late_ms, hop.now_ms)
        if is_queue:
            hop.control.arrived(hop.now_ms)
        else:
            hop.control.missed(hop.now_ms)
        hop.control.update(hop.now_ms)
    assert (hop.control.sends_short, hop.control.level) == (False, Level.NORMAL)
    assert hop.control.has_room(hop.now_ms) is not is_queue
    hop.passes(58)
    assert hop.control.has_room(hop.now_ms) is not is_queue
    hop.passes(4)
    assert hop.control.has_room(hop.now_ms)


def test_a_queue_that_ended_copies_leaves_no_room_either() -> None:
    hop = Hop()
    assert hop.passes(6, missed=FEW) is Level.BOOST
    assert hop.control.has_room(hop.now_ms)
    frames = 0
    while hop.passes(FRAME_MS / 1000, queueing_ms=80) is Level.BOOST:
        frames += 1
        assert frames < 50
    assert hop.control.level is Level.NORMAL
    assert not hop.control.has_room(hop.now_ms)
