"""What is made of two browsers' recordings, with browsers and a messenger of the test's making."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from lab import speech
from lab.driver import CallResult
from lab.peers import browser_call
from lab.peers.browser_call import Messenger, Talk
from lab.peers.chromium import Browser, Recording
from lab.peers.microphone import HELLO_S, resampled
from lab.worlds.access import World
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm, silence
from ringthrough.client.audiofile import read_pcm

RATE_HZ = 48_000
CALL_S = 0.2
MOUTH_TO_EAR_S = 0.15
FIRST_SOUND_S = 0.25


class FakeWorld:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.began_s = 0.0

    def call_begins(self) -> None:
        self.began_s = time.monotonic()
        self.calls.append("begins")

    def call_ends(self) -> None:
        self.calls.append("ends")


class FakeBrowser:
    """Recorded since two seconds before it is asked to."""

    def __init__(self, said: Pcm, heard: Pcm) -> None:
        self._began_s = time.monotonic() - 2.0
        self._said = said
        self._heard = heard

    def cpu_seconds(self) -> float:
        return time.monotonic() / 4

    async def recording(self) -> Recording:
        return Recording(RATE_HZ, self._said, self._heard, ((0.0, self._began_s),))


class FakeMessenger:
    """Connected the `nth` time it is asked and never again."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self.hung_up = 0

    async def answer(self, callee: Browser) -> None:
        pass

    async def connected(self, side: Browser) -> bool:
        self._left -= 1
        return self._left in (0, -1)

    async def notes(self, side: Browser) -> Mapping[str, object]:
        return {"carrier": "air"}

    async def hang_up(self, side: Browser) -> None:
        self.hung_up += 1


def at(pcm: Pcm, start_s: float) -> Pcm:
    """The sound after quiet, at the browser's rate."""
    sound = resampled(pcm, SAMPLE_RATE_HZ, RATE_HZ)
    return np.concatenate([silence(round(start_s * RATE_HZ)), sound, silence(RATE_HZ)])


async def talk(tmp_path: Path, nth: int) -> tuple[CallResult, FakeWorld, FakeMessenger]:
    words = speech.speech(speech.ALICE_SAYS, 4.0)
    file = speech.write_wav(tmp_path / "said.wav", words)
    said = at(words, 2.0 + HELLO_S)
    heard = at(words, 2.0 + HELLO_S + MOUTH_TO_EAR_S)
    heard[round((2.0 + FIRST_SOUND_S) * RATE_HZ)] = 1
    fakes: dict[str, Any] = {name: FakeBrowser(said, heard) for name in ("caller", "callee")}
    messenger, world = FakeMessenger(nth), FakeWorld()
    held = Talk(cast(Messenger, messenger), cast(World, world), fakes)
    failure = await held.hold(CALL_S)
    wavs = {name: tmp_path / f"{name}.wav" for name in fakes}
    return held.result(failure, {"caller": file, "callee": file}, wavs), world, messenger


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_call, "POLL_S", 0.01)
    monkeypatch.setattr(browser_call, "CONNECT_S_MAX", 0.4)


async def test_where_speech_and_sound_are(tmp_path: Path) -> None:
    result, world, messenger = await talk(tmp_path, nth=1)
    assert result.failure is None
    assert world.calls == ["begins", "ends"]
    assert messenger.hung_up == 2
    for heard in (result.by_callee, result.by_caller):
        assert heard is not None
        assert heard.spoken_at_s - world.began_s == pytest.approx(HELLO_S, abs=0.1)
        began_s = heard.axis[0][1]
        first_word = np.flatnonzero(np.abs(read_pcm(heard.wav)) > 50)[0] / SAMPLE_RATE_HZ
        own_word = np.flatnonzero(np.abs(speech.speech(speech.ALICE_SAYS, 4.0)) > 50)[0] / SAMPLE_RATE_HZ
        delay_s = began_s + first_word - heard.spoken_at_s - own_word
        assert delay_s == pytest.approx(MOUTH_TO_EAR_S, abs=0.002)
    assert result.answer_to_audio_ms == pytest.approx(FIRST_SOUND_S * 1000, abs=100)
    cpu: Any = result.notes["cpu_share"]
    assert cpu["caller"] == pytest.approx(0.25, abs=0.02)
    assert result.notes["callee"] == {"carrier": "air"}


async def test_a_call_that_breaks_off_was_a_call(tmp_path: Path) -> None:
    result, _, _ = await talk(tmp_path, nth=5)
    assert result.failure is None


async def test_a_call_that_never_connects_fails_and_keeps_what_was_recorded(tmp_path: Path) -> None:
    result, world, _ = await talk(tmp_path, nth=10**9)
    assert result.failure == "no connection for sound within 0.4 s"
    assert result.by_callee is not None
    assert world.calls == ["begins", "ends"]
