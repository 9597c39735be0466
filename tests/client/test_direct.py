"""The direct channel of a call: what the two devices say about it, what goes on it, what is found of the network."""

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
    open_frame,
    seal_frame,
)
from ringthrough.protocol import carriers
from ringthrough.protocol.verdicts import Direct as Found

BASE_KEY = bytes(range(32))
FRAME_KEY = bytes(32)
EPOCH = 7
DESCRIPTION = Description("aB3+", "0123456789abcdefghij+/", bytes(32), (Candidate("192.0.2.7", 50_000),))
OFFER, ASK = DirectMessage("offer", 3, DESCRIPTION), DirectMessage("ask", 3)
WAIT_S = 5.0


class Wire:
    """WebRTC's half, without a network: what one end sends the other end gets. `opens`: a channel opens once both
    ends are described; `passes`: what is sent on it arrives."""

    def __init__(self, news: News) -> None:
        self.news = news
        self.other: Wire | None = None
        self.is_closed = False
        self.opens = self.passes = True

    async def offer(self) -> Description:
        return DESCRIPTION

    async def answer(self, offer: Description) -> Description:
        return DESCRIPTION

    async def accept(self, answer: Description) -> None:
        assert self.other is not None
        if self.opens:
            for end in (self.other, self):
                end.news.path_found()
                end.news.keys_heard()
                end.news.opened()

    def send(self, message: bytes) -> None:
        if self.other is not None and not self.other.is_closed and self.passes and self.other.passes:
            self.other.news.received(message)

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
        self.other: End | None = None
        self._frames = SFrameReceiver(call_key(FRAME_KEY, 1 - leaf, EPOCH))
        self._voice = SFrameSender(call_key(FRAME_KEY, leaf, EPOCH))
        self.direct = Direct(leaf, 1 - leaf, self, self._wire if makes else None)
        self.direct.take_key(BASE_KEY, EPOCH, 10.0)
        self.direct.on_way = self.ways.append

    def _wire(self, news: News) -> Wire:
        wire = Wire(news)
        self.wires.append(wire)
        if self.other is not None and self.leaf == 1:
            wire.other = self.other.wires[-1]
            wire.other.other = wire
        return wire

    def signal_on_lanes(self, sealed: bytes) -> None:
        self.said.append(sealed)
        if self.other is not None:
            self.other.direct.signal(sealed)

    def frame_on_lanes(self, sealed: bytes) -> bool:
        self.on_lanes.append(sealed)
        if self.other is not None and self.other.open_frame(sealed) is not Heard.REFUSED:
            self.other.direct.came_by_lanes(0)
        return True

    def open_frame(self, sealed: bytes) -> Heard:
        try:
            self.played.append(open_frame(self._frames, sealed).ctr)
        except SFrameError as e:
            return Heard.COPY if e.reason == "replayed" else Heard.REFUSED
        return Heard.NEW

    def talk(self) -> None:
        self.direct.send(seal_frame(self._voice, b"sound", 159))

    def told(self) -> list[DirectMessage]:
        """What it has said, opened."""
        receiver = SFrameReceiver(call_key(direct_base_key(BASE_KEY), self.leaf, EPOCH))
        return [decode_direct(open_frame(receiver, sealed).payload) for sealed in self.said]


