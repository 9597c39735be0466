"""How many copies, lanes and re-sends a hop needs, from what its answers tell (docs/spec/lanes.md section 5).

Two signals that must not be mixed up. **Misses**: a copy not acknowledged within a round trip and a quarter was held
up by loss; against loss helps redundancy. **Queueing**: the smallest one-way delay of all lanes over the last second,
less the smallest of the last half minute; loss delays some copies and never all, a full pipe delays every one.
Against a full pipe redundancy is poison.

Pure: times are milliseconds of one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

UINT32_MAX = 0xFFFF_FFFF


class Level(IntEnum):
    """How much redundancy the hop gets."""

    LEAN = 0
    NORMAL = 1
    BOOST = 2
    HEAVY = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """`copies` of each frame at once, up to `resends` more when answers are late; `lanes` are worth having."""

    copies: int
    resends: int
    lanes: int


PLANS = {
    Level.LEAN: Plan(copies=1, resends=0, lanes=1),
    Level.NORMAL: Plan(copies=1, resends=2, lanes=2),
    Level.BOOST: Plan(copies=2, resends=2, lanes=4),
    Level.HEAVY: Plan(copies=3, resends=2, lanes=6),
}

ROUND_TRIP_MS_UNKNOWN = 200.0
ROUND_TRIP_WINDOW_MS = 2000
RESEND_AFTER_MS_MIN = 45.0
"""However short the way, an answer may take so long: a busy device, at either end, is not a loss."""
MISS_WINDOW_MS = 4000
MISS_SAMPLES_MIN, MISSES_MIN = 20, 5
"""So many copies, or so many missed ones, tell what share is missed."""
BOOST_ABOVE, BOOST_BELOW = 0.09, 0.05
HEAVY_ABOVE, HEAVY_BELOW = 0.32, 0.26
"""Shares of missed copies at which a level is entered and left."""
HEAVY_MISSES_MIN = 13
"""Fewer could be missed by chance at half the loss."""
LOSSY_ABOVE = 0.25
"""A lean hop that misses more than this is no narrow one."""
CALM_MS = 10_000
"""How long the share must be below before a level is left."""

DELAY_WINDOW_MS = 600
BASE_WINDOW_MS = 30_000
QUEUEING_MS = 40.0
QUEUEING_MS_SEVERE = 150.0
QUEUEING_MS_OVER = 20.0
QUEUED_MS_MAX = 400
"""What may wait in the pipe. More would be heard too late."""
SUSTAINED_MS = 500
SUSTAINED_MS_SEVERE = 300
QUEUED_SAMPLES_MIN = 3
"""A queue delays one copy after another; where fewer have told of it, a loss may have held them all."""
PROBATION_MS = 3_000
PROBATION_WINDOW_MS = 250
PROBATION_SUSTAINED_MS = 200
"""A level just entered is left again at the first sign of a queue, before anybody hears it."""
DRAIN_MS = 1_000
"""After a step down, what made the queue is still in it: the next step waits for so long."""
EXCUSED_MS = 1_500
"""For so long after a lane began to open, queueing is laid to its handshake."""
CLEAR_MS = 15.0
"""Only below this much queueing do late answers tell of loss."""
HOLD_MS_MIN = {Level.NORMAL: 120_000, Level.BOOST: 15_000, Level.HEAVY: 15_000}
HOLD_MS_MAX = 240_000
LOSSY_HOLD_SHARE = 0.2
"""Share of a hold that is kept where more than `LOSSY_ABOVE` is missed."""
"""A level left because of queueing is not tried again for so long; doubled each time it happens again. A try costs
seconds of sound where the pipe is narrow, so NORMAL waits longer."""
SETTLED_MS = 3_000
"""A lean hop whose delay neither falls nor grows for so long has a new ordinary delay: the way changed."""
SETTLED_SPREAD_MS = 15.0
NARROW_HEARD_MS = 2_000
SPARING_FRAMES, SPARING_MS = 3, 360
"""Where one answer stands for several frames: for so many, at the latest after so long."""
SHORT_AFTER_MS = 600
"""When nothing was missed, queued or changed for so long, short packets are tried: while it still rings."""
SHORT_FRAMES, SHORT_FRAMES_MS = 6, 200
"""So many frames within so long are those of short packets."""
SHORT_RECENT_MS = 1_000
"""For so long after the last of them, a queue is laid to them."""
SHORT_MISSES_MIN, SHORT_MISSES_MAX = 2, 0.03
"""From so many missed copies on, above this share, they are left: late answers are the first sign of a queue, and the
repair of a loss takes longer than they spare."""
SHORT_DRAIN_MS_MIN, SHORT_DRAIN_MS_MAX = 400, 3_000
"""For so long less is sent after short packets may have filled the pipe: a queue has time to show, and to go."""
SHORT_AGAIN_MS = 3_000
"""They are tried again so long after they were first left, where no queue was seen: a device that has just answered a
call is busy for a moment."""
HOLD_SHORT_MS = 60_000
"""And so long after a queue, or the next time; twice as long each further time, up to `HOLD_MS_MAX`."""
QUIET_MS = 4_000
"""When nothing was missed, queued or changed for so long, answers are spared."""


class WindowMinimum:
    """The smallest of the values of the last `span_ms`."""

    def __init__(self, span_ms: float) -> None:
        self._span_ms = span_ms
        self._rising: deque[tuple[float, float]] = deque()

    def add(self, value: float, now_ms: float) -> None:
        """Take one value."""
        while self._rising and self._rising[-1][1] >= value:
            self._rising.pop()
        self._rising.append((now_ms, value))

    def minimum(self, now_ms: float) -> float | None:
        """None when the span holds no value."""
        while self._rising and now_ms - self._rising[0][0] > self._span_ms:
            self._rising.popleft()
        return self._rising[0][1] if self._rising else None

    def clear(self) -> None:
        """Forget all values."""
        self._rising.clear()


class Controller:
    """The level of one hop in one direction."""

    def __init__(self) -> None:
        self.level = Level.NORMAL
        self.round_trip_ms = ROUND_TRIP_MS_UNKNOWN
        self._round_trips = WindowMinimum(ROUND_TRIP_WINDOW_MS)
        self._round_trips_base = WindowMinimum(BASE_WINDOW_MS)
        self._delays = WindowMinimum(DELAY_WINDOW_MS)
        self._delays_short = WindowMinimum(PROBATION_WINDOW_MS)
        self._probation_ms = float("-inf")
        """Until when the present level is on probation."""
        self._excused_ms = float("-inf")
        """Until when queueing has another reason than this hop's frames."""
        self._base = WindowMinimum(BASE_WINDOW_MS)
        self._delay_zero: int | None = None
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._missed = 0
        self._counts_from_ms = float("-inf")
        """Copies answered or missed before say nothing."""
        self._busy_ms = float("-inf")
        """When the share of misses was last too high for a lower level."""
        self._queueing_since_ms: float | None = None
        self._queued_samples = 0
        """Delays measured since then."""
        self._severe_since_ms: float | None = None
        self._drained_ms = float("-inf")
        self._holds: dict[Level, tuple[float, float]] = {}
        """Until when each level is not to be entered, and for how long that was."""
        self._doubt_ms = float(PROBATION_MS)
        """How long this hop is lean before it is doubted; twice as long each time a queue refutes it."""
        self._is_doubted = False
        """It was left lean in doubt, and no queue has come since."""
        self._settling: tuple[float, float] | None = None
        self._narrow_heard_ms = float("-inf")
        self.level_back = Level.NORMAL
        """Of the other direction, as its answers say."""
        self._stirred_ms = float("inf")
        """When something last was missed, queued or changed; the first answer is the first of it."""
        self._spared_ms = float("-inf")
        """When it last was so that answers were spared."""
        self.sends_short = False
        """Whether packets may be short, which makes three times as many frames. Only the end that makes them asks for
        it (`allow_short`)."""
        self._short_from_ms = float("inf")
        self._short_hold_ms = SHORT_AGAIN_MS
        self._sent_ms: deque[float] = deque(maxlen=SHORT_FRAMES)
        self._queue_seen_ms = float("-inf")
        self._short_seen_ms = float("-inf")
        """When frames last came as often as short packets make them."""
        self._draining_ms = float("-inf")
        """Until when less is sent, for the queue that they made."""
        self.spares_answers = False
        """Whether to answer only some of the other direction's frames, as its sender says."""

    def is_sparing(self, now_ms: float) -> bool:
        """Whether one answer for several frames will do: this direction is lean, or quiet. Then its frames keep to
        one lane, too: there is nothing to steer around."""
        return self.level is Level.LEAN or (self.level is Level.NORMAL and now_ms - self._stirred_ms >= QUIET_MS)

    def is_spared(self, now_ms: float) -> bool:
        """Whether the other end answers so, when what is sent now has come: it may not have heard yet that it is to
        answer each."""
        return (
            self.is_sparing(now_ms + self.round_trip_ms) or now_ms - self._spared_ms < SPARING_MS + self.round_trip_ms
        )

    @property
    def lanes_wanted(self) -> int:
        """What the needier of the two directions can use; a narrow pipe has no room for the opening of one more."""
        if Level.LEAN in (self.level, self.level_back):
            return PLANS[Level.LEAN].lanes
        return PLANS[max(self.level, self.level_back)].lanes

    @property
    def plan(self) -> Plan:
        """What the level means."""
        return PLANS[self.level]

    def resends(self, now_ms: float) -> int:
        """How often a frame may go again. Not once a queue builds: then answers are late, and frames not lost; nor
        before the first answer, when a queue cannot be told from a long way."""
        is_clear = self._delay_zero is not None and self.queueing_ms(now_ms) < CLEAR_MS
        return self.plan.resends if is_clear else 0

    def queued_ms_max(self, now_ms: float) -> float:
        """How long a lane may leave a copy unanswered and still be given another."""
        base_ms = self._round_trips_base.minimum(now_ms)
        round_trip_ms = ROUND_TRIP_MS_UNKNOWN if base_ms is None else base_ms
        return round_trip_ms + QUEUED_MS_MAX

    @property
    def resend_after_ms(self) -> float:
        """How long an answer may take. The smallest recent round trip: when all of them grow, so does this."""
        return max(RESEND_AFTER_MS_MIN, 1.25 * self.round_trip_ms + 15)

    def is_narrow(self, now_ms: float) -> bool:
        """Whether less sound should be sent: this hop is lean in either direction, for answers to sound take room in
        the other one; or it, or one behind it, looked narrow lately."""
        if Level.LEAN in (self.level, self.level_back) or now_ms < self._draining_ms:
            return True
        if now_ms - self._narrow_heard_ms < NARROW_HEARD_MS:
            return True
        is_doubted = not self.sends_short and now_ms < max(self._probation_ms, self._excused_ms)
        return is_doubted and self.queueing_ms(now_ms) >= QUEUEING_MS_OVER

    def has_room(self, now_ms: float) -> bool:
        """Whether something more may be tried beside the call: neither direction is lean, nor a hop behind narrow,
        and no queue was seen for `HOLD_SHORT_MS`. What looks narrow for a moment, without a queue, was a busy
        device."""
        is_lean = Level.LEAN in (self.level, self.level_back)
        is_narrow_ahead = now_ms - self._narrow_heard_ms < NARROW_HEARD_MS
        return not is_lean and not is_narrow_ahead and now_ms - self._queue_seen_ms >= HOLD_SHORT_MS

    def queueing_ms(self, now_ms: float) -> float:
        """By how much even the fastest copy of the last second was slower than the way can be."""
        window = self._delays_short if self._is_on_trial(now_ms) else self._delays
        recent, base = window.minimum(now_ms), self._base.minimum(now_ms)
        return 0.0 if recent is None or base is None else recent - base

    def miss_share(self, now_ms: float) -> float:
        """Share of copies that were not answered in time, of the last seconds; 0 while there are too few."""
        while self._outcomes and now_ms - self._outcomes[0][0] > MISS_WINDOW_MS:
            self._missed -= self._outcomes.popleft()[1]
        is_known = len(self._outcomes) >= MISS_SAMPLES_MIN or self._missed >= MISSES_MIN
        return self._missed / len(self._outcomes) if is_known else 0.0

    def arrived(self, now_ms: float) -> None:
        """A copy was answered in time."""
        if now_ms >= self._counts_from_ms and self.queueing_ms(now_ms) < CLEAR_MS:
            self._outcomes.append((now_ms, False))

    def missed(self, now_ms: float) -> None:
        """A copy was not. Before the first answer, and while the pipe is full, that says nothing about loss."""
        self._stir(now_ms)
        is_known = self._delay_zero is not None and now_ms >= self._counts_from_ms
        if is_known and self.queueing_ms(now_ms) < CLEAR_MS:
            self._outcomes.append((now_ms, True))
            self._missed += 1

    def measured(self, round_trip_ms: float, delay_ms: int, now_ms: float) -> None:
        """A round trip, and the one-way delay of the same copy (modulo 2^32, from any zero). With the first one a hop
        begins on probation, for it may be narrow from the start."""
        self._round_trips.add(round_trip_ms, now_ms)
        self._round_trips_base.add(round_trip_ms, now_ms)
        self.round_trip_ms = self._round_trips.minimum(now_ms) or round_trip_ms
        if self._delay_zero is None:
            self._delay_zero = delay_ms
            self._probation_ms = now_ms + PROBATION_MS
            self._stirred_ms = now_ms
        relative = (delay_ms - self._delay_zero + UINT32_MAX // 2) % (UINT32_MAX + 1) - UINT32_MAX // 2
        self._delays.add(relative, now_ms)
        self._delays_short.add(relative, now_ms)
        self._base.add(relative, now_ms)
        self._queued_samples += 1

    def allow_short(self) -> None:
        """Short packets may be sent where there is room."""
        self._short_from_ms = float("-inf")

    def stalled(self, now_ms: float) -> None:
        """A lane answers nothing any more. Where connections are frozen by bytes, short packets get there soonest."""
        if self.sends_short:
            self._short_hold_ms = max(self._short_hold_ms, HOLD_SHORT_MS)
            self._leave_short(now_ms)
        elif now_ms < self._short_from_ms:
            self._short_from_ms = max(self._short_from_ms, now_ms + HOLD_SHORT_MS)

    def was_held(self) -> None:
        """A loss held up what arrived last: its delay tells nothing of a queue."""
        self._delays.clear()
        self._delays_short.clear()
        self._queueing_since_ms = self._severe_since_ms = None
        self._queued_samples = 0

    def heard(self, level: Level, is_narrow: bool, is_sparing: bool, now_ms: float) -> None:
        """What an answer said of the other direction, and of the hops behind."""
        self.level_back = level
        self.spares_answers = is_sparing
        if is_narrow:
            self._narrow_heard_ms = now_ms

    def excuse(self, now_ms: float) -> None:
        """A connection is being opened; its handshake takes room in the pipe for a moment."""
        self._excused_ms = now_ms + EXCUSED_MS

    def excuse_ends(self, now_ms: float) -> None:
        """It is open, and its handshake no longer under way."""
        self._excused_ms = min(self._excused_ms, now_ms)

    def overflowed(self, now_ms: float) -> None:
        """Frames are dropped while answers come: a queue as long as is allowed, and perhaps since the hop began."""
        if self.level is not Level.LEAN and now_ms >= self._drained_ms:
            self._step_down(now_ms)

    def update(self, now_ms: float) -> None:
        """Judge anew; called before each frame."""
        self._sent_ms.append(now_ms)
        if len(self._sent_ms) == SHORT_FRAMES and now_ms - self._sent_ms[0] <= SHORT_FRAMES_MS:
            self._short_seen_ms = now_ms
        queueing_ms = self.queueing_ms(now_ms)
        self._note_queueing(queueing_ms, now_ms)
        if queueing_ms >= CLEAR_MS:
            self._stir(now_ms)
        if now_ms < self._draining_ms and queueing_ms >= QUEUEING_MS_OVER:
            self._queue_seen_ms = now_ms
        drained = (
            queueing_ms < QUEUEING_MS_OVER and self._draining_ms - now_ms <= SHORT_DRAIN_MS_MAX - SHORT_DRAIN_MS_MIN
        )
        if now_ms < self._draining_ms and drained:
            self._draining_ms = self._drained_ms = now_ms
            self._probation_ms = now_ms + PROBATION_MS
        self._follow_calm(now_ms)
        if self._is_sustained(now_ms):
            self._step_down(now_ms)
        elif self.level is Level.LEAN:
            self._leave_lean(queueing_ms, now_ms)
        else:
            self._follow_misses(queueing_ms, now_ms)

    def _follow_calm(self, now_ms: float) -> None:
        is_narrow_ahead = now_ms - self._narrow_heard_ms < NARROW_HEARD_MS
        has_room = self.level is self.level_back is Level.NORMAL and not is_narrow_ahead
        if (
            self._is_blamed(now_ms)
            and self._missed >= SHORT_MISSES_MIN
            and self.miss_share(now_ms) > SHORT_MISSES_MAX
        ):
            self._drain_short(now_ms)
        elif self.sends_short:
            if not has_room:
                self._leave_short(now_ms)
        elif has_room and now_ms >= max(self._short_from_ms, self._excused_ms, self._queue_seen_ms + HOLD_SHORT_MS):
            self.sends_short = now_ms - self._stirred_ms >= SHORT_AFTER_MS

    def _is_blamed(self, now_ms: float) -> bool:
        """Whether what goes wrong is laid to short packets, whoever makes them."""
        return self.level is Level.NORMAL and now_ms - self._short_seen_ms < SHORT_RECENT_MS

    def _drain_short(self, now_ms: float) -> None:
        self._leave_short(now_ms)
        self._stir(now_ms)
        self._short_seen_ms = float("-inf")
        self._draining_ms = self._drained_ms = now_ms + SHORT_DRAIN_MS_MAX

    def _leave_short(self, now_ms: float) -> None:
        if self.sends_short:
            self.sends_short = False
            self._short_from_ms = now_ms + self._short_hold_ms
            self._short_hold_ms = min(max(2 * self._short_hold_ms, HOLD_SHORT_MS), HOLD_MS_MAX)
        # What comes without short packets will show whether it was a queue or a loss.
        self._outcomes.clear()
        self._missed = 0
        self._counts_from_ms = now_ms + DRAIN_MS

    def _stir(self, now_ms: float) -> None:
        if self.is_sparing(now_ms):
            self._spared_ms = now_ms
        if self._stirred_ms != float("inf"):
            self._stirred_ms = now_ms

    def _note_queueing(self, queueing_ms: float, now_ms: float) -> None:
        if queueing_ms < QUEUEING_MS:
            self._queueing_since_ms = None
            self._queued_samples = 0
        elif self._queueing_since_ms is None:
            self._queueing_since_ms = now_ms
        if queueing_ms < QUEUEING_MS_SEVERE:
            self._severe_since_ms = None
        elif self._severe_since_ms is None:
            self._severe_since_ms = now_ms

    def _is_sustained(self, now_ms: float) -> bool:
        if (
            self.level is Level.LEAN
            or self._queueing_since_ms is None
            or self._queued_samples < QUEUED_SAMPLES_MIN
            or now_ms < max(self._drained_ms, self._excused_ms)
        ):
            return False
        severe = self._severe_since_ms is not None and now_ms - self._severe_since_ms >= SUSTAINED_MS_SEVERE
        patience_ms = PROBATION_SUSTAINED_MS if self._is_on_trial(now_ms) else SUSTAINED_MS
        return severe or now_ms - self._queueing_since_ms >= patience_ms

    def _is_on_trial(self, now_ms: float) -> bool:
        """Whether a queue is to be seen before anybody hears it."""
        return now_ms < max(self._probation_ms, self._draining_ms, self._short_seen_ms + SHORT_RECENT_MS)

    def _step_down(self, now_ms: float) -> None:
        self._queue_seen_ms = now_ms
        if self._is_blamed(now_ms):
            # What was added last goes first; the level may do without it.
            self._drain_short(now_ms)
            return
        for level, first_ms in HOLD_MS_MIN.items():
            if level >= self.level:
                _, before_ms = self._holds.get(level, (0.0, first_ms / 2))
                hold_ms = min(2 * before_ms, HOLD_MS_MAX)
                self._holds[level] = (now_ms + hold_ms, hold_ms)
        below = Level(self.level - 1) if now_ms < self._probation_ms else Level(min(self.level - 1, Level.NORMAL))
        self._enter(below, now_ms)
        self._drained_ms = now_ms + DRAIN_MS
        self._settling = None
        if self._is_doubted and below is Level.LEAN:
            self._is_doubted = False
            self._doubt_ms = min(2 * self._doubt_ms, HOLD_MS_MAX)

    def _enter(self, level: Level, now_ms: float) -> None:
        self._probation_ms = now_ms + PROBATION_MS if level > self.level else float("-inf")
        self._stir(now_ms)
        self.level = level
        self._busy_ms = now_ms
        # Copies of the other level say little about this one.
        self._outcomes.clear()
        self._missed = 0

    def _may_enter(self, level: Level, now_ms: float, *, lossy: bool = False) -> bool:
        until_ms, hold_ms = self._holds.get(level, (now_ms, 0.0))
        return now_ms >= (until_ms - (1 - LOSSY_HOLD_SHARE) * hold_ms if lossy else until_ms)

    def _leave_lean(self, queueing_ms: float, now_ms: float) -> None:
        if queueing_ms <= QUEUEING_MS_OVER:
            # Where the other direction holds its own against loss, with more bytes, this one may not be narrow.
            doubtful = self.level_back >= Level.BOOST and now_ms - self._busy_ms >= self._doubt_ms
            lossy = self.miss_share(now_ms) > LOSSY_ABOVE
            if doubtful or lossy or self._may_enter(Level.NORMAL, now_ms):
                self._is_doubted = doubtful
                self._enter(Level.NORMAL, now_ms)
                _, hold_ms = self._holds.get(Level.BOOST, (0.0, HOLD_MS_MIN[Level.BOOST] / 2))
                self._holds[Level.BOOST] = (now_ms + PROBATION_MS, hold_ms)
            return
        if queueing_ms < QUEUEING_MS:
            return
        if self._settling is None or abs(queueing_ms - self._settling[1]) > SETTLED_SPREAD_MS:
            self._settling = (now_ms, queueing_ms)
        elif now_ms - self._settling[0] >= SETTLED_MS:
            self._base.clear()
            self._settling = None

    def _follow_misses(self, queueing_ms: float, now_ms: float) -> None:
        share = self.miss_share(now_ms)
        wanted, kept = Level.NORMAL, Level.NORMAL
        # Where the other direction is narrow, answers are late; and what is narrow one way mostly is both ways.
        is_answered_late = self.level_back is Level.LEAN
        for level, above, below in (
            (Level.BOOST, LOSSY_ABOVE if is_answered_late else BOOST_ABOVE, BOOST_BELOW),
            (Level.HEAVY, float("inf") if is_answered_late else HEAVY_ABOVE, HEAVY_BELOW),
        ):
            wanted = level if share > above else wanted
            kept = level if share > below else kept
        if kept >= self.level:
            self._busy_ms = now_ms
        above = Level(min(self.level + 1, Level.HEAVY))
        is_sure = above is not Level.HEAVY or self._missed >= HEAVY_MISSES_MIN
        may_enter = self._may_enter(above, now_ms, lossy=share > LOSSY_ABOVE)
        if wanted > self.level and is_sure and may_enter and queueing_ms < CLEAR_MS:
            self._enter(above, now_ms)
        elif self.level > Level.NORMAL and now_ms - self._busy_ms > CALM_MS:
            self._enter(Level(self.level - 1), now_ms)
