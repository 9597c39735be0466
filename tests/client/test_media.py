"""Sealed frames of a call: whose are played, and with which key."""

from __future__ import annotations

import aiohttp
import numpy as np
import pytest

from ringthrough.audio import payload
from ringthrough.audio.payload import Payload
from ringthrough.audio.pcm import SLOT_SAMPLES
from ringthrough.audio.profiles import DIRECT, LEAN, LOSSY
from ringthrough.audio.rehearsal import rehearsal
from ringthrough.audio.report import Redundancy, Report
from ringthrough.audio.toc import packet_slots
from ringthrough.client.client import Client
from ringthrough.client.conversation import Conversation
from ringthrough.client.lanes import Lanes
from ringthrough.client.media import FRAME_BODY_BYTES, SIGNAL_KIND_MEDIA, CallMedia, NullSink, PcmSource, SilentSource
from ringthrough.e2ee.sframe import SFrameReceiver, SFrameSender, call_key, open_frame, seal_frame
from ringthrough.protocol.carriers import Way
from ringthrough.protocol.frames import BundleId
from ringthrough.protocol.lane_plan import Steps
from ringthrough.protocol.lanes import LaneId
from ringthrough.protocol.limits import PADDED_SIZES_BYTES

from .conftest import World, joined, soon


async def pair(world: World) -> tuple[Client, Client, Conversation]:
    alice, bob = await world.person("alice"), await world.person("bob")
    conversation = await alice.conversation_with("@bob")
    await joined(bob)
    await soon(conversation.caught_up())
    return alice, bob, conversation


class Line:
    """Media of one side, without the other: frames are handed to it by the test."""

    def __init__(
        self, client: Client, conversation: Conversation, peer_leaf: int, call_id: bytes = bytes(16)
    ) -> None:
        self.call_id = call_id
        self.conversation = conversation
        self.group = conversation.group()
        with client.context.store.transaction():
            client.context.store.add_call_key(self.call_id, self.group.epoch, conversation.id, b"k" * 32, 2**40)
        lanes = Lanes(conversation.connection, conversation.stream, BundleId(bytes(16)))
        self.media = CallMedia(conversation, self.call_id, peer_leaf, SilentSource(), NullSink(), lanes, lambda: None)
        self.media._take_new_keys()

    def sender(self, leaf: int, base_key: bytes = b"k" * 32, epoch: int | None = None) -> SFrameSender:
        return SFrameSender(call_key(base_key, leaf, self.group.epoch if epoch is None else epoch))

    def hears(self, sender: SFrameSender) -> bytes:
        content = payload.encode(Payload(Report(), b"\x48" * 40))
        frame = SIGNAL_KIND_MEDIA + seal_frame(sender, content, FRAME_BODY_BYTES)
        assert len(frame) == PADDED_SIZES_BYTES[0]
        self.media._on_signal(frame)
        return frame


@pytest.mark.promise("CANNOT-FORGE")
async def test_forged_replayed_and_reflected_frames_are_refused_and_counted(world: World) -> None:
    alice, _, conversation = await pair(world)
    line = Line(alice, conversation, peer_leaf=1)
    stats = line.media.stats
    frame = line.hears(line.sender(1))
    assert (stats.received, stats.refused) == (1, 0)
    line.media._on_signal(frame)
    assert (stats.received, stats.refused) == (1, 1), "a replay"
    line.hears(line.sender(1, base_key=b"x" * 32))
    assert stats.refused == 2, "sealed with another key"
    line.hears(line.sender(0))
    assert stats.refused == 3, "our own frame, sent back by the server"
    line.hears(line.sender(2))
    assert stats.refused == 4, "another member's"
    for at in range(1, len(frame), 11):
        damaged = bytearray(frame)
        damaged[at] ^= 4
        line.media._on_signal(bytes(damaged))
    assert stats.received == 1
    line.media._on_signal(b"")
    line.media._on_signal(b"\x07" + frame[1:])
    assert stats.received == 1


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
async def test_frames_of_an_epoch_to_come_wait_for_its_key(world: World) -> None:
    alice, _, conversation = await pair(world)
    line = Line(alice, conversation, peer_leaf=1)
    sender = line.sender(1, base_key=b"n" * 32, epoch=line.group.epoch + 1)
    for _ in range(3):
        line.hears(sender)
    assert line.media.stats.received == 0
    with alice.context.store.transaction():
        alice.context.store.add_call_key(line.call_id, line.group.epoch + 1, conversation.id, b"n" * 32, 2**40)
    line.media._take_new_keys()
    assert (line.media.stats.received, line.media.stats.refused) == (3, 0)


async def test_source_fills_the_last_frame_with_silence() -> None:
    source = PcmSource(np.ones(SLOT_SAMPLES + 5, dtype=np.int16))
    frames = [await source.read() for _ in range(3)]
    assert frames[2] is None
    assert frames[1] is not None
    assert (frames[1].sum(), frames[1].size) == (5, SLOT_SAMPLES)
    assert source.finished.is_set()


