"""A call's frames over lanes and a direct channel, on a virtual clock; all of it is recorded."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ringthrough.protocol.carriers import Arrivals, Carriers, Way

Event = list[Any]
FRAME_MS = 60
LOOK_MS = 20


@dataclass
class World:
    """`direct(now)` and `lanes(now)` give a frame's delay in ms, or None where it is lost; one way."""

    direct: Callable[[int], int | None]
    lanes: Callable[[int], int | None]
    answers: Callable[[int], int | None] | None = None
    """The direct way back; as the way there if it is not given."""
    has_room: Callable[[int], bool] = lambda now: True
    """Whether the way to the server has room for both ways."""
    carriers: Carriers = field(default_factory=Carriers)
    arrivals: Arrivals = field(default_factory=Arrivals)
    events: list[Event] = field(default_factory=list)
    heard: dict[int, int] = field(default_factory=dict)
    """When each frame arrived first."""
    now: int = 0
    lost_ms: int | None = None
    _flying: list[tuple[int, int, str, int, int]] = field(default_factory=list)
    _order: int = 0

    def run(self, seconds: float, opened_ms: int = 1_000, closed_ms: int | None = None) -> World:
        end = self.now + round(seconds * 1000)
        while self.now < end:
            if self.now == opened_ms:
                self.carriers.opened(self.now)
                self.events.append(["opened", self.now])
            if self.now == closed_ms:
                self.close()
            self._arrive()
            self._tick()
            if self.now % FRAME_MS == 0:
                self._send(self.now // FRAME_MS)
            self.now += LOOK_MS // 4
        return self

    def way(self) -> Way:
        return self.carriers.way

    def gap_ms(self) -> int:
        """The longest time without a frame at the receiver, by when each was first due there."""
        times = sorted(self.heard.values())
        return max(after - before for before, after in itertools.pairwise(times))

    def close(self) -> None:
        bodies = self.carriers.closed(self.now)
        numbers = [int.from_bytes(body, "big") for body in bodies]
        self.events.append(["closed", self.now, numbers, self.carriers.was_bad])
        for body in bodies:
            self._fly("lanes", int.from_bytes(body, "big"), 0)

    def _send(self, number: int) -> None:
        sending = self.carriers.send(number.to_bytes(4, "big"), self.now)
        self.events.append(["send", number, self.now, sending.seq, sending.lanes, int(self.carriers.way)])
        if sending.lanes:
            self._fly("lanes", number, 0)
        if sending.seq is not None:
            self._fly("direct", number, sending.seq)

    def _fly(self, carrier: str, number: int, seq: int) -> None:
        delay = self.lanes(self.now) if carrier == "lanes" else self.direct(self.now)
        if delay is not None:
            self._order += 1
            heapq.heappush(self._flying, (self.now + delay, self._order, carrier, number, seq))

    def _arrive(self) -> None:
        while self._flying and self._flying[0][0] <= self.now:
            _, _, carrier, number, seq = heapq.heappop(self._flying)
            if carrier == "ack":
                self.carriers.acked(seq, number, self.now)
                self.events.append(["acked", seq, number, self.now])
                continue
            self.heard.setdefault(number, self.now)
            if carrier == "lanes":
                self.arrivals.by_lanes(number, self.now)
                self.events.append(["by_lanes", number, self.now])
                continue
            behind = self.arrivals.by_direct(number, self.now)
            self.events.append(["by_direct", number, self.now, behind])
            back = (self.answers or self.direct)(self.now)
            if back is not None:
                self._order += 1
                heapq.heappush(self._flying, (self.now + back, self._order, "ack", behind, seq))

    def _tick(self) -> None:
        due = self.carriers.due_ms
        if (due is None or due > self.now) and self.now % LOOK_MS:
            return
        if not self.has_room(self.now):
            self.carriers.make_room(self.now)
            self.events.append(["narrow", self.now])
        bodies = [int.from_bytes(body, "big") for body in self.carriers.tick(self.now)]
        way, lost = self.carriers.way, self.carriers.is_lost
        self.events.append(["tick", self.now, bodies, int(way), lost, self.carriers.late_ms, self.carriers.is_worse])
        for number in bodies:
            self._fly("lanes", number, 0)
        if lost:
            self.lost_ms = self.lost_ms or self.now
            self.close()


def steady(delay_ms: int) -> Callable[[int], int | None]:
    return lambda _: delay_ms


def lossy(delay_ms: int, share: float, seed: int) -> Callable[[int], int | None]:
    """The same at the same instant, however often it is asked."""

    def delay(now: int) -> int | None:
        dice = random.Random(seed * 1_000_003 + now)
        return None if dice.random() < share else delay_ms + dice.randrange(10)

    return delay


def bursts(delay_ms: int, share: float, seed: int) -> Callable[[int], int | None]:
    """A way that is gone for 180 ms at a time, in all for this share of it."""
    path = lossy(delay_ms, 0, seed)

    def delay(now: int) -> int | None:
        return None if random.Random(seed * 1_000_003 + now // 180).random() < share else path(now)

    return delay


def cut(path: Callable[[int], int | None], at_ms: int, until_ms: int | None = None) -> Callable[[int], int | None]:
    def delay(now: int) -> int | None:
        return None if at_ms <= now and (until_ms is None or now < until_ms) else path(now)

    return delay
