"""Recorded human speech: Debian's asterisk-core-sounds-{en,ru,it}-g722, 16 kHz wideband.

English: a woman, CC BY-SA 3.0. Russian: a woman, CC BY 3.0. Italian: a man, CC BY 3.0.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm
from ringthrough.audio.words import SpokenWord
from ringthrough.client.audiofile import WavWriter, read_pcm

SOUNDS = Path("/usr/share/asterisk/sounds")
FOLDER = Path(os.environ.get("RINGTHROUGH_SPEECH", SOUNDS / "en_US_f_Allison"))
ALICE_SAYS = ("conf-adminmenu-162", "demo-echotest", "conf-getconfno", "conf-placeintoconf", "conf-usermenu")
BOB_SAYS = ("demo-congrats",)
PAUSE_S = 0.4
G722_BYTES_PER_S = 8000
CLIP_S_MIN = 2.0
"""Shorter recordings are single words."""

VOICES = {"en": FOLDER, "ru": SOUNDS / "ru_RU_f_IvrvoiceRU", "it": SOUNDS / "it_IT_m_Carlo"}
"""By language."""

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ALPHABET = (
    *("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima"),
    *("mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey"),
    *("x-ray", "yankee", "zulu"),
)
WORDS = {
    **{word: f"digits/{digit}" for digit, word in enumerate(_DIGITS)},
    **{word: f"phonetic/{word[0]}_p" for word in _ALPHABET},
}
"""Recordings of single English words, whose names tell what is said."""


class SpeechMissing(Exception):
    """Install the package that the text names."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Speech, and the words in it where they are known."""

    pcm: Pcm
    words: tuple[SpokenWord, ...] = ()


def speech(names: tuple[str, ...], seconds_max: float) -> Pcm:
    """The English recordings one after another with pauses, as 16 kHz mono."""
    return _joined([_recording("en", name) for name in names], seconds_max)


def talk(language: str, seconds: float, seed: int) -> Spoken:
    """So much speech of one voice, its recordings in an order that `seed` decides. Raises SpeechMissing."""
    names = sorted(path.stem for path in VOICES[language].glob("*.g722"))
    random.Random(seed).shuffle(names)
    parts: list[Pcm] = []
    for name in names:
        # Some are empty files.
        if (VOICES[language] / f"{name}.g722").stat().st_size >= CLIP_S_MIN * G722_BYTES_PER_S:
            parts.append(_recording(language, name))
        if sum(part.size for part in parts) >= seconds * SAMPLE_RATE_HZ:
            return Spoken(_joined(parts, seconds))
    raise SpeechMissing(f"too little speech in {VOICES[language]}: apt-get install {_package(language)}")


def words(seconds: float, seed: int) -> Spoken:
    """Single English words in an order that `seed` decides, whole ones only. Raises SpeechMissing."""
    chance = random.Random(seed)
    parts: list[Pcm] = []
    said: list[SpokenWord] = []
    pause, at = int(PAUSE_S * SAMPLE_RATE_HZ), 0
    while True:
        word = chance.choice(sorted(WORDS))
        clip = _recording("en", WORDS[word])
        if at + clip.size + pause > seconds * SAMPLE_RATE_HZ:
            return Spoken(_joined(parts, seconds), tuple(said))
        parts.append(clip)
        said.append(SpokenWord(word, at, at + clip.size))
        at += clip.size + pause


def _joined(parts: Sequence[Pcm], seconds_max: float) -> Pcm:
    pause = np.zeros(int(SAMPLE_RATE_HZ * PAUSE_S), dtype=np.int16)
    return np.concatenate([piece for part in parts for piece in (part, pause)])[: int(seconds_max * SAMPLE_RATE_HZ)]


def _recording(language: str, name: str) -> Pcm:
    path = VOICES[language] / f"{name}.g722"
    if not path.is_file():
        raise SpeechMissing(f"{path} is missing: apt-get install {_package(language)}")
    return read_pcm(path)


def _package(language: str) -> str:
    return f"asterisk-core-sounds-{language}-g722"


def write_wav(path: Path, pcm: Pcm) -> Path:
    """Save samples."""
    with WavWriter(path) as wav:
        wav.write(pcm)
    return path
