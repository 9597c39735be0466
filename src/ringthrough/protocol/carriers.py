"""Which carrier a call's frames take: the lanes, the direct channel, or both (docs/spec/media.md section 8).

The receiver answers each frame of the direct channel. What is not answered in time goes on the lanes as well, so that
neither a lost packet nor a path that was cut is heard. Pure: times are milliseconds of one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from statistics import median_low

OVERLAP_MS = 2_000
"""So long everything goes both ways before the better one is taken."""
OVERLAP_FRAMES_MIN = 15
SILENT_MS = 300
"""A direct channel that answered nothing for so long is lost; ICE would notice after 15 s."""
LATE_MS_MIN, LATE_MS_MAX = 60.0, 250.0
"""Bounds of the time after which an unanswered frame goes on the lanes."""
LATE_RUN_MAX = 2
"""After so many late frames in a row everything goes both ways."""
IN_TIME_SHARE_MIN = 0.93
IN_TIME_SHARE_MIN_TAKEN = 0.9
"""Share of frames answered in time, below which the channel is not taken, and is left again."""
BEHIND_MS_MAX = 10
"""By how much the direct channel may be slower than the lanes and still be taken: it costs the server nothing."""
REST_MS, REST_MS_MAX = 10_000, 120_000
"""A channel that was worse is measured again after the first, twice as late each further time, up to the second."""
ROOM_REST_MS = 3_000
"""One that was left because there was no room for both ways is measured again so long after there was."""
FRAME_AGE_MS_MAX = 1_000
STOPPED_MS = 150
"""A device that was itself stopped for so long finds answers waiting: it looks at them before it judges."""
ARRIVALS_KEPT = 256

ATTEMPT_MS_MAX = 8_000
"""An attempt that has opened nothing by then has failed."""
RETRY_MS, RETRY_MS_MAX = 10_000, 120_000
STEADY_MS = 30_000
"""A channel that lived so long was good: its loss is followed by another attempt after `RETRY_MS`."""


class Way(IntEnum):
    """Where frames go."""

    LANES = 0
    BOTH = 1
    DIRECT = 2


@dataclass(frozen=True, slots=True)
class Sending:
    """Where one frame goes: its number on the direct channel, if it takes it, and whether it takes the lanes."""

    seq: int | None
    lanes: bool


@dataclass(slots=True)
class _Sent:
    body: bytes
    sent_ms: float
    on_lanes: bool
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class _Outcome:
    at_ms: float
    sent_ms: float
    in_time: bool
    behind_ms: int


class Carriers:
    """One device's sending. The shell opens and closes channels; `is_lost` asks it to close the present one."""

    def __init__(self) -> None:
        self.way = Way.LANES
        self.is_lost = False
        self.was_bad = False
        """Whether the channel that ended last had left too much unanswered, or had been worse than the lanes."""
        self.is_worse = False
        """Whether the lanes were better when the two ways were last compared to the end."""
        self.frames_direct = 0
        self.frames_lanes = 0
        self._is_open = False
        self._next_seq = 0
        self._under_way: dict[int, _Sent] = {}
        self._since_ms = 0.0
        self._heard_ms = float("-inf")
        self._ticked_ms = float("-inf")
        self._srtt_ms: float | None = None
        self._rttvar_ms = 0.0
        self._late_run = 0
        self._answered_ms = float("-inf")
        """When the newest frame was sent that was answered."""
        self._outcomes: deque[_Outcome] = deque()
        """Of the last `2 * OVERLAP_MS`, whichever way frames went."""
        self._rest_ms = REST_MS

    @property
    def late_ms(self) -> float:
        """After how long an unanswered frame is late; the timer of RFC 6298 section 2, within our bounds."""
        if self._srtt_ms is None:
            return LATE_MS_MAX
        return min(LATE_MS_MAX, max(LATE_MS_MIN, self._srtt_ms + 4 * self._rttvar_ms))

    @property
    def due_ms(self) -> float | None:
        """When `tick` is wanted next."""
        waiting = [sent.sent_ms for sent in self._under_way.values() if not sent.is_late]
        return min(waiting) + self.late_ms if waiting else None

    def opened(self, now_ms: float) -> None:
        """A direct channel is open: measure it."""
        self._is_open, self.is_lost, self.is_worse = True, False, False
        self._srtt_ms, self._rest_ms = None, REST_MS
        self._answered_ms = float("-inf")
        self._outcomes.clear()
        self._under_way.clear()
        self._enter(Way.BOTH, now_ms)

    def closed(self, now_ms: float) -> list[bytes]:
        """The channel has ended. Return what goes on the lanes at once."""
        if self._is_open and not self.is_lost:
            self.was_bad = self.is_worse if self.way is Way.LANES else self._answered_too_little()
        bodies = self._rescue(now_ms)
        self._is_open = self.is_lost = False
        self._under_way.clear()
        self._enter(Way.LANES, now_ms)
        return bodies

    def send(self, body: bytes, now_ms: float) -> Sending:
        """A sealed frame wants to leave; call `tick` first."""
        lanes = self.way is not Way.DIRECT
        self.frames_lanes += lanes
        if self.way is Way.LANES:
            return Sending(None, lanes)
        seq = self._next_seq
        self._next_seq = (seq + 1) % 2**32
        self._under_way[seq] = _Sent(body, now_ms, lanes)
        self.frames_direct += 1
        return Sending(seq, lanes)

    def acked(self, seq: int, behind_ms: int, now_ms: float) -> None:
        """The receiver has this frame, `behind_ms` after its copy on the lanes (0: before it, or without one)."""
        sent = self._under_way.pop(seq, None)
        if sent is None:
            return
        self._heard_ms = now_ms
        self._answered_ms = max(self._answered_ms, sent.sent_ms)
        self._measure(now_ms - sent.sent_ms)
        if not sent.is_late:
            self._late_run = 0
            self._note(_Outcome(now_ms, sent.sent_ms, True, behind_ms))

    def make_room(self, now_ms: float) -> None:
        """The way to the server has no room for everything twice: the lanes alone, and the ways are compared again
        `ROOM_REST_MS` after there was room."""
        if self.way is Way.BOTH:
            self._rest_ms = ROOM_REST_MS
            self._enter(Way.LANES, now_ms)
        elif self.way is Way.LANES:
            self._since_ms = now_ms

    def tick(self, now_ms: float) -> list[bytes]:
        """Time has passed. Return the frames that go on the lanes now."""
        was_stopped = now_ms - self._ticked_ms > STOPPED_MS
        self._ticked_ms = now_ms
        if was_stopped:
            return []
        bodies = []
        for seq, sent in list(self._under_way.items()):
            if not sent.is_late and now_ms - sent.sent_ms >= self.late_ms:
                sent.is_late = True
                self._late_run += 1
                self._note(_Outcome(now_ms, sent.sent_ms, False, 0))
                if not sent.on_lanes:
                    sent.on_lanes = True
                    bodies.append(sent.body)
            if now_ms - sent.sent_ms >= FRAME_AGE_MS_MAX:
                del self._under_way[seq]
        if self._is_silent(now_ms):
            self.is_lost = True
            self.was_bad = self._answered_too_little()
            bodies += self._rescue(now_ms)
            self._under_way.clear()
            self._enter(Way.LANES, now_ms)
        else:
            self._step(now_ms)
        self.frames_lanes += len(bodies)
        return bodies

    def _step(self, now_ms: float) -> None:
        match self.way:
            case Way.DIRECT if self._late_run >= LATE_RUN_MAX or self._looks_worse():
                self._enter(Way.BOTH, now_ms)
            case Way.BOTH if now_ms - self._since_ms >= OVERLAP_MS and self._frames_since() >= OVERLAP_FRAMES_MIN:
                self.is_worse = self._looks_worse()
                if self.is_worse:
                    self._enter(Way.LANES, now_ms)
                else:
                    self._rest_ms = REST_MS
                    self._enter(Way.DIRECT, now_ms)
            case Way.LANES if self._is_open and not self.is_lost and now_ms - self._since_ms >= self._rest_ms:
                self._rest_ms = min(self._rest_ms * 2, REST_MS_MAX)
                self._enter(Way.BOTH, now_ms)

    def _frames_since(self) -> int:
        return sum(outcome.at_ms > self._since_ms for outcome in self._outcomes)

    def _looks_worse(self) -> bool:
        # What was late when this way was taken is why it was, and not of it.
        recent = [outcome for outcome in self._outcomes if outcome.at_ms > self._since_ms]
        if len(recent) < OVERLAP_FRAMES_MIN:
            return False
        behind = [outcome.behind_ms for outcome in recent if outcome.in_time]
        if len(behind) < (IN_TIME_SHARE_MIN_TAKEN if self.way is Way.DIRECT else IN_TIME_SHARE_MIN) * len(recent):
            return True
        return median_low(behind) > BEHIND_MS_MAX

    def _is_silent(self, now_ms: float) -> bool:
        return any(
            now_ms - sent.sent_ms >= SILENT_MS and sent.sent_ms > self._heard_ms for sent in self._under_way.values()
        )

    def _answered_too_little(self) -> bool:
        """Of what was sent until the last that was answered: what came after it tells of the end alone. A channel
        that opened and answered nothing was never good."""
        judged = [outcome.in_time for outcome in self._outcomes if outcome.sent_ms <= self._answered_ms]
        is_unanswered = self._answered_ms == float("-inf")
        return is_unanswered or sum(judged) < IN_TIME_SHARE_MIN * len(judged)

    def _rescue(self, now_ms: float) -> list[bytes]:
        waiting = [s for s in self._under_way.values() if not s.on_lanes and now_ms - s.sent_ms < FRAME_AGE_MS_MAX]
        return [sent.body for sent in waiting]

    def _enter(self, way: Way, now_ms: float) -> None:
        self.way, self._since_ms, self._late_run = way, now_ms, 0

    def _note(self, outcome: _Outcome) -> None:
        self._outcomes.append(outcome)
        while self._outcomes[0].at_ms < outcome.at_ms - 2 * OVERLAP_MS:
            self._outcomes.popleft()

    def _measure(self, round_trip_ms: float) -> None:
        if self._srtt_ms is None:
            self._srtt_ms, self._rttvar_ms = round_trip_ms, round_trip_ms / 2
            return
        self._rttvar_ms = 0.75 * self._rttvar_ms + 0.25 * abs(self._srtt_ms - round_trip_ms)
        self._srtt_ms = 0.875 * self._srtt_ms + 0.125 * round_trip_ms


