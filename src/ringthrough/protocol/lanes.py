"""Several connections as one way for sealed frames: what goes on which lane, what goes again (docs/spec/lanes.md).

One hop, one direction: `LaneSender` at the one end, `LaneReceiver` at the other. Both ends of a connection run both.
Sans-IO: lanes are numbers, times are milliseconds of one monotonic clock, and every method returns what to transmit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NewType

from .lane_control import QUEUED_MS_MAX, SPARING_FRAMES, SPARING_MS, UINT32_MAX, Controller, Level

LaneId = NewType("LaneId", int)

FRAME_LIFETIME_MS = 1000
"""A frame this old is forgotten: nobody would play it."""
UNANSWERED_MAX = 8
"""Frames that a lane may take before its first answer."""
STALL_MS_MIN = 1000
"""A lane that has answered nothing for at least this long, while another one did, is stalled."""
STALL_ROUND_TRIPS = 4
STUCK_MS = 60
"""How much longer than an answer may take all lanes must have waited before a further one is wanted."""
STUCK_MS_UNKNOWN = 1000
"""The same before the first answer: what opened the call may fill a narrow pipe, and a handshake would fill it up."""
OVERFLOWS, OVERFLOW_MS = 3, 1000
"""So many frames dropped within so long, with answers in between, show a full pipe whatever its delay was before."""
TOGETHER_MS, APART_MS = 5, 20
"""Two copies on a lane, or their answers, that arrive within so long, sent so much apart, were held by a loss and let
go at once: a pipe narrow enough to fill up lets them out one after the other."""
SILENCE_MS = 700
"""When no lane has answered for this and a round trip and a half, the network under all of them is in doubt."""
WINDOW_FRAMES = 1024
"""How far behind the newest frame a receiver still tells a copy from a frame."""


@dataclass(frozen=True, slots=True)
class Transmission:
    """One frame to put on one lane now. `sent_ms`: the sender's clock, modulo 2^32."""

    lane: LaneId
    seq: int
    sent_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """All that was sent on this lane up to the copy of `seq` has arrived. `delay_ms`: the receiver's clock less
    `sent_ms`, modulo 2^32: only differences mean something. `level`: of the other direction; `is_narrow`: a hop
    further on has no room; `is_sparing`: one answer for several frames of the other direction will do."""

    seq: int
    delay_ms: int
    level: Level = Level.NORMAL
    is_narrow: bool = False
    is_sparing: bool = False


@dataclass(slots=True)
class _Copy:
    seq: int
    sent_ms: float
    is_spared: bool
    """Whether another one's answer may be the answer to this."""
    is_late: bool = False


@dataclass(slots=True)
class _Frame:
    seq: int
    body: bytes
    sent_ms: float
    limit_ms: float
    """How long its answer may take."""
    due_ms: float
    resends: int = 0
    spared_on: LaneId | None = None
    """Where its one copy waits for another one's answer."""
    lanes: list[LaneId] = field(default_factory=list)


@dataclass(slots=True)
class _Lane:
    opened_ms: float
    copies: deque[_Copy] = field(default_factory=deque)
    """Under way, in the order in which they were sent: a connection keeps that order."""
    acked_ms: float | None = None
    last: tuple[float, int, float] | None = None
    """When the copy answered last was sent, arrived on the receiver's clock, and was answered."""

    def waited_ms(self, now_ms: float) -> float:
        """For how long an answer has been owed. None is while so few frames are under way that the other end may
        spare it: they may have been the last for long."""
        return max(0.0, now_ms - self.owed_ms(0))

    def owed_ms(self, place: int) -> float:
        """When that left whose answer tells of the copy at `place`; infinite while it has not."""
        for number, copy in enumerate(self.copies):
            if number >= place and (not copy.is_spared or number % SPARING_FRAMES == SPARING_FRAMES - 1):
                return copy.sent_ms
        return float("inf")


