"""The connections of one call: the message connection first, further ones as the plan wants them.

All rules are in `ringthrough.protocol`: what goes on which lane (`lanes`), how much redundancy (`lane_control`), when
to open and leave connections (`lane_plan`). Here are only the sockets and timers.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Protocol

import aiohttp

from ringthrough.audio.pcm import SLOT_MS
from ringthrough.audio.profiles import DIRECT, LEAN, ORDINARY, Profile
from ringthrough.audio.rehearsal import NAME_BYTES, Rehearsed, rehearsal
from ringthrough.protocol import frames, limits, session
from ringthrough.protocol.errors import ProtocolError
from ringthrough.protocol.frames import BundleId, StreamId
from ringthrough.protocol.lane_control import Controller, Level
from ringthrough.protocol.lane_plan import LanePlan
from ringthrough.protocol.lanes import Ack, LaneId, LaneReceiver, LaneSender, Transmission

from .connection import HEARTBEAT_S, Connection
from .local_address import is_lost
from .tuned_socket import tuned_socket

log = logging.getLogger(__name__)

UNSENT_BYTES_MAX = 2048
DIAL_TIMEOUT_S = 4.0
"""Losses that held up a handshake for so long hold it up longer still, and a new one may be through before."""
PLAN_S = 0.1
NETWORK_S_MAX = 1.0
"""For so long a lane that is being opened waits for a network; then the plan has another one opened."""
NO_NETWORK = (errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
REHEARSAL_AFTER_S = 1.5
"""A handshake that takes longer is not waited for."""
REHEARSED_SHORT_FRAMES = 75
"""A second and a half of short packets shows whether there is room for them. More would only wear out connections
that are frozen by bytes, before anybody speaks."""
MESSAGE_OVERHEAD_BYTES = 26
"""WebSocket header and TLS record of a message."""


class _Socket(Protocol):
    """One lane's connection."""

    def write(self, message: bytes) -> None:
        """Send soon."""

    def unsent_bytes(self) -> int:
        """What the kernel has not taken yet."""

    def end(self) -> None:
        """Close it; its end is reported as any other."""

    def has_lost_its_address(self) -> bool:
        """Whether it comes from an address that this device no longer has: nothing comes through it any more."""


