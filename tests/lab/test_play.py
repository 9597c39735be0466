"""From what was recorded to the figures of a call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lab import speech
from lab.cases.case import Case
from lab.driver import CallResult, Heard
from lab.middlebox.control import LATE_MS, Counters
from lab.play import Call, figures
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, silence

CASE = Case("clean")
TEXTS = {
    "alice": speech.Spoken(speech.speech(speech.ALICE_SAYS, 6.0)),
    "bob": speech.Spoken(speech.speech(speech.BOB_SAYS, 6.0)),
}


def counters(*late: int) -> Counters:
    return Counters({}, {}, 0, 0, [*late, *[0] * (len(LATE_MS) - len(late))])


def heard(path: Path, text: speech.Spoken, late_ms: int, gone_s: float = 0.0) -> Heard:
    """The text, heard so late, its beginning missing."""
    pcm = text.pcm.copy()
    pcm[: int(gone_s * SAMPLE_RATE_HZ)] = 0
    late = np.concatenate([silence(SAMPLE_RATE_HZ * late_ms // 1000), pcm])
    return Heard(speech.write_wav(path, late), spoken_at_s=50.0, axis=((0.0, 50.0),))


def call(result: CallResult, measured: Counters | None = None) -> Call:
    return figures(CASE, "ours", result, {"alice": (1, 2)}, measured or counters(10), TEXTS)


def test_a_call_is_as_good_as_its_worse_direction(tmp_path: Path) -> None:
    good = heard(tmp_path / "bob.wav", TEXTS["alice"], 120)
    poor = heard(tmp_path / "alice.wav", TEXTS["bob"], 200, gone_s=2.0)
    made = call(CallResult(by_callee=good, by_caller=poor, answer_to_audio_ms=90.0))
    assert made.by_callee is not None
    assert made.by_caller is not None
    assert made.by_callee.quality["mouth_to_ear_ms_p95"] == pytest.approx(120, abs=2)
    assert made.mouth_to_ear_ms_p95 == made.by_caller.quality["mouth_to_ear_ms_p95"] == pytest.approx(200, abs=2)
    assert made.estoi == made.by_caller.quality["estoi"]
    assert made.speech_lost is not None
    assert made.speech_lost > 0.2
    assert not made.intelligible
    assert (made.failure, made.answer_to_audio_ms) == (None, 90.0)


def test_two_good_directions_are_a_conversation(tmp_path: Path) -> None:
    by_callee = heard(tmp_path / "bob.wav", TEXTS["alice"], 120)
    by_caller = heard(tmp_path / "alice.wav", TEXTS["bob"], 120)
    assert call(CallResult(by_callee=by_callee, by_caller=by_caller)).intelligible


def test_one_direction_alone_is_no_call(tmp_path: Path) -> None:
    made = call(CallResult(by_callee=heard(tmp_path / "bob.wav", TEXTS["alice"], 120)))
    assert (made.estoi, made.mouth_to_ear_ms_p95, made.intelligible) == (None, None, False)
    assert made.failure == "nothing was recorded"
    assert call(CallResult(failure="no answer")).failure == "no answer"


def test_a_machine_that_kept_the_middlebox_waiting_is_told() -> None:
    none = CallResult(failure="x")
    assert not call(none, counters(99, 0, 0, 0, 1)).disturbed
    assert call(none, counters(97, 0, 0, 0, 3)).disturbed
    assert call(none, counters(98, 0, 0, 0, 0, 0, 2)).late_share == 0.02


def test_lateness_is_counted_since_a_moment() -> None:
    before, after = counters(10, 0, 0, 0, 5), counters(20, 0, 0, 0, 5)
    assert after.late_share(1.0, before) == 0
    assert after.late_share(1.0) == 0.2
