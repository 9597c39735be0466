"""Jitter buffer: puts packets in order and decides, for each slot of playout, what is heard.

A packet of `n` slots from slot `first` on is sent when its last slot has been spoken, at `(first + n) * 20` ms on the
sender's clock. Slot `s` is due here at

    due(s) = floor + (s + span) * 20 ms + target

where `floor` is the smallest (arrival - sending time) of the last 15 s, `span` the longest packet of the last second,
and `target` how far the delays reach above that floor, plus a margin, bounded. They reach as far as 99 % of those of
the last 15 s, further than 160 ms only for more than 2 % of them, and no further than the largest of the last 5 s:
trouble that is over is paid for no longer. A packet that comes a slot faster than all before shows that those waited
in a queue, as what opened a call may leave one: their delays are forgotten. Until there are 5 s of delays, what was
learnt before the first packet (`expect`) counts too. The buffer never hands out a slot twice or out of order, holds a
bounded number of them, and takes time as an argument: arrival times and playout times are on one monotonic clock in
ms, of any origin.

The delay changes by whole slots: it grows when a slot is missing anyway (the buffer waits for it instead of giving it
up), and shrinks when a slot is surplus, which the player leaves out in a pause: amid speech that would be heard.

Order and number of arrivals say nothing: a packet counts when it comes first, a second one (another lane's, or a
copy inside a later frame) changes nothing. A copy that is the first to bring its packet counts with the delay it has,
or the buffer would never wait long enough for copies.
"""

from __future__ import annotations

from dataclasses import dataclass

from .pcm import SLOT_MS
from .report import SlotFates
from .toc import PACKET_SLOTS_MAX
from .windows import LongestRecent, SettledMinimum, SlidingWindow

SLOT_MAX = 2**64 - 1

SECOND_SLOTS = 1000 // SLOT_MS

SETTLED_SLOTS = 10
"""So many pulls tell how old what they play is: in the quiet before the first word, what is too much can still go."""

SURPLUS_SLOTS = 1.5
"""Delay over the target from which a quiet slot is left out: one slot, and slack so that jitter causes nothing."""

CATCH_UP_SLOTS = 12
"""Delay over the largest target at which the buffer jumps."""


@dataclass(frozen=True, slots=True)
class JitterConfig:
    """Bounds of the playout delay."""

    target_ms_min: int = 20
    """Or half of the longest packet and 10 ms, where that is more: 20, 40 and 70 ms for 20, 60 and 120."""
    target_ms_max: int = 600
    quantile: float = 0.99
    dear_ms: int = 160
    """From so much on, waiting costs a conversation more than what is lost without it: only for `quantile_dear`."""
    quantile_dear: float = 0.98
    margin_ms: int = 10
    window_slots: int = 768
    recent_slots: int = 250
    """What was not seen among so many slots is forgotten, though the window still holds it."""
    slots_max: int = 192
    late_run_ms_max: int = 500
    """Nothing but late packets for so long means that the path got slower for good: start over."""

    def __post_init__(self) -> None:
        if not 0 < self.target_ms_min <= self.target_ms_max:
            raise ValueError("target durations must be positive and ordered")
        if not 0 < self.quantile_dear <= self.quantile <= 1:
            raise ValueError("quantiles are shares, above 0 up to 1")
        if self.slots_max * SLOT_MS < self.target_ms_max + (CATCH_UP_SLOTS + PACKET_SLOTS_MAX) * SLOT_MS:
            raise ValueError("slots_max cannot hold target_ms_max of sound")
        if self.window_slots < 1 or self.recent_slots < 1:
            raise ValueError("a window holds at least one slot")


@dataclass(frozen=True, slots=True)
class Packet:
    """`slots` slots of coded sound from slot `first` on."""

    first: int
    slots: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Play:
    """Play slot `slot`, which lies in `packet`.

    `surplus`: the delay is longer than needed; leave the slot out if nobody speaks in it, and pop again.
    """

    slot: int
    packet: Packet
    surplus: bool = False


