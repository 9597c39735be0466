"""A hop on a virtual clock: lanes that keep their order as TCP does, loss, a bottleneck with a queue.

Coarse on purpose (no windows, no congestion control: a voice stream is far below them). A lost segment is sent again
when a later one on the same connection was acknowledged, else after a loss probe and timeouts, which double.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from ringthrough.protocol.lane_control import Controller, Level
from ringthrough.protocol.lanes import Ack, LaneId, LaneReceiver, LaneSender, Transmission

RTO_MS_MIN = 200.0
OVERHEAD_BYTES = 52 + 22 + 8 + 9
ACK_BYTES = 52 + 22 + 6 + 13
TCP_ACK_BYTES = 52


@dataclass
class Path:
    """One direction. `rate_bps` and `queue_bytes` bound what all lanes share; `loss` may depend on the time."""

    delay_ms: float
    loss: Callable[[float, random.Random], bool] = lambda now_ms, rng: False
    rate_bps: Callable[[float], float] = lambda now_ms: float("inf")
    queue_bytes: int = 32_000
    free_ms: float = 0.0
    bytes_carried: int = 0

    def transit_ms(self, size: int, now_ms: float, rng: random.Random) -> float | None:
        """When a packet sent now arrives; None when it is lost."""
        rate = self.rate_bps(now_ms)
        waits_ms = max(0.0, self.free_ms - now_ms)
        if rate != float("inf") and waits_ms * rate / 8000 > self.queue_bytes:
            return None
        self.free_ms = max(self.free_ms, now_ms) + size * 8000 / rate
        self.bytes_carried += size
        return None if self.loss(now_ms, rng) else self.free_ms + self.delay_ms


def random_loss(share: float) -> Callable[[float, random.Random], bool]:
    return lambda now_ms, rng: rng.random() < share


@dataclass
class _Segment:
    size: int
    arrive: Callable[[float], None]
    attempts: int = 0
    arrived_ms: float | None = None


@dataclass
class _Stream:
    """One direction of one connection: in order, reliable."""

    segments: list[_Segment] = field(default_factory=list)
    delivered: int = 0


@dataclass
class World:
    """A sender with its controller at one end, a receiver at the other, `lanes` connections between them."""

    up: Path
    down: Path
    lanes: int
    seed: int = 1
    frame_ms: float = 60.0
    body: bytes = bytes(160)
    follow_lean: bool = True
    level_fixed: Level | None = None
    talks_back: bool = False
    """The other direction has frames too, on the lanes in turn, and fewer where this one has."""
    now_ms: float = 0.0
    delays_ms: dict[int, tuple[float, float | None]] = field(default_factory=dict)
    levels: list[tuple[float, Level]] = field(default_factory=list)
    shorts_ms: list[float] = field(default_factory=list)
    """When packets began to be short, were no longer, and so on."""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.controller, self.back = Controller(), Controller()
        self.sender = LaneSender(self.controller, lambda lane: True)
        self.receiver = LaneReceiver()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0
        self._streams: dict[tuple[int, str], _Stream] = {}
        self._born: dict[int, float] = {}
        self._tick_ms: float | None = None
        self.sizes: list[int] = []
        for lane in range(self.lanes):
            self.at(lane * 500.0, lambda now_ms, lane=lane: self.sender.open(LaneId(lane), now_ms))  # type: ignore[misc]

    def at(self, when_ms: float, what: Callable[[float], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (when_ms, self._count, what))

    def run(self, seconds: float) -> None:
        self.at(1.0, self._speak)
        if self.talks_back:
            self.at(31.0, self._speak_back)
        while self._events and self._events[0][0] <= seconds * 1000:
            self.now_ms, _, what = heapq.heappop(self._events)
            what(self.now_ms)
            if self.level_fixed is not None:
                self.controller.level = self.level_fixed
            if not self.levels or self.levels[-1][1] is not self.controller.level:
                self.levels.append((self.now_ms, self.controller.level))
            due_ms = self.sender.due_ms
            if due_ms is not None and (
                self._tick_ms is None or due_ms < self._tick_ms or self._tick_ms < self.now_ms
            ):
                self._tick_ms = max(due_ms, self.now_ms + 0.1)
                self.at(self._tick_ms, self._tick)

    def _speak(self, now_ms: float) -> None:
        number = len(self.delays_ms)
        self.delays_ms[number] = (now_ms, None)
        self._transmit(self.sender.send(number.to_bytes(4, "big") + self.body[4:], now_ms))
        lean = self.follow_lean and self.controller.is_narrow(now_ms)
        short = self.controller.sends_short
        if short != bool(len(self.shorts_ms) % 2):
            self.shorts_ms.append(now_ms)
        self.at(now_ms + (120.0 if lean else 20.0 if short else self.frame_ms), self._speak)

    def _speak_back(self, now_ms: float) -> None:
        lane = self.sender.lanes[int(now_ms // self.frame_ms) % len(self.sender.lanes)]
        self._put(lane, "down", len(self.body) + OVERHEAD_BYTES, lambda now_ms: None)
        self.at(now_ms + (120.0 if self.controller.is_narrow(now_ms) else self.frame_ms), self._speak_back)

    def _tick(self, now_ms: float) -> None:
        self._tick_ms = None
        self._transmit(self.sender.tick(now_ms))

    def _transmit(self, transmissions: list[Transmission]) -> None:
        for t in transmissions:
            self._put(t.lane, "up", len(t.body) + OVERHEAD_BYTES, lambda now_ms, t=t: self._arrive(t, now_ms))  # type: ignore[misc]

    def _arrive(self, t: Transmission, now_ms: float) -> None:
        is_new, ack = self.receiver.arrived(t.lane, t.seq, t.sent_ms, now_ms + 12_345, self.back)
        number = int.from_bytes(t.body[:4], "big")
        if is_new:
            sent_ms, known = self.delays_ms[number]
            assert known is None, "the receiver took a copy for a frame"
            self.delays_ms[number] = (sent_ms, now_ms - sent_ms)
        self.back.heard(self.controller.level, False, self.controller.is_sparing(now_ms), now_ms)
        if ack is not None:
            self._put(t.lane, "down", ACK_BYTES, lambda now_ms: self._acked(t.lane, ack, now_ms))

    def _acked(self, lane: LaneId, ack: Ack, now_ms: float) -> None:
        self.sender.acked(lane, ack, now_ms)

    def _put(self, lane: LaneId, way: str, size: int, arrive: Callable[[float], None]) -> None:
        stream = self._streams.setdefault((lane, way), _Stream())
        segment = _Segment(size, arrive)
        stream.segments.append(segment)
        self._attempt(stream, len(stream.segments) - 1, way, self.now_ms)

    def _attempt(self, stream: _Stream, index: int, way: str, now_ms: float) -> None:
        segment = stream.segments[index]
        if segment.arrived_ms is not None:
            return
        path, back = (self.up, self.down) if way == "up" else (self.down, self.up)
        attempt = segment.attempts = segment.attempts + 1
        arrival_ms = path.transit_ms(segment.size, now_ms, self.rng)
        if arrival_ms is not None:
            self.at(arrival_ms, lambda now_ms: self._land(stream, index, way, now_ms))
        round_trip_ms = path.delay_ms + back.delay_ms
        timeout_ms = (round_trip_ms + RTO_MS_MIN) * 2 ** max(0, attempt - 2)
        queued_ms = max(0.0, path.free_ms - now_ms)
        self.at(now_ms + queued_ms + timeout_ms, lambda now_ms: self._retry(stream, index, way, attempt, now_ms))

    def _retry(self, stream: _Stream, index: int, way: str, attempt: int, now_ms: float) -> None:
        if stream.segments[index].attempts == attempt:
            self._attempt(stream, index, way, now_ms)

    def _land(self, stream: _Stream, index: int, way: str, now_ms: float) -> None:
        segment = stream.segments[index]
        if segment.arrived_ms is not None:
            return
        segment.arrived_ms = now_ms
        back = self.down if way == "up" else self.up
        for earlier in range(stream.delivered, index):
            missing = stream.segments[earlier]
            if missing.arrived_ms is None and missing.attempts == 1:
                heard_ms = now_ms + back.delay_ms * 1.25
                self.at(heard_ms, lambda now_ms, i=earlier: self._retry(stream, i, way, 1, now_ms))  # type: ignore[misc]
        while stream.delivered < len(stream.segments) and stream.segments[stream.delivered].arrived_ms is not None:
            stream.segments[stream.delivered].arrive(now_ms)
            stream.delivered += 1

    # What came of it

    def late_share(self, limit_ms: float, since_ms: float = 0.0) -> float:
        """Share of frames that took longer, or never came; the last second's do not count."""
        judged = [delay for sent, delay in self.delays_ms.values() if since_ms <= sent < self.now_ms - 1000]
        return sum(delay is None or delay > limit_ms for delay in judged) / len(judged)

    @property
    def copies_per_frame(self) -> float:
        return self.sender.copies_sent / max(1, len(self.delays_ms))
