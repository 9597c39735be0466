"""The files of fake microphones, and the speech found again in what they play."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lab import speech
from lab.peers.microphone import HELLO_S, NotSaid, find, resampled, write_microphone
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm
from ringthrough.client.audiofile import read_pcm


@pytest.fixture
def said(tmp_path: Path) -> tuple[Path, Pcm]:
    words = speech.speech(speech.ALICE_SAYS, 4.0)
    return speech.write_wav(tmp_path / "said.wav", words), words


@pytest.mark.parametrize("rate_hz", [SAMPLE_RATE_HZ, 44_100, 48_000])
def test_speech_is_found_where_it_was_put(tmp_path: Path, said: tuple[Path, Pcm], rate_hz: int) -> None:
    length_s = write_microphone(tmp_path / "microphone.wav", said[0], HELLO_S, whole_s=7.5)
    played = read_pcm(tmp_path / "microphone.wav")
    assert length_s == 7.5 == played.size / SAMPLE_RATE_HZ
    assert np.flatnonzero(played[:1600]).size > 1000, "the room before the first word is not digital silence"
    place_s, share = find(said[1], resampled(played, SAMPLE_RATE_HZ, rate_hz), rate_hz)
    assert place_s == pytest.approx(HELLO_S, abs=0.0002)
    assert share > 0.99


def test_another_sound_is_not_taken_for_the_speech(said: tuple[Path, Pcm]) -> None:
    noise = np.random.default_rng(3).integers(-9000, 9000, said[1].size).astype(np.int16)
    with pytest.raises(NotSaid, match="correlation"):
        find(said[1], noise, SAMPLE_RATE_HZ)
