"""The level of a hop, told by its signals one by one; on whole hops it is judged in test_lanes."""

from __future__ import annotations

import pytest

from ringthrough.protocol.lane_control import BOOST_ABOVE, LOSSY_ABOVE, PROBATION_MS, Controller, Level

FRAME_MS = 60.0
FEW, MANY = BOOST_ABOVE + 0.06, LOSSY_ABOVE + 0.04


class Hop:
    """A controller that is told how its copies fared, frame by frame."""

    def __init__(self) -> None:
        self.control = Controller()
        self.now_ms = 0.0

    def passes(self, seconds: float, missed: float = 0.0, queueing_ms: int = 0) -> Level:
        """So many seconds with a share of the copies missed, and all late by so much. Returns the level."""
        owed = 0.0
        end_ms = self.now_ms + seconds * 1000
        while self.now_ms < end_ms:
            self.now_ms += FRAME_MS
            self.control.measured(50 + queueing_ms, 25 + queueing_ms, self.now_ms)
            owed += missed
            if owed >= 1:
                owed -= 1
                self.control.missed(self.now_ms)
            else:
                self.control.arrived(self.now_ms)
            self.control.update(self.now_ms)
        return self.control.level

    def hears(self, level: Level) -> None:
        """An answer tells the other direction's level."""
        self.control.heard(level, False, False, self.now_ms)


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
    ],
)
def test_beside_a_lean_direction_only_many_late_answers_tell_of_loss(
    back: Level, missed: float, level: Level
) -> None:
    hop = Hop()
    hop.passes(4)
    hop.hears(back)
    assert hop.passes(5, missed) is level


def test_beside_a_direction_that_needs_copies_a_lean_one_is_soon_doubted() -> None:
    hop = Hop()
    hop.passes(4)
    assert hop.passes(2, queueing_ms=200) is Level.LEAN
    hop.hears(Level.BOOST)
    assert hop.passes(PROBATION_MS / 1000 - 2) is Level.LEAN
    assert hop.passes(2) is Level.NORMAL


def test_alone_a_lean_direction_stays_so_for_long() -> None:
    hop = Hop()
    hop.passes(4)
    assert hop.passes(2, queueing_ms=200) is Level.LEAN
    assert hop.passes(60) is Level.LEAN


@pytest.mark.parametrize(("missed", "level"), [(FEW, Level.NORMAL), (MANY, Level.BOOST)])
def test_a_level_that_a_queue_ended_is_tried_again_at_once_where_most_is_lost(missed: float, level: Level) -> None:
    hop = Hop()
    hop.passes(4)
    assert hop.passes(3, FEW) is Level.BOOST
    assert hop.passes(0.5, queueing_ms=200) is Level.NORMAL
    hop.passes(1)
    assert hop.passes(5, missed) is level


def test_a_few_missed_copies_tell_of_loss_before_there_are_many_copies() -> None:
    hop = Hop()
    hop.passes(0.1)
    assert hop.passes(0.4, 1.0) is Level.BOOST, "all of seven"


def test_three_copies_need_more_missed_ones_than_chance_makes() -> None:
    hop = Hop()
    hop.passes(0.1)
    assert hop.passes(0.7, 1.0) is Level.BOOST, "five, and then six"
    assert hop.passes(1, 1.0) is Level.HEAVY
