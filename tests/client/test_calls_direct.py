"""Calls whose sound goes directly between two devices, by WebRTC, and what is not shown to whom."""

from __future__ import annotations

import asyncio

import pytest

from ringthrough.client.calls import Call
from ringthrough.client.client import Client
from ringthrough.client.media import CallMedia
from ringthrough.protocol.verdicts import Direct

from .conftest import WAIT_S, World, joined, soon
from .test_calls import Recorder, Tone, call_of, rings
from .test_lanes import lanes_of, lose_address

pytestmark = [pytest.mark.slow, pytest.mark.alone]


async def talking(
    world: World, *, caller_shows: bool = True, callee_shows: bool = True, others: tuple[str, ...] = ()
) -> tuple[Client, Call, Call, Recorder]:
    """A call in which each hears the other: the caller and the two calls, and what the callee hears."""
    alice, bob, *_ = [await world.person(name) for name in ("alice", "bob", *others)]
    conversation = await alice.create_group("tea", ["@bob", *(f"@{name}" for name in others)])
    await joined(bob)
    await soon(conversation.caught_up())
    ringing = rings(bob)
    at_alice, at_bob = Recorder(), Recorder()
    call = alice.calls.place(conversation, Tone(), at_alice, shows_address=caller_shows)
    his = await call_of(ringing)
    his.shows_address = callee_shows
    his.answer(Tone(), at_bob)
    await at_bob.hears()
    await at_alice.hears()
    return alice, call, his, at_bob


def media(call: Call) -> CallMedia:
    assert call.media is not None
    return call.media


async def test_sound_goes_directly_and_back_to_the_lanes_when_the_channel_is_gone(world: World) -> None:
    _, call, his, at_bob = await talking(world)
    ways: asyncio.Queue[bool] = asyncio.Queue()
    call.on_way = ways.put_nowait
    async with asyncio.timeout(WAIT_S):
        assert await ways.get() or media(call).direct.carries
        while not media(his).direct.carries:
            await at_bob.hears(slots=1)
        by_lanes = media(call).lanes.sender.copies_sent
        await at_bob.hears(slots=50)
        assert media(call).lanes.sender.copies_sent <= by_lanes + 5
        attempt = media(his).direct.attempt
        assert attempt is not None
        assert attempt.peer is not None
        await attempt.peer.close()
        assert not await ways.get()
    concealed = his.stats.concealed
    await at_bob.hears(slots=50)
    assert his.stats.concealed - concealed <= 15, "300 ms at most"
    call.hang_up()
    await his.ended


@pytest.mark.parametrize(("caller_shows", "callee_shows"), [(True, False), (False, True)])
async def test_who_does_not_show_the_address_makes_no_channel(
    world: World, caller_shows: bool, callee_shows: bool
) -> None:
    _, call, his, at_bob = await talking(world, caller_shows=caller_shows, callee_shows=callee_shows)
    shows, hides = (call, his) if caller_shows else (his, call)
    async with asyncio.timeout(WAIT_S):  # until it was refused: no attempt is under way, and none is due
        while media(shows).direct.attempt is not None or media(shows).direct._attempts._due_ms is not None:
            await at_bob.hears(slots=1)
    assert media(hides).direct.attempt is None
    assert media(hides).direct._tasks == set()
    assert (media(shows).direct.frames, media(hides).direct.frames) == (0, 0)
    assert media(shows).direct.found is Direct.OFF


async def test_after_a_change_of_address_another_channel_is_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, call, his, at_bob = await talking(world)
    async with asyncio.timeout(WAIT_S):
        while not media(call).direct.carries or not media(his).direct.carries:
            await at_bob.hears(slots=1)
        number = media(call).direct._last
        lose_address(lanes_of(call), monkeypatch)
        while media(his).direct._last == number or not media(call).direct.carries:
            await at_bob.hears(slots=1)
    assert media(call).direct._last > number
    call.hang_up()
    await his.ended


async def test_in_a_group_there_is_no_channel(world: World) -> None:
    _, call, his, at_bob = await talking(world, others=("carol",))
    await at_bob.hears(slots=20)
    assert [media(one).direct._last for one in (call, his)] == [0, 0]


async def test_a_third_account_ends_the_channel(world: World) -> None:
    alice, call, his, at_bob = await talking(world)
    async with asyncio.timeout(WAIT_S):
        while not media(call).direct.carries or not media(his).direct.carries:
            await at_bob.hears(slots=1)
        await world.person("carol")
        await alice.add(call.conversation, ["@carol"])
        while media(call).direct.is_open or media(his).direct.is_open:
            await at_bob.hears(slots=1)
    numbers = [media(one).direct._last for one in (call, his)]
    for one in (call, his):
        media(one).direct.network_changed()
    await at_bob.hears(slots=75)
    assert [media(one).direct._last for one in (call, his)] == numbers, "none is tried again"
