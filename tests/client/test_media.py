"""Sealed frames of a call: whose are played, and with which key."""

from __future__ import annotations

import numpy as np
import pytest

from ringthrough.audio.pcm import FRAME_SAMPLES
from ringthrough.client.client import Client
from ringthrough.client.conversation import Conversation
from ringthrough.client.media import FRAME_BODY_BYTES, SIGNAL_KIND_MEDIA, CallMedia, NullSink, PcmSource, SilentSource
from ringthrough.e2ee.sframe import SFrameSender, call_key, seal_frame
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

    def __init__(self, client: Client, conversation: Conversation, peer_leaf: int) -> None:
        self.call_id = bytes(16)
        self.conversation = conversation
        self.group = conversation.group()
        with client.context.store.transaction():
            client.context.store.add_call_key(self.call_id, self.group.epoch, conversation.id, b"k" * 32, 2**40)
        self.media = CallMedia(conversation, self.call_id, peer_leaf, SilentSource(), NullSink(), heard=lambda: None)
        self.media._take_new_keys()

    def sender(self, leaf: int, base_key: bytes = b"k" * 32, epoch: int | None = None) -> SFrameSender:
        return SFrameSender(call_key(base_key, leaf, self.group.epoch if epoch is None else epoch))

    def hears(self, sender: SFrameSender) -> bytes:
        frame = SIGNAL_KIND_MEDIA + seal_frame(sender, b"\xf8" * 40, FRAME_BODY_BYTES)
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
    source = PcmSource(np.ones(FRAME_SAMPLES + 5, dtype=np.int16))
    frames = [await source.read() for _ in range(3)]
    assert frames[2] is None
    assert frames[1] is not None
    assert (frames[1].sum(), frames[1].size) == (5, FRAME_SAMPLES)
    assert source.finished.is_set()
