"""One short call over a clean way, and how it was heard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab import speech
from lab.driver import CallResult, Driver, Heard
from lab.rules.restriction import NOTHING, Restriction
from lab.worlds.access import world
from ringthrough.audio.alignment import align
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, as_float
from ringthrough.audio.score import score
from ringthrough.client.audiofile import read_pcm

CALL_S = 9.0
SPEECH_S = 6.0
ESTOI_MIN = 0.5
"""A playout delay that moves within a word costs ESTOI though nothing is lost, and other tests share the machine.
What is not the speech has less than 0.1. How well each is heard, the lab measures."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One direction."""

    mouth_to_ear_ms: float
    estoi: float


def judge(said: Path, heard: Heard) -> Judged:
    """The score, and the median delay on the common clock."""
    reference, sound = read_pcm(said), read_pcm(heard.wav)
    delays_ms = []
    for segment in align(as_float(reference), as_float(sound)):
        if not segment.silent:
            place_s = (segment.start + segment.lag) / SAMPLE_RATE_HZ
            position, at_s = max((pair for pair in heard.axis if pair[0] <= place_s), default=heard.axis[0])
            spoken_s = heard.spoken_at_s + segment.start / SAMPLE_RATE_HZ
            delays_ms.append((at_s + place_s - position - spoken_s) * 1000)
    return Judged(float(np.median(delays_ms)), score(reference, sound).estoi_segments)


async def call(
    driver: Driver, folder: Path, restriction: Restriction = NOTHING
) -> tuple[CallResult, dict[str, Path]]:
    """The result, and what each side said."""
    said = {
        "caller": speech.write_wav(folder / "caller.wav", speech.speech(speech.ALICE_SAYS, SPEECH_S)),
        "callee": speech.write_wav(folder / "callee.wav", speech.speech(speech.BOB_SAYS, SPEECH_S)),
    }
    with world(folder / "world", restriction) as made:
        result = await driver.call(made, said["caller"], said["callee"], CALL_S, folder / "out")
    return result, said


def check_clean(result: CallResult, said: dict[str, Path], mouth_to_ear_ms_max: float) -> None:
    """Both understand one another, and soon."""
    assert result.failure is None, result
    for heard, speaker in ((result.by_callee, "caller"), (result.by_caller, "callee")):
        assert heard is not None
        judged = judge(said[speaker], heard)
        print(speaker, judged, result.notes)
        assert judged.estoi >= ESTOI_MIN, result.notes
        assert 10 < judged.mouth_to_ear_ms < mouth_to_ear_ms_max, result.notes
    assert result.answer_to_audio_ms is not None
    assert 0 < result.answer_to_audio_ms < 5000
    for share in result.notes["cpu_share"].values():  # type: ignore[attr-defined]
        assert 0 < share < 2