class LaneSender:
    """One direction of one hop. `is_writable` tells whether a lane takes bytes without queueing them."""

    def __init__(self, controller: Controller, is_writable: Callable[[LaneId], bool], first_seq: int = 0) -> None:
        self.controller = controller
        self._is_writable = is_writable
        self._lanes: dict[LaneId, _Lane] = {}
        self._frames: dict[int, _Frame] = {}
        self._next_seq = first_seq
        self._acked_ms = float("-inf")
        self.copies_sent = 0
        self.frames_dropped = 0
        self._overflows_ms: deque[float] = deque(maxlen=OVERFLOWS)

    @property
    def lanes(self) -> list[LaneId]:
        """The open lanes, the one opened first in front."""
        return list(self._lanes)

    @property
    def awaits_first_answer(self) -> bool:
        """Whether frames are under way and none has ever been answered."""
        return self._acked_ms == float("-inf") and any(lane.copies for lane in self._lanes.values())

    @property
    def due_ms(self) -> float | None:
        """When `tick` is to be called next; None while nothing is under way."""
        due_ms = min((self._due_ms(frame) for frame in self._frames.values()), default=float("inf"))
        return None if due_ms == float("inf") else due_ms

    def open(self, lane: LaneId, now_ms: float) -> None:
        """The lane takes frames from now on."""
        self._lanes[lane] = _Lane(now_ms)

    def close(self, lane: LaneId, now_ms: float) -> list[Transmission]:
        """The lane is gone; what was under way on it alone goes out again at once."""
        gone = self._lanes.pop(lane, None)
        out: list[Transmission] = []
        for copy in gone.copies if gone is not None else ():
            frame = self._frames.get(copy.seq)
            if frame is not None and not any(other in self._lanes for other in frame.lanes):
                out += self._transmit(frame, 1, now_ms)
        return out

    def send(self, body: bytes, now_ms: float) -> list[Transmission]:
        """Copies of a new frame; none when no lane can take it now: it is dropped, for it would come too late."""
        self._forget_old(now_ms)
        self.controller.update(now_ms)
        plan = self.controller.plan
        limit_ms = self.controller.resend_after_ms
        frame = _Frame(self._next_seq, body, now_ms, limit_ms, now_ms + limit_ms)
        out = self._transmit(frame, plan.copies, now_ms)
        if not out:
            self.frames_dropped += 1
            self._note_drop(now_ms)
            return out
        self._next_seq = (self._next_seq + 1) & UINT32_MAX
        self._frames[frame.seq] = frame
        return out

    def acked(self, lane: LaneId, ack: Ack, now_ms: float) -> None:
        """An answer on `lane`. One about nothing that is under way there is passed over."""
        state = self._lanes.get(lane)
        if state is None or not any(copy.seq == ack.seq for copy in state.copies):
            return
        self._acked_ms = state.acked_ms = now_ms
        while state.copies:
            copy = state.copies.popleft()
            self._frames.pop(copy.seq, None)
            if not copy.is_late:
                self.controller.arrived(now_ms)
            if copy.seq == ack.seq:
                self.controller.measured(now_ms - copy.sent_ms, ack.delay_ms, now_ms)
                self._note_held(state, copy.sent_ms, (int(copy.sent_ms) + ack.delay_ms) & UINT32_MAX, now_ms)
                break
        self.controller.heard(ack.level, ack.is_narrow, ack.is_sparing, now_ms)

    def tick(self, now_ms: float) -> list[Transmission]:
        """What is due again: frames not acknowledged in time, on lanes that have not carried them yet."""
        self._forget_old(now_ms)
        limit_ms = self.controller.resend_after_ms
        for lane in self._lanes.values():
            for place, copy in enumerate(lane.copies):
                if not copy.is_late and now_ms - lane.owed_ms(place) >= limit_ms:
                    copy.is_late = True
                    if place == 0:  # what is behind it waits for its loss
                        self.controller.missed(now_ms)
        resends = self.controller.resends(now_ms)
        out: list[Transmission] = []
        for frame in self._frames.values():
            if self._due_ms(frame) > now_ms:
                continue
            if frame.resends < resends:
                frame.resends += 1
                out += self._transmit(frame, 1, now_ms)
            frame.due_ms, frame.spared_on = now_ms + limit_ms, None
        return out

    def stalled(self, now_ms: float) -> list[LaneId]:
        """Lanes on which nothing arrives any more."""
        return [lane for lane, state in self._lanes.items() if self._is_stalled(state, now_ms)]

    def _is_stalled(self, lane: _Lane, now_ms: float) -> bool:
        return lane.waited_ms(now_ms) > max(STALL_MS_MIN, STALL_ROUND_TRIPS * self.controller.round_trip_ms)

    def heard_ms(self, lane: LaneId) -> float:
        """When the lane last answered, or was opened."""
        state = self._lanes[lane]
        return state.opened_ms if state.acked_ms is None else state.acked_ms

    def is_stuck(self, now_ms: float) -> bool:
        """Whether a loss holds up every lane: answers are overdue, and none has come meanwhile. A full pipe looks
        otherwise: there, late answers keep coming."""
        is_new = self._acked_ms == float("-inf")
        patience_ms = STUCK_MS_UNKNOWN if is_new else self.controller.resend_after_ms + STUCK_MS
        waits = [state.waited_ms(now_ms) for state in self._lanes.values()]
        return min(waits, default=0.0) > patience_ms and now_ms - self._acked_ms > patience_ms

    def is_silent(self, now_ms: float) -> bool:
        """Whether frames are under way and no lane has answered anything for long."""
        patience_ms = SILENCE_MS + 1.5 * self.controller.round_trip_ms
        waits = [state.waited_ms(now_ms) for state in self._lanes.values()]
        return max(waits, default=0.0) > patience_ms and now_ms - self._acked_ms > patience_ms

    def _due_ms(self, frame: _Frame) -> float:
        lane = None if frame.spared_on is None else self._lanes.get(frame.spared_on)
        for place, copy in enumerate(lane.copies if lane is not None else ()):
            if copy.seq == frame.seq:
                return lane.owed_ms(place) + frame.limit_ms  # type: ignore[union-attr]
        return frame.due_ms

    def _note_held(self, lane: _Lane, sent_ms: float, came_ms: int, now_ms: float) -> None:
        last, lane.last = lane.last, (sent_ms, came_ms, now_ms)
        if last is None or sent_ms - last[0] < APART_MS:
            return
        if (came_ms - last[1]) & UINT32_MAX <= TOGETHER_MS:
            self.controller.was_held()
        if now_ms - last[2] <= TOGETHER_MS:
            self._overflows_ms.clear()

    def _note_drop(self, now_ms: float) -> None:
        if self._overflows_ms and self._acked_ms <= self._overflows_ms[-1]:
            return
        self._overflows_ms.append(now_ms)
        if len(self._overflows_ms) == OVERFLOWS and now_ms - self._overflows_ms[0] <= OVERFLOW_MS:
            self.controller.overflowed(now_ms)

    def _transmit(self, frame: _Frame, copies: int, now_ms: float) -> list[Transmission]:
        out: list[Transmission] = []
        for _ in range(copies):
            lane = self._pick(frame, now_ms)
            if lane is None:
                break
            frame.lanes.append(lane)
            under_way = self._lanes[lane].copies
            is_spared = self.controller.is_spared(now_ms)
            frame.spared_on = lane if is_spared else None
            under_way.append(_Copy(frame.seq, now_ms, is_spared))
            self.copies_sent += 1
            out.append(Transmission(lane, frame.seq, int(now_ms) & UINT32_MAX, frame.body))
        return out

    def _pick(self, frame: _Frame, now_ms: float) -> LaneId | None:
        """An idle lane, else one that is not late yet, else the one with the least under way."""
        limit_ms = self.controller.resend_after_ms
        keeps_to_one = self.controller.is_sparing(now_ms) and not frame.lanes
        best: tuple[int, int] | None = None
        chosen: LaneId | None = None
        for lane, state in self._lanes.items():
            if lane in frame.lanes or not self._takes(lane, state, now_ms):
                continue
            # One whose end has not reached us takes a frame now and then, and nobody would miss it for long.
            if keeps_to_one and not self._is_stalled(state, now_ms):
                return lane
            rank = (0 if not state.copies else 1 if state.waited_ms(now_ms) <= limit_ms else 2, len(state.copies))
            if best is None or rank < best:
                best, chosen = rank, lane
        return chosen

    def _takes(self, lane: LaneId, state: _Lane, now_ms: float) -> bool:
        if not self._is_writable(lane):
            return False
        if state.acked_ms is None:
            return len(state.copies) < UNANSWERED_MAX
        # One now and then all the same: the answer to what waits may itself be waiting for a frame.
        patience_ms = self.controller.queued_ms_max(now_ms)
        return state.waited_ms(now_ms) <= patience_ms or now_ms - state.copies[-1].sent_ms > QUEUED_MS_MAX

    def _forget_old(self, now_ms: float) -> None:
        for seq, frame in list(self._frames.items()):
            if now_ms - frame.sent_ms <= FRAME_LIFETIME_MS:
                break
            del self._frames[seq]


