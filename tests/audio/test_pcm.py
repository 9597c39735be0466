"""The one shape of sound."""

from __future__ import annotations

import numpy as np
import pytest

from ringthrough.audio.errors import PcmShapeError
from ringthrough.audio.pcm import as_float, as_pcm, rms, silence


def test_int16_passes_unchanged_and_survives_float() -> None:
    samples = np.array([-32768, -1, 0, 1, 32767], dtype=np.int16)
    assert np.array_equal(as_pcm(samples), samples)
    assert np.array_equal(as_pcm(as_float(samples)), samples)


def test_level() -> None:
    assert rms(silence(0)) == 0.0
    assert rms(silence(10)) == 0.0
    assert rms(np.full(10, -16384, dtype=np.int16)) == 0.5


@pytest.mark.parametrize(
    "samples",
    [np.zeros((2, 2), dtype=np.int16), np.zeros(2, dtype=np.uint8), np.array([np.inf])],
)
def test_other_shapes_are_refused(samples: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    with pytest.raises(PcmShapeError):
        as_pcm(samples)
