"""The direct channel of a call: what comes twice, too early, too late or malformed."""

from __future__ import annotations

import asyncio

import pytest

from ringthrough.client import direct as module
from ringthrough.client.direct import News, Peer
from ringthrough.e2ee.direct import Description, DirectMessage
from ringthrough.e2ee.sframe import decode_header
from ringthrough.protocol import carriers
from ringthrough.protocol.verdicts import Direct as Found
from tests.client.direct_talk import ASK, DESCRIPTION, OFFER, WAIT_S, End, Talk, Wire, be_brisk, sealed


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    be_brisk(monkeypatch)


async def test_a_channel_opens_once() -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, _ = talk.ends
        alice.wires[-1].news.opened()
        assert alice.direct.carries, "both ways are not compared again"


async def test_that_the_peer_is_here_is_news_once() -> None:
    end = End(0, makes=False)
    for _ in range(2):
        end.direct.peer_is_here()
    assert [message.kind for message in end.told()] == ["refuse"]


async def test_who_would_answer_refuses_nothing_before_it_is_asked() -> None:
    end = End(1, makes=False)
    end.direct.peer_is_here()
    assert end.said == []
    end.direct.signal(sealed(OFFER))
    assert [message.kind for message in end.told()] == ["refuse"]


@pytest.mark.parametrize("makes", [True, False])
async def test_a_change_of_network_begins_nothing_without_a_peer_or_without_leave(makes: bool) -> None:
    end = End(0, makes=makes)
    if not makes:
        end.direct.peer_is_here()
    end.direct.network_changed()
    end.direct._step()
    assert (end.direct.attempt, end.direct.found, end.direct._last) == (None, Found.OFF, 0)


async def test_a_malformed_answer_answers_nothing_and_an_unknown_kind_is_no_frame() -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, bob = talk.ends
        wire = alice.wires[-1]
        bob.wires[-1].passes = False
        alice.talk()
        frame = wire.sent[-1]
        seq = frame[1 : 1 + module.SEQ_BYTES]
        for rest, is_answered in (
            (b"", False),
            (bytes(module.BEHIND_BYTES + 1), False),
            (bytes(module.BEHIND_BYTES), True),
        ):
            wire.news.received(module.ANSWER + seq + rest)
            assert (int.from_bytes(seq) not in alice.direct._carriers._under_way) is is_answered
        played = len(bob.played)
        bob.wires[-1].news.received(b"\x03" + frame[1:])
        assert len(bob.played) == played
        bob.wires[-1].news.received(frame)
        assert bob.played[-1] == decode_header(frame[1 + module.SEQ_BYTES :]).ctr


