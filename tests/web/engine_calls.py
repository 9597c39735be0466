"""Calls in the engine's bare page, with packets instead of sound."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Any

import numpy as np

from ringthrough.audio.opus import OpusEncoder
from ringthrough.client.calls import Call
from ringthrough.client.client import Client
from ringthrough.client.media import NullSink, SilentSource
from tests.web.engine_page import Tab

PACKET = list(OpusEncoder().encode((np.sin(np.arange(960) / 8) * 8000).astype(np.int16)))
"""60 ms of a tone."""


def without_gap(packets: Collection[tuple[int, int]]) -> bool:
    """Whether each packet (first slot, slots) begins where another ended; re-sent ones and copies may come late."""
    return all(slot + slots == after for (slot, slots), (after, _) in pairwise(sorted(set(packets))))


async def arrived(tab: Tab) -> list[tuple[int, int]]:
    """What came so far: first slot and slots of each packet."""
    packets = await tab.page.evaluate("window.arrived.map((slot) => [slot, window.lengths[slot]])")
    return [(slot, slots) for slot, slots in packets]


async def phase(tab: Tab, call: str, wanted: str) -> dict[str, Any]:
    """Wait until the page was told of this phase."""

    async def check() -> dict[str, Any] | None:
        views = [e["call"] for e in await tab.news("call") if e["call"]["id"] == call]
        return next((view for view in views if view["phase"] == wanted), None)

    found: dict[str, Any] = await tab.until(f"{wanted} of {call}", check, 25.0)
    return found


async def called(alice: Tab, bob: Client) -> tuple[str, Call]:
    """Alice's browser calls Bob's SDK, and both hear each other."""
    calls: list[Call] = []
    bob.calls.ring = calls.append
    conversation = await alice.call("conversationWith", "@bob")
    call = await alice.call("placeCall", conversation)
    await phase(alice, call, "ringing_there")
    await alice.page.evaluate("window.attach", [call, PACKET])
    calls[0].answer(SilentSource(), NullSink())
    await phase(alice, call, "in_call")
    return call, calls[0]
