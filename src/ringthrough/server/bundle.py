"""The lanes of one device in one stream: several connections that carry the same sealed frames (docs/spec/lanes.md).

Content-blind: bodies are bytes, numbered anew for each hop. A bundle speaks for the stream whose capability one of
its connections has shown, in the epoch of that capability, and only while that epoch is the stream's
(CANNOT-SNOOP-AFTER); it outlives the connection that showed it, so that sound goes on while the others carry it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ringthrough.protocol.frames import Ack, Carry, encode_acked, encode_carried
from ringthrough.protocol.lane_control import Controller, Level
from ringthrough.protocol.lanes import Ack as LaneAck
from ringthrough.protocol.lanes import LaneId, LaneReceiver, LaneSender, Transmission
from ringthrough.protocol.limits import LANES_PER_BUNDLE_MAX

from .outlet import Outlet

LINGER_S = 10.0
"""How long a bundle without lanes is kept: its device may be on another network in a moment."""
LANE_UNSENT_BYTES_MAX = 2048


class Lane(Protocol):
    """What a bundle needs of a connection."""

    outlet: Outlet

    def left(self) -> None:
        """The bundle has given this lane up; close the connection."""


class Bundle:
    """`carry` takes each new frame on to the others and tells whether one of them has no room for more."""

    __slots__ = (
        "_carry",
        "_forget",
        "_lanes",
        "_linger",
        "_loop",
        "_next_lane",
        "_receiver",
        "_sender",
        "_timer",
        "_timer_ms",
        "epoch",
        "instance",
        "is_narrow_ahead",
    )

    def __init__(
        self, instance: int, epoch: int, carry: Callable[[Bundle, bytes], bool], forget: Callable[[Bundle], None]
    ) -> None:
        self.instance = instance
        self.epoch = epoch
        self.is_narrow_ahead = False
        self._carry = carry
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[LaneId, Lane] = {}
        self._next_lane = 0
        self._receiver = LaneReceiver()
        self._sender = LaneSender(Controller(), self._is_writable)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0.0
        self._linger: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def is_narrow(self) -> bool:
        """Whether the way to this device has no room."""
        return self._sender.controller.is_narrow(self._now_ms())

    def join(self, lane: Lane) -> LaneId:
        """Another connection; frames go on it from now on."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if len(self._lanes) >= LANES_PER_BUNDLE_MAX:
            # A connection may be dead for long before its end reaches us; the device knows better.
            deadest = min(self._lanes, key=self._sender.heard_ms)
            dead = self._lanes[deadest]
            self.leave(deadest)
            dead.left()
        lane_id = LaneId(self._next_lane)
        self._next_lane += 1
        self._lanes[lane_id] = lane
        self._sender.open(lane_id, self._now_ms())
        return lane_id

    def leave(self, lane: LaneId) -> None:
        """The connection ended."""
        if self._lanes.pop(lane, None) is None:
            return
        self._receiver.closed(lane)
        self._transmit(self._sender.close(lane, self._now_ms()))
        if not self._lanes:
            self._linger = self._loop.call_later(LINGER_S, self._forget, self)

    def carried(self, lane: LaneId, frame: Carry) -> None:
        """A frame or a copy of one has arrived from the device."""
        is_new, ack = self._receiver.arrived(
            lane, frame.seq, frame.sent_ms, self._now_ms(), self._sender.controller, is_narrow=self.is_narrow_ahead
        )
        if is_new:
            self.is_narrow_ahead = self._carry(self, frame.body)
        if ack is not None:
            narrow, sparing = ack.is_narrow, ack.is_sparing
            answer = encode_acked(ack.seq, ack.delay_ms, ack.level, narrow=narrow, sparing=sparing)
            self._lanes[lane].outlet.send(answer)

    def acked(self, lane: LaneId, frame: Ack) -> None:
        """The device has taken what was sent on this lane."""
        ack = LaneAck(frame.seq, frame.delay_ms, Level(frame.level), frame.narrow, frame.sparing)
        self._sender.acked(lane, ack, self._now_ms())

    def send(self, body: bytes) -> None:
        """A frame for the device."""
        self._transmit(self._sender.send(body, self._now_ms()))

    def close(self) -> None:
        """Stop all timers."""
        for timer in (self._timer, self._linger):
            if timer is not None:
                timer.cancel()
        self._timer = self._linger = None

    def _transmit(self, transmissions: list[Transmission]) -> None:
        for t in transmissions:
            self._lanes[t.lane].outlet.send(encode_carried(t.seq, t.sent_ms, t.body))
        due_ms = self._sender.due_ms
        if due_ms is None or (self._timer is not None and self._timer_ms <= due_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ms = due_ms
        self._timer = self._loop.call_at(due_ms / 1000, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._transmit(self._sender.tick(self._now_ms()))

    def _is_writable(self, lane: LaneId) -> bool:
        outlet = self._lanes[lane].outlet
        return not outlet.closing and outlet.unsent_bytes <= LANE_UNSENT_BYTES_MAX

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
