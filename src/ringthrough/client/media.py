"""The sound of one call: capture, code, seal, send; receive, open, decode, play. Nothing queues at the sender."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from ringthrough.audio import payload
from ringthrough.audio.coding import PacketMaker
from ringthrough.audio.errors import MalformedPayload
from ringthrough.audio.pcm import SLOT_MS, SLOT_SAMPLES, Pcm, silence
from ringthrough.audio.playout import Playout
from ringthrough.audio.profiles import DIRECT, LEAN, ORDINARY, Profile
from ringthrough.audio.report import Redundancy, Report
from ringthrough.audio.toc import packet_slots
from ringthrough.e2ee.sframe import (
    Replayed,
    SFrameError,
    SFrameReceiver,
    SFrameSender,
    UnknownKid,
    call_key,
    decode_header,
    open_frame,
    seal_frame,
)
from ringthrough.protocol.limits import PADDED_SIZES_BYTES

from .conversation import Conversation
from .direct import Direct, Heard, OpenPeer
from .errors import NotAMember
from .identity import Credential
from .lanes import Lanes
from .notes import SECOND_S, CallNotes
from .way import CallWay

log = logging.getLogger(__name__)

SIGNAL_KIND_MEDIA = b"\x01"
"""First byte of a signal that carries a sealed media frame (docs/spec/media.md)."""
SIGNAL_KIND_DIRECT = b"\x03"
"""First byte of one that carries signalling of a direct channel."""
FRAME_BODY_BYTES = PADDED_SIZES_BYTES[0] - len(SIGNAL_KIND_MEDIA)
HEARD_NOTE_MS = 1000
STALL_S = 0.005
EARLY_FRAMES_MAX = 50
"""Frames kept that were sealed for an epoch whose commit has not reached us yet: one second of the shortest."""
OLD_KEY_S = 10.0
"""How long frames of the epoch before are still opened after a commit (docs/spec/media.md)."""


def is_between_two(conversation: Conversation) -> bool:
    """Whether two accounts are in it."""
    return len({credential.account_id for _, credential in conversation.members()}) == 2


class AudioSource(Protocol):
    """Where the voice comes from: 16 kHz mono int16, one slot of 20 ms at a time, at the pace of real time."""

    async def read(self) -> Pcm | None:
        """The next slot, or None when there is no more; the call then goes on in silence."""


class AudioSink(Protocol):
    """Where the other side's voice goes, one slot of 20 ms at a time."""

    def write(self, slot: Pcm) -> None:
        """Take a slot; must not block."""


class Pace:
    """Ticks of one slot's length that do not drift; a late tick is followed at once by the next.

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
        self._next_s += SLOT_MS / 1000


class PcmSource:
    """Plays samples from memory, from the call's start on."""

    def __init__(self, pcm: Pcm) -> None:
        self._pcm = pcm
        self._at = 0
        self._pace: Pace | None = None
        self.finished = asyncio.Event()

    async def read(self) -> Pcm | None:
        """The next slot, the last one filled up with silence."""
        self._pace = self._pace or Pace()
        await self._pace.tick()
        slot = self._pcm[self._at : self._at + SLOT_SAMPLES]
        self._at += SLOT_SAMPLES
        if slot.size == 0:
            self.finished.set()
            return None
        return np.concatenate([slot, silence(SLOT_SAMPLES - slot.size)])


class SilentSource:
    """Nothing to say."""

    async def read(self) -> Pcm | None:
        """Ends at once."""
        return None


class NullSink:
    """Nobody listens."""

    def write(self, slot: Pcm) -> None:
        """Forget it."""


