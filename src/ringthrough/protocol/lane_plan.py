"""When a client opens further lanes and leaves old ones (docs/spec/lanes.md section 6).

Few connections, opened seconds apart: many at once are a fingerprint, and some networks reset them. Pure: times are
milliseconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from .lanes import LaneId

FIRST_DIAL_MS = 500
"""No lane is opened before the call is so old."""
SPARE_MS = 3_000
"""The spare lane of a call that needs none is opened when it is so old: a narrow pipe has shown itself by then.
Before any sound, while it rings, nothing speaks against opening it at once."""
SPARE_LANES = 2
"""What a call has that needs no more than one."""
DIAL_GAP_MS = 1_000
"""Between two openings."""
DIALS_AT_ONCE = 2
DIAL_HANGS_MS = 2_000
"""A handshake that takes longer is not waited for: losses hold it up, and another may be through before. Longer than
queueing is laid to it, so that a pipe too narrow for it shows itself first."""
DIAL_HANGS_MS_RINGING = 1_000
"""While it rings, there is no sound that one handshake more could delay."""
LANES_OPEN_MAX = 6
"""Stalled ones counted: networks that count connections begin at more."""
HANDSHAKE_BYTES = 4_000
"""What a server sends before the first frame; it counts where connections are frozen by bytes."""
DEAD_MS = 3_000
"""A lane that was stalled for so long is left; until then loss may be all that ails it."""
FREEZE_BYTES_MIN, FREEZE_BYTES_MAX = 6_000, 64_000
FREEZE_SPREAD = 0.25
"""Two lanes that died after nearly as many bytes within these may have been frozen by rule, not by chance; then no
lane receives more than so much above them."""
STALLS_KEPT_MS = 60_000
"""For so long it is known how stalled lanes ended; a device may be on another network later."""
WEAR_SHARE = 0.5
"""Share of the bytes that froze a lane, after which another takes its place."""
EARLY_END_MS = 3_000
EARLY_ENDS_MAX = 2
"""After so many lanes that were reset this soon while others lived, the network counts connections."""
COUNTED_MS_MIN, COUNTED_MS_MAX = 10_000, 120_000
"""One connection more than are let live is tried after so long, twice as long after each that is reset."""
OUTAGE_MS = 10_000
"""For so long after a lane died by itself, a reset connection tells of the same trouble and not of a limit."""


@dataclass(slots=True)
class _Known:
    opened_ms: float
    bytes_received: int = HANDSHAKE_BYTES
    stalled_ms: float | None = None
    """Since when."""
    is_alone: bool = True
    """Since it was stalled, another one answered at every moment."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What to do now."""

    dial: bool = False
    leave: tuple[LaneId, ...] = ()


