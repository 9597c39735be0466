"""The sound of one call: capture, code, seal, send; receive, open, decode, play. Nothing queues at the sender."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ringthrough.audio.opus import OpusEncoder
from ringthrough.audio.pcm import FRAME_MS, FRAME_SAMPLES, Pcm, silence
from ringthrough.audio.playout import Playout
from ringthrough.e2ee.sframe import (
    SFrameError,
    SFrameReceiver,
    SFrameSender,
    UnknownKid,
    call_key,
    open_frame,
    seal_frame,
)
from ringthrough.protocol.frames import BundleId
from ringthrough.protocol.limits import BUNDLE_ID_BYTES, PADDED_SIZES_BYTES

from .conversation import Conversation
from .errors import NotAMember
from .lanes import Lanes

log = logging.getLogger(__name__)

SIGNAL_KIND_MEDIA = b"\x01"
"""First byte of a signal that carries a sealed media frame (docs/spec/media.md)."""
FRAME_BODY_BYTES = PADDED_SIZES_BYTES[0] - len(SIGNAL_KIND_MEDIA)
HEARD_NOTE_MS = 1000
STALL_S = 0.005
EARLY_FRAMES_MAX = 16
"""Frames kept that were sealed for an epoch whose commit has not reached us yet: one second."""
OLD_KEY_S = 10.0
"""How long frames of the epoch before are still opened after a commit (docs/spec/media.md)."""


class AudioSource(Protocol):
    """Where the voice comes from: 16 kHz mono int16, one frame of 60 ms at a time, at the pace of real time."""

    async def read(self) -> Pcm | None:
        """The next frame, or None when there is no more; the call then goes on in silence."""


class AudioSink(Protocol):
    """Where the other side's voice goes, one frame of 60 ms at a time."""

    def write(self, frame: Pcm) -> None:
        """Take a frame; must not block."""


class Pace:
    """Ticks of one frame's length that do not drift; a late tick is followed at once by the next.

    After a stall of the process, what the network has brought meanwhile is read before the ticks are made up:
    a player that pulls first would conceal frames that lie in the socket.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._next_s = self._loop.time()

    async def tick(self) -> None:
        """Wait for the next tick."""
        now_s = self._loop.time()
        if self._next_s > now_s:
            await asyncio.sleep(self._next_s - now_s)
        if self._loop.time() - self._next_s > STALL_S:
            await asyncio.sleep(STALL_S)
        self._next_s += FRAME_MS / 1000


class PcmSource:
    """Plays samples from memory, from the call's start on."""

    def __init__(self, pcm: Pcm) -> None:
        self._pcm = pcm
        self._at = 0
        self._pace: Pace | None = None
        self.finished = asyncio.Event()

    async def read(self) -> Pcm | None:
        """The next frame, the last one filled up with silence."""
        self._pace = self._pace or Pace()
        await self._pace.tick()
        frame = self._pcm[self._at : self._at + FRAME_SAMPLES]
        self._at += FRAME_SAMPLES
        if frame.size == 0:
            self.finished.set()
            return None
        if frame.size < FRAME_SAMPLES:
            padded = silence(FRAME_SAMPLES)
            padded[: frame.size] = frame
            return padded
        return frame


class SilentSource:
    """Nothing to say."""

    async def read(self) -> Pcm | None:
        """Ends at once."""
        return None


class NullSink:
    """Nobody listens."""

    def write(self, frame: Pcm) -> None:
        """Forget the frame."""


@dataclass
class MediaStats:
    """Counts of frames of one call; `first_audio_ms` is from the start of the media to the first sound played."""

    sent: int = 0
    dropped_at_sender: int = 0
    received: int = 0
    refused: int = 0
    first_audio_ms: float | None = None
    played: int = 0
    concealed: int = 0
    late: int = 0
    playout_delay_ms: float = 0.0


