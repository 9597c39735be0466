"""Calls whose sound goes directly between two devices, by WebRTC, and what is not shown to whom."""

from __future__ import annotations

import asyncio

import pytest

from ringthrough.client.calls import Call
from ringthrough.client.media import CallMedia
from ringthrough.protocol.verdicts import Direct

from .conftest import WAIT_S, World
from .test_calls import Recorder, Tone, call_of, pair, rings

pytestmark = [pytest.mark.slow, pytest.mark.alone]


async def talking(world: World, *, caller_shows: bool, callee_shows: bool) -> tuple[Call, Call, Recorder]:
    """A call in which each hears the other: the caller's, the callee's, and what the callee hears."""
    alice, bob, conversation = await pair(world)
    ringing = rings(bob)
    at_alice, at_bob = Recorder(), Recorder()
    call = alice.calls.place(conversation, Tone(), at_alice, shows_address=caller_shows)
    his = await call_of(ringing)
    his.shows_address = callee_shows
    his.answer(Tone(), at_bob)
    await at_bob.hears()
    await at_alice.hears()
    return call, his, at_bob


def media(call: Call) -> CallMedia:
    assert call.media is not None
    return call.media


async def test_sound_goes_directly_and_back_to_the_lanes_when_the_channel_is_gone(world: World) -> None:
    call, his, at_bob = await talking(world, caller_shows=True, callee_shows=True)
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
    call, his, at_bob = await talking(world, caller_shows=caller_shows, callee_shows=callee_shows)
    shows, hides = (call, his) if caller_shows else (his, call)
    async with asyncio.timeout(WAIT_S):  # until it was refused: no attempt is under way, and none is due
        while media(shows).direct.attempt is not None or media(shows).direct._attempts._due_ms is not None:
            await at_bob.hears(slots=1)
    assert media(hides).direct.attempt is None
    assert media(hides).direct._tasks == set()
    assert (media(shows).direct.frames, media(hides).direct.frames) == (0, 0)
    assert media(shows).direct.found is Direct.OFF
