"""The parts of the WebRTC comparison that need no browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from aiohttp import ClientSession

from bench.call_markers import find_chirps, marked_sound
from bench.processes import ProcessFailed
from bench.webrtc import first_ms, microphone, signalling
from lab.browser.recording import Recording
from ringthrough.client.audiofile import read_pcm


def test_the_first_sound_is_dated_by_the_wall_clock() -> None:
    pcm = np.concatenate([np.full(480, 20), np.full(480, 1500)]).astype(np.int16)
    assert first_ms(Recording(0, pcm, 48_000, start_wall_ms=7000.0)) == 7010.0


def test_a_call_without_sound_is_no_result() -> None:
    with pytest.raises(ProcessFailed):
        first_ms(Recording(0, np.zeros(480, dtype=np.int16), 48_000))


def test_markers_are_found_over_the_hum(tmp_path: Path) -> None:
    said = read_pcm(microphone(tmp_path / "microphone.wav"))
    starts = [round(at * 16_000) for at in marked_sound(60.0)[1]]
    assert np.max(np.abs(np.array(find_chirps(said)) - starts)) <= 2


async def test_signalling_hands_on_to_the_other_alone() -> None:
    async with (
        signalling() as line,
        ClientSession() as http,
        http.ws_connect(line) as one,
        http.ws_connect(line) as other,
    ):
        await one.send_str("offer")
        await other.send_str("answer")
        assert await other.receive_str() == "offer"
        assert await one.receive_str() == "answer"
