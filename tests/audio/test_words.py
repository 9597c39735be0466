"""Words and opinions, where the optional packages for them are installed; where not, they are named."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from lab import speech as recordings
from ringthrough.audio.errors import ScoreUnavailable
from ringthrough.audio.pcm import silence
from ringthrough.audio.plcmos import plcmos
from ringthrough.audio.words import word_errors


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@pytest.mark.skipif(installed("pocketsphinx"), reason="the extra is here")
def test_a_missing_recogniser_is_named() -> None:
    with pytest.raises(ScoreUnavailable, match=r"ringthrough\[words\]"):
        word_errors(silence(16_000), silence(16_000), [], ["one"])


@pytest.mark.skipif(installed("speechmos"), reason="the extra is here")
def test_a_missing_model_is_named() -> None:
    with pytest.raises(ScoreUnavailable, match=r"ringthrough\[plcmos\]"):
        plcmos(silence(16_000))


@pytest.mark.skipif(not installed("pocketsphinx"), reason="needs the extra ringthrough[words]")
def test_most_words_are_understood_and_what_is_lost_is_not() -> None:
    spoken, vocabulary = recordings.words(20, seed=2), sorted(recordings.WORDS)
    count = len(spoken.words)
    late = np.concatenate([silence(3_000), spoken.pcm])
    assert word_errors(spoken.pcm, late, spoken.words, vocabulary) <= 0.1
    half = late.copy()
    half[: spoken.words[count // 2].start + 3_000] = 0
    assert word_errors(spoken.pcm, half, spoken.words, vocabulary) == pytest.approx(0.5, abs=0.15)


@pytest.mark.skipif(not installed("speechmos"), reason="needs the extra ringthrough[plcmos]")
def test_holes_cost_opinion() -> None:
    said = recordings.speech(recordings.ALICE_SAYS, 10)
    holes = said.copy()
    holes.reshape(-1, 800)[::7] = 0
    assert plcmos(said) > 4
    assert plcmos(holes) < plcmos(said) - 0.5
    assert plcmos(np.concatenate([said, holes])) == pytest.approx((plcmos(said) + plcmos(holes)) / 2, abs=0.3)