@dataclass
class MediaStats:
    """Frames sent and received, and slots of 20 ms of sound, of one call so far."""

    sent: int = 0
    dropped_at_sender: int = 0
    received: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    """Frames that were not authentic, and those with a malformed payload: how many, by the reason."""
    copies: int = 0
    """Frames that came once more while there were two ways."""
    first_audio_ms: float | None = None
    """From the start of the media to the first sound played."""
    played: int = 0
    concealed: int = 0
    """Slots invented, or silent in their stead, from the first sound on."""
    late: int = 0
    lost_share: float = 0.0
    """Share of the speech that was never heard, 0 to 1."""
    longest_concealed_ms: int = 0
    playout_delay_ms: float = 0.0

    @property
    def refused(self) -> int:
        """Frames of which nothing was played."""
        return sum(self.refusals.values())

    def refuse(self, reason: str) -> None:
        """Count one more."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

    @property
    def played_s(self) -> float:
        """Speech heard as it was spoken."""
        return self.played * SLOT_MS / 1000

    @property
    def concealed_ms(self) -> int:
        """Sound invented, or silent in its stead."""
        return self.concealed * SLOT_MS


class CallMedia:
    """Runs from StartAudio to StopAudio. `heard` is called at most once a second while authentic frames arrive. Where
    `open_peer` is None there is no direct channel, and this device's address stays hidden."""

    def __init__(
        self,
        conversation: Conversation,
        call_id: bytes,
        peer_leaf: int,
        source: AudioSource,
        sink: AudioSink,
        lanes: Lanes,
        heard: Callable[[], None],
        open_peer: OpenPeer | None = None,
    ) -> None:
        self._conversation = conversation
        self._call_id = call_id
        self.peer_leaf = peer_leaf
        self._peer = self._device_at(peer_leaf)
        self.notes = CallNotes(conversation, call_id)
        """What is said while frames can carry no speech."""
        self._source = source
        self._sink = sink
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._maker = PacketMaker()
        self._profile = ORDINARY
        self._packer = payload.PayloadPacker()
        self._slot = 0
        """Slots said since the media began: the counter of the next packet."""
        self._playout = Playout()
        self._playout.expect(lanes.rehearsed.reach_ms)
        self._receiver = SFrameReceiver()
        self.direct = Direct(conversation.group().own_leaf, peer_leaf, self, open_peer)
        self._epoch = -1
        self._sender: SFrameSender | None = None
        self._arrived = asyncio.Event()
        self._lost = asyncio.Event()
        self._early: deque[bytes] = deque(maxlen=EARLY_FRAMES_MAX)
        self._timers: list[asyncio.TimerHandle] = []
        self.lanes = lanes
        lanes.on_body = self._on_signal
        lanes.on_address_lost = self.direct.network_changed
        self._noted_ms = float("-inf")
        self._started_ms = self._now_ms()
        self.way = CallWay(lanes, self.direct, self._started_ms)
        """What is in the way of the call."""
        self.stats = MediaStats()
        self.peer_report = Report(takes_short=lanes.rehearsed.takes_short)
        """What the peer last told about the frames that we send."""

    def set_profile(self, profile: Profile) -> None:
        """Code by another profile from the next packet on; while the way is narrow, the lean one stands in for it."""
        self._profile = profile

    async def run(self) -> None:
        """Talk and listen until cancelled. Raises an ExceptionGroup when source, sink or membership fail."""
        self._take_new_keys()
        self._conversation.on_progress.append(self._take_new_keys)
        # At once, so that the other side knows that somebody is here. What comes next is a packet's length behind it.
        while self._slot == 0:
            self._say(silence(SLOT_SAMPLES))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._talk(), name="talk")
                tasks.create_task(self._listen(), name="listen")
                tasks.create_task(self._watch(), name="watch")
                tasks.create_task(self._judge(), name="judge")
                tasks.create_task(self.notes.run(), name="notes")
                tasks.create_task(self.way.run(), name="way")
                tasks.create_task(self.direct.run(), name="direct")
        finally:
            for timer in self._timers:
                timer.cancel()
            self.lanes.on_address_lost = lambda: None
            self._conversation.on_progress.remove(self._take_new_keys)

    async def _watch(self) -> None:
        await self._lost.wait()
        raise NotAMember("this device, or the other one, was removed from the conversation")

    async def _judge(self) -> None:
        """Once a second, whether the call carries speech; from the first authentic frame on."""
        received = self.stats.received
        while True:
            await asyncio.sleep(SECOND_S)
            if self.stats.received == 0:
                continue
            came, received = self.stats.received > received, self.stats.received
            self.notes.second(self._playout.report(), self.peer_report if came else None)

    async def _talk(self) -> None:
        pace: Pace | None = None
        sound = await self._first_sound()
        while True:
            if sound is None:
                pace = pace or Pace()
                await pace.tick()
                sound = silence(SLOT_SAMPLES)
            self._say(sound)
            sound = await self._source.read() if pace is None else None

    async def _first_sound(self) -> Pcm | None:
        """What the source has to say; until then silence, in its place in time."""
        reading = asyncio.ensure_future(self._source.read())
        try:
            due_s = self._loop.time() + SLOT_MS / 1000
            while not (await asyncio.wait({reading}, timeout=max(0.0, due_s - self._loop.time())))[0]:
                self._say(silence(SLOT_SAMPLES))
                due_s += SLOT_MS / 1000
            return await reading
        finally:
            reading.cancel()

    def _say(self, sound: Pcm) -> None:
        notes = self.notes.are_on
        self._maker.set_profile(LEAN if notes else self._fitting())
        if notes:
            self.notes.say(sound)
            sound = silence(SLOT_SAMPLES)
        profile = self._maker.profile
        for packet in self._maker.push(sound):
            self._send(self._slot, packet, profile)
            self._slot += packet_slots(packet)

    def _fitting(self) -> Profile:
        """What goes on the direct channel alone is cut short, which spares delay. A narrow way gets little sound; one
        with room at both ends gets short packets too."""
        if self.direct.carries:
            return DIRECT
        if self.lanes.is_narrow:
            return LEAN
        is_short = self.lanes.sends_short and self.peer_report.takes_short
        return DIRECT if self._profile is ORDINARY and is_short else self._profile

    def _send(self, slot: int, packet: bytes, profile: Profile) -> None:
        if self._sender is None:
            return
        redundancy = max(profile.redundancy, self.peer_report.redundancy)
        if self.notes.are_on:
            # Copies of silence would only make playout wait for them, and hide how well the way does.
            redundancy = Redundancy.NONE
        report = replace(self._playout.report(), takes_short=self.lanes.sends_short)
        content = self._packer.pack(slot, packet, redundancy, report)
        self._sender.skip_to(slot)
        if self.direct.send(seal_frame(self._sender, content, FRAME_BODY_BYTES)):
            self.stats.sent += 1
        else:
            self.stats.dropped_at_sender += 1

    def _on_signal(self, body: bytes) -> None:
        kind, sealed = body[:1], body[1:]
        if kind == SIGNAL_KIND_DIRECT:
            self.direct.signal(sealed)
        elif kind == SIGNAL_KIND_MEDIA and self.open_frame(sealed) is not Heard.REFUSED:
            self.direct.came_by_lanes(decode_header(sealed).ctr)

    @property
    def has_room(self) -> bool:
        """Whether something more may be tried beside the call."""
        return self.lanes.has_room

    def signal_on_lanes(self, sealed: bytes) -> bool:
        """Send signalling of the direct channel; False when no lane takes it now."""
        return self.lanes.send(SIGNAL_KIND_DIRECT + sealed)

    def frame_on_lanes(self, sealed: bytes) -> bool:
        """Send a sealed frame; False when it was dropped."""
        return self.lanes.send(SIGNAL_KIND_MEDIA + sealed)

    def open_frame(self, sealed: bytes) -> Heard:
        """Open a sealed frame that came either way, and play it."""
        try:
            frame = open_frame(self._receiver, sealed)
            content = payload.decode(frame.payload)
        except (SFrameError, MalformedPayload) as e:
            is_copy = e.reason == Replayed.reason
            if is_copy and self.direct.is_open:
                self.stats.copies += 1
            else:
                self.stats.refuse(e.reason)
            if isinstance(e, UnknownKid):
                self._early.append(sealed)
            return Heard.COPY if is_copy else Heard.REFUSED
        now_ms = self._now_ms()
        self.stats.received += 1
        self.peer_report = content.report
        self._playout.push(frame.ctr, content.packet, now_ms)
        for repeat in content.repeats:
            self._playout.push(frame.ctr - repeat.distance, repeat.packet, now_ms, repeated=True)
        self._arrived.set()
        self.direct.peer_is_here()
        if now_ms - self._noted_ms >= HEARD_NOTE_MS:
            self._noted_ms = now_ms
            self._heard()
        return Heard.NEW

    async def _listen(self) -> None:
        await self._arrived.wait()
        while (wait_ms := self._playout.wait_ms(self._now_ms())) is None or wait_ms > 0:
            await asyncio.sleep((wait_ms or 5) / 1000)
        pace = Pace()
        while True:
            await pace.tick()
            self._sink.write(self.notes.beside(self._playout.pull(self._now_ms())))
            if self.stats.first_audio_ms is None and self._playout.started:
                self.stats.first_audio_ms = self._now_ms() - self._started_ms
            self._copy_stats()

    def _copy_stats(self) -> None:
        heard, stats = self._playout.stats, self.stats
        stats.played, stats.concealed, stats.late = heard.played, heard.concealed, heard.jitter.late
        stats.lost_share, stats.longest_concealed_ms = heard.lost_share, heard.longest_concealed_ms
        stats.playout_delay_ms = heard.jitter.delay_ms

    def _take_new_keys(self) -> None:
        """Seal with the newest epoch's key, open with any epoch's since the call began."""
        context, before = self._conversation.context, self._epoch
        if self._conversation.status == "left":
            self._lost.set()
            return
        if self._device_at(self.peer_leaf) != self._peer:
            # A leaf that becomes free goes to the next who is added, and that is not whom we called (CANNOT-FORGE).
            self._lost.set()
            return
        if not is_between_two(self._conversation):
            # Who was added holds the keys of the signalling too, and could ask for this device's address.
            self.direct.forbid()
        own_leaf = self._conversation.group().own_leaf
        for epoch, base_key in context.store.call_keys(self._conversation.id, self._call_id):
            if epoch <= self._epoch:
                continue
            self._epoch = epoch
            for old in self._receiver.kids:
                self._timers.append(self._loop.call_later(OLD_KEY_S, self._receiver.forget, old))
            self._receiver.add_key(call_key(base_key, self.peer_leaf, epoch))
            self.direct.take_key(base_key, epoch, OLD_KEY_S)
            start = 0 if self._sender is None else self._sender.counter_next
            self._sender = SFrameSender(call_key(base_key, own_leaf, epoch), counter_start=start)
        if self._epoch != before:
            early, self._early = self._early, deque(maxlen=EARLY_FRAMES_MAX)
            # Each is judged anew.
            if early:
                self.stats.refusals[UnknownKid.reason] -= len(early)
            for sealed in early:
                self.open_frame(sealed)

    def _device_at(self, leaf: int) -> Credential | None:
        return next((c for member, c in self._conversation.members() if member.leaf == leaf), None)

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