@dataclass
class LanePlan:
    """One call's connections. The lane of the message connection is one of them, opened by others."""

    started_ms: float
    freeze_bytes: int | None = None
    """After how many bytes this network freezes a connection; None where it has not."""
    lanes_max: int | None = None
    """How many connections this network seems to let live; None where it has not said."""
    dials: int = 0
    is_sounding: bool = False
    """Whether frames are sent, which a handshake would delay where the pipe is narrow."""
    _lanes: dict[LaneId, _Known] = field(default_factory=dict)
    _dials_ms: list[float] = field(default_factory=list)
    """When those began that are under way."""
    _dialled_ms: float = float("-inf")
    _early_ends: int = 0
    _trouble_ms: float = float("-inf")
    """When a lane last was stalled or died by itself."""
    _counted_ms: float = 0.0
    """How long none is tried beyond `lanes_max`, and until when."""
    _counted_until_ms: float = float("-inf")
    _died_bytes: int | None = None
    """Of the last lane that may have been frozen."""
    _frozen_bytes_max: int = 0
    """The most that a lane had received which was frozen by rule."""
    _bytes_max: int = 0
    """The most that any lane has received."""
    _deaths_ms: list[float] = field(default_factory=list)
    """When stalled lanes were past hope."""
    _recoveries_ms: list[float] = field(default_factory=list)
    """When stalled lanes answered again while others did all along: losses let go of them, a rule never does."""

    def dialled(self, now_ms: float) -> None:
        """A connection is being opened."""
        self.dials += 1
        self._dials_ms.append(now_ms)
        self._dialled_ms = now_ms

    @property
    def is_dialling(self) -> bool:
        """Whether one is under way."""
        return bool(self._dials_ms)

    def dial_ended(self) -> None:
        """It is a lane now, or failed."""
        self._dials_ms.pop()  # most likely the last one: what hangs, hangs

    def opened(self, lane: LaneId, now_ms: float) -> None:
        """A lane more."""
        self._lanes[lane] = _Known(now_ms)

    def received(self, lane: LaneId, size: int) -> None:
        """Bytes of a message from the server, with what carries them."""
        known = self._lanes.get(lane)
        if known is not None:
            known.bytes_received += size
            self._bytes_max = max(self._bytes_max, known.bytes_received)
            if self._is_spared(self._frozen_bytes_max):
                self.freeze_bytes = None

    def closed(self, lane: LaneId, now_ms: float, *, reset: bool) -> None:
        """A lane less; `reset` by the network, and not closed by one of the two ends."""
        known = self._lanes.pop(lane, None)
        if known is None:
            return
        early = reset and now_ms - known.opened_ms < EARLY_END_MS
        if not early and not self._is_worn(known):
            self._trouble_ms = now_ms
        self._note_end(early, now_ms)

    def refused(self, now_ms: float) -> None:
        """An opening was reset by the network."""
        self._note_end(True, now_ms)

    def _note_end(self, early: bool, now_ms: float) -> None:
        tells = early and bool(self._lanes) and now_ms - self._trouble_ms >= OUTAGE_MS
        self._early_ends = self._early_ends + 1 if tells else 0
        is_known = self.lanes_max is not None and len(self._lanes) >= self.lanes_max
        if self._early_ends >= (1 if is_known else EARLY_ENDS_MAX):
            self.lanes_max = len(self._lanes)
            self._counted_ms = min(max(2 * self._counted_ms, COUNTED_MS_MIN), COUNTED_MS_MAX)
            self._counted_until_ms = now_ms + self._counted_ms

    def _limit(self, wanted: int, now_ms: float) -> int:
        """How many of the lanes wanted may be had. One more than were let live now and then: what looked like a limit
        may have been an outage, or be gone."""
        if self.lanes_max is None:
            return wanted
        lived = sum(now_ms - known.opened_ms >= EARLY_END_MS for known in self._lanes.values())
        if lived > self.lanes_max:
            self.lanes_max, self._counted_ms = None, 0.0
            return wanted
        return min(wanted, self.lanes_max + (now_ms >= self._counted_until_ms))

    def step(self, wanted: int, stalled: Collection[LaneId], now_ms: float, *, silent: bool, stuck: bool) -> Steps:
        """`wanted` lanes that work; `stalled` ones answer nothing; `silent`: none does; `stuck`: none is free."""
        dead = self._note_stalled(stalled, now_ms, silent=silent)
        if silent or stalled:
            self._trouble_ms = now_ms
        fit = [lane for lane, known in self._lanes.items() if lane not in stalled and not self._is_worn(known)]
        # What ails all lanes at once is the network; a new connection is the way out of it, if there is one.
        wanted = max(1, self._limit(wanted, now_ms))
        hangs_ms = DIAL_HANGS_MS if self.is_sounding else DIAL_HANGS_MS_RINGING
        awaited = sum(now_ms - began_ms < hangs_ms for began_ms in self._dials_ms)
        short = wanted - awaited - (0 if silent else len(fit))
        hurry = silent or bool(stalled) or self.freeze_bytes is not None
        can_wait = self.is_sounding and wanted <= SPARE_LANES and not (stuck or hurry)
        begin_ms = SPARE_MS if can_wait else FIRST_DIAL_MS
        due = now_ms - self._dialled_ms >= DIAL_GAP_MS and now_ms - self.started_ms >= begin_ms
        room = silent or len(self._lanes) + len(self._dials_ms) < LANES_OPEN_MAX
        # While it rings, those that hang count as well: a pipe too narrow for two handshakes must not get four.
        at_once = awaited if self.is_sounding else len(self._dials_ms)
        dial = short > 0 and due and room and at_once < DIALS_AT_ONCE
        leave = list(dead)
        if len(fit) >= wanted:
            leave += [lane for lane, known in self._lanes.items() if self._is_worn(known) and lane not in dead]
        return Steps(dial, tuple(leave))

    def _note_stalled(self, stalled: Collection[LaneId], now_ms: float, *, silent: bool) -> list[LaneId]:
        """The lanes that are past hope."""
        dead = []
        for lane, known in self._lanes.items():
            if lane not in stalled:
                if known.stalled_ms is not None and known.is_alone:
                    self._recoveries_ms.append(now_ms)
                known.stalled_ms = None
                continue
            if known.stalled_ms is None:
                known.stalled_ms, known.is_alone = now_ms, True
            elif now_ms - known.stalled_ms >= DEAD_MS:
                dead.append(lane)
                self._deaths_ms.append(now_ms)
                self._learn_freeze(known.bytes_received, now_ms)
            known.is_alone &= not silent
        return dead

    def _learn_freeze(self, size: int, now_ms: float) -> None:
        for times_ms in (self._deaths_ms, self._recoveries_ms):
            times_ms[:] = [at_ms for at_ms in times_ms if now_ms - at_ms < STALLS_KEPT_MS]
        if not FREEZE_BYTES_MIN <= size <= FREEZE_BYTES_MAX:
            return
        before, self._died_bytes = self._died_bytes, size
        if before is None or abs(size - before) > FREEZE_SPREAD * max(size, before):
            return
        # Where losses stall lanes, two of those that die are soon alike by chance.
        if len(self._recoveries_ms) >= len(self._deaths_ms) or self._is_spared(max(size, before)):
            return
        self._frozen_bytes_max = max(size, before, self._frozen_bytes_max)
        self.freeze_bytes = min(size, before, self.freeze_bytes or size)

    def _is_spared(self, frozen_bytes: int) -> bool:
        """Whether a lane received more than a rule would let it that froze others after so many."""
        return self._bytes_max > (1 + FREEZE_SPREAD) * frozen_bytes

    def _is_worn(self, known: _Known) -> bool:
        return self.freeze_bytes is not None and known.bytes_received > self.freeze_bytes * WEAR_SHARE
