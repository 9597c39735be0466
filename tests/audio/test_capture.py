"""Chunks of any length become whole frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringthrough.audio.capture import FrameCutter
from ringthrough.audio.errors import PcmShapeError
from ringthrough.audio.pcm import SLOT_SAMPLES, Pcm


@given(sizes=st.lists(st.integers(0, 500), max_size=30), frame=st.integers(1, 200))
def test_nothing_is_lost_or_moved(sizes: list[int], frame: int) -> None:
    sound = np.arange(sum(sizes), dtype=np.int64).astype(np.int16)
    cutter = FrameCutter(frame)
    frames: list[Pcm] = []
    at = 0
    for size in sizes:
        frames.extend(cutter.push(sound[at : at + size]))
        at += size
        assert cutter.pending_samples < frame
    last = cutter.flush()
    assert all(len(piece) == frame for piece in frames)
    if last is not None:
        assert len(last) == frame
        frames.append(last)
    joined = np.concatenate([np.zeros(0, dtype=np.int16), *frames])
    assert np.array_equal(joined[: sound.size], sound)
    assert not np.any(joined[sound.size :])
    assert cutter.flush() is None


def test_float_is_scaled_and_clipped() -> None:
    chunk = np.zeros(SLOT_SAMPLES, dtype=np.float32)
    chunk[:3] = [0.5, 2.0, -2.0]
    (frame,) = FrameCutter().push(chunk)
    assert frame[:4].tolist() == [16384, 32767, -32768, 0]


def test_chunk_may_be_reused_by_the_caller() -> None:
    cutter = FrameCutter(4)
    chunk = np.array([1, 2, 3], dtype=np.int16)
    list(cutter.push(chunk))
    chunk[:] = 9
    (frame,) = cutter.push(np.array([4], dtype=np.int16))
    assert frame.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "chunk",
    [np.zeros((10, 2), dtype=np.int16), np.zeros(10, dtype=np.int32), np.array([np.nan], dtype=np.float32)],
)
def test_wrong_samples_are_refused_and_nothing_is_taken(
    chunk: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
) -> None:
    cutter = FrameCutter(4)
    with pytest.raises(PcmShapeError):
        cutter.push(chunk)
    assert cutter.pending_samples == 0


def test_frame_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        FrameCutter(0)
