"""Lost speech is counted as lost, coded and concealed speech is not; silence is measured."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ringthrough.audio.alignment import align
from ringthrough.audio.lags import track_lags
from ringthrough.audio.missing import Missing, missing
from ringthrough.audio.opus import CALL_PROFILE, OpusDecoder, OpusEncoder
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, FloatPcm, Pcm, as_float
from ringthrough.audio.profiles import Bandwidth

FRAME_SAMPLES = 960

SECONDS = 20


@pytest.fixture(scope="module")
def said(speech: Pcm) -> Pcm:
    size = SECONDS * SAMPLE_RATE_HZ
    return speech[: size - size % FRAME_SAMPLES]


def coded(
    said: Pcm,
    bitrate_bps: int = 12_000,
    lost: frozenset[int] = frozenset(),
    bandwidth: Bandwidth = CALL_PROFILE.bandwidth,
) -> FloatPcm:
    profile = dataclasses.replace(CALL_PROFILE, bitrate_bps=bitrate_bps, bandwidth=bandwidth)
    encoder, decoder = OpusEncoder(profile), OpusDecoder()
    packets = [encoder.encode(frame) for frame in said.reshape(-1, FRAME_SAMPLES)]
    frames = [decoder.conceal(FRAME_SAMPLES) if n in lost else decoder.decode(p) for n, p in enumerate(packets)]
    return as_float(np.concatenate([*frames, np.zeros(FRAME_SAMPLES, dtype=np.int16)]))


def measured(said: Pcm, heard: FloatPcm) -> Missing:
    reference = as_float(said)
    return missing(reference, heard, track_lags(reference, heard, align(reference, heard)))


@pytest.mark.parametrize(
    ("bitrate_bps", "bandwidth"),
    [(8_000, Bandwidth.MEDIUM), (9_600, Bandwidth.WIDE), (12_000, Bandwidth.WIDE), (32_000, Bandwidth.WIDE)],
)
def test_a_codec_alone_loses_nothing(said: Pcm, bitrate_bps: int, bandwidth: Bandwidth) -> None:
    result = measured(said, coded(said, bitrate_bps, bandwidth=bandwidth))
    assert result.speech_lost <= 0.002
    assert result.longest_silence_ms <= 20


def test_neither_volume_nor_delay_is_a_loss(said: Pcm) -> None:
    quiet = np.concatenate([np.zeros(5_000), coded(said) * 0.2])
    assert measured(said, quiet).speech_lost <= 0.002


def test_lost_frames_are_counted_about_once(said: Pcm) -> None:
    """Concealment may save the first 20 ms of a frame, and harm the first of the next."""
    frames = said.size // FRAME_SAMPLES
    lost = frozenset(np.flatnonzero(np.random.default_rng(3).random(frames) < 0.1).tolist())
    share = measured(said, coded(said, lost=lost)).speech_lost
    assert share == pytest.approx(len(lost) / frames, rel=0.35)


def test_a_hole_is_lost_and_silent(said: Pcm) -> None:
    heard = as_float(said).copy()
    heard[8 * SAMPLE_RATE_HZ : 10 * SAMPLE_RATE_HZ] = 0
    result = measured(said, heard)
    assert result.speech_lost == pytest.approx(2 / SECONDS, abs=0.03)
    assert 1_000 <= result.longest_silence_ms <= 2_000


def test_a_robots_voice_is_lost_but_not_silent(said: Pcm) -> None:
    heard = as_float(said).copy()
    at, size = 8 * SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ
    heard[at : at + size] = np.resize(heard[at : at + 160], size) + 0.02 * np.sin(np.arange(size) * 0.5)
    result = measured(said, heard)
    assert result.speech_lost > 0.05
    assert result.longest_silence_ms <= 200


def test_nothing_heard_is_all_lost(said: Pcm) -> None:
    result = measured(said, np.zeros(said.size))
    assert result.speech_lost == 1
    assert result.longest_silence_ms > 15_000
