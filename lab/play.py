"""Play one case with one messenger, and measure what was heard."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from lab import speech
from lab.cases.case import Case
from lab.driver import CallResult, Driver, Heard
from lab.middlebox.control import Counters
from lab.middlebox.rules import Counts
from lab.worlds.access import world
from ringthrough.audio.errors import ScoreUnavailable
from ringthrough.audio.pcm import Pcm
from ringthrough.audio.plcmos import plcmos
from ringthrough.audio.quality import Quality, judge
from ringthrough.audio.words import word_errors
from ringthrough.client.audiofile import read_pcm

LATE_MS = 1.0
LATE_SHARE_MAX = 0.02
ATTEMPTS_MAX = 2
LOST_ALL = 0.99
"""Share of speech lost from which on nobody would say that there was a call."""


class Direction(msgspec.Struct, frozen=True):
    """One direction of a call, as docs/spec/quality.md defines the figures. `plcmos` and `word_errors` are None where
    their packages are not installed, or no single words were said."""

    quality: dict[str, float | None]
    plcmos: float | None
    word_errors: float | None


class Call(msgspec.Struct, frozen=True):
    """One call of one messenger. `failure` says why there was none, or why it ended early; figures of the worse
    direction are None without a call."""

    case: str
    driver: str
    failure: str | None
    estoi: float | None
    pesq: float | None
    speech_lost: float | None
    mouth_to_ear_ms_p50: float | None
    mouth_to_ear_ms_p95: float | None
    longest_silence_ms: float | None
    plcmos: float | None
    word_errors: float | None
    answer_to_audio_ms: float | None
    intelligible: bool
    call_bytes: dict[str, tuple[int, int]]
    """By host, IP bytes up and down during the call."""
    rules: dict[str, Counts]
    """What each rule did."""
    late_share: float
    """Packets that left the middlebox more than 1 ms late: above 2 % the machine disturbed the call."""
    by_callee: Direction | None
    by_caller: Direction | None
    notes: dict[str, Any]

    @property
    def heard(self) -> bool:
        """Something of what was said came through, in both directions."""
        return self.estoi is not None and self.speech_lost is not None and self.speech_lost < LOST_ALL

    @property
    def disturbed(self) -> bool:
        """The machine was too busy for the middlebox to keep its time."""
        return self.late_share > LATE_SHARE_MAX


def play(case: Case, driver: Driver, folder: Path) -> Call:
    """One call, in a world of its own, again when the machine disturbed it. Files stay in `folder`.

    Raises LabUnavailable, SpeechMissing, MiddleboxFailed.
    """
    for _ in range(ATTEMPTS_MAX):
        shutil.rmtree(folder, ignore_errors=True)
        call = _play_once(case, driver, folder)
        if not call.disturbed:
            break
    return call


def _play_once(case: Case, driver: Driver, folder: Path) -> Call:
    folder.mkdir(parents=True)
    texts = {host: _say(case, seed) for host, seed in (("alice", case.seed), ("bob", case.seed + 1))}
    files = {host: speech.write_wav(folder / f"said-by-{host}.wav", text.pcm) for host, text in texts.items()}
    with world(folder / "world", case.restriction, seed=case.seed) as place:
        result = asyncio.run(driver.call(place, files["alice"], files["bob"], case.seconds, folder / "call"))
        counters = place.middlebox.counters()
    return figures(case, driver.name, result, place.call_bytes, counters, texts)


def figures(
    case: Case,
    name: str,
    result: CallResult,
    call_bytes: dict[str, tuple[int, int]],
    counters: Counters,
    texts: dict[str, speech.Spoken],
) -> Call:
    """All figures of a call that was played."""
    heard = {"by_callee": (texts["alice"], result.by_callee), "by_caller": (texts["bob"], result.by_caller)}
    judged = {which: _judge(text, sound) for which, (text, sound) in heard.items() if sound is not None}
    qualities = [quality for quality, _ in judged.values()]
    whole = len(qualities) == len(heard)
    directions = {which: direction for which, (_, direction) in judged.items()}

    def worst(figure: str, choose: Any) -> float | None:
        values = [getattr(quality, figure) for quality in qualities]
        return choose(values) if whole and None not in values else None

    def also(figure: str, choose: Any) -> float | None:
        values = [getattr(direction, figure) for direction in directions.values()]
        return choose(values) if whole and None not in values else None

    return Call(
        case=case.name,
        driver=name,
        failure=result.failure if whole or result.failure else "nothing was recorded",
        estoi=worst("estoi", min),
        pesq=worst("pesq", min),
        speech_lost=worst("speech_lost", max),
        mouth_to_ear_ms_p50=worst("mouth_to_ear_ms_p50", max),
        mouth_to_ear_ms_p95=worst("mouth_to_ear_ms_p95", max),
        longest_silence_ms=worst("longest_silence_ms", max),
        plcmos=also("plcmos", min),
        word_errors=also("word_errors", max),
        answer_to_audio_ms=result.answer_to_audio_ms,
        intelligible=whole and all(quality.intelligible(case.rtt_ms) for quality in qualities),
        call_bytes=call_bytes,
        rules=counters.rules,
        late_share=counters.late_share(LATE_MS),
        by_callee=directions.get("by_callee"),
        by_caller=directions.get("by_caller"),
        notes=dict(result.notes),
    )


def _say(case: Case, seed: int) -> speech.Spoken:
    if case.speech == "words":
        return speech.words(case.speech_s, seed)
    return speech.talk(case.speech, case.speech_s, seed)


def _judge(text: speech.Spoken, heard: Heard) -> tuple[Quality, Direction]:
    sound = read_pcm(heard.wav)
    quality = judge(text.pcm, sound, heard.spoken_at_s, heard.axis)
    return quality, Direction(asdict(quality), _opinion(sound), _understood(text, sound))


def _opinion(sound: Pcm) -> float | None:
    try:
        return plcmos(sound)
    except ScoreUnavailable:
        return None


def _understood(text: speech.Spoken, sound: Pcm) -> float | None:
    if not text.words:
        return None
    try:
        return word_errors(text.pcm, sound, text.words, sorted(speech.WORDS))
    except ScoreUnavailable:
        return None
