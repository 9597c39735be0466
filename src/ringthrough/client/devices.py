"""Microphone and loudspeaker of this machine, through PortAudio (the extra `ringthrough[devices]`).

Both carry 16 kHz mono int16 and run on the device's own clock. Nothing ever waits in a queue for long: when the
program falls behind, the oldest sound is dropped, for in a call late sound is worse than missing sound. A device that
refuses 16 kHz is opened at 48 kHz and converted.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, cast

import av
import numpy as np
import numpy.typing as npt

from ringthrough.audio.capture import FrameCutter
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, SLOT_SAMPLES, Pcm, silence

DEVICE_RATES_HZ = (SAMPLE_RATE_HZ, 48_000)
BLOCK_MS = 20
QUEUE_SLOTS = 9

Device = int | str | None
"""PortAudio's number or a part of the name; None for the system's choice."""


class DeviceUnavailable(Exception):
    """No such device on this machine. The text tells the person what to install or plug in."""


class _Stream(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


class Backend(Protocol):
    """The part of the `sounddevice` module that is used; tests put another one in its place."""

    PortAudioError: type[Exception]

    def InputStream(self, **settings: Any) -> _Stream: ...
    def OutputStream(self, **settings: Any) -> _Stream: ...


def load_backend() -> Backend:
    """Import `sounddevice`. Raises `DeviceUnavailable` when it, or the PortAudio library, is not installed."""
    try:
        return cast(Backend, importlib.import_module("sounddevice"))
    except ImportError as error:
        raise DeviceUnavailable("sound devices need `sounddevice`: install ringthrough[devices]") from error
    except OSError as error:
        raise DeviceUnavailable("PortAudio is missing: install libportaudio2 (Debian, Ubuntu)") from error


Callback = Callable[[npt.NDArray[np.int16], int, object, object], None]


def _open(
    kind: str, make: Callable[..., _Stream], backend: Backend, device: Device, callback: Callback
) -> tuple[_Stream, int]:
    """Open and start a stream at the first rate the device accepts; return it and the rate."""
    reason: Exception | None = None
    for rate in DEVICE_RATES_HZ:
        try:
            stream = make(
                samplerate=rate,
                channels=1,
                dtype="int16",
                blocksize=rate * BLOCK_MS // 1000,
                device=device,
                callback=callback,
            )
        except (backend.PortAudioError, ValueError) as error:
            reason = error
            continue
        try:
            stream.start()
        except backend.PortAudioError as error:
            stream.close()
            reason = error
            continue
        return stream, rate
    raise DeviceUnavailable(f"no {kind} could be opened: {reason}") from reason


class _Converter:
    """Sample rate conversion of one stream, continuous over its blocks."""

    def __init__(self, rate_in_hz: int, rate_out_hz: int) -> None:
        self._rate_in_hz = rate_in_hz
        self._resampler = (
            None if rate_in_hz == rate_out_hz else av.AudioResampler(format="s16", layout="mono", rate=rate_out_hz)
        )

    def convert(self, pcm: Pcm) -> Pcm:
        if self._resampler is None or not pcm.size:
            return pcm
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self._rate_in_hz
        converted = [out.to_ndarray().reshape(-1) for out in self._resampler.resample(frame)]
        return np.concatenate([silence(0), *converted]).astype(np.int16, copy=False)


@dataclass(slots=True)
class DeviceStats:
    """Counters since the start."""

    frames: int = 0
    dropped: int = 0
    """Slots (microphone) or samples (loudspeaker) dropped because the queue was full."""
    starved: int = 0
    """Loudspeaker: samples of silence played because nothing was there."""


class Microphone:
    """Slots of 20 ms from a microphone. Use as an async context manager, then iterate or `read`."""

    def __init__(
        self, device: Device = None, *, queue_slots: int = QUEUE_SLOTS, backend: Backend | None = None
    ) -> None:
        """Nothing is opened yet. Raises `DeviceUnavailable` when PortAudio is not installed."""
        self._backend = backend or load_backend()
        self._device = device
        self._queue: asyncio.Queue[Pcm] = asyncio.Queue(queue_slots)
        self._cutter = FrameCutter(SLOT_SAMPLES)
        self._converter: _Converter | None = None
        self._stream: _Stream | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.stats = DeviceStats()

    async def __aenter__(self) -> Self:
        """Open the device. Raises `DeviceUnavailable`."""
        self._loop = asyncio.get_running_loop()
        self._stream, rate = await asyncio.to_thread(
            _open, "microphone", self._backend.InputStream, self._backend, self._device, self._recorded
        )
        self._converter = _Converter(rate, SAMPLE_RATE_HZ)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await asyncio.to_thread(stream.close)

    def _recorded(
        self, block: npt.NDArray[np.int16], frames: int, when: object, status: object
    ) -> None:  # on PortAudio's thread
        copy: Pcm = block.reshape(-1).copy()
        if self._loop is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._offer, copy)

    def _offer(self, block: Pcm) -> None:
        if self._converter is None:
            return
        for frame in self._cutter.push(self._converter.convert(block)):
            if self._queue.full():
                self._queue.get_nowait()
                self.stats.dropped += 1
            self._queue.put_nowait(frame)
            self.stats.frames += 1

    async def read(self) -> Pcm:
        """Return the next slot, 320 samples."""
        return await self._queue.get()

    async def __aiter__(self) -> AsyncIterator[Pcm]:
        while True:
            yield await self.read()


class Loudspeaker:
    """Plays slots. `wanted` paces the caller by the device's own clock; `write` never waits."""

    def __init__(
        self, device: Device = None, *, queue_slots: int = QUEUE_SLOTS, backend: Backend | None = None
    ) -> None:
        """Nothing is opened yet. Raises `DeviceUnavailable` when PortAudio is not installed."""
        self._backend = backend or load_backend()
        self._device = device
        self._queue_slots = queue_slots
        self._lock = threading.Lock()
        self._waiting: Pcm = silence(0)
        self._room = asyncio.Event()
        self._rate = SAMPLE_RATE_HZ
        self._converter = _Converter(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
        self._stream: _Stream | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.stats = DeviceStats()

    async def __aenter__(self) -> Self:
        """Open the device. Raises `DeviceUnavailable`."""
        self._loop = asyncio.get_running_loop()
        self._room.set()
        self._stream, self._rate = await asyncio.to_thread(
            _open, "loudspeaker", self._backend.OutputStream, self._backend, self._device, self._play
        )
        self._converter = _Converter(SAMPLE_RATE_HZ, self._rate)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await asyncio.to_thread(stream.close)

    def _slot_samples(self) -> int:
        return SLOT_SAMPLES * self._rate // SAMPLE_RATE_HZ

    @property
    def queued_ms(self) -> float:
        """Sound that waits to be played."""
        return self._waiting.size * 1000 / self._rate

    async def wanted(self) -> None:
        """Return when at most one slot waits: the moment to pull the next from the jitter buffer."""
        await self._room.wait()

    def write(self, pcm: Pcm) -> None:
        """Queue 16 kHz mono int16; the oldest goes when more than `queue_slots` would wait."""
        block = self._converter.convert(pcm)
        limit = self._slot_samples() * self._queue_slots
        with self._lock:
            waiting = np.concatenate([self._waiting, block])
            over = max(0, waiting.size - limit)
            self._waiting = waiting[over:]
            if self._waiting.size > self._slot_samples():
                self._room.clear()
        self.stats.dropped += over
        self.stats.frames += 1

    def _play(
        self, out: npt.NDArray[np.int16], frames: int, when: object, status: object
    ) -> None:  # on PortAudio's thread
        with self._lock:
            taken = self._waiting[:frames]
            self._waiting = self._waiting[frames:]
            room = self._waiting.size <= self._slot_samples()
        out[: taken.size, 0] = taken
        out[taken.size :, 0] = 0
        self.stats.starved += frames - taken.size
        if room and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._make_room)

    def _make_room(self) -> None:
        # Checked again on the loop: a write may have come between.
        if self._waiting.size <= self._slot_samples():
            self._room.set()
