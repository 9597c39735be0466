"""Lining recordings up with their reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ringthrough.audio.alignment import align, best_lag, counterpart, cut_points, take
from ringthrough.audio.pcm import FloatPcm

RATE = 16_000


def babble(seconds: float, seed: int = 3) -> FloatPcm:
    """Noise with the rhythm of speech: 0.35 s on, 0.15 s off."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=int(seconds * RATE)) * 0.1
    rhythm = (np.arange(noise.size) % (RATE // 2)) < RATE * 7 // 20
    result: FloatPcm = noise * rhythm
    return result


@pytest.mark.parametrize("lag", [0, 1, 104, 5000, 40_000, -700])
def test_constant_delay_is_found_to_the_sample(lag: int) -> None:
    said = babble(10)
    heard = np.concatenate([np.zeros(lag), said]) if lag >= 0 else said[-lag:]
    assert best_lag(said, heard) == lag
    assert {segment.lag for segment in align(said, heard)} == {lag}


def test_segments_cover_the_reference_and_are_cut_in_pauses() -> None:
    said = babble(20)
    segments = align(said, said)
    assert segments[0].start == 0
    assert segments[-1].stop == said.size
    for before, after in itertools.pairwise(segments):
        assert before.stop == after.start
        assert 2 * RATE <= before.stop - before.start <= 3 * RATE
        assert not np.any(said[before.stop - 100 : before.stop + 100])


def test_change_of_delay_is_followed() -> None:
    said = babble(12)
    points = cut_points(said)
    at = points[2]
    heard = np.concatenate([said[:at], np.zeros(960), said[at:]])
    assert [segment.lag for segment in align(said, heard)] == [0, 0] + [960] * (len(points) - 3)


def test_delay_shortened_in_pauses_within_a_segment_is_followed() -> None:
    said = babble(12)
    cuts = [(at, size) for at, size in ((41 * RATE // 10, 480), (56 * RATE // 10, 192)) for at in [at + RATE // 3]]
    assert all(not np.any(said[at : at + size]) for at, size in cuts)
    heard = np.delete(said, np.concatenate([np.arange(at, at + size) for at, size in cuts]))
    assert np.array_equal(counterpart(said, heard, align(said, heard)), said)


def test_delay_changed_within_a_phrase_stays_a_fault() -> None:
    said = babble(12)
    at = 5 * RATE + RATE // 10
    assert np.all(said[at : at + 480])
    heard = np.delete(said, np.arange(at, at + 480))
    found = counterpart(said, heard, align(said, heard))
    assert np.max(np.abs(found - said)) > 0.1
    assert np.array_equal(found[6 * RATE :], said[6 * RATE :])


def test_missing_piece_moves_nothing() -> None:
    said = babble(12)
    heard = said.copy()
    heard[5 * RATE : 8 * RATE] = 0
    assert {segment.lag for segment in align(said, heard)} == {0}


def test_pause_stays_where_the_speech_before_it_is() -> None:
    said = np.concatenate([babble(5), np.zeros(5 * RATE), babble(5, seed=8)])
    segments = align(said, np.concatenate([np.zeros(333), said]))
    assert any(segment.silent for segment in segments)
    assert {segment.lag for segment in segments} == {333}


def test_periodic_sound_in_noise_does_not_slip_by_a_period() -> None:
    generator = np.random.default_rng(2)
    said = np.sin(np.arange(12 * RATE) * 2 * np.pi * 200 / RATE) * 0.2
    said[::480] += 0.5
    heard = said + generator.normal(size=said.size) * 0.1
    assert {segment.lag for segment in align(said, heard)} == {0}


def test_take_fills_with_silence() -> None:
    heard = np.array([1.0, 2.0, 3.0])
    assert take(heard, -2, 5).tolist() == [0, 0, 1, 2, 3, 0, 0]
    assert take(heard, 7, 9).tolist() == [0, 0]
    assert take(heard, -4, -1).tolist() == [0, 0, 0]
