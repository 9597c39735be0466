"""The direct channel of a call: what the two devices say about it, what goes on it, what is found of the network."""

from __future__ import annotations

import asyncio
import time

import pytest

from ringthrough.client import direct as module
from ringthrough.e2ee.direct import Description, DirectMessage, direct_base_key, encode_direct
from ringthrough.e2ee.sframe import SFrameReceiver, SFrameSender, call_key, open_frame, seal_frame
from ringthrough.protocol import carriers
from ringthrough.protocol.verdicts import Direct as Found
from tests.client.direct_talk import (
    ASK,
    BASE_KEY,
    DESCRIPTION,
    EPOCH,
    OFFER,
    WAIT_S,
    End,
    Talk,
    Wire,
    be_brisk,
    sealed,
)


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    be_brisk(monkeypatch)


# Frames


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


async def test_what_was_under_way_on_a_channel_that_ends_goes_on_the_lanes_at_once() -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, bob = talk.ends
        alice.wires[-1].passes = False
        sent = len(alice.wires[-1].sent)
        await talk.until(lambda: sum(m[:1] == module.FRAME for m in alice.wires[-1].sent[sent:]) >= 2)
        alice.wires[-1].news.closed()
        assert sorted(bob.played) == list(range(alice.frames_made))
        assert alice.direct.found is Found.OPEN, "why it ended is told later"
        await talk.until(lambda: alice.direct.found is Found.BLOCKED)


async def test_a_channel_that_is_slower_than_the_lanes_is_not_taken() -> None:
    async with Talk(trip_s=0.04) as talk:
        await talk.until(lambda: all(end.direct.found is Found.DEGRADED for end in talk.ends))
        alice, bob = talk.ends
        assert alice.direct.is_open
        assert not alice.direct.carries
        assert bob.ways == []
        assert alice.wires[-1].sent[-1]


async def test_a_device_that_was_stopped_reads_what_came_before_it_judges() -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, bob = talk.ends
        for _ in range(3):
            time.sleep(0.4)  # noqa: ASYNC251
            heard = len(bob.played)
            await talk.until(lambda heard=heard: len(bob.played) > heard + 5)  # type: ignore[misc]
        assert (len(alice.wires), len(bob.wires)) == (1, 1)
        assert alice.direct.is_open


# Attempts


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
    attempt.closed()
    assert alice.direct.found is found, "an attempt that is over is no news"
    running.cancel()


async def test_an_attempt_that_opens_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carriers, "ATTEMPT_MS_MAX", 300)
    async with Talk(opens=False) as talk:
        alice, bob = talk.ends
        await talk.until(lambda: alice.direct.found is Found.BLOCKED and bob.direct.found is Found.BLOCKED)
        await talk.until(lambda: all(wire.is_closed for end in talk.ends for wire in end.wires))
        assert alice.direct.attempt is None


async def test_what_is_said_of_another_attempt_changes_nothing() -> None:
    async with Talk() as talk:
        alice, bob = talk.ends
        await talk.direct()
        number = alice.direct._last
        alice.claims(DirectMessage("offer", number, DESCRIPTION))
        bob.claims(DirectMessage("offer", number + 1, DESCRIPTION))
        alice.claims(DirectMessage("answer", number, DESCRIPTION))
        bob.claims(DirectMessage("answer", number, DESCRIPTION))
        alice.claims(DirectMessage("ask", number))
        for end in (alice, bob):
            end.claims(DirectMessage("refuse", number + 1))
        heard = len(bob.played)
        await talk.until(lambda: len(bob.played) > heard + 20)
        assert (len(alice.wires), len(bob.wires)) == (1, 1)
        assert alice.wires[0].accepted == 1
        assert alice.direct.carries


async def test_an_answer_to_another_attempt_is_none() -> None:
    async with Talk(opens=False) as talk:
        alice, bob = talk.ends
        bob.other = None  # its own answer is not heard
        await talk.until(lambda: len(bob.said) == 1)
        bob.other = alice
        for number in (0, alice.direct._last + 1):
            bob.claims(DirectMessage("answer", number, DESCRIPTION))
        assert alice.direct.attempt is not None
        assert not alice.direct.attempt.is_described
        bob.claims(DirectMessage("answer", alice.direct._last, DESCRIPTION))
        assert alice.direct.attempt.is_described


async def test_attempts_begin_no_closer_than_a_second_whatever_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEGIN_MS", 1000)
    async with Talk() as talk:
        alice, bob = talk.ends
        await talk.direct()
        made = len(bob.wires)
        for number in range(10, 40):
            alice.claims(DirectMessage("offer", number, DESCRIPTION))
            bob.claims(DirectMessage("ask", 1))
            heard = len(bob.played)
            await talk.until(lambda heard=heard: len(bob.played) > heard)  # type: ignore[misc]
        assert len(bob.wires) - made <= 2
        assert len(alice.wires) <= 3


@pytest.mark.parametrize("fails", ["open", "describe"])
async def test_what_webrtc_cannot_take_ends_the_attempt_and_says_nothing_of_the_network(fails: str) -> None:
    async def broken(*_: object) -> Description:
        raise ValueError("no such thing")

    async with Talk() as talk:
        alice, _ = talk.ends
        if fails == "open":
            alice.direct._open_peer = broken  # type: ignore[assignment]
        else:
            Wire.offer, before = broken, Wire.offer  # type: ignore[method-assign, assignment]
        await talk.until(lambda: alice.direct._last == 1 and alice.direct.attempt is None)
        if fails == "describe":
            Wire.offer = before  # type: ignore[method-assign]
        assert alice.direct.found is Found.OFF
        heard = len(alice.played)
        await talk.until(lambda: len(alice.played) > heard + 5)


