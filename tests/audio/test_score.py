"""The score on real speech: it says good of good, bad of bad, and cannot be talked out of a gap."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from ringthrough.audio.errors import PcmShapeError, ScoreError, ScoreUnavailable
from ringthrough.audio.opus import OpusDecoder, OpusEncoder
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, SLOT_MS, Pcm, silence
from ringthrough.audio.playout import Playout
from ringthrough.audio.score import score

PACKET_SLOTS, FRAME_SAMPLES = 3, 960


@pytest.fixture(scope="module")
def packets(speech: Pcm) -> list[bytes]:
    encoder = OpusEncoder()
    whole = speech[: speech.size - speech.size % FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return [encoder.encode(frame) for frame in (*whole, silence(FRAME_SAMPLES))]


@pytest.fixture(scope="module")
def decoded(packets: list[bytes]) -> Pcm:
    decoder = OpusDecoder()
    return np.concatenate([decoder.decode(packet) for packet in packets])


def test_call_profile_is_good(speech: Pcm, decoded: Pcm) -> None:
    result = score(speech, decoded)
    assert result.pesq >= 3.75
    assert result.estoi >= 0.96
    assert result.pesq_worst_segment >= 3.3
    assert result.lag_ms == pytest.approx(6.5, abs=0.2)
    assert result.lag_spread_ms == 0
    assert result.seconds_compared == pytest.approx(speech.size / SAMPLE_RATE_HZ)


def test_a_segment_in_which_speech_only_just_begins_says_nothing(speech: Pcm, decoded: Pcm) -> None:
    pause = silence(4 * SAMPLE_RATE_HZ)
    said, heard = np.concatenate([pause, speech]), np.concatenate([pause, decoded])
    expected = pytest.approx(score(speech, decoded).estoi, abs=0.01)
    for begins_s in np.arange(0.05, 0.35, 0.1):
        moved = int(begins_s * SAMPLE_RATE_HZ)
        assert score(said[moved:], heard[moved:]).estoi == expected


def test_too_little_speech_is_no_reference() -> None:
    click = silence(2 * SAMPLE_RATE_HZ)
    click[16_000:17_000] = 9_000
    with pytest.raises(ScoreError, match="too little"):
        score(click, click)


def test_call_with_delay_and_jitter_scores_as_the_codec(speech: Pcm, packets: list[bytes], decoded: Pcm) -> None:
    playout = Playout()
    heard = [silence(SAMPLE_RATE_HZ * 3)]
    arrivals = [((index + 1) * 60 + (index * 7919) % 9, index) for index in range(len(packets))]
    for now in range(0, (len(packets) + 4) * 60, SLOT_MS):
        while arrivals and arrivals[0][0] <= now:
            arrival, index = arrivals.pop(0)
            playout.push(index * PACKET_SLOTS, packets[index], arrival)
        heard.append(playout.pull(now))
    through_call, codec_only = score(speech, np.concatenate(heard)), score(speech, decoded)
    assert through_call.lag_ms > 3000
    assert through_call.pesq == pytest.approx(codec_only.pesq, abs=0.03)
    assert through_call.estoi == pytest.approx(codec_only.estoi, abs=0.003)


def test_lost_frames_cost(speech: Pcm, packets: list[bytes]) -> None:
    generator = np.random.default_rng(5)
    decoder = OpusDecoder()
    heard = [
        decoder.conceal(FRAME_SAMPLES) if generator.random() < 0.1 else decoder.decode(packet) for packet in packets
    ]
    result = score(speech, np.concatenate(heard))
    assert result.pesq < 2.5
    assert result.estoi < 0.93


def test_gap_cannot_hide(speech: Pcm, decoded: Pcm) -> None:
    whole = score(speech, decoded)
    gap = decoded.copy()
    gap[10 * SAMPLE_RATE_HZ : 11 * SAMPLE_RATE_HZ] = 0
    assert score(speech, gap).pesq < whole.pesq - 0.3
    half = score(speech, decoded[: decoded.size // 2])
    assert half.pesq < 2.0
    assert half.estoi < 0.6
    assert half.seconds_compared == whole.seconds_compared


@pytest.mark.parametrize("kind", ["nothing", "silence", "noise", "shuffled"])
def test_what_is_not_the_speech_scores_low(speech: Pcm, kind: str) -> None:
    generator = np.random.default_rng(5)
    heard = {
        "nothing": silence(0),
        "silence": silence(speech.size),
        "noise": (generator.normal(size=speech.size) * 2000).astype(np.int16),
        "shuffled": np.concatenate([speech[7 * SAMPLE_RATE_HZ :: -1], speech[::-1]]),
    }[kind]
    result = score(speech, heard)
    assert result.pesq < 1.3
    assert result.estoi < 0.25


def test_identical_is_perfect(speech: Pcm) -> None:
    result = score(speech, speech)
    assert result.pesq > 4.6
    assert result.estoi > 0.999
    assert result.lag_ms == 0


def test_float_and_int16_are_the_same(speech: Pcm) -> None:
    part = speech[: 5 * SAMPLE_RATE_HZ]
    assert score(part, part.astype(np.float32) / 32768) == score(part, part)


def test_long_speech_is_scored_in_blocks(speech: Pcm) -> None:
    twice = np.concatenate([speech, speech, speech[: 5 * SAMPLE_RATE_HZ]])
    damaged = twice.copy()
    damaged[-4 * SAMPLE_RATE_HZ :] = 0
    assert score(twice, twice).pesq > 4.6
    assert score(twice, damaged).pesq < 4.4


@pytest.mark.parametrize("seconds", [0.0, 0.5, 601.0])
def test_reference_of_unfit_length_is_refused(seconds: float) -> None:
    with pytest.raises(ScoreError):
        score(np.ones(int(seconds * SAMPLE_RATE_HZ), dtype=np.int16), silence(10))


def test_silent_reference_is_refused() -> None:
    with pytest.raises(ScoreError, match="nothing is said"):
        score(silence(5 * SAMPLE_RATE_HZ), silence(5 * SAMPLE_RATE_HZ))


def test_wrong_samples_are_refused(speech: Pcm) -> None:
    with pytest.raises(PcmShapeError):
        score(speech, np.zeros((10, 2), dtype=np.int16))


@pytest.mark.parametrize("missing", ["pesq", "pystoi"])
def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    real = importlib.import_module

    def without(name: str) -> object:
        if name == missing:
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(ScoreUnavailable, match=r"ringthrough\[score\]"):
        score(silence(SAMPLE_RATE_HZ), silence(SAMPLE_RATE_HZ))
