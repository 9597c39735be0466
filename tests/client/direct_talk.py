"""Two devices with a direct channel between them, without a network: both ends of one call, talking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ringthrough.client import direct as module
from ringthrough.client.direct import Direct, Heard, News
from ringthrough.e2ee.direct import (
    Candidate,
    Description,
    DirectMessage,
    decode_direct,
    direct_base_key,
    encode_direct,
)
from ringthrough.e2ee.sframe import (
    SFrameError,
    SFrameReceiver,
    SFrameSender,
    call_key,
    decode_header,
    open_frame,
    seal_frame,
)
from ringthrough.protocol import carriers

BASE_KEY = bytes(range(32))
FRAME_KEY = bytes(32)
EPOCH = 7
DESCRIPTION = Description("aB3+", "0123456789abcdefghij+/", bytes(32), (Candidate("192.0.2.7", 50_000),))
OFFER, ASK = DirectMessage("offer", 3, DESCRIPTION), DirectMessage("ask", 3)
WAIT_S = 5.0
TRIP_S = 0.005


class Wire:
    """WebRTC's half, without a network: what one end sends the other end gets, a moment later. `opens`: a channel
    opens once both ends are described; `passes`: what is sent on it arrives."""

    opens = True
    trip_s = TRIP_S

    def __init__(self, news: News) -> None:
        self.news = news
        self.other: Wire | None = None
        self.is_closed = False
        self.passes = True
        self.accepted = 0
        self.sent: list[bytes] = []

    async def offer(self) -> Description:
        return DESCRIPTION

    async def answer(self, offer: Description) -> Description:
        return DESCRIPTION

    async def accept(self, answer: Description) -> None:
        self.accepted += 1
        if self.opens and self.other is not None:
            for end in (self.other, self):
                end.news.path_found()
                end.news.keys_heard()
                end.news.opened()

    def send(self, message: bytes) -> None:
        self.sent.append(message)
        if self.other is not None and self.passes and self.other.passes:
            asyncio.get_running_loop().call_later(self.trip_s, self.other.news.received, message)

    async def close(self) -> None:
        self.is_closed = True


class End:
    """One device in the call: its lanes lead to the other one."""

    def __init__(self, leaf: int, *, makes: bool = True) -> None:
        self.leaf = leaf
        self.wires: list[Wire] = []
        self.said: list[bytes] = []
        self.played: list[int] = []
        self.on_lanes: list[bytes] = []
        self.ways: list[bool] = []
        self.refusals = 0
        self.has_lanes = self.has_room = True
        self.other: End | None = None
        self._frames = SFrameReceiver(call_key(FRAME_KEY, 1 - leaf, EPOCH))
        self._voice = SFrameSender(call_key(FRAME_KEY, leaf, EPOCH))
        self._signals = SFrameSender(call_key(direct_base_key(BASE_KEY), leaf, EPOCH), counter_start=1000)
        self.direct = Direct(leaf, 1 - leaf, self, self._wire if makes else None)
        self.direct.take_key(BASE_KEY, EPOCH, 10.0)
        self.direct.on_way = self.ways.append
        self.direct.on_refused = self._refused

    async def _wire(self, news: News) -> Wire:
        wire = Wire(news)
        self.wires.append(wire)
        if self.other is not None and self.leaf == 1:
            wire.other = self.other.wires[-1]
            wire.other.other = wire
        return wire

    def _refused(self) -> None:
        self.refusals += 1

    def signal_on_lanes(self, sealed: bytes) -> bool:
        if self.has_lanes:
            self.said.append(sealed)
            if self.other is not None:
                self.other.direct.signal(sealed)
        return self.has_lanes

    def frame_on_lanes(self, sealed: bytes) -> bool:
        self.on_lanes.append(sealed)
        if self.other is not None and self.other.open_frame(sealed) is not Heard.REFUSED:
            self.other.direct.came_by_lanes(decode_header(sealed).ctr)
        return True

    def open_frame(self, sealed: bytes) -> Heard:
        try:
            self.played.append(open_frame(self._frames, sealed).ctr)
        except SFrameError as e:
            return Heard.COPY if e.reason == "replayed" else Heard.REFUSED
        return Heard.NEW

    @property
    def frames_made(self) -> int:
        return self._voice.counter_next

    def talk(self) -> None:
        self.direct.send(seal_frame(self._voice, b"sound", 159))

    def claims(self, message: DirectMessage) -> None:
        """What another program with its keys may say to the other end."""
        assert self.other is not None
        self.other.direct.signal(seal_frame(self._signals, encode_direct(message), 319))

    def told(self) -> list[DirectMessage]:
        """What it has said, opened."""
        receiver = SFrameReceiver(call_key(direct_base_key(BASE_KEY), self.leaf, EPOCH))
        return [decode_direct(open_frame(receiver, sealed).payload) for sealed in self.said]


class Talk:
    """Both ends, in a call, talking every 20 ms."""

    def __init__(
        self, *, makes: tuple[bool, bool] = (True, True), opens: bool = True, trip_s: float = TRIP_S
    ) -> None:
        Wire.opens, Wire.trip_s = opens, trip_s
        self.ends = tuple(End(leaf, makes=made) for leaf, made in enumerate(makes))
        for end, other in zip(self.ends, reversed(self.ends), strict=True):
            end.other = other
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Talk:
        self._tasks = [asyncio.create_task(end.direct.run()) for end in self.ends]
        for end in self.ends:
            end.direct.peer_is_here()
        self._tasks.append(asyncio.create_task(self._talk()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(wire.is_closed for end in self.ends for wire in end.wires), "nothing is left open"

    async def _talk(self) -> None:
        while True:
            for end in self.ends:
                end.talk()
            await asyncio.sleep(0.02)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.01)

    async def direct(self) -> None:
        """Wait until both send on the channel alone."""
        await self.until(lambda: all(end.direct.carries for end in self.ends))


def be_brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing the two ways takes less time here, and refusals come sooner."""
    monkeypatch.setattr(carriers, "OVERLAP_MS", 300)
    monkeypatch.setattr(module, "BEGIN_MS", 100)
    monkeypatch.setattr(module, "REFUSAL_S", 0.2)
    monkeypatch.setattr(module, "REFUSED_AGAIN_S", (0.05, 0.1))
    monkeypatch.setattr(Wire, "opens", True)
    monkeypatch.setattr(Wire, "trip_s", TRIP_S)


def sealed(message: DirectMessage, leaf: int = 0, epoch: int = EPOCH, counter: int = 0) -> bytes:
    sender = SFrameSender(call_key(direct_base_key(BASE_KEY), leaf, epoch), counter_start=counter)
    return seal_frame(sender, encode_direct(message), 319)
