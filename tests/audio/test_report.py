"""What is reported of the last second."""

from __future__ import annotations

from ringthrough.audio.report import REPORT_SLOTS, SlotFates


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
