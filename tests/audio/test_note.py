"""Voice notes: what they may be, how speech is cut into them, and that all of it is heard again."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from ringthrough.audio.errors import MalformedNote
from ringthrough.audio.note import NOTE_SLOTS_MAX, NOTE_SLOTS_MIN, NoteMaker, NotePlayer, note_slots
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, SLOT_SAMPLES, Pcm, rms, silence

from .make_note_vectors import PATH, content

CASES = json.loads(PATH.read_text())["cases"]
SLOTS_PER_S = 50
LOUD = 0.05
"""Of a tone of 0.17, which the codec is too short of bits to keep as loud as speech."""


def voice(seconds: float) -> Pcm:
    return (8000 * np.sin(2 * np.pi * 330 * np.arange(int(SAMPLE_RATE_HZ * seconds)) / SAMPLE_RATE_HZ)).astype(
        np.int16
    )


def quiet(seconds: float) -> Pcm:
    return silence(int(SAMPLE_RATE_HZ * seconds))


def said(maker: NoteMaker, *sounds: Pcm) -> list[tuple[bytes, ...]]:
    """The notes that end while this is said, and the one that was left."""
    slots = np.concatenate(sounds).reshape(-1, SLOT_SAMPLES)
    notes = [maker.push(slot) for slot in slots]
    return [note for note in [*notes, maker.finish()] if note is not None]


def heard(notes: list[tuple[bytes, ...]]) -> list[Pcm]:
    player = NotePlayer()
    for note in notes:
        player.push(note)
    slots = []
    while (slot := player.pull()) is not None:
        slots.append(slot)
    assert player.played == len(notes)
    return slots


def test_the_file_is_what_is_made_here() -> None:
    assert PATH.read_text() == content()


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_packets(case: dict[str, object]) -> None:
    packets = [bytes.fromhex(packet) for packet in case["packets"]]  # type: ignore[attr-defined]
    if case["expect"] == "ok":
        assert note_slots(packets) == case["slots"]
        return
    with pytest.raises(MalformedNote):
        note_slots(packets)
    player = NotePlayer()
    with pytest.raises(MalformedNote):
        player.push(packets)
    assert player.pull() is None, "nothing of it is played"


def test_what_is_said_is_heard_whole() -> None:
    notes = said(NoteMaker(), quiet(1), voice(7), quiet(2), voice(0.3), quiet(2))
    lengths = [note_slots(note) for note in notes]
    assert lengths[:2] == [NOTE_SLOTS_MAX, NOTE_SLOTS_MAX]
    assert all(NOTE_SLOTS_MIN <= length <= NOTE_SLOTS_MAX for length in lengths)
    assert len(lengths) == 4
    loud = [rms(slot) > LOUD for slot in heard(notes)]
    assert sum(loud[: sum(lengths[:3])]) >= 7 * SLOTS_PER_S - 2
    assert sum(loud[sum(lengths[:3]) :]) >= 0.3 * SLOTS_PER_S - 2
    assert sum(len(packet) for packet in notes[0]) <= 3200


def test_silence_is_no_note() -> None:
    assert said(NoteMaker(), quiet(5)) == []


def test_what_was_begun_is_finished() -> None:
    (note,) = said(NoteMaker(), voice(0.1))
    assert NOTE_SLOTS_MIN <= note_slots(note) <= NOTE_SLOTS_MAX


def test_whatever_is_said_every_note_is_one() -> None:
    for seed in range(5):
        dice = random.Random(seed)
        sounds = [
            voice(dice.randrange(1, 40) / 10) if at % 2 else quiet(dice.randrange(1, 15) / 10) for at in range(8)
        ]
        notes = said(NoteMaker(), *sounds)
        assert all(NOTE_SLOTS_MIN <= note_slots(note) <= NOTE_SLOTS_MAX for note in notes)
        loud = sum(rms(slot) > LOUD for slot in heard(notes))
        spoken = sum(sound.size for sound in sounds[1::2]) // SLOT_SAMPLES
        assert loud >= spoken - 2 * len(sounds)


def test_what_the_decoder_refuses_is_silence_in_its_place() -> None:
    (note,) = said(NoteMaker(), voice(1))
    garbage = (*note[:-1], b"\x5b\x02" + b"\xff" * 6)
    assert note_slots(garbage) == note_slots(note)
    assert len(heard([garbage])) == note_slots(note)