class Arrivals:
    """A receiver's memory of which frames the lanes have brought."""

    def __init__(self) -> None:
        self._by_lanes: dict[int, float] = {}

    def by_lanes(self, counter: int, now_ms: float) -> None:
        """A frame with this SFrame counter came on a lane."""
        self._by_lanes.setdefault(counter, now_ms)
        while len(self._by_lanes) > ARRIVALS_KEPT:
            del self._by_lanes[next(iter(self._by_lanes))]

    def by_direct(self, counter: int, now_ms: float) -> int:
        """It came on the direct channel: how many ms behind the lanes' copy, as the answer says it."""
        return min(65_535, max(0, round(now_ms - self._by_lanes.get(counter, now_ms))))


class Step(IntEnum):
    """What to do about the direct channel now."""

    NONE = 0
    BEGIN = 1
    GIVE_UP = 2


class Attempts:
    """When to try for a direct channel. The device that does not offer only gives up what takes too long."""

    def __init__(self, *, offers: bool) -> None:
        self._offers = offers
        self._due_ms: float | None = None
        self._trying_since_ms: float | None = None
        self._open_since_ms: float | None = None
        self._retry_ms = RETRY_MS

    def wanted(self, now_ms: float) -> None:
        """Try now: both are in the call, or the network has changed."""
        self._due_ms = now_ms
        self._retry_ms = RETRY_MS

    def began(self, now_ms: float) -> None:
        """An attempt is under way."""
        self._due_ms, self._trying_since_ms, self._open_since_ms = None, now_ms, None

    def opened(self, now_ms: float) -> None:
        """It has opened a channel."""
        self._trying_since_ms, self._open_since_ms = None, now_ms

    def ended(self, now_ms: float) -> None:
        """The attempt has failed, or its channel has ended."""
        if self._open_since_ms is not None and now_ms - self._open_since_ms >= STEADY_MS:
            self._retry_ms = RETRY_MS
        self._trying_since_ms = self._open_since_ms = None
        self._due_ms = now_ms + self._retry_ms
        self._retry_ms = min(self._retry_ms * 2, RETRY_MS_MAX)

    def refused(self) -> None:
        """The other side wants no channel: no further attempt until one is wanted."""
        self._due_ms = self._trying_since_ms = self._open_since_ms = None

    def step(self, now_ms: float) -> Step:
        """What to do now; asked several times a second."""
        if self._trying_since_ms is not None:
            return Step.GIVE_UP if now_ms - self._trying_since_ms >= ATTEMPT_MS_MAX else Step.NONE
        if self._offers and self._due_ms is not None and now_ms >= self._due_ms:
            return Step.BEGIN
        return Step.NONE