# A change of network


@pytest.mark.parametrize("leaf", [0, 1])
async def test_another_channel_is_made_once_a_lane_is_there_after_a_change_of_network(leaf: int) -> None:
    async with Talk() as talk:
        await talk.direct()
        moved = talk.ends[leaf]
        moved.has_lanes = False
        moved.direct.network_changed()
        assert not moved.direct.carries
        heard = len(moved.played)
        await talk.until(lambda: len(moved.played) > heard + 10)
        moved.has_lanes = True
        await talk.until(lambda: talk.ends[1].direct._last > 1)
        await talk.direct()
        assert all(wire.is_closed for end in talk.ends for wire in end.wires[:-1])
        moved.wires[0].news.closed()
        assert moved.direct.is_open, "what becomes of the one before is no news"
        assert moved.told()[-1].kind == ("offer", "answer")[leaf]


async def test_nothing_is_opened_once_the_call_is_over() -> None:
    async with Talk() as talk:
        await talk.direct()
    alice, bob = talk.ends
    said = len(alice.said), len(bob.said)
    for end in talk.ends:
        end.direct.network_changed()
        end.direct._step()
    alice.claims(DirectMessage("offer", 99, DESCRIPTION))
    bob.direct._step()
    await asyncio.sleep(0)
    assert (len(alice.wires), len(bob.wires)) == (1, 1)
    assert (len(alice.said), len(bob.said)) == said


# Refusals


async def test_the_end_of_a_channel_that_the_other_side_left_says_nothing_of_the_network() -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, bob = talk.ends
        alice.wires[-1].news.closed()
        bob.claims(DirectMessage("refuse", alice.direct._last))
        assert alice.direct.found is Found.OFF
        assert alice.direct._explaining is None, "and nothing else will be told"
        assert alice.direct._attempts.step(2**40) is carriers.Step.NONE, "nor tried"


@pytest.mark.parametrize("leaf", [0, 1])
async def test_who_does_not_want_a_channel_any_more_leaves_it_at_once_and_says_so(leaf: int) -> None:
    async with Talk() as talk:
        await talk.direct()
        leaves, stays = talk.ends[leaf], talk.ends[1 - leaf]
        leaves.direct.forbid()
        assert not leaves.direct.is_open
        await talk.until(lambda: not stays.direct.is_open and stays.direct.found is Found.OFF)
        assert (stays.refusals, leaves.refusals) == (1, 0)
        heard = len(stays.played)
        leaves.direct.network_changed()
        stays.claims(DirectMessage("offer" if leaf else "ask", 9, DESCRIPTION if leaf else None))
        await talk.until(lambda: len(stays.played) > heard + 10)
        assert (len(leaves.wires), len(stays.wires)) == (1, 1)
        assert leaves.told()[-1].kind == "refuse"


@pytest.mark.parametrize("makes", [(False, True), (True, False)])
async def test_who_does_not_want_a_channel_says_so_and_gathers_nothing(makes: tuple[bool, bool]) -> None:
    async with Talk(makes=makes) as talk:
        wants, refuses = talk.ends if makes[0] else reversed(talk.ends)
        # Who offers is not asked: a refusal can be lost, so it is said three times.
        count = 1 if makes[0] else 3
        await talk.until(lambda: [m.kind for m in refuses.told()] == ["refuse"] * count)
        assert refuses.wires == []
        assert wants.direct.found is Found.OFF
        assert (wants.refusals, refuses.refusals) == (1, 0), "told once, to who wants one"
        await talk.until(lambda: wants.direct.attempt is None and len(wants.on_lanes) > 3)


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


# Keys


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
    end.direct._step()
    await asyncio.sleep(0)
    assert end.said == []
    assert end.wires == []


@pytest.mark.promise("CANNOT-FORGE")
async def test_what_comes_on_the_channel_and_is_not_authentic_is_neither_played_nor_answered() -> None:
    async with Talk() as talk:
        await talk.direct()
        _, bob = talk.ends
        sent, played = len(bob.wires[-1].sent), len(bob.played)
        stranger = SFrameSender(call_key(bytes(range(32)), 0, EPOCH), counter_start=10_000)
        forged = seal_frame(stranger, b"sound", 159)
        for message in (b"", b"\x01", b"\x01\0\0\0\1", b"\x03" + bytes(9), b"\x02\0", b"\x01\0\0\0\1" + forged):
            bob.wires[-1].news.received(message)
        assert len(bob.played) == played
        assert len(bob.wires[-1].sent) == sent


async def test_the_counter_goes_on_in_another_epoch_and_the_old_key_is_forgotten(refuser: End) -> None:
    refuser.direct.signal(sealed(OFFER))
    refuser.direct.take_key(BASE_KEY, 8, 0.0)
    refuser.direct.signal(sealed(OFFER, epoch=8))
    receiver = SFrameReceiver(call_key(direct_base_key(BASE_KEY), 1, 8))
    assert open_frame(receiver, refuser.said[1]).ctr == 1
    await asyncio.sleep(0.001)
    late = SFrameSender(call_key(direct_base_key(BASE_KEY), 0, EPOCH), counter_start=5)
    refuser.direct.signal(seal_frame(late, encode_direct(OFFER), 319))
    assert len(refuser.said) == 2
