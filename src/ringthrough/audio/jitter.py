"""Jitter buffer: puts frames in order and decides, at each playout instant, what is heard.

Frame `seq` was sent at `seq * frame_ms` on the sender's clock. Its due time here is

    due(seq) = floor + seq * frame_ms + target

where `floor` is the smallest (arrival - seq * frame_ms) of the recent window and `target` is the 98.5 % quantile of
the delays above that floor plus a margin, bounded. The buffer never hands out a frame twice or out of order, holds
a bounded number of frames, and takes time as an argument: arrival times and playout times are on one monotonic
clock in ms, of any origin.

The delay changes by whole frames: it grows when a frame is missing anyway (the buffer waits for it instead of giving
it up), and shrinks when a frame is surplus, which the player leaves out where it is quiet.
"""

from __future__ import annotations

from dataclasses import dataclass

from .delays import DelayWindow, SettledMinimum
from .pcm import FRAME_MS

SEQ_MAX = 2**64 - 1

SURPLUS_FRAMES = 1.5
"""Delay over the target from which a quiet frame is left out: one frame, and slack so that jitter causes nothing."""

URGENT_FRAMES = 4
"""Delay over the target from which a frame is left out even if it is not quiet, once in so many frames."""

CATCH_UP_FRAMES = 4
"""Delay over the largest target at which the buffer jumps."""


@dataclass(frozen=True, slots=True)
class JitterConfig:
    """Bounds of the playout delay. The defaults suit 60 ms frames over TLS."""

    frame_ms: int = FRAME_MS
    target_ms_min: int = 60
    target_ms_max: int = 600
    quantile: float = 0.985
    margin_ms: int = 10
    window_frames: int = 256
    frames_max: int = 64
    late_run_ms_max: int = 500
    """Nothing but late frames for so long means that the path got slower for good: start over."""

    def __post_init__(self) -> None:
        if self.frame_ms < 1 or not 0 < self.target_ms_min <= self.target_ms_max:
            raise ValueError("frame and target durations must be positive and ordered")
        if not 0 < self.quantile <= 1:
            raise ValueError("quantile is a share, above 0 up to 1")
        if self.frames_max * self.frame_ms < self.target_ms_max + 4 * self.frame_ms:
            raise ValueError("frames_max cannot hold target_ms_max of sound")
        if self.window_frames < 1:
            raise ValueError("the window holds at least one frame")


