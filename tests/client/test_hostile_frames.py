"""Ten thousand malformed, forged and replayed frames in the middle of a call: nothing of them is heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice

import numpy as np
import pytest

from ringthrough.audio.coding import PacketMaker
from ringthrough.audio.payload import PayloadPacker
from ringthrough.audio.pcm import SLOT_MS, SLOT_SAMPLES
from ringthrough.audio.profiles import ORDINARY
from ringthrough.audio.report import Redundancy, Report
from ringthrough.client.media import FRAME_BODY_BYTES, SIGNAL_KIND_MEDIA
from ringthrough.e2ee.sframe import SFrameKey, SFrameSender, call_key, seal_frame
from ringthrough.protocol.calls import EndReason
from ringthrough.server import hub

from .conftest import World, soon
from .hostile_frames import NOT_COUNTED, Hostile, HostileBundle
from .test_calls import ended, talking
from .test_lanes import lanes_of
from .test_media import Line, pair

FRAMES = 400
HOSTILE_EACH = 13
"""Before every frame of the peer, and as many behind it: 10 400 in 24 s."""
HEARD_AFTER_MS = 40
"""What playout wants for packets of 60 ms that come at their time."""
KEY = b"k" * 32


def said(sender: SFrameSender) -> list[bytes]:
    """24 s of a voice that rises and falls, as the bodies that carry it."""
    maker, packer = PacketMaker(ORDINARY), PayloadPacker()
    bodies: list[bytes] = []
    times_s = np.arange(FRAMES * ORDINARY.slots * SLOT_SAMPLES) / 16_000
    voice = 6000 * np.sin(2 * np.pi * 1.3 * times_s) * np.sin(2 * np.pi * 210 * times_s)
    slots = (voice.astype(np.int16)).reshape(-1, SLOT_SAMPLES)
    for slot in slots:
        for packet in maker.push(slot):
            at = len(bodies) * ORDINARY.slots
            sender.skip_to(at)
            content = packer.pack(at, packet, Redundancy.D1, Report(lost_percent=len(bodies) % 100))
            bodies.append(SIGNAL_KIND_MEDIA + seal_frame(sender, content, FRAME_BODY_BYTES))
    return bodies


class Listener:
    """One side of a call, in time that the test makes: a frame comes when it was spoken and is heard soon after."""

    def __init__(self, line: Line) -> None:
        self.media = line.media
        self.now_ms = 0.0
        self.noted = 0
        self.media._now_ms = lambda: self.now_ms  # type: ignore[method-assign]
        self.media._heard = self._note
        self.heard: list[bytes] = []

    def _note(self) -> None:
        self.noted += 1

    def hear(self, bodies: list[bytes], hostile: Hostile | None = None) -> Counter[str]:
        """Take all frames of the peer, and what the hostile server puts around each. Gives what it put there."""
        made: Counter[str] = Counter()
        flood = hostile.bodies() if hostile else None
        for index, body in enumerate(bodies):
            self.now_ms = (index + 1) * ORDINARY.slots * SLOT_MS
            if hostile is None or flood is None:
                self.media._on_signal(body)
            else:
                hostile.holds(body)
                made.update(self._take(islice(flood, HOSTILE_EACH if index else 0)))
                self.media._on_signal(body)
                hostile.passed()
                made.update(self._take(islice(flood, HOSTILE_EACH)))
            for slot in range(ORDINARY.slots):
                self.heard.append(self.media._playout.pull(self.now_ms + HEARD_AFTER_MS + slot * SLOT_MS).tobytes())
        return made

    def _take(self, flood: Iterator[tuple[bytes, str]]) -> Iterator[str]:
        for forged, reason in flood:
            self.media._on_signal(forged)
            yield reason


@pytest.mark.promise("CANNOT-FORGE")
async def test_ten_thousand_hostile_frames_change_no_sample_that_is_heard(world: World) -> None:
    alice, _, conversation = await pair(world)
    lines = [Line(alice, conversation, peer_leaf=1, call_id=bytes([call]) * 16) for call in range(2)]
    epoch = lines[0].group.epoch
    quiet, flooded = map(Listener, lines)
    bodies = said(lines[0].sender(1))
    # That it makes no direct channel is told to the peer itself, once it is heard.
    said_to_peer: list[bytes] = []
    answers: list[bytes] = []
    for listener, told in ((quiet, said_to_peer), (flooded, answers)):
        listener.media.lanes.send = lambda body, told=told: not told.append(body)  # type: ignore[method-assign, misc]
    foreign = [call_key(KEY, 0, epoch), call_key(KEY, 2, epoch), call_key(b"x" * 32, 1, epoch)]
    foreign.append(SFrameKey(KEY, call_key(KEY, 1, epoch + 1).kid))

    assert quiet.hear(bodies) == Counter()
    made = flooded.hear(bodies, Hostile(foreign, seed=1))

    assert made.total() >= 10_000
    assert min(made.values()) >= 100, made
    assert flooded.heard == quiet.heard
    assert asdict(flooded.media._playout.stats) == asdict(quiet.media._playout.stats)
    assert quiet.media._playout.stats.played > 1000, "otherwise silence was compared with silence"
    assert quiet.media._playout.stats.concealed == 0
    del made[NOT_COUNTED]
    assert flooded.media.stats.refusals == made
    assert (flooded.media.stats.received, quiet.media.stats.received) == (FRAMES, FRAMES)
    assert flooded.media.peer_report == quiet.media.peer_report
    assert flooded.noted == quiet.noted
    assert answers == said_to_peer, "a forged offer of a direct channel is not answered"
    assert len(flooded.media._early) <= 50


@pytest.mark.promise("CANNOT-FORGE")
async def test_hostile_frames_alone_begin_nothing_and_keep_no_call_alive(world: World) -> None:
    alice, _, conversation = await pair(world)
    line = Line(alice, conversation, peer_leaf=1)
    listener = Listener(line)
    hostile = Hostile([call_key(KEY, 0, line.group.epoch), call_key(b"x" * 32, 1, line.group.epoch)], seed=2)
    # Frames of another call of the two: also the kind of thing that a server has.
    for body in said(SFrameSender(call_key(b"y" * 32, 1, line.group.epoch)))[:8]:
        hostile.holds(body)
        hostile.passed()
    for forged, _ in islice(hostile.bodies(), 1000):
        line.media._on_signal(forged)
    assert listener.noted == 0
    assert line.media.stats.received == 0
    assert line.media._playout.wait_ms(0.0) is None, "nothing waits to be played"


@pytest.mark.slow
@pytest.mark.promise("CANNOT-FORGE")
async def test_a_call_goes_on_while_its_server_floods_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "Bundle", HostileBundle)
    _, _, call, his, at_alice, at_bob = await talking(world)
    assert world.server is not None
    bundle, _ = world.server.context.shared.hub._bundles[bytes(lanes_of(his)._bundle)]
    assert isinstance(bundle, HostileBundle)

    bundle.attack(Hostile([call_key(b"x" * 32, leaf, 1) for leaf in range(3)], seed=3), total=10_000)
    await soon(bundle.enough.wait(), timeout_s=60)
    counted = bundle.counts.total() - bundle.counts[NOT_COUNTED]
    await soon(at_bob.reaches(lambda: his.stats.refused == counted), timeout_s=60)
    passed = bundle.frames
    await at_bob.hears(slots=30)
    await at_alice.hears(slots=30)

    assert bundle.counts.total() == 10_000
    assert his.stats.refused == counted
    assert passed <= his.stats.received <= bundle.frames, "every frame of the peer was opened, and nothing else"
    assert call.stats.refused == 0
    assert not call.ended.done()
    call.hang_up()
    assert await ended(his) is EndReason.REMOTE_HUNG_UP
