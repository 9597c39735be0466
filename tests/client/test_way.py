"""What a real call of the SDK says of its way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ringthrough.client import way as way_module
from ringthrough.client.calls import Call
from ringthrough.client.direct import Direct
from ringthrough.client.lanes import Lanes
from ringthrough.client.way import CallWay, sample_of
from ringthrough.protocol.carriers import Way
from ringthrough.protocol.lane_control import Level
from ringthrough.protocol.verdicts import WARM_UP_MS, Sample, Verdict
from ringthrough.protocol.verdicts import Direct as Found

from .conftest import WAIT_S, World, soon
from .test_calls import talking
from .test_lanes import has_lanes, lanes_of


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine answers are late, and that is what loss looks like."""

    def calmed(lanes: Lanes, direct: Direct, now_ms: float) -> Sample:
        sample = sample_of(lanes, direct, now_ms)
        return replace(sample, level=Level.NORMAL, is_narrow=False, miss_share=0.0, round_trip_ms=50.0)

    monkeypatch.setattr(way_module, "sample_of", calmed)


def way_of(call: Call) -> tuple[CallWay, float]:
    """The way, and now in ms."""
    assert call.media is not None
    return call.media.way, call.media._now_ms()


def direct_of(call: Call) -> Direct:
    assert call.media is not None
    return call.media.direct


async def test_an_undisturbed_call_is_clear_once_it_was_measured(world: World) -> None:
    _, _, call, _, _, _ = await talking(world)
    way, now_ms = way_of(call)
    told: list[tuple[Verdict, ...]] = []
    call.on_verdicts = told.append
    way.look(now_ms)
    assert not told, "too little was measured"
    way.look(now_ms + WARM_UP_MS)
    way.look(now_ms + WARM_UP_MS + 1)
    assert way.verdicts == (Verdict.CLEAR,)
    assert told == [(Verdict.CLEAR,)], "told once"


async def test_what_the_lanes_learnt_is_told(world: World) -> None:
    _, _, call, _, _, _ = await talking(world)
    way, now_ms = way_of(call)
    lanes = lanes_of(call)
    lanes.plan.freeze_bytes = 16_000
    way.look(now_ms)
    assert way.verdicts == (Verdict.FROZEN,)
    lanes.plan.freeze_bytes, lanes.plan.lanes_max = None, 3
    way.look(now_ms + 1)
    assert way.verdicts == (Verdict.COUNTED,)


async def test_the_needier_direction_counts_and_a_lean_one_above_all(world: World) -> None:
    _, _, call, _, _, _ = await talking(world)
    lanes, direct, (_, now_ms) = lanes_of(call), direct_of(call), way_of(call)
    controller = lanes.sender.controller
    controller.level, controller.level_back = Level.NORMAL, Level.HEAVY
    assert sample_of(lanes, direct, now_ms).level is Level.HEAVY
    controller.level, controller.level_back = Level.BOOST, Level.LEAN
    sample = sample_of(lanes, direct, now_ms)
    assert (sample.level, sample.is_narrow) == (Level.LEAN, True)
    # What the lanes measure is not in the way of what goes directly.
    direct._carriers.way, direct.found = Way.DIRECT, Found.OPEN
    assert sample_of(lanes, direct, now_ms) == Sample(
        direct=Found.OPEN, lanes_opened=lanes.lanes_opened, lanes_died=lanes.lanes_died
    )


async def test_a_lane_that_died_is_told_and_one_that_was_left_is_not(world: World) -> None:
    alice, _, call, _, _, at_bob = await talking(world)
    lanes, (way, now_ms) = lanes_of(call), way_of(call)
    await has_lanes(lanes, 2)
    lanes.end(lanes.sender.lanes[1])
    await has_lanes(lanes, 2)
    way.look(now_ms)
    assert lanes.lanes_died == 0
    alice.context.connection(world.url).end()
    await at_bob.hears(slots=30)
    way.look(now_ms + 1)
    assert (lanes.lanes_died, lanes.is_silent) == (1, False)
    assert way.verdicts == (Verdict.LANE_LOST,)


async def test_a_silence_is_told_when_it_begins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way_module, "SECOND_S", WAIT_S * 10)
    _, _, call, _, _, _ = await talking(world)
    is_told = asyncio.Event()
    call.on_verdicts = lambda told: is_told.set() if Verdict.SILENT in told else None
    monkeypatch.setattr(lanes_of(call).sender, "is_silent", lambda now_ms: True)
    await soon(is_told.wait())


async def test_a_break_that_is_over_at_the_next_look_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way_module, "SECOND_S", WAIT_S * 10)
    _, _, call, _, _, _ = await talking(world)
    lanes, (way, now_ms) = lanes_of(call), way_of(call)
    await has_lanes(lanes, 2)
    for lane in lanes.sender.lanes:
        lanes.end(lane)
    assert lanes.is_silent
    await has_lanes(lanes, 1)
    lanes.is_silent = False  # as the next step finds
    way.look(now_ms)
    assert way.verdicts == (Verdict.RECONNECTED,)
