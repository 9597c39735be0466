"""All measures of one direction together, and what counts as a conversation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ringthrough.audio.lags import LagTrack
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm
from ringthrough.audio.quality import Quality, judge, mouth_to_ear_ms

GOOD = Quality(
    estoi=0.85,
    pesq=3.0,
    speech_lost=0.02,
    longest_silence_ms=0,
    mouth_to_ear_ms_p50=200,
    mouth_to_ear_ms_p95=400,
    recognised=1,
    seconds=10,
)


def test_a_perfect_call(speech: Pcm) -> None:
    said = speech[: 8 * SAMPLE_RATE_HZ]
    quality = judge(said, said, spoken_at_s=100.0, axis=[(0.0, 100.25)])
    assert quality.estoi > 0.999
    assert quality.speech_lost == 0
    assert quality.recognised == 1
    assert quality.mouth_to_ear_ms_p50 == pytest.approx(250)
    assert quality.mouth_to_ear_ms_p95 == pytest.approx(250)
    assert quality.intelligible()


def test_no_sound_at_all(speech: Pcm) -> None:
    quality = judge(speech[: 8 * SAMPLE_RATE_HZ], np.zeros(0, dtype=np.int16), 0.0, [(0.0, 0.0)])
    assert quality.mouth_to_ear_ms_p95 is None
    assert quality.speech_lost == 1
    assert not quality.intelligible()


def test_delays_follow_the_axis_of_the_recording() -> None:
    """Playing paused for 300 ms after the first second."""
    yes = np.array([True, True, False])
    track = LagTrack(np.array([8_000, 24_000, 40_000]), np.array([0, 0, 0]), yes, yes)
    delays = mouth_to_ear_ms(track, spoken_at_s=10.0, axis=[(0.0, 10.1), (1.0, 11.4)])
    assert delays.tolist() == pytest.approx([100, 400])
    with pytest.raises(ValueError, match="axis"):
        mouth_to_ear_ms(track, 10.0, [])


@pytest.mark.parametrize(
    ("change", "rtt_ms", "intelligible"),
    [
        ({}, 0, True),
        ({"estoi": 0.849}, 0, False),
        ({"speech_lost": 0.021}, 0, False),
        ({"mouth_to_ear_ms_p95": 401.0}, 0, False),
        ({"mouth_to_ear_ms_p95": 600.0}, 200, True),
        ({"mouth_to_ear_ms_p95": 601.0}, 200, False),
        ({"mouth_to_ear_ms_p95": None}, 0, False),
    ],
)
def test_what_a_conversation_is(change: dict[str, float], rtt_ms: float, intelligible: bool) -> None:
    assert dataclasses.replace(GOOD, **change).intelligible(rtt_ms) is intelligible
