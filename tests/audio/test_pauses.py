"""Pauses in quiet and in noisy rooms."""

from __future__ import annotations

import pytest

from ringthrough.audio.pauses import COMPARED_SLOTS, QUIET_RMS, Pauses

SPEECH = 0.1


def pauses_among(levels: list[float]) -> list[bool]:
    judge = Pauses()
    return [judge.is_pause(level) for level in levels]


def conversation(room: float) -> list[float]:
    """Speech of 1.2 s, pauses of 0.5 s, in a room of that level."""
    return [SPEECH if slot % 85 < 60 else room for slot in range(4 * COMPARED_SLOTS)]


def test_what_is_too_quiet_to_be_heard_is_a_pause_from_the_first_slot_on() -> None:
    assert pauses_among([QUIET_RMS * 0.9, QUIET_RMS * 1.1, 0.0]) == [True, False, True]


@pytest.mark.parametrize("room", [0.005, 0.02])
def test_pauses_in_a_noisy_room_are_found_and_nothing_else(room: float) -> None:
    levels = conversation(room)
    found = pauses_among(levels)
    assert not any(found[: COMPARED_SLOTS - 1])
    assert found[COMPARED_SLOTS:] == [level == room for level in levels[COMPARED_SLOTS:]]


def test_noise_as_loud_as_speech_is_no_pause() -> None:
    assert not any(pauses_among(conversation(SPEECH / 3)))


def test_what_never_changes_is_no_pause() -> None:
    assert not any(pauses_among([SPEECH] * 3 * COMPARED_SLOTS))


def test_after_silence_the_first_words_are_no_pause() -> None:
    assert pauses_among([0.0] * COMPARED_SLOTS + [SPEECH / 4, SPEECH])[-2:] == [False, False]