async def test_an_attempt_that_another_replaces_is_closed() -> None:
    end = End(1)
    end.direct.peer_is_here()
    running = asyncio.create_task(end.direct.run())
    for number in (3, 4):
        end.direct.signal(sealed(DirectMessage("offer", number, DESCRIPTION), counter=number))
        async with asyncio.timeout(WAIT_S):
            while len(end.wires) < number - 2:
                await asyncio.sleep(0.01)
    async with asyncio.timeout(WAIT_S):
        while not end.wires[0].is_closed:
            await asyncio.sleep(0.01)
    assert not end.wires[1].is_closed
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_opens_after_its_attempt_is_over_is_closed_and_says_nothing() -> None:
    end, ready = End(0), asyncio.Event()
    opens = end.direct._open_peer
    assert opens is not None

    async def opens_late(news: News) -> Peer:
        peer = await opens(news)
        await ready.wait()
        return peer

    end.direct._open_peer = opens_late
    end.direct.peer_is_here()
    running = asyncio.create_task(end.direct.run())
    async with asyncio.timeout(WAIT_S):
        while not end.wires:
            await asyncio.sleep(0.01)
        end.direct.forbid()
        ready.set()
        while not end.wires[0].is_closed:
            await asyncio.sleep(0.01)
    assert {message.kind for message in end.told()} == {"refuse"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_was_found_bad_stays_so_at_the_next_channel_and_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, _ = talk.ends
        alice.direct.found = Found.DEGRADED
        alice.direct.channel_opened()
        assert alice.direct.found is Found.DEGRADED
        told: list[Found] = []
        monkeypatch.setattr(alice.direct, "_show", told.append)
        alice.wires[-1].news.closed()
        await talk.until(lambda: bool(told))
        assert told[0] is Found.DEGRADED


async def test_an_answer_that_cannot_be_taken_says_nothing_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(wire: Wire, answer: Description) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(Wire, "accept", broken)
    async with Talk() as talk:
        alice, _ = talk.ends
        await talk.until(lambda: alice.direct._last == 1 and alice.direct.attempt is None)
        assert alice.direct.found is Found.OFF


async def test_a_refusal_is_no_news_to_who_refuses() -> None:
    end = End(0)
    end.direct.peer_is_here()
    end.direct.forbid()
    end.direct.signal(sealed(DirectMessage("refuse", 0), leaf=1))
    assert end.refusals == 0


@pytest.mark.parametrize("asked", [OFFER, ASK])
async def test_nothing_is_answered_once_the_call_is_over(asked: DirectMessage) -> None:
    end = End(1, makes=False)
    running = asyncio.create_task(end.direct.run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    end.direct.signal(sealed(asked))
    assert end.said == []


@pytest.mark.parametrize("who", [0, 1])
async def test_no_attempt_begins_at_either_end_while_there_is_no_room(who: int) -> None:
    talk = Talk()
    talk.ends[who].has_room = False
    async with talk:
        await talk.until(lambda: talk.ends[0].frames_made >= 30)
        assert talk.ends[who].wires == []
        talk.ends[who].has_room = True
        await talk.direct()


async def test_the_two_ways_are_not_compared_while_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carriers, "ROOM_REST_MS", 100)
    monkeypatch.setattr(carriers, "OVERLAP_MS", 10_000)
    async with Talk() as talk:
        alice, _ = talk.ends
        await talk.until(lambda: alice.direct.is_open and alice.direct.frames > 0)
        alice.has_room = False
        before = len(alice.on_lanes)
        await talk.until(lambda: len(alice.on_lanes) >= before + 5)
        frames = alice.direct.frames
        await talk.until(lambda: len(alice.on_lanes) >= before + 20)
        assert alice.direct.frames == frames, "nothing goes on the channel"
        alice.has_room = True
        await talk.until(lambda: alice.direct.frames > frames)


def shown(monkeypatch: pytest.MonkeyPatch, end: End) -> list[Found]:
    """What is found of the direct way from now on, at each look."""
    found: list[Found] = []
    show = end.direct._show

    def note(what: Found) -> None:
        found.append(what)
        show(what)

    monkeypatch.setattr(end.direct, "_show", note)
    return found


async def test_a_way_that_falls_silent_while_there_is_no_room_is_not_called_bad(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, _ = talk.ends
        found = shown(monkeypatch, alice)
        alice.has_room = False
        alice.wires[-1].passes = False
        await talk.until(lambda: alice.direct.found is Found.BLOCKED)
        assert Found.DEGRADED not in found


async def test_want_of_room_is_not_taken_for_a_bad_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither while it lasts, nor when the channel closes meanwhile."""
    monkeypatch.setattr(carriers, "OVERLAP_MS", 10_000)
    async with Talk() as talk:
        alice, _ = talk.ends
        await talk.until(lambda: alice.direct.is_open and alice.direct.frames > 0)
        found = shown(monkeypatch, alice)
        alice.has_room = False
        await talk.until(lambda: len(found) > 10)
        assert set(found) == {Found.OPEN}
        alice.wires[-1].news.closed()
        await talk.until(lambda: alice.direct.found is Found.BLOCKED)


async def test_a_change_of_network_ends_what_was_found_on_the_one_before() -> None:
    talk = Talk(opens=False)
    async with talk:
        alice, _ = talk.ends
        await talk.until(lambda: alice.direct.attempt is not None)
        alice.direct.found = Found.BLOCKED
        alice.has_room = False
        alice.direct.network_changed()
        assert alice.direct.found is Found.OFF


async def test_a_change_of_network_leaves_the_end_before_it_unexplained() -> None:
    async with Talk() as talk:
        await talk.direct()
        alice, _ = talk.ends
        alice.has_room = False
        alice.wires[-1].news.closed()
        alice.direct.network_changed()
        made, explained = alice.frames_made, round(2 * module.REFUSAL_S / 0.02)
        await talk.until(lambda: alice.frames_made >= made + explained)
        assert alice.direct.found is Found.OFF
