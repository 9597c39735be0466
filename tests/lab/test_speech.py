"""What is said in the lab."""

from __future__ import annotations

import numpy as np
import pytest

from lab.speech import VOICES, talk, words
from ringthrough.audio.pcm import SAMPLE_RATE_HZ


@pytest.mark.parametrize("language", VOICES)
def test_every_voice_speaks_as_long_as_it_is_asked_to_whatever_the_seed(language: str) -> None:
    for seed in range(5):
        said = talk(language, 22, seed).pcm
        assert said.size == 22 * SAMPLE_RATE_HZ
        assert np.abs(said.astype(int)).max() > 3000
    assert not np.array_equal(talk(language, 22, 1).pcm, talk(language, 22, 2).pcm)


def test_words_are_whole_and_say_where_they_are() -> None:
    spoken = words(10, 1)
    assert len(spoken.words) > 5
    assert spoken.words[-1].stop <= spoken.pcm.size <= 10 * SAMPLE_RATE_HZ