class LaneReceiver:
    """The other end: tells frames from copies, and answers."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._seen: set[int] = set()
        self._unanswered: dict[LaneId, int] = {}
        self._answered_ms: dict[LaneId, float] = {}
        self._said: tuple[Level, bool, bool] | None = None
        """What the last answer told of the other direction, and of the hops behind."""

    def arrived(
        self, lane: LaneId, seq: int, sent_ms: int, now_ms: float, back: Controller, *, is_narrow: bool = False
    ) -> tuple[bool, Ack | None]:
        """Whether the frame is new, and the answer to give on its lane now. `back` is the controller of the other
        direction. Where this one spares answers, one stands for several frames of its lane."""
        return self._is_new(seq), self._answer(lane, seq, sent_ms, now_ms, back, is_narrow)

    def closed(self, lane: LaneId) -> None:
        """The lane is gone."""
        self._unanswered.pop(lane, None)
        self._answered_ms.pop(lane, None)

    def _answer(
        self, lane: LaneId, seq: int, sent_ms: int, now_ms: float, back: Controller, is_narrow: bool
    ) -> Ack | None:
        waiting = self._unanswered.get(lane, 0) + 1
        late = now_ms - self._answered_ms.get(lane, float("-inf")) >= SPARING_MS
        says = (back.level, is_narrow, back.is_sparing(now_ms))
        if back.spares_answers and waiting < SPARING_FRAMES and not late and says == self._said:
            self._unanswered[lane] = waiting
            return None
        self._said = says
        self._unanswered[lane] = 0
        self._answered_ms[lane] = now_ms
        return Ack(seq, (int(now_ms) - sent_ms) & UINT32_MAX, *says)

    def _is_new(self, seq: int) -> bool:
        if self._newest is None:
            self._newest = seq
            self._seen.add(seq)
            return True
        ahead = (seq - self._newest) & UINT32_MAX
        if ahead and ahead <= UINT32_MAX // 2:
            self._newest = seq
            if ahead >= WINDOW_FRAMES:
                self._seen.clear()
            elif len(self._seen) > 2 * WINDOW_FRAMES:
                self._seen = {s for s in self._seen if (seq - s) & UINT32_MAX < WINDOW_FRAMES}
        elif (self._newest - seq) & UINT32_MAX >= WINDOW_FRAMES:
            return False
        if seq in self._seen:
            return False
        self._seen.add(seq)
        return True
