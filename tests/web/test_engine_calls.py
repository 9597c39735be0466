"""Calls between a browser and the SDK: signalling, sealed frames, history; with packets instead of sound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ringthrough.client.calls import Call
from ringthrough.client.client import Client
from ringthrough.client.media import NullSink, SilentSource
from tests.web.engine_calls import PACKET, arrived, phase, without_gap
from tests.web.engine_page import EngineFault, Tab

pytestmark = [pytest.mark.slow, pytest.mark.alone]

Profile = Callable[[str], Awaitable[Tab]]
Sdk = Callable[..., Awaitable[Client]]


async def frames_arrived(tab: Tab, count: int) -> None:
    async def check() -> bool:
        return bool(await tab.page.evaluate("window.arrived.length") >= count)

    await tab.until("frames", check)


async def test_the_browser_calls_the_sdk(profile: Profile, sdk: Sdk) -> None:
    bob = await sdk("bob")
    calls: list[Call] = []
    bob.calls.ring = calls.append
    alice = await profile("alice")
    conversation = await alice.call("conversationWith", "@bob")
    call = await alice.call("placeCall", conversation)
    await phase(alice, call, "ringing_there")
    with pytest.raises(EngineFault) as refused:
        await alice.call("placeCall", conversation)
    assert refused.value.code == "busy"
    await alice.page.evaluate("window.attach", [call, PACKET])
    calls[0].answer(SilentSource(), NullSink())
    await phase(alice, call, "connecting")
    view = await phase(alice, call, "in_call")
    assert view["sinceMs"] is not None
    assert view["peer"]["address"] == "@bob"
    await frames_arrived(alice, 20)
    packets = list(dict.fromkeys(await arrived(alice)))
    assert packets == sorted(packets), "copies come behind, and nothing else"
    assert without_gap(packets)
    assert calls[0].stats.received >= 5
    assert calls[0].stats.refused == 0
    await alice.call("mute", call, True)
    assert (await alice.page.evaluate("window.muted"))[-1] is True
    await alice.call("hangUp", call)
    async with asyncio.timeout(10):
        assert (await calls[0].ended).value == "remote_hung_up"
    (entry,) = await alice.call("callHistory")
    assert (entry["outcome"], entry["outgoing"], entry["peer"]) == ("answered", True, "@bob")
    line = await alice.message(conversation, lambda m: m["body"]["kind"] == "call")
    assert line["body"]["outcome"] == "answered"


async def test_the_sdk_calls_the_browser_through_a_reload(profile: Profile, sdk: Sdk) -> None:
    bob = await sdk("bob")
    alice = await profile("alice")
    conversation = await alice.call("conversationWith", "@bob")
    (here,) = [c async for c in joined(bob)]
    call = bob.calls.place(here, SilentSource(), NullSink())
    ringing = await phase(alice, call.call_id.hex(), "ringing_here")
    assert ringing["incoming"]
    await alice.reload()
    await phase(alice, call.call_id.hex(), "ringing_here")
    await alice.call("answerCall", call.call_id.hex())
    await alice.page.evaluate("window.attach", [call.call_id.hex(), PACKET])
    await phase(alice, call.call_id.hex(), "in_call")
    await frames_arrived(alice, 10)
    call.hang_up()
    ended = await phase(alice, call.call_id.hex(), "ended")
    assert ended["ended"] == "The other side hung up."

    missed = bob.calls.place(here, SilentSource(), NullSink())
    await phase(alice, missed.call_id.hex(), "ringing_here")
    missed.hang_up()
    await phase(alice, missed.call_id.hex(), "ended")
    declined = bob.calls.place(here, SilentSource(), NullSink())
    await phase(alice, declined.call_id.hex(), "ringing_here")
    await alice.call("declineCall", declined.call_id.hex())
    async with asyncio.timeout(10):
        assert (await declined.ended).value == "declined"

    async def all_three() -> bool:
        return len(await alice.call("callHistory")) == 3

    await alice.until("the history", all_three)
    outcomes = [entry["outcome"] for entry in await alice.call("callHistory")]
    assert sorted(outcomes) == ["answered", "declined", "missed"]
    assert conversation == (await alice.call("callHistory"))[0]["conversation"]
    said_last = {"outgoing": False, "outcome": "declined", "seconds": 0}
    assert (await alice.conversation("@bob"))["lastCall"] == said_last
    await alice.reload()
    assert (await alice.conversation("@bob"))["lastCall"] == said_last


async def joined(client: Client) -> Any:
    """The conversations of a client once it has one."""
    async with asyncio.timeout(10):
        while not client.conversations():
            await asyncio.sleep(0.05)
    for conversation in client.conversations():
        yield conversation


async def test_a_stranger_does_not_ring(profile: Profile, sdk: Sdk) -> None:
    bob = await sdk("bob")
    alice = await profile("alice")
    here = await bob.conversation_with("@alice")
    call = bob.calls.place(here, SilentSource(), NullSink())
    request = await alice.conversation("@bob", "request")

    async def noted() -> bool:
        return bool(await alice.call("callHistory"))

    await alice.until("the missed call", noted)
    assert await alice.news("call") == []
    assert not call.rings_there.is_set()
    call.hang_up()
    await alice.call("acceptRequest", request["id"])
    again = bob.calls.place(here, SilentSource(), NullSink())
    await phase(alice, again.call_id.hex(), "ringing_here")
    await asyncio.wait_for(again.rings_there.wait(), 10)
    again.hang_up()


async def test_two_browsers_call_each_other(profile: Profile) -> None:
    alice, bob = await profile("alice"), await profile("bob")
    conversation = await alice.call("conversationWith", "@bob")
    await alice.call("sendText", conversation, "I will call", None)
    await bob.conversation("@alice", "request")
    await bob.call("acceptRequest", conversation)
    call = await alice.call("placeCall", conversation)
    await phase(bob, call, "ringing_here")
    await phase(alice, call, "ringing_there")
    await bob.call("answerCall", call)
    for tab in (alice, bob):
        await tab.page.evaluate("window.attach", [call, PACKET])
    for tab in (alice, bob):
        await phase(tab, call, "in_call")
        await frames_arrived(tab, 15)
    await bob.reload()
    await phase(alice, call, "ended")
