"""Calls over several connections of real clients: what is lost when one of them ends."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from ringthrough.audio.playout import Playout
from ringthrough.audio.profiles import DIRECT, LEAN, ORDINARY
from ringthrough.audio.rehearsal import Rehearsed, rehearsal
from ringthrough.client import connection as connection_module
from ringthrough.client import lanes as lanes_module
from ringthrough.client.calls import Call
from ringthrough.client.lanes import REHEARSED_SHORT_FRAMES, Lanes
from ringthrough.client.media import NullSink, SilentSource
from ringthrough.protocol import frames
from ringthrough.protocol.calls import EndReason
from ringthrough.protocol.lane_control import Level
from ringthrough.protocol.lanes import LaneId
from ringthrough.protocol.limits import PADDED_SIZES_BYTES

from .conftest import WAIT_S, World, soon
from .test_calls import Tone, call_of, ended, pair, rings, talking


def lanes_of(call: Call) -> Lanes:
    assert call.line is not None
    return call.line.lanes


async def has_lanes(lanes: Lanes, count: int) -> None:
    """Wait until so many are open."""

    async def watch() -> None:
        while len(lanes.sender.lanes) < count:
            lanes.changed.clear()
            await lanes.changed.wait()

    await soon(watch())


async def test_a_call_begins_on_the_message_connection_and_opens_a_spare(world: World) -> None:
    _, _, call, his, _, _ = await talking(world)
    lanes = lanes_of(call)
    assert lanes.sender.lanes[0] == LaneId(0)
    await has_lanes(lanes, 2)
    assert lanes.plan.dials == 1
    assert his.stats.refused == 0, "copies are no replays"


async def test_while_it_rings_both_have_lanes_and_rehearse_on_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    seen: set[int] = set()
    short: set[int] = set()
    both, both_short = asyncio.Event(), asyncio.Event()

    class Noted(Rehearsed):
        def arrived(self, body: bytes, now_ms: float) -> bool:
            is_rehearsal = super().arrived(body, now_ms)
            sizes.append(len(body))
            seen.add(id(self))
            if self.takes_short:
                short.add(id(self))
            if len(seen) == 2:
                both.set()
            if len(short) == 2:
                both_short.set()
            return is_rehearsal

    monkeypatch.setattr("ringthrough.client.lanes.Rehearsed", Noted)
    alice, bob, conversation = await pair(world)
    ringing = rings(bob)
    call = alice.calls.place(conversation, Tone(), NullSink())
    his = await call_of(ringing)
    sound: list[bytes] = []
    for side in (call, his):
        lanes_of(side).on_body = sound.append
    await soon(call.rings_there.wait())
    await soon(both.wait())
    await soon(both_short.wait())
    assert sound == []
    assert set(sizes) == {PADDED_SIZES_BYTES[0]}
    lanes = lanes_of(his)
    expected: list[float] = []
    monkeypatch.setattr(Playout, "expect", lambda self, reach_ms: expected.append(reach_ms))
    his.answer(SilentSource(), NullSink())
    assert his.media is not None
    assert his.media.lanes is lanes
    assert expected == [lanes.rehearsed.reach_ms]
    call.hang_up()
    await ended(his)
    assert {client.conversations()[0].subscription.on_signal for client in (alice, bob)} == {None}


async def test_the_rehearsal_is_in_the_rhythm_that_the_call_would_have(world: World) -> None:
    alice, bob, conversation = await pair(world)
    ringing = rings(bob)
    call = alice.calls.place(conversation, SilentSource(), NullSink())
    his = await call_of(ringing)
    lanes = lanes_of(call)
    control = lanes.sender.controller
    control.sends_short = False
    profiles = [lanes._rehearse_as()]
    control.sends_short = True
    lanes.rehearsed = Rehearsed()
    profiles.append(lanes._rehearse_as())
    lanes.rehearsed.arrived(rehearsal(b"bob1", 0, b"", takes_short=True), 0)
    profiles.append(lanes._rehearse_as())
    lanes.plan.freeze_bytes = 16_000
    profiles.append(lanes._rehearse_as())
    control.level = Level.LEAN
    profiles.append(lanes._rehearse_as())
    assert profiles == [ORDINARY, ORDINARY, DIRECT, ORDINARY, LEAN]
    control.level, lanes.plan.freeze_bytes = Level.NORMAL, None
    profiles = [lanes._rehearse_as() for _ in range(REHEARSED_SHORT_FRAMES + 1)]
    assert profiles == [*[DIRECT] * (REHEARSED_SHORT_FRAMES - 1), ORDINARY, ORDINARY], "with the one before"
    his.decline()
    await ended(call)


async def test_the_lanes_end_with_a_call_that_nobody_answered(world: World) -> None:
    alice, bob, conversation = await pair(world)
    ringing = rings(bob)
    call = alice.calls.place(conversation, SilentSource(), NullSink())
    his = await call_of(ringing)
    his.decline()
    await ended(call)
    for side in (call, his):
        assert side.line is not None
        await soon(asyncio.wait([side.line.task]))
        assert side.conversation.subscription.on_signal is None
        assert side.conversation.connection._call is None


async def test_the_message_connection_may_end_without_a_gap(world: World) -> None:
    alice, _, call, his, _, at_bob = await talking(world)
    await has_lanes(lanes_of(call), 2)
    await has_lanes(lanes_of(his), 2)
    before = his.stats.concealed
    connection = alice.context.connection(world.url)
    generation = connection.generation
    connection.end()
    await at_bob.hears(slots=30)
    assert connection.generation > generation
    assert his.stats.concealed - before <= 1
    assert not call.ended.done()
    call.hang_up()
    assert await ended(his) is EndReason.REMOTE_HUNG_UP


async def test_a_lane_that_ends_is_replaced(world: World) -> None:
    _, _, call, _, _, at_bob = await talking(world)
    lanes = lanes_of(call)
    await has_lanes(lanes, 2)
    spare = lanes.sender.lanes[1]
    lanes.end(spare)
    assert spare not in lanes.sender.lanes
    await has_lanes(lanes, 2)
    await at_bob.hears()
    assert lanes.plan.lanes_max is None


def lose_address(lanes: Lanes, patch: pytest.MonkeyPatch) -> None:
    """From now on nothing comes from where the present lanes do."""
    sockets: list[Any] = [
        getattr(each, "_websocket", None) or lanes._connection._socket for each in lanes._sockets.values()
    ]
    lost = [websocket.get_extra_info("sockname") for websocket in sockets]

    def is_lost(connected: socket.socket | None) -> bool:
        return connected is not None and connected.getsockname() in lost

    for module in (connection_module, lanes_module):
        patch.setattr(module, "is_lost", is_lost)


async def test_after_a_change_of_address_all_connections_are_new(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, _, call, his, _, at_bob = await talking(world)
    lanes = lanes_of(call)
    await has_lanes(lanes, 2)
    before = set(lanes.sender.lanes)
    connection = alice.context.connection(world.url)
    generation = connection.generation
    lose_address(lanes, monkeypatch)

    async def has_left() -> None:
        while before & set(lanes.sender.lanes):
            lanes.changed.clear()
            await lanes.changed.wait()

    await soon(has_left())
    assert lanes.lanes_died == len(before)
    await has_lanes(lanes, 2)
    assert connection.generation > generation
    await at_bob.hears(slots=30)
    call.hang_up()
    assert await ended(his) is EndReason.REMOTE_HUNG_UP


class Nowhere:
    """A device without a network until `failures` attempts were made; then the attempts reach a server."""

    def __init__(self, failures: int, number: int = errno.ENETUNREACH) -> None:
        self.failures = failures
        self.number = number
        self.reached = object()

    async def ws_connect(self, *_: object, **__: object) -> object:
        if self.failures:
            self.failures -= 1
            key = ConnectionKey("localhost", 1, False, True, None, None, None)
            raise aiohttp.ClientConnectorError(key, OSError(self.number, "nowhere"))
        return self.reached


async def test_a_lane_waits_for_a_network(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, call, _, _, _ = await talking(world)
    connect: Any = lanes_of(call)._connect
    nowhere = Nowhere(failures=2)
    assert await soon(connect(nowhere)) is nowhere.reached
    with pytest.raises(aiohttp.ClientConnectorError):
        await soon(connect(Nowhere(failures=1, number=errno.ECONNREFUSED)))
    monkeypatch.setattr(lanes_module, "NETWORK_S_MAX", 0.0)
    with pytest.raises(aiohttp.ClientConnectorError):
        await soon(connect(Nowhere(failures=1)))


async def test_a_lane_takes_frames_before_it_is_joined_only_where_no_other_does(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BACK_OFF_S_IN_CALL", "STEADY_S"):  # the message connection stays away
        monkeypatch.setattr(connection_module, name, WAIT_S * 10)
    monkeypatch.setattr(connection_module, "BACK_OFF_S", (WAIT_S * 10,))
    _, _, call, _, _, at_bob = await talking(world)
    lanes = lanes_of(call)
    await has_lanes(lanes, 2)
    happened: list[str] = []
    joined, opened = lanes._joined, lanes._opened

    def note_joined(frame: frames.Joined) -> None:
        happened.append("joined")
        joined(frame)

    def note_opened(lane_socket: Any) -> LaneId:
        happened.append("opened")
        return opened(lane_socket)

    monkeypatch.setattr(lanes, "_joined", note_joined)
    monkeypatch.setattr(lanes, "_opened", note_opened)
    lanes.end(lanes.sender.lanes[1])
    await has_lanes(lanes, 2)
    assert happened == ["joined", "opened"]
    happened.clear()
    for lane in lanes.sender.lanes:
        lanes.end(lane)
    await at_bob.hears(slots=30)
    assert happened[:2] == ["opened", "joined"]


async def test_after_the_call_no_lane_is_left(world: World) -> None:
    alice, _, call, his, _, _ = await talking(world)
    await has_lanes(lanes_of(call), 2)
    call.hang_up()
    await ended(his)
    assert alice.calls._media is not None
    await asyncio.gather(alice.calls._media, return_exceptions=True)
    assert not lanes_of(call)._tasks
    assert alice.context.connection(world.url)._call is None


async def test_a_restarted_server_counts_afresh_and_is_understood(world: World) -> None:
    _, _, call, _, at_alice, at_bob = await talking(world)
    instance = lanes_of(call)._instance
    await world.restart_server()
    await at_bob.hears(slots=30)
    await at_alice.hears(slots=30)
    assert lanes_of(call)._instance != instance
    await has_lanes(lanes_of(call), 2)


@pytest.mark.promise("CANNOT-FORGE")
async def test_what_comes_twice_is_heard_once(world: World) -> None:
    """A server that repeats frames under new numbers is stopped by SFrame's window, behind the lanes' own."""
    _, _, _, his, _, at_bob = await talking(world)
    lanes = lanes_of(his)
    play = lanes.on_body

    def twice(body: bytes) -> None:
        play(body)
        play(body)

    lanes.on_body = twice
    received = his.stats.received
    await at_bob.hears(slots=30)
    assert his.stats.refused >= 9
    assert his.stats.received - received <= his.stats.refused + 5