class Lanes:
    """Sends and receives the sealed frames of one call."""

    def __init__(self, connection: Connection, stream: StreamId, bundle: BundleId) -> None:
        self._connection = connection
        self._stream = stream
        self._bundle = bundle
        self.on_body: Callable[[bytes], None] = lambda body: None
        """Called once for each frame that arrives and is no rehearsal."""
        self.on_silence: Callable[[], None] = lambda: None
        """Called when nothing passes any more: the last lane has ended, or none answers."""
        self.on_address_lost: Callable[[], None] = lambda: None
        """Called when a lane was left whose address this device no longer has."""
        self.rehearsed = Rehearsed()
        """What the other end's rehearsal told of the way from there."""
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[LaneId, _Socket] = {}
        self._main: LaneId | None = None
        self._next_lane = 0
        self._instance: int | None = None
        self._rehearsed_short = 0
        """Rehearsal's frames sent in the rhythm of short packets."""
        self._receiver = LaneReceiver()
        self.sender = LaneSender(Controller(), self._is_writable)
        self.sender.controller.allow_short()
        self.plan = LanePlan(self._now_ms())
        self.is_silent = False
        """Nothing passes on any lane."""
        self.lanes_died = 0
        """Cut, or left because they answered nothing."""
        self.changed = asyncio.Event()
        """Set whenever a lane is opened or ends."""
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def level(self) -> Level:
        """How much redundancy the way to the server gets."""
        return self.sender.controller.level

    @property
    def lanes_opened(self) -> int:
        """In all, so far."""
        return self._next_lane

    @property
    def is_narrow(self) -> bool:
        """Whether less sound should be sent."""
        return self.sender.controller.is_narrow(self._now_ms())

    @property
    def has_room(self) -> bool:
        """Whether something more may be tried beside the call."""
        return self.sender.controller.has_room(self._now_ms())

    @property
    def sends_short(self) -> bool:
        """Whether there is room for short packets, in both directions of this device's own way. They would wear out
        connections that are frozen by bytes faster than others may be opened."""
        return self.sender.controller.sends_short and self.plan.freeze_bytes is None

    async def run(self) -> None:
        """Keep lanes open until cancelled."""
        connector = aiohttp.TCPConnector(
            ssl=self._connection.tls, limit=0, force_close=True, socket_factory=tuned_socket
        )
        try:
            async with aiohttp.ClientSession(connector=connector) as http:
                self._connection.attach(self._stream, self)
                while True:
                    self._step(http)
                    await asyncio.sleep(PLAN_S)
        finally:
            self._connection.detach(self)
            if self._timer is not None:
                self._timer.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(self, body: bytes) -> bool:
        """Send a frame now or not at all; False when it was dropped."""
        self.plan.is_sounding = True
        return self._send(body)

    def _send(self, body: bytes) -> bool:
        transmissions = self.sender.send(body, self._now_ms())
        self._transmit(transmissions)
        return bool(transmissions)

    def rehearse(self) -> None:
        """Send what a call would, until it does: so loss, room and delays are known before the first word. It waits
        for the spare, whose handshake would be taken for a full pipe, and with its first frame for an answer."""
        self._spawn(self._rehearse())

    async def _rehearse(self) -> None:
        name, rings_s = secrets.token_bytes(NAME_BYTES), self._loop.time()
        noise_bytes = limits.PADDED_SIZES_BYTES[0] - len(rehearsal(name, 0, b""))
        while not self.plan.is_sounding:
            has_lanes = len(self.sender.lanes) > 1 or self._loop.time() - rings_s >= REHEARSAL_AFTER_S
            if has_lanes and not self.sender.awaits_first_answer:
                noise = secrets.token_bytes(noise_bytes)
                self._send(rehearsal(name, self._now_ms(), noise, takes_short=self.sends_short))
            await asyncio.sleep(self._rehearse_as().slots * SLOT_MS / 1000)

    def _rehearse_as(self) -> Profile:
        """In whose rhythm the next frame comes."""
        is_new = self._rehearsed_short < REHEARSED_SHORT_FRAMES
        is_short = is_new and self.sends_short and self.rehearsed.takes_short and not self.is_narrow
        self._rehearsed_short += is_short
        return LEAN if self.is_narrow else DIRECT if is_short else ORDINARY

    # The message connection's part (see `connection.Connection.attach`)

    def main_opened(self) -> None:
        """The stream is open on the message connection: it is a lane from now on."""
        self._connection.join(self._bundle, self._stream)
        if self._main is None:
            self._main = self._opened(self._connection)

    def main_lost(self) -> None:
        """The message connection ended."""
        if self._main is not None:
            self._died(self._main)

    def main_received(self, frame: frames.Joined | frames.Carried | frames.Acked) -> None:
        """A lane's frame on the message connection."""
        if isinstance(frame, frames.Joined):
            self._joined(frame)
        elif self._main is not None:
            self.plan.received(self._main, len(frames.encode(frame)) + MESSAGE_OVERHEAD_BYTES)
            self._received(self._main, frame)

    # Lanes

    def _step(self, http: aiohttp.ClientSession) -> None:
        lost = [lane for lane, lane_socket in self._sockets.items() if lane_socket.has_lost_its_address()]
        for lane in lost:
            self.lanes_died += 1
            self.end(lane)
        if lost:
            self.on_address_lost()
        now_ms = self._now_ms()
        stalled = self.sender.stalled(now_ms)
        if stalled:
            self.sender.controller.stalled(now_ms)
        was_silent, self.is_silent = self.is_silent, not self._sockets or self.sender.is_silent(now_ms)
        if self.is_silent and not was_silent:
            self.on_silence()
        stuck = self.sender.is_stuck(now_ms)
        wanted = self.sender.controller.lanes_wanted
        steps = self.plan.step(wanted, stalled, now_ms, silent=self.is_silent, stuck=stuck)
        for lane in steps.leave:
            # The message connection is left only when nothing comes through it: messages may be under way on it.
            if lane in stalled:
                self.lanes_died += 1
                self.end(lane)
            elif lane != self._main:
                self.end(lane)
        if steps.dial and self._instance is not None:
            self.plan.dialled(now_ms)
            self.sender.controller.excuse(now_ms)
            self._spawn(self._dial(http))

    async def _dial(self, http: aiohttp.ClientSession) -> None:
        dialled = was_reset = False
        lane: LaneId | None = None
        machine = session.Session()
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S) as opening:
                async with await self._connect(http) as websocket:
                    _, join = machine.join(self._bundle, None)
                    await websocket.send_bytes(machine.hello())
                    await websocket.send_bytes(join)
                    lane_socket = _LaneSocket(websocket, self._spawn)
                    if not self._sockets:  # nothing else takes frames, and these may follow in the same breath
                        lane = self._opened(lane_socket)
                    async for message in websocket:
                        if message.type is not aiohttp.WSMsgType.BINARY:
                            break
                        event = machine.receive(message.data)
                        if isinstance(event, session.Answered) and isinstance(event.frame, frames.Joined):
                            opening.reschedule(None)
                            self.plan.dial_ended()
                            if not self.plan.is_dialling:
                                self.sender.controller.excuse_ends(self._now_ms())
                            dialled = True
                            self._joined(event.frame)
                            lane = self._opened(lane_socket) if lane is None else lane
                        elif isinstance(event, session.RequestRefused):
                            log.info("no lane: %s", event.error.code)
                            break
                        elif isinstance(event, frames.Carried | frames.Acked) and lane is not None:
                            self.plan.received(lane, len(message.data) + MESSAGE_OVERHEAD_BYTES)
                            self._received(lane, event)
                    was_reset = websocket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
        except (aiohttp.ClientError, OSError, TimeoutError, ProtocolError) as e:
            log.info("a lane ended: %s", type(e).__name__)
            was_reset = isinstance(e, aiohttp.ClientConnectorError | ConnectionResetError)
            if lane is None and was_reset:
                self.plan.refused(self._now_ms())
        finally:
            if not dialled:
                self.plan.dial_ended()
            if lane is not None:
                self._died(lane, reset=was_reset)

    async def _connect(self, http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        """Wait a moment for a network where there is none: a device that changes networks loses its address first."""
        began_s = self._loop.time()
        while True:
            try:
                return await http.ws_connect(
                    self._connection.origin + "/v1/connect",
                    max_msg_size=limits.MESSAGE_BYTES_MAX + 1,
                    compress=0,
                    heartbeat=HEARTBEAT_S,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                )
            except aiohttp.ClientConnectorError as e:
                if e.os_error.errno not in NO_NETWORK or self._loop.time() - began_s >= NETWORK_S_MAX:
                    raise
            await asyncio.sleep(PLAN_S)

    def end(self, lane: LaneId) -> None:
        """Leave a lane; what is under way on it alone goes out again."""
        self._sockets[lane].end()
        self._closed(lane)

    def _joined(self, frame: frames.Joined) -> None:
        """Another instance: the server has been restarted and counts afresh."""
        if self._instance is not None and frame.instance != self._instance:
            self._receiver = LaneReceiver()
        self._instance = frame.instance

    def _opened(self, lane_socket: _Socket) -> LaneId:
        lane = LaneId(self._next_lane)
        self._next_lane += 1
        self._sockets[lane] = lane_socket
        self.sender.open(lane, self._now_ms())
        self.plan.opened(lane, self._now_ms())
        self.changed.set()
        return lane

    def _died(self, lane: LaneId, *, reset: bool = False) -> None:
        """It was not we who wanted a lane less."""
        self.lanes_died += lane in self._sockets
        self._closed(lane, reset=reset)

    def _closed(self, lane: LaneId, *, reset: bool = False) -> None:
        if self._sockets.pop(lane, None) is None:
            return
        if lane == self._main:
            self._main = None
        self.plan.closed(lane, self._now_ms(), reset=reset)
        self.changed.set()
        self._receiver.closed(lane)
        self._transmit(self.sender.close(lane, self._now_ms()))
        if not self._sockets:
            self.is_silent = True
            self.on_silence()

    def _received(self, lane: LaneId, frame: frames.Carried | frames.Acked) -> None:
        now_ms = self._now_ms()
        if isinstance(frame, frames.Acked):
            level = Level(frame.level)
            self.sender.acked(lane, Ack(frame.seq, frame.delay_ms, level, frame.narrow, frame.sparing), now_ms)
            return
        is_new, ack = self._receiver.arrived(lane, frame.seq, frame.sent_ms, now_ms, self.sender.controller)
        if ack is not None:
            answer = frames.Ack(ack.seq, ack.delay_ms, int(ack.level), ack.is_narrow, ack.is_sparing)
            self._sockets[lane].write(frames.encode(answer))
        if is_new:
            self.take(frame.body)

    def take(self, body: bytes) -> None:
        """A frame that came in whatever way."""
        if not self.rehearsed.arrived(body, self._now_ms()):
            self.on_body(body)

    # Sending

    def _transmit(self, transmissions: list[Transmission]) -> None:
        for t in transmissions:
            self._sockets[t.lane].write(frames.encode(frames.Carry(t.seq, t.sent_ms, t.body)))
        due_ms = self.sender.due_ms
        if due_ms is None or (self._timer is not None and self._timer.when() * 1000 <= due_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due_ms / 1000, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._transmit(self.sender.tick(self._now_ms()))

    def _is_writable(self, lane: LaneId) -> bool:
        return self._sockets[lane].unsent_bytes() <= UNSENT_BYTES_MAX

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("a lane failed", exc_info=failure)

    def _now_ms(self) -> float:
        return self._loop.time() * 1000


class _LaneSocket:
    """A WebSocket that is nothing but a lane."""

    def __init__(
        self, websocket: aiohttp.ClientWebSocketResponse, spawn: Callable[[Coroutine[None, None, None]], None]
    ) -> None:
        self._websocket = websocket
        self._spawn = spawn

    def write(self, message: bytes) -> None:
        self._spawn(self._send(message))

    async def _send(self, message: bytes) -> None:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            await self._websocket.send_bytes(message)

    def unsent_bytes(self) -> int:
        transport = getattr(getattr(self._websocket, "_writer", None), "transport", None)
        return transport.get_write_buffer_size() if transport is not None else 0

    def end(self) -> None:
        transport = getattr(getattr(self._websocket, "_writer", None), "transport", None)
        if transport is not None:
            transport.abort()

    def has_lost_its_address(self) -> bool:
        return is_lost(self._websocket.get_extra_info("socket"))
