"""A call of the browser over several connections: what one of them loses, another carries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ringthrough.audio import payload
from ringthrough.audio.toc import packet_slots
from ringthrough.client.calls import Call
from ringthrough.client.client import Client
from ringthrough.client.media import FRAME_BODY_BYTES, SIGNAL_KIND_MEDIA
from ringthrough.e2ee import sframe
from tests.web.conftest import Site
from tests.web.engine_calls import arrived, called, without_gap
from tests.web.engine_page import Tab
from tests.web.hostile_proxy import HostileProxy

pytestmark = [pytest.mark.slow, pytest.mark.alone]

Sdk = Callable[..., Awaitable[Client]]


async def way(alice: Tab, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until the newest view of the call is such."""

    async def check() -> dict[str, Any] | None:
        view: dict[str, Any] = (await alice.news("call"))[-1]["call"]
        return view if view["way"] is not None and matches(view) else None

    found: dict[str, Any] = await alice.until("the way", check)
    return found


async def more_arrived(alice: Tab, more: int) -> None:
    wanted = len(await arrived(alice)) + more

    async def check() -> bool:
        return len(await arrived(alice)) >= wanted

    await alice.until(f"{more} more frames", check, 25.0)


async def more_received(other: Call, more: int) -> None:
    wanted = other.stats.received + more
    async with asyncio.timeout(25):
        while other.stats.received < wanted:
            await asyncio.sleep(0.05)


@pytest.mark.promise("CANNOT-SINGLE-OUT")
async def test_a_call_loses_its_message_connection_and_no_frame(
    watched: Tab, proxy: HostileProxy, sdk: Sdk, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[int, int]] = []

    def open_and_note(receiver: sframe.SFrameReceiver, sealed: bytes) -> sframe.OpenedFrame:
        frame = sframe.open_frame(receiver, sealed)
        heard.append((frame.ctr, packet_slots(payload.decode(frame.payload).packet)))
        return frame

    monkeypatch.setattr("ringthrough.client.media.open_frame", open_and_note)
    bob = await sdk("bob", proxy.url)
    call, other = await called(watched, bob)
    view = await way(watched, lambda view: view["way"]["lanes"] == 2)
    assert view["way"]["level"] in ("normal", "boost")
    assert view["carrier"] != ""
    assert len(proxy.links) == 2
    await more_arrived(watched, 10)
    proxy.is_closed = True
    proxy.links[0].abort()
    await way(watched, lambda view: view["way"]["lanes"] == 1 and view["carrier"].startswith("Through a spare"))
    await more_arrived(watched, 30)
    await more_received(other, 30)
    proxy.is_closed = False
    # Three where a spare was opened just before the message connection came back.
    await way(watched, lambda view: view["way"]["lanes"] >= 2)
    await more_arrived(watched, 10)
    assert without_gap(await arrived(watched))
    assert without_gap(heard)
    assert other.stats.refused == 0
    await watched.call("hangUp", call)
    async with asyncio.timeout(10):
        assert (await other.ended).value == "remote_hung_up"
        while len(proxy.links) > 1:
            await asyncio.sleep(0.05)


async def test_forged_packets_are_counted_for_the_person(watched: Tab, sdk: Sdk, proxy: HostileProxy) -> None:
    bob = await sdk("bob", proxy.url)
    call, other = await called(watched, bob)
    assert (await way(watched, lambda view: True))["ignored"] == 0
    assert other.line is not None
    for _ in range(2):
        assert other.line.lanes.send(SIGNAL_KIND_MEDIA + bytes(FRAME_BODY_BYTES))
    await way(watched, lambda view: bool(view["ignored"] == 2))
    await watched.call("hangUp", call)


async def test_a_call_goes_on_after_the_server_was_started_again(
    watched: Tab, sdk: Sdk, site: Site, proxy: HostileProxy
) -> None:
    bob = await sdk("bob", proxy.url)
    call, other = await called(watched, bob)
    await way(watched, lambda view: view["way"]["lanes"] == 2)
    await site.stop()
    await site.start(origins=(proxy.url, site.url))
    await more_arrived(watched, 30)
    await more_received(other, 10)
    await way(watched, lambda view: view["way"]["lanes"] == 2)
    await more_arrived(watched, 10)
    await more_received(other, 10)
    assert all(event["call"]["phase"] != "ended" for event in await watched.news("call"))
    await watched.call("hangUp", call)