class CallMedia:
    """Runs from StartAudio to StopAudio. `heard` is called at most once a second while authentic frames arrive."""

    def __init__(
        self,
        conversation: Conversation,
        call_id: bytes,
        peer_leaf: int,
        source: AudioSource,
        sink: AudioSink,
        heard: Callable[[], None],
    ) -> None:
        self._conversation = conversation
        self._call_id = call_id
        self._peer_leaf = peer_leaf
        self._source = source
        self._sink = sink
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._encoder = OpusEncoder()
        self._playout = Playout()
        self._receiver = SFrameReceiver()
        self._epoch = -1
        self._sender: SFrameSender | None = None
        self._arrived = asyncio.Event()
        self._lost = asyncio.Event()
        self._early: deque[bytes] = deque(maxlen=EARLY_FRAMES_MAX)
        self._timers: list[asyncio.TimerHandle] = []
        bundle = BundleId(conversation.context.random(BUNDLE_ID_BYTES))
        self.lanes = Lanes(conversation.connection, conversation.stream, bundle, self._on_signal)
        self._noted_ms = float("-inf")
        self._started_ms = self._now_ms()
        self.stats = MediaStats()

    async def run(self) -> None:
        """Talk and listen until cancelled. Raises an ExceptionGroup when source, sink or membership fail."""
        self._take_new_keys()
        self._conversation.on_progress.append(self._take_new_keys)
        self._conversation.subscription.on_signal = self._on_signal
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._talk(), name="talk")
                tasks.create_task(self._listen(), name="listen")
                tasks.create_task(self._watch(), name="watch")
                tasks.create_task(self.lanes.run(), name="lanes")
        finally:
            for timer in self._timers:
                timer.cancel()
            if self._conversation.subscription.on_signal == self._on_signal:
                self._conversation.subscription.on_signal = None
            self._conversation.on_progress.remove(self._take_new_keys)

    async def _watch(self) -> None:
        await self._lost.wait()
        raise NotAMember("this device was removed from the conversation")

    async def _talk(self) -> None:
        pace: Pace | None = None
        while True:
            frame = await self._source.read() if pace is None else None
            if frame is None:
                pace = pace or Pace()
                await pace.tick()
                frame = silence(FRAME_SAMPLES)
            self._send(self._encoder.encode(frame))

    def _send(self, packet: bytes) -> None:
        if self._sender is None:
            return
        # Sealed even when it will be dropped: the counter is the frame's place in time.
        body = SIGNAL_KIND_MEDIA + seal_frame(self._sender, packet, FRAME_BODY_BYTES)
        if self.lanes.send(body):
            self.stats.sent += 1
        else:
            self.stats.dropped_at_sender += 1

    def _on_signal(self, body: bytes) -> None:
        if body[:1] != SIGNAL_KIND_MEDIA:
            return
        try:
            frame = open_frame(self._receiver, body[1:])
        except UnknownKid:
            self.stats.refused += 1
            self._early.append(body)
            return
        except SFrameError:
            self.stats.refused += 1
            return
        now_ms = self._now_ms()
        self.stats.received += 1
        self._playout.push(frame.ctr, frame.payload, now_ms)
        self._arrived.set()
        if now_ms - self._noted_ms >= HEARD_NOTE_MS:
            self._noted_ms = now_ms
            self._heard()

    async def _listen(self) -> None:
        await self._arrived.wait()
        while (wait_ms := self._playout.wait_ms(self._now_ms())) is None or wait_ms > 0:
            await asyncio.sleep((wait_ms or 5) / 1000)
        pace = Pace()
        while True:
            await pace.tick()
            self._sink.write(self._playout.pull(self._now_ms()))
            if self.stats.first_audio_ms is None and self._playout.started:
                self.stats.first_audio_ms = self._now_ms() - self._started_ms
            self._copy_stats()

    def _copy_stats(self) -> None:
        jitter = self._playout.stats.jitter
        self.stats.played, self.stats.concealed, self.stats.late = jitter.played, jitter.concealed, jitter.late
        self.stats.playout_delay_ms = jitter.delay_ms

    def _take_new_keys(self) -> None:
        """Seal with the newest epoch's key, open with any epoch's since the call began."""
        context, before = self._conversation.context, self._epoch
        if self._conversation.status == "left":
            self._lost.set()
            return
        own_leaf = self._conversation.group().own_leaf
        for epoch, base_key in context.store.call_keys(self._conversation.id, self._call_id):
            if epoch <= self._epoch:
                continue
            self._epoch = epoch
            for old in self._receiver.kids:
                self._timers.append(self._loop.call_later(OLD_KEY_S, self._receiver.forget, old))
            self._receiver.add_key(call_key(base_key, self._peer_leaf, epoch))
            start = 0 if self._sender is None else self._sender.counter_next
            self._sender = SFrameSender(call_key(base_key, own_leaf, epoch), counter_start=start)
        if self._epoch != before:
            early, self._early = self._early, deque(maxlen=EARLY_FRAMES_MAX)
            self.stats.refused -= len(early)
            for body in early:
                self._on_signal(body)

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
