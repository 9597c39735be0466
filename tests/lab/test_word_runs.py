"""How words understood are counted, beside the clean codec."""

from __future__ import annotations

import numpy as np
import pytest

from lab.word_runs import Row, through_codec, together
from ringthrough.audio.pcm import SAMPLE_RATE_HZ


def test_points_are_those_over_the_clean_codec() -> None:
    assert Row("a", True, 50, 3, 1).points_over == pytest.approx(4.0)
    assert Row("a", True, 50, 1, 2).points_over == pytest.approx(-2.0)
    assert Row("no call", False, 50, None, 2).points_over is None


def test_what_is_no_conversation_is_not_counted_with_the_others() -> None:
    rows = [
        Row("a", True, 50, 3, 1),
        Row("b", False, 50, 40, 1),
        Row("c", True, 30, 0, 2),
        Row("d", True, 30, None, 2),
    ]
    whole = together(rows)
    assert (whole.words, whole.errors, whole.errors_of_clean_codec) == (80, 3, 3)


def test_the_clean_codec_keeps_the_sound_and_its_length() -> None:
    seconds = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone = (8000 * np.sin(2 * np.pi * 440 * seconds)).astype(np.int16)
    heard = through_codec(tone)
    assert abs(heard.size - tone.size) <= 2 * 960
    assert np.abs(heard).max() > 6000
