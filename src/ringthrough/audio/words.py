"""Words understood: a recogniser with a closed vocabulary listens to each word, and its errors are counted.

It is no human, and its errors on clean recordings are not zero: only the difference to the clean codec means
anything. Needs the extra `ringthrough[words]`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .alignment import align, take
from .errors import ScoreUnavailable
from .lags import track_lags
from .pcm import SAMPLE_RATE_HZ, FloatPcm, as_float, as_pcm

Listener = Callable[[FloatPcm], str | None]

_MARGIN = SAMPLE_RATE_HZ // 10


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word and where it stands in the reference, in samples."""

    word: str
    start: int
    stop: int


def word_errors(
    reference: npt.NDArray[np.generic],
    heard: npt.NDArray[np.generic],
    words: Sequence[SpokenWord],
    vocabulary: Sequence[str],
) -> float:
    """The share (0 to 1) of `words` that are not recognised, among `vocabulary` (English), in 16 kHz mono `heard`.

    Each is sought where the reference says, at the lag of its surroundings. Raises `ScoreUnavailable`.
    """
    listen = _recogniser(vocabulary)
    said, got = as_float(reference), as_float(heard)
    track = track_lags(said, got, align(said, got))
    wrong = 0
    for word in words:
        lag = int(track.at(np.array([(word.start + word.stop) // 2]))[0])
        wrong += listen(take(got, word.start + lag - _MARGIN, word.stop + lag + _MARGIN)) != word.word
    return wrong / len(words)


def _recogniser(vocabulary: Sequence[str]) -> Listener:
    try:
        pocketsphinx = importlib.import_module("pocketsphinx")
    except ImportError as error:
        raise ScoreUnavailable("words need `pocketsphinx`: install ringthrough[words]") from error
    decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL")
    grammar = f"#JSGF V1.0;\ngrammar words;\npublic <word> = {' | '.join(vocabulary)};\n"
    decoder.add_jsgf_string("words", grammar)
    decoder.activate_search("words")

    def listen(piece: FloatPcm) -> str | None:
        decoder.start_utt()
        decoder.process_raw(as_pcm(piece).tobytes(), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        return hypothesis.hypstr if hypothesis is not None else None

    return listen