@pytest.mark.promise("CANNOT-FORGE")
async def test_authentic_frame_with_a_malformed_payload_is_refused_and_counted(world: World) -> None:
    alice, _, conversation = await pair(world)
    line = Line(alice, conversation, peer_leaf=1)
    sender, stats = line.sender(1), line.media.stats
    good = payload.encode(Payload(Report(lost_percent=3), b"\x48" * 40))
    for refused, wrong in enumerate([b"", good[:5], b"\x04" + good[1:], good[:5] + b"\x40"], 1):
        line.media._on_signal(SIGNAL_KIND_MEDIA + seal_frame(sender, wrong, FRAME_BODY_BYTES))
        assert (stats.received, stats.refused) == (0, refused)
    assert line.media._playout.wait_ms(0.0) is None
    line.media._on_signal(SIGNAL_KIND_MEDIA + seal_frame(sender, good, FRAME_BODY_BYTES))
    assert (stats.received, stats.refused) == (1, 4)
    assert line.media.peer_report == Report(lost_percent=3)


async def test_what_is_sent_counts_slots_follows_the_profile_and_repeats_what_the_peer_wants(world: World) -> None:
    alice, _, conversation = await pair(world)
    line = Line(alice, conversation, peer_leaf=1)
    sent: list[bytes] = []
    line.media.lanes.send = lambda body: not sent.append(body)  # type: ignore[func-returns-value, method-assign]
    receiver = SFrameReceiver(call_key(b"k" * 32, line.group.own_leaf, line.group.epoch))
    media = line.media

    def say(slots: int) -> None:
        for _ in range(slots):
            media._say(np.zeros(SLOT_SAMPLES, dtype=np.int16))

    say(6)
    media.set_profile(DIRECT)
    say(2)
    media.set_profile(LEAN)
    say(6)
    media.set_profile(LOSSY)
    media.peer_report = Report(redundancy=Redundancy.D13)
    say(4)
    frames = [open_frame(receiver, body[1:]) for body in sent]
    assert [frame.ctr for frame in frames] == [0, 3, 6, 7, 8, 14, 15, 16, 17]
    contents = [payload.decode(frame.payload) for frame in frames]
    assert [packet_slots(content.packet) for content in contents] == [3, 3, 1, 1, 6, 1, 1, 1, 1]
    assert [repeat.distance for repeat in contents[3].repeats] == [1]
    assert [repeat.distance for repeat in contents[-1].repeats] == [3, 1]
    assert {len(body) for body in sent} == {PADDED_SIZES_BYTES[0]}


async def test_what_the_rehearsal_said_of_short_packets_holds_until_the_first_report(world: World) -> None:
    _, _, conversation = await pair(world)
    lanes = Lanes(conversation.connection, conversation.stream, BundleId(bytes(16)))
    lanes.sender.controller.measured(50, 25, 0)
    for now_ms in range(0, 2_000, 60):
        lanes.sender.controller.update(now_ms)
    assert lanes.sends_short
    for takes_short in (False, True):
        lanes.rehearsed.arrived(rehearsal(b"bob1", 0, b"", takes_short=takes_short), 0)
        media = CallMedia(conversation, bytes(16), 1, SilentSource(), NullSink(), lanes, lambda: None)
        assert media.peer_report == Report(takes_short=takes_short)


async def test_packets_are_not_short_where_a_lane_stalls(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, conversation = await pair(world)
    lanes = Lanes(conversation.connection, conversation.stream, BundleId(bytes(16)))
    lanes.sender.controller.sends_short = True
    monkeypatch.setattr(lanes.sender, "stalled", lambda now_ms: [LaneId(0)])
    monkeypatch.setattr(lanes.plan, "step", lambda *_, **__: Steps())
    async with aiohttp.ClientSession() as http:
        lanes._step(http)
    assert not lanes.sends_short


async def test_packets_are_short_while_both_ends_have_room_for_it(world: World) -> None:
    alice, _, conversation = await pair(world)
    line = Line(alice, conversation, peer_leaf=1)
    sent: list[bytes] = []
    line.media.lanes.send = lambda body: not sent.append(body)  # type: ignore[func-returns-value, method-assign]
    receiver = SFrameReceiver(call_key(b"k" * 32, line.group.own_leaf, line.group.epoch))
    media, control = line.media, line.media.lanes.sender.controller

    def say(slots: int) -> None:
        for _ in range(slots):
            media._say(np.zeros(SLOT_SAMPLES, dtype=np.int16))

    control.sends_short = True
    say(3)
    media.peer_report = Report(takes_short=True)
    say(2)
    control.sends_short = False
    say(3)
    contents = [payload.decode(open_frame(receiver, body[1:]).payload) for body in sent]
    assert [packet_slots(content.packet) for content in contents] == [3, 1, 1, 3]
    media.direct._carriers.way = Way.DIRECT
    assert media._fitting() is DIRECT, "on the direct channel alone they always are"
    assert [content.report.takes_short for content in contents] == [True, True, True, False]