@dataclass(frozen=True, slots=True)
class Frame:
    """Play this packet.

    `surplus`: the delay is longer than needed; leave the frame out if it is quiet, and pop again.
    `urgent`: leave it out even if it is not quiet.
    """

    seq: int
    packet: bytes
    surplus: bool = False
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Conceal:
    """Nothing to play: invent a frame. `run` counts concealed frames in a row, from 1.

    `seq` is the missing frame; `held` means the buffer still waits for it, so the delay grows by a frame.
    """

    seq: int
    run: int
    held: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Not started (again) yet: play silence. `wait_ms` is how long at least, None while nothing has arrived."""

    wait_ms: float | None


Decision = Frame | Conceal | Wait


@dataclass(slots=True)
class JitterStats:
    """Counters since the start, in frames, and the present delays."""

    received: int = 0
    played: int = 0
    concealed: int = 0
    late: int = 0
    duplicate: int = 0
    skipped: int = 0
    """Left out by the player to shorten the delay."""
    discarded: int = 0
    """Thrown away unplayed: stale at the start, after a stall of the player, or after a jump of `seq`."""
    grown: int = 0
    """Concealed frames that lengthened the delay (counted in `concealed` too)."""
    restarts: int = 0
    target_ms: float = 0.0
    delay_ms: float = 0.0
    """Playout time minus the earliest time at which the frame could have been here, for the last frame played."""


class JitterBuffer:
    """One direction of one call. Not thread-safe; no method blocks or raises on what the network did."""

    def __init__(self, config: JitterConfig | None = None) -> None:
        self.config = config or JitterConfig()
        self._frames: dict[int, bytes] = {}
        self._next_seq = 0
        """No frame below is ever played; once started, the frame that is due next."""
        self._base_seq: int | None = None
        """Times count from here: 64-bit numbers times a duration would not fit a float's precision."""
        self._done: dict[int, None] = {}
        """Recent frames below `_next_seq` that did arrive, to tell a second copy from a late frame."""
        self._delays = DelayWindow(self.config.window_frames)
        self._ages = SettledMinimum(max(1, 1000 // self.config.frame_ms))
        """Playout less sending time of the last second's frames, across the two clocks, as in `_delays`."""
        self._started = False
        self._conceal_run = 0
        self._late_since_ms: float | None = None
        self._plays_since_skip = 0
        self._stats = JitterStats(target_ms=float(self.config.target_ms_min))

    @property
    def stats(self) -> JitterStats:
        """Live counters; copy them to keep them."""
        return self._stats

    @property
    def started(self) -> bool:
        """Whether playout runs (as opposed to the first fill, or a new fill after a jump)."""
        return self._started

    @property
    def frames_held(self) -> int:
        """Frames that wait to be played; never more than `config.frames_max`."""
        return len(self._frames)

    # -- arrivals ---------------------------------------------------------------------------------------------

    def push(self, seq: int, packet: bytes, now_ms: float) -> bool:
        """Take a frame that arrived at `now_ms`; return whether it can still be played.

        False for a duplicate, a late frame, or a `seq` outside 64 bits.
        """
        if not 0 <= seq <= SEQ_MAX:
            return False
        self._stats.received += 1
        if seq in self._frames or seq in self._done:
            self._stats.duplicate += 1
            return False
        if self._base_seq is None:
            self._base_seq = seq
        newest = max(self._frames, default=self._next_seq if self._started else seq)
        if seq < max(self._next_seq, newest - self.config.frames_max + 1):
            self._count_late(seq, now_ms)
            return False
        if seq >= newest + self.config.frames_max:
            self._jump_ahead(seq)
        self._discard_below(seq - self.config.frames_max + 1)
        self._late_since_ms = None
        self._observe(now_ms - self._sent_ms(seq))
        self._frames[seq] = packet
        return True

    def _observe(self, delay_ms: float) -> None:
        self._delays.add(delay_ms)
        wanted = self._delays.above_floor_ms(self.config.quantile) + self.config.margin_ms
        self._stats.target_ms = min(max(wanted, self.config.target_ms_min), self.config.target_ms_max)

    def _sent_ms(self, seq: int) -> int:
        """Nominal sending time, on a clock that starts with the first frame."""
        return (seq - (self._base_seq or 0)) * self.config.frame_ms

    def _count_late(self, seq: int, now_ms: float) -> None:
        delay_ms = now_ms - self._sent_ms(seq)
        self._stats.late += 1
        self._remember(seq)
        if self._late_since_ms is None:
            self._late_since_ms = now_ms
        if self._started and now_ms - self._late_since_ms >= self.config.late_run_ms_max:
            self._refill()
        # A frame that no permitted target could have saved says nothing about where to set the target.
        if not len(self._delays) or delay_ms - self._delays.floor_ms() <= self.config.target_ms_max:
            self._observe(delay_ms)

    def _remember(self, seq: int) -> None:
        self._done[seq] = None
        if len(self._done) > 4 * self.config.frames_max:
            del self._done[next(iter(self._done))]

    def _jump_ahead(self, seq: int) -> None:
        """The sender's numbering moved further than the buffer spans: start over from `seq`."""
        self._discard_below(seq)
        self._next_seq = seq
        self._base_seq = seq
        self._refill()

    def _refill(self) -> None:
        """Go back to filling, with a new idea of the path. What was played stays behind `_next_seq`."""
        self._delays.clear()
        self._ages.clear()
        self._late_since_ms = None
        self._stats.restarts += int(self._started)
        self._started = False
        self._stats.target_ms = float(self.config.target_ms_min)

    def _discard_below(self, seq: int) -> None:
        for stale in [held for held in self._frames if held < seq]:
            del self._frames[stale]
            self._remember(stale)
            self._stats.discarded += 1
            self._next_seq = max(self._next_seq, stale + 1)
        if self._started:
            self._next_seq = max(self._next_seq, seq)

    # -- playout ----------------------------------------------------------------------------------------------

    def pop(self, now_ms: float) -> Decision:
        """Decide what is heard in the frame that starts at `now_ms`. Call once per frame of output.

        `now_ms` is best the instant at which the sound device will play, not the instant of the call: then a
        stall of the program alone costs nothing.
        """
        if not self._started:
            wait_ms = self._start(now_ms)
            if wait_ms is None or wait_ms > 0:
                return Wait(wait_ms)
        self._catch_up(now_ms)
        seq = self._next_seq
        delay_ms = self._delay_ms(seq, now_ms)
        packet = self._frames.pop(seq, None)
        if packet is None:
            return self._conceal(seq, delay_ms)
        self._next_seq = seq + 1
        self._remember(seq)
        self._conceal_run = 0
        self._plays_since_skip += 1
        self._stats.played += 1
        self._stats.delay_ms = delay_ms
        self._ages.add(now_ms - self._sent_ms(seq))
        return self._judge_surplus(seq, packet)

    def wait_ms(self, now_ms: float) -> float | None:
        """Return the ms until `pop` may hand out the first frame: 0 when playout runs, None without frames."""
        if self._started:
            return 0.0
        if not self._frames:
            return None
        return max(0.0, self._stats.target_ms - self._delay_ms(min(self._frames), now_ms))

    def skip(self) -> None:
        """Tell that the frame just popped was left out; the caller pops again for the same instant."""
        self._stats.played -= 1
        self._stats.skipped += 1
        self._plays_since_skip = 0
        self._ages.shift(-self.config.frame_ms)

    def _delay_ms(self, seq: int, now_ms: float) -> float:
        return now_ms - self._delays.floor_ms() - self._sent_ms(seq)

    def _start(self, now_ms: float) -> float | None:
        """Start when the first frame is due; return the ms until then, 0 when started, None without frames."""
        if not self._frames:
            return None
        first = min(self._frames)
        early_ms = self._stats.target_ms - self._delay_ms(first, now_ms)
        if early_ms > 0:
            return early_ms
        # Frames that waited for the player longer than the target would only be delay.
        excess = int(-early_ms // self.config.frame_ms)
        self._discard_below(min(first + excess, max(self._frames)))
        self._next_seq = min(self._frames)
        self._started = True
        return 0

    def _catch_up(self, now_ms: float) -> None:
        """Bound the delay: after a long stall of the player, jump to the frame that is due now."""
        delay_ms = self._delay_ms(self._next_seq, now_ms)
        if delay_ms <= self.config.target_ms_max + CATCH_UP_FRAMES * self.config.frame_ms:
            return
        behind = int((delay_ms - self._stats.target_ms) // self.config.frame_ms)
        self._discard_below(self._next_seq + behind)
        self._ages.clear()

    def _conceal(self, seq: int, delay_ms: float) -> Conceal:
        self._conceal_run += 1
        self._stats.concealed += 1
        held = delay_ms < self._stats.target_ms
        if held:
            self._stats.grown += 1
            self._ages.shift(self.config.frame_ms)
        else:
            self._next_seq = seq + 1
        return Conceal(seq, self._conceal_run, held)

    def _judge_surplus(self, seq: int, packet: bytes) -> Frame:
        settled_ms = self._ages.settled_ms()
        if settled_ms is None or seq + 1 not in self._frames:
            return Frame(seq, packet)
        over_ms = settled_ms - self._delays.floor_ms() - self._stats.target_ms
        surplus = over_ms >= SURPLUS_FRAMES * self.config.frame_ms
        urgent = over_ms >= URGENT_FRAMES * self.config.frame_ms and self._plays_since_skip > URGENT_FRAMES
        return Frame(seq, packet, surplus, urgent)