@dataclass(frozen=True, slots=True)
class Conceal:
    """Nothing to play: invent a slot. `run` counts concealed slots in a row, from 1.

    `slot` is the missing one; `held` means the buffer still waits for it, so the delay grows by a slot.
    """

    slot: int
    run: int
    held: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Not started (again) yet: play silence. `wait_ms` is how long at least, None while nothing has arrived."""

    wait_ms: float | None


Decision = Play | Conceal | Wait


@dataclass(slots=True)
class JitterStats:
    """Counters since the start, in slots, and the present delays."""

    received: int = 0
    """Brought by packets themselves, copies inside later frames not counted."""
    repaired: int = 0
    """Brought by such copies first, and in time."""
    played: int = 0
    concealed: int = 0
    late: int = 0
    duplicate: int = 0
    skipped: int = 0
    """Left out by the player to shorten the delay."""
    discarded: int = 0
    """Thrown away unplayed: stale at the start, after a stall of the player, or after a jump of the numbering."""
    grown: int = 0
    """Concealed slots that lengthened the delay (counted in `concealed` too): nothing was lost in them."""
    restarts: int = 0
    longest_concealed: int = 0
    target_ms: float = 0.0
    delay_ms: float = 0.0
    """Playout time minus the earliest time at which the slot could have been here, for the last slot played."""


@dataclass(slots=True)
class _Held:
    packet: Packet
    own: bool
    """Whether the packet itself came, as opposed to a copy inside a later frame."""


class JitterBuffer:
    """One direction of one call. Not thread-safe; no method blocks or raises on what the network did."""

    def __init__(self, config: JitterConfig | None = None) -> None:
        self.config = config or JitterConfig()
        self._held: dict[int, _Held] = {}
        self._next = 0
        """No slot below is ever played; once started, the slot that is due next."""
        self._base: int | None = None
        """Times count from here: 64-bit numbers times a duration would not fit a float's precision."""
        self._done: dict[int, None] = {}
        """Recent slots below `_next` that did arrive, to tell a second copy from a late packet."""
        self._delays = SlidingWindow(self.config.window_slots)
        """Arrival less sending time in ms, across two unrelated clocks: only differences mean anything. The window,
        not the first packet, gives the floor: a call that starts while the network is busy would otherwise keep that
        start-up delay to its end."""
        self._newest_delays = SlidingWindow(self.config.recent_slots)
        self._filled_ms = 0.0
        """When a packet last came while none was held."""
        self._fastest_ms = float("inf")
        """The smallest delay when those before it were last forgotten."""
        self._expected_ms = 0.0
        self._ages = SettledMinimum(SECOND_SLOTS, SETTLED_SLOTS)
        """Playout less start of the last second's slots, across the two clocks, as in `_delays`."""
        self._lengths = LongestRecent(SECOND_SLOTS)
        self._fates = SlotFates()
        self._started = False
        self._conceal_run = 0
        self._given_up = 0
        """Slots directly below `_next` that were concealed and not waited for."""
        self._late_since_ms: float | None = None
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
    def slots_held(self) -> int:
        """Slots that wait to be played; never more than `config.slots_max`."""
        return len(self._held)

    def lost_and_late_percent(self) -> tuple[int, int]:
        """Return the shares of the last second played that their own packets did not bring, or brought too late."""
        return self._fates.percent()

    def lost_run_packets(self) -> float:
        """Return how many packets are lost in a row, on average over the last second; 0 where none is."""
        return self._fates.mean_lost_run() / self._lengths.longest()

    def expect(self, reach_ms: float) -> None:
        """Before the first packet: so far do delays reach above the floor, as far as waiting is not dear. The delay
        that they will need is there from the first word on, where else it would grow amid them."""
        self._expected_ms = min(reach_ms, self.config.dear_ms)

    # -- arrivals ---------------------------------------------------------------------------------------------

    def push(self, packet: Packet, now_ms: float, *, repeated: bool = False) -> bool:
        """Take a packet that arrived at `now_ms`; return whether any of it can still be played.

        `repeated`: a copy inside a later frame. False for a duplicate, a late packet, or a slot outside 64 bits.
        """
        first, end = packet.first, packet.first + packet.slots
        if not (first >= 0 and end - 1 <= SLOT_MAX and 1 <= packet.slots <= PACKET_SLOTS_MAX):
            return False
        if not repeated:
            self._stats.received += packet.slots
            self._own_came(first, end)
        fresh = [slot for slot in range(first, end) if slot not in self._held and slot not in self._done]
        if not repeated:
            self._stats.duplicate += packet.slots - len(fresh)
        # Copies of what was sent before the first packet that came would only teach a delay that nobody needs.
        if not fresh or (repeated and (self._base is None or first < self._base)):
            return False
        if self._base is None:
            self._base = first
        newest = max(self._held, default=self._next if self._started else first)
        if end > newest + self.config.slots_max:
            self._jump_ahead(first)
        self._observe(packet, now_ms, repeated)
        self._discard_below(end - self.config.slots_max)
        self._wait_after_all(fresh[0], now_ms)
        bound = max(self._next, newest - self.config.slots_max + 1)
        return self._store(packet, fresh, bound, now_ms, repeated)

    def _store(self, packet: Packet, fresh: list[int], bound: int, now_ms: float, repeated: bool) -> bool:
        in_time = [slot for slot in fresh if slot >= bound]
        for slot in fresh[: len(fresh) - len(in_time)]:
            self._remember(slot)
        if not self._held:
            self._filled_ms = now_ms
        for slot in in_time:
            self._held[slot] = _Held(packet, not repeated)
        if repeated:
            self._stats.repaired += len(in_time)
        else:
            self._stats.late += len(fresh) - len(in_time)
            if self._is_late_run(bool(in_time), now_ms):
                self._refill()
                self._observe(packet, now_ms, repeated)
        return bool(in_time)

    def _own_came(self, first: int, end: int) -> None:
        for slot in range(first, end):
            self._fates.came(slot)
            if (held := self._held.get(slot)) is not None:
                held.own = True

    def _observe(self, packet: Packet, now_ms: float, repeated: bool) -> None:
        delay_ms = now_ms - self._start_ms(packet.first + packet.slots)
        # A packet that no permitted target could have saved says nothing about where to set the target.
        is_late = packet.first < self._next and len(self._delays) > 0
        if is_late and delay_ms - self._delays.smallest() > self.config.target_ms_max:
            return
        if delay_ms < self._fastest_ms - SLOT_MS:
            self._forget_delays()
            self._fastest_ms = delay_ms
        for _ in range(packet.slots):
            self._delays.add(delay_ms)
            self._newest_delays.add(delay_ms)
        if not repeated:
            self._lengths.add(packet.slots)
        above_ms = self._reach_ms(self._delays.smallest())
        if not self._newest_delays.is_full:
            above_ms = max(above_ms, self._expected_ms)
        wanted = above_ms + self.config.margin_ms
        least = max(self.config.target_ms_min, (self._lengths.longest() + 1) * SLOT_MS // 2)
        self._stats.target_ms = float(min(max(wanted, least), self.config.target_ms_max))

    def _forget_delays(self) -> None:
        self._delays.clear()
        self._newest_delays.clear()
        self._fastest_ms = float("inf")

    def _reach_ms(self, floor_ms: float) -> float:
        """How far the delays to be waited for reach above the floor."""
        most_ms = min(self._delays.quantile(self.config.quantile), self._newest_delays.largest())
        # Of few packets, the slowest is all that the share leaves out.
        share = min(self.config.quantile_dear, 1 - self._lengths.longest() / len(self._delays))
        nearly_ms = min(self._delays.quantile(share), most_ms)
        return min(most_ms - floor_ms, max(nearly_ms - floor_ms, self.config.dear_ms))

    def _start_ms(self, slot: int) -> int:
        """When `slot` began to be spoken, on a clock that starts with the first packet."""
        return (slot - (self._base or 0)) * SLOT_MS

    def _wait_after_all(self, first: int, now_ms: float) -> None:
        """Slots just given up are here now, and the delay has to grow: what was concealed for them is the growth."""
        missed = self._next - first
        if not 0 < missed <= self._given_up or self._delay_ms(first, now_ms) > self._stats.target_ms:
            return
        self._next = first
        self._given_up = 0
        self._stats.grown += missed
        self._ages.shift(missed * SLOT_MS)

    def _is_late_run(self, in_time: bool, now_ms: float) -> bool:
        if in_time:
            self._late_since_ms = None
            return False
        if self._late_since_ms is None:
            self._late_since_ms = now_ms
        return self._started and now_ms - self._late_since_ms >= self.config.late_run_ms_max

    def _remember(self, slot: int) -> None:
        self._done[slot] = None
        if len(self._done) > 4 * self.config.slots_max:
            del self._done[next(iter(self._done))]

    def _jump_ahead(self, slot: int) -> None:
        """The sender's numbering moved further than the buffer spans: start over from `slot`."""
        self._discard_below(slot)
        self._next = slot
        self._base = slot
        self._refill()

    def _refill(self) -> None:
        """Go back to filling, with a new idea of the path. What was played stays behind `_next`."""
        self._expected_ms = 0.0
        self._forget_delays()
        self._ages.clear()
        self._lengths.clear()
        self._given_up = 0
        self._late_since_ms = None
        self._stats.restarts += int(self._started)
        self._started = False
        self._stats.target_ms = float(self.config.target_ms_min)

    def _discard_below(self, slot: int) -> None:
        for stale in [held for held in self._held if held < slot]:
            self._fates.due(stale, self._held.pop(stale).own)
            self._remember(stale)
            self._stats.discarded += 1
            self._next = max(self._next, stale + 1)
        if self._started and slot > self._next:
            self._next = slot
            self._given_up = 0

    # -- playout ----------------------------------------------------------------------------------------------

    def pop(self, now_ms: float) -> Decision:
        """Decide what is heard in the slot that starts at `now_ms`. Call once per slot of output.

        `now_ms` is best the instant at which the sound device will play, not the instant of the call: then a
        stall of the program alone costs nothing.
        """
        if not self._started:
            wait_ms = self._start(now_ms)
            if wait_ms is None or wait_ms > 0:
                return Wait(wait_ms)
        self._catch_up(now_ms)
        slot = self._next
        delay_ms = self._delay_ms(slot, now_ms)
        held = self._held.pop(slot, None)
        if held is None:
            return self._conceal(slot, delay_ms)
        self._next = slot + 1
        self._fates.due(slot, held.own)
        self._remember(slot)
        self._conceal_run = self._given_up = 0
        self._stats.played += 1
        self._stats.delay_ms = delay_ms
        self._ages.add(now_ms - self._start_ms(slot))
        return self._judge_surplus(slot, held.packet)

    def wait_ms(self, now_ms: float) -> float | None:
        """Return the ms until `pop` may hand out the first slot: 0 when playout runs, None without packets."""
        if self._started:
            return 0.0
        if not self._held:
            return None
        return max(0.0, self._stats.target_ms - self._delay_ms(min(self._held), now_ms))

    def skip(self) -> None:
        """Tell that the slot just popped was left out; the caller pops again for the same instant."""
        self._stats.played -= 1
        self._stats.skipped += 1
        self._ages.shift(-SLOT_MS)

    def _delay_ms(self, slot: int, now_ms: float) -> float:
        return now_ms - self._delays.smallest() - self._start_ms(slot + self._lengths.longest())

    def _start(self, now_ms: float) -> float | None:
        """Start when the first slot is due; return the ms until then, 0 when started, None without packets."""
        if not self._held:
            return None
        first = min(self._held)
        early_ms = self._stats.target_ms - self._delay_ms(first, now_ms)
        if early_ms > 0:
            return early_ms
        # Slots that waited for the player longer than the target would only be delay. What the network held up is no
        # less old, but nobody has missed a word of it yet: that delay goes in the first pause.
        excess = int(min(-early_ms, now_ms - self._filled_ms) // SLOT_MS)
        self._discard_below(min(first + excess, max(self._held)))
        self._next = min(self._held)
        self._started = True
        return 0

    def _catch_up(self, now_ms: float) -> None:
        """Bound the delay: after a long stall of the player, jump to the slot that is due now."""
        delay_ms = self._delay_ms(self._next, now_ms)
        if delay_ms <= self.config.target_ms_max + CATCH_UP_SLOTS * SLOT_MS:
            return
        behind = int((delay_ms - self._stats.target_ms) // SLOT_MS)
        self._discard_below(self._next + behind)
        self._ages.clear()

    def _conceal(self, slot: int, delay_ms: float) -> Conceal:
        self._conceal_run += 1
        self._stats.concealed += 1
        self._stats.longest_concealed = max(self._stats.longest_concealed, self._conceal_run)
        held = delay_ms < self._stats.target_ms
        if held:
            self._stats.grown += 1
            self._ages.shift(SLOT_MS)
        else:
            self._next = slot + 1
            self._given_up += 1
            self._fates.due(slot, False)
        return Conceal(slot, self._conceal_run, held)

    def _judge_surplus(self, slot: int, packet: Packet) -> Play:
        settled_ms = self._ages.settled_ms()
        if settled_ms is None or slot + 1 not in self._held:
            return Play(slot, packet)
        needed_ms = self._delays.smallest() + self._lengths.longest() * SLOT_MS + self._stats.target_ms
        over_ms = settled_ms - needed_ms
        return Play(slot, packet, over_ms >= SURPLUS_SLOTS * SLOT_MS)
