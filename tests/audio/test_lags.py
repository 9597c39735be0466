"""The lag is followed through a call whose playout delay changes."""

from __future__ import annotations

import numpy as np
import pytest

from ringthrough.audio.alignment import Segment, align
from ringthrough.audio.lags import LagTrack, track_lags
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, FloatPcm, Pcm, as_float

MS = SAMPLE_RATE_HZ // 1000


@pytest.fixture(scope="module")
def said(speech: Pcm) -> FloatPcm:
    return as_float(speech)[: 12 * SAMPLE_RATE_HZ]


def moved(said: FloatPcm, at_s: float, by_ms: int) -> FloatPcm:
    """Heard 100 ms late, and from `at_s` on `by_ms` later still."""
    at = int(at_s * SAMPLE_RATE_HZ)
    return np.concatenate([np.zeros(100 * MS), said[:at], np.zeros(by_ms * MS), said[at:]])


def test_a_constant_lag_is_found_everywhere(said: FloatPcm) -> None:
    heard = moved(said, 5, 0)
    track = track_lags(said, heard, align(said, heard))
    assert track.sure.sum() / track.audible.sum() == 1
    assert set(track.lag[track.sure]) == {100 * MS}


@pytest.mark.parametrize("by_ms", [60, 300, 3_000])
def test_a_step_is_found_where_it_happens(said: FloatPcm, by_ms: int) -> None:
    heard = moved(said, 5.0, by_ms)
    track = track_lags(said, heard, align(said, heard))
    seconds = track.centre / SAMPLE_RATE_HZ
    before, after = track.lag[track.sure & (seconds < 4.5)], track.lag[track.sure & (seconds > 5.5)]
    assert np.mean(before == 100 * MS) > 0.95
    assert np.mean(after == (100 + by_ms) * MS) > (0.95 if by_ms < 400 else 0.7)
    assert track.sure.sum() / track.audible.sum() > (0.9 if by_ms < 400 else 0.7)


def test_what_is_not_heard_is_not_recognised(said: FloatPcm) -> None:
    noise = np.random.default_rng(1).normal(size=said.size) * 0.05
    track = track_lags(said, noise, [Segment(0, said.size, 0, silent=False)])
    assert not track.sure.any()
    assert track.audible.sum() > 50
    assert not track.at(np.array([0, said.size])).any(), "the segments' lag is kept"


def test_positions_get_the_nearest_window() -> None:
    yes = np.array([True, True, True])
    track = LagTrack(np.array([100, 200, 300]), np.array([7, 8, 9]), yes, yes)
    assert track.at(np.array([-50, 100, 149, 151, 260, 900])).tolist() == [7, 7, 7, 8, 9, 9]
    one = LagTrack(np.array([100]), np.array([7]), yes[:1], yes[:1])
    assert one.at(np.array([0, 500])).tolist() == [7, 7]
