"""Microphone and loudspeaker without any: a backend in place of PortAudio."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ringthrough.audio.pcm import SLOT_SAMPLES, Pcm
from ringthrough.client.devices import DeviceUnavailable, Loudspeaker, Microphone, load_backend


class PortAudioError(Exception):
    """As in sounddevice."""


class FakeStream:
    def __init__(self, backend: FakeBackend, settings: dict[str, Any]) -> None:
        self.backend = backend
        self.settings = settings
        self.running = False
        self.closed = False

    def start(self) -> None:
        if self.backend.start_fails:
            raise PortAudioError("device is busy")
        self.running = True

    def stop(self) -> None:
        self.running = False

    def close(self) -> None:
        self.running = False
        self.closed = True

    def record(self, samples: Pcm) -> None:
        self.settings["callback"](samples.reshape(-1, 1), samples.size, None, None)

    def play(self, samples: int) -> npt.NDArray[np.int16]:
        out = np.full((samples, 1), 77, dtype=np.int16)
        self.settings["callback"](out, samples, None, None)
        return out[:, 0]


class FakeBackend:
    PortAudioError: type[Exception] = PortAudioError

    def __init__(self, rates: tuple[int, ...] = (16_000,), *, start_fails: bool = False) -> None:
        self.rates = rates
        self.start_fails = start_fails
        self.streams: list[FakeStream] = []

    def _make(self, **settings: Any) -> FakeStream:
        if settings["samplerate"] not in self.rates:
            raise PortAudioError("Invalid sample rate")
        self.streams.append(FakeStream(self, settings))
        return self.streams[-1]

    InputStream = _make
    OutputStream = _make


def ramp(samples: int, start: int = 0) -> Pcm:
    return (np.arange(start, start + samples) % 30_000).astype(np.int16)


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_blocks_become_frames() -> None:
    backend = FakeBackend()
    async with Microphone(backend=backend) as microphone:
        (stream,) = backend.streams
        assert stream.running
        for start in range(0, 1920, 320):
            stream.record(ramp(320, start))
        assert np.array_equal(await microphone.read(), ramp(320))
        async for slot in microphone:
            assert np.array_equal(slot, ramp(320, 320))
            break
    assert stream.closed
    assert microphone.stats.dropped == 0


async def test_slow_reader_loses_the_oldest_and_never_queues() -> None:
    backend = FakeBackend()
    async with Microphone(backend=backend, queue_slots=3) as microphone:
        for index in range(10):
            backend.streams[0].record(np.full(SLOT_SAMPLES, index, dtype=np.int16))
        await settle()
        assert microphone.stats.dropped == 7
        heard = [int((await microphone.read())[0]) for _ in range(3)]
        assert heard == [7, 8, 9]


async def test_block_after_the_end_is_ignored() -> None:
    backend = FakeBackend()
    async with Microphone(backend=backend):
        pass
    backend.streams[0].record(ramp(320))
    await settle()


async def test_loudspeaker_plays_in_order_and_silence_when_starved() -> None:
    backend = FakeBackend()
    async with Loudspeaker(backend=backend) as loudspeaker:
        (stream,) = backend.streams
        loudspeaker.write(ramp(960))
        played = np.concatenate([stream.play(320) for _ in range(4)])
        assert np.array_equal(played[:960], ramp(960))
        assert not np.any(played[960:])
        assert loudspeaker.stats.starved == 320
    assert stream.closed


async def test_full_loudspeaker_drops_the_oldest() -> None:
    backend = FakeBackend()
    async with Loudspeaker(backend=backend, queue_slots=2) as loudspeaker:
        for index in range(4):
            loudspeaker.write(np.full(SLOT_SAMPLES, index + 1, dtype=np.int16))
        assert loudspeaker.queued_ms == 40
        assert loudspeaker.stats.dropped == 2 * SLOT_SAMPLES
        assert backend.streams[0].play(10).tolist() == [3] * 10


async def test_wanted_follows_the_clock_of_the_device() -> None:
    backend = FakeBackend()
    async with Loudspeaker(backend=backend) as loudspeaker:
        await loudspeaker.wanted()
        loudspeaker.write(ramp(320))
        await loudspeaker.wanted()
        loudspeaker.write(ramp(960))
        waiting = asyncio.ensure_future(loudspeaker.wanted())
        await settle()
        assert not waiting.done()
        for _ in range(3):
            backend.streams[0].play(320)
        await settle()
        assert waiting.done()


@pytest.mark.parametrize("kind", [Microphone, Loudspeaker])
async def test_device_that_refuses_16_khz_runs_at_48(kind: type[Microphone] | type[Loudspeaker]) -> None:
    backend = FakeBackend(rates=(48_000,))
    phase = np.arange(4800) * 2 * np.pi * 500
    async with kind(backend=backend) as device:
        (stream,) = backend.streams
        assert stream.settings["samplerate"] == 48_000
        if isinstance(device, Microphone):
            for block in np.rint(np.sin(phase / 48_000) * 9000).astype(np.int16).reshape(5, -1):
                stream.record(block)
            heard, rate = await device.read(), 16_000
        else:
            device.write(np.rint(np.sin(phase[:1600] / 16_000) * 9000).astype(np.int16))
            heard, rate = stream.play(4500), 48_000
    middle = heard[heard.size // 4 : -heard.size // 4].astype(float)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    assert np.argmax(spectrum) * rate / middle.size == pytest.approx(500, abs=30)
    assert 8000 < np.abs(middle).max() < 10_000


@pytest.mark.parametrize("kind", [Microphone, Loudspeaker])
@pytest.mark.parametrize("backend", [FakeBackend(rates=()), FakeBackend(start_fails=True)])
async def test_no_device_is_a_typed_error(
    kind: Callable[..., Microphone | Loudspeaker], backend: FakeBackend
) -> None:
    with pytest.raises(DeviceUnavailable, match="could be opened"):
        async with kind(backend=backend):
            pass
    assert all(stream.closed for stream in backend.streams)


@pytest.mark.parametrize(
    ("error", "advice"),
    [(ImportError("sounddevice"), "ringthrough"), (OSError("PortAudio library not found"), "libportaudio2")],
)
def test_missing_library_tells_what_to_install(
    monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str
) -> None:
    def fail(name: str) -> object:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(DeviceUnavailable, match=advice):
        load_backend()
    with pytest.raises(DeviceUnavailable, match=advice):
        Microphone()
