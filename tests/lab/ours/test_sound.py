"""The lab's mouth and ear keep to the clock."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from lab.ours.sound import Ear, Mouth
from ringthrough.audio.pcm import SLOT_MS, SLOT_SAMPLES, silence
from ringthrough.client.audiofile import read_pcm


async def test_a_slot_is_there_when_its_last_sample_was_said() -> None:
    pcm = np.arange(SLOT_SAMPLES * 3 // 2, dtype=np.int16)
    mouth = Mouth(pcm)
    slots = []
    for number in range(1, 4):
        slots.append(await mouth.read())
        assert mouth.spoken_at_s is not None
        assert time.monotonic() >= mouth.spoken_at_s + number * SLOT_MS / 1000
    whole = np.concatenate(slots)
    assert np.array_equal(whole[: pcm.size], pcm)
    assert not whole[pcm.size :].any(), "an open microphone in a silent room"


async def test_nobody_speaks_before_the_hello_is_over() -> None:
    pcm = np.full(SLOT_SAMPLES, 7, dtype=np.int16)
    mouth = Mouth(pcm, hello_s=SLOT_MS / 1000)
    assert not (await mouth.read()).any()
    assert mouth.spoken_at_s is not None
    assert time.monotonic() >= mouth.spoken_at_s
    assert np.array_equal(await mouth.read(), pcm)


def test_the_ear_notes_where_time_does_not_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    ear = Ear(tmp_path / "heard.wav")
    for step_ms in (20, 20, 20, 50, 20):
        ear.write(silence(SLOT_SAMPLES))
        now_s += step_ms / 1000
    ear.close()
    assert ear.axis == [(0.0, 100.0), (0.08, pytest.approx(100.11))]
    assert read_pcm(tmp_path / "heard.wav").size == 5 * SLOT_SAMPLES
