"""What is reported of the last second."""

from __future__ import annotations

import pytest

from ringthrough.audio.report import REPORT_SLOTS, Redundancy, RedundancyWish, SlotFates


def test_nothing_known_is_nothing_lost() -> None:
    assert SlotFates().percent() == (0, 0)


def test_shares_are_of_the_last_second() -> None:
    fates = SlotFates()
    for slot in range(3 * REPORT_SLOTS):
        fates.due(slot, slot % 10 != 0)
    assert fates.percent() == (10, 0)
    for slot in range(3 * REPORT_SLOTS, 4 * REPORT_SLOTS):
        fates.due(slot, True)
    assert fates.percent() == (0, 0)


def test_what_comes_after_all_is_late_and_not_lost() -> None:
    fates = SlotFates()
    for slot in range(REPORT_SLOTS):
        fates.due(slot, slot >= 10)
    fates.came(3)
    fates.came(3)
    fates.came(20)
    fates.came(1000)
    assert fates.percent() == (18, 2)


def test_a_slot_due_again_counts_once() -> None:
    fates = SlotFates(10)
    for slot in range(10):
        fates.due(slot, False)
    for slot in range(5, 10):
        fates.due(slot, True)
    assert fates.percent() == (50, 0)
    fates.clear()
    assert fates.percent() == (0, 0)


def test_runs_of_lost_slots_are_counted() -> None:
    fates = SlotFates()
    assert fates.mean_lost_run() == 0
    for slot in range(REPORT_SLOTS):
        fates.due(slot, slot not in (3, 10, 11, 12, 30, 31))
    assert fates.mean_lost_run() == 2
    fates.came(11)
    assert fates.mean_lost_run() == 1.25


def wishes(*seconds: tuple[int, float]) -> list[Redundancy]:
    wish = RedundancyWish()
    made = []
    for lost, run in seconds:
        wish.second(lost, run)
        made.append(wish.wish)
    return made


@pytest.mark.parametrize(
    ("lost", "run", "wanted"),
    [
        (0, 0.0, Redundancy.NONE),
        (1, 1.0, Redundancy.NONE),
        (3, 1.1, Redundancy.D1),
        (10, 1.2, Redundancy.D12),
        (3, 2.0, Redundancy.D13),
        (20, 4.0, Redundancy.D13),
    ],
)
def test_wish_follows_the_loss_and_its_bursts(lost: int, run: float, wanted: Redundancy) -> None:
    assert wishes(*[(lost, run)] * 8)[-1] == wanted


def test_more_is_wished_for_at_once_and_less_after_some_calm() -> None:
    course = wishes(*[(0, 0.0)] * 5, (20, 1.2), *[(0, 0.0)] * 5)
    assert course == [Redundancy.NONE] * 5 + [Redundancy.D12] * 5 + [Redundancy.NONE]