class Talk:
    """Both ends, in a call, talking every 20 ms."""

    def __init__(self, *, makes: tuple[bool, bool] = (True, True)) -> None:
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


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing the two ways takes less time here, and refusals come sooner."""
    monkeypatch.setattr(carriers, "OVERLAP_MS", 300)
    monkeypatch.setattr(module, "REFUSAL_S", 0.2)
    monkeypatch.setattr(module, "REFUSED_AGAIN_S", (0.05, 0.1))


def sealed(message: DirectMessage, leaf: int = 0, epoch: int = EPOCH) -> bytes:
    return seal_frame(SFrameSender(call_key(direct_base_key(BASE_KEY), leaf, epoch)), encode_direct(message), 319)


async def test_sound_moves_to_the_channel_and_every_frame_is_played_once() -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, bob = talk.ends
        before = len(alice.on_lanes), len(bob.played)
        await talk.until(lambda: len(bob.played) >= before[1] + 10)
        assert len(alice.on_lanes) <= before[0] + 1
        assert bob.played == list(range(len(bob.played)))
        assert alice.direct.found is Found.OPEN
        assert alice.ways == [True]
        assert alice.direct.frames > 10


async def test_a_channel_that_falls_silent_is_left_without_a_frame_lost() -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, bob = talk.ends
        alice.wires[-1].passes = False
        await talk.until(lambda: not alice.direct.carries and not bob.direct.carries)
        await talk.until(lambda: alice.direct.found is Found.BLOCKED)
        assert sorted(bob.played)[: len(bob.played) - 3] == list(range(len(bob.played) - 3))
        assert alice.ways == [True, False]


@pytest.mark.parametrize(
    ("described", "path", "keys", "found"),
    [
        (False, False, False, Found.OFF),
        (True, False, False, Found.BLOCKED),
        (True, True, False, Found.KEYS_BLOCKED),
        (True, True, True, Found.DEGRADED),
    ],
)
async def test_what_an_attempt_came_to_is_told(described: bool, path: bool, keys: bool, found: Found) -> None:
    alice = End(0)
    running = asyncio.create_task(alice.direct.run())
    alice.direct.peer_is_here()
    async with asyncio.timeout(WAIT_S):
        while (attempt := alice.direct.attempt) is None:
            await asyncio.sleep(0.01)
    assert alice.direct.found is Found.TRYING
    attempt.is_described = described
    if path:
        attempt.path_found()
    if keys:
        attempt.keys_heard()
    attempt.closed()
    assert alice.direct.found is found
    attempt.opened()
    assert alice.direct.found is found, "an attempt that is over is no news"
    running.cancel()


async def test_the_end_of_a_channel_that_the_other_side_left_says_nothing_of_the_network() -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, bob = talk.ends
        alice.wires[-1].news.closed()
        number = alice.direct._last
        alice.direct.signal(sealed_by(bob, DirectMessage("refuse", number)))
        assert alice.direct.found is Found.OFF
        assert alice.direct._explaining is None, "and nothing else will be told"


def sealed_by(end: End, message: DirectMessage) -> bytes:
    """As its own program would say it."""
    assert end.direct._sender is not None
    return seal_frame(end.direct._sender, encode_direct(message), 319)


async def test_who_does_not_want_a_channel_says_so_and_gathers_nothing() -> None:
    for makes in ((False, True), (True, False)):
        async with Talk(makes=makes) as talk:
            wants, refuses = talk.ends if makes[0] else reversed(talk.ends)
            await talk.until(lambda refuses=refuses: any(m.kind == "refuse" for m in refuses.told()))  # type: ignore[misc]
            assert refuses.wires == []
            assert wants.direct.found is Found.OFF
            assert wants.direct.attempt is None
            await talk.until(lambda wants=wants: len(wants.on_lanes) > 3)  # type: ignore[misc]


async def test_the_one_that_does_not_offer_asks_when_its_network_has_changed() -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, bob = talk.ends
        bob.direct.network_changed()
        assert bob.told()[-1].kind == "ask"
        await talk.until(lambda: len(alice.wires) == 2)
        await talk.direct()
        assert alice.wires[0].is_closed


@pytest.fixture
async def refuser() -> End:
    """Leaf 1, which makes no channel; nobody listens."""
    return End(1, makes=False)


@pytest.mark.parametrize("asked", [OFFER, ASK])
async def test_an_offer_is_refused_by_its_number(refuser: End, asked: DirectMessage) -> None:
    refuser.direct.signal(sealed(asked))
    assert refuser.told() == [DirectMessage("refuse", 3)]
    assert len(refuser.said[0]) == 159


@pytest.mark.parametrize("kind", ["answer", "refuse"])
async def test_what_asks_nothing_gets_no_answer(refuser: End, kind: str) -> None:
    message = DirectMessage("refuse", 3) if kind == "refuse" else DirectMessage("answer", 3, DESCRIPTION)
    refuser.direct.signal(sealed(message))
    assert refuser.said == []


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("makes", [True, False])
async def test_what_is_forged_repeated_or_malformed_changes_nothing(makes: bool) -> None:
    end = End(1, makes=makes)
    offer = sealed(OFFER)
    for forged in (
        offer[:-1] + bytes([offer[-1] ^ 1]),
        sealed(OFFER, leaf=2),
        seal_frame(SFrameSender(call_key(direct_base_key(BASE_KEY), 0, EPOCH)), b"\x80", 319),
        b"",
        sealed(ASK),  # counter 0 was the malformed one's
    ):
        end.direct.signal(forged)
    await asyncio.sleep(0)
    assert end.said == []
    assert end.wires == []


@pytest.mark.promise("CANNOT-FORGE")
async def test_what_comes_on_the_channel_and_is_not_authentic_is_neither_played_nor_answered() -> None:
    async with Talk() as talk:
        await talk.direct()
        _, bob = talk.ends
        answers: list[bytes] = []
        bob.wires[-1].send = answers.append  # type: ignore[assignment, method-assign]
        played = len(bob.played)
        stranger = SFrameSender(call_key(bytes(range(32)), 0, EPOCH), counter_start=10_000)
        forged = seal_frame(stranger, b"sound", 159)
        for message in (b"", b"\x01", b"\x01\0\0\0\1", b"\x03" + bytes(9), b"\x02\0", b"\x01\0\0\0\1" + forged):
            bob.wires[-1].news.received(message)
        assert len(bob.played) == played
        assert [answer for answer in answers if answer[:1] == module.ANSWER] == []


async def test_the_counter_goes_on_in_another_epoch(refuser: End) -> None:
    refuser.direct.signal(sealed(OFFER))
    refuser.direct.take_key(BASE_KEY, 8, 0.0)
    refuser.direct.signal(sealed(OFFER, epoch=8))
    receiver = SFrameReceiver(call_key(direct_base_key(BASE_KEY), 1, 8))
    assert open_frame(receiver, refuser.said[1]).ctr == 1


async def test_what_webrtc_cannot_take_ends_the_attempt_and_not_the_call() -> None:
    end = End(1)

    async def refuses(self: Wire, offer: Description) -> Description:
        raise ValueError("no such thing")

    made = end._wire

    def wire(news: News) -> Wire:
        wire = made(news)
        wire.answer = refuses.__get__(wire)  # type: ignore[method-assign]
        return wire

    end.direct._open_peer = wire
    end.direct.signal(sealed(OFFER))
    async with asyncio.timeout(WAIT_S):
        while end.direct.attempt is not None:
            await asyncio.sleep(0.01)
    assert end.direct.found is Found.BLOCKED
