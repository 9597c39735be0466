"""What the receiver of a call tells the sender in every frame (docs/spec/media.md section 5.1)."""

from __future__ import annotations

import enum
import itertools
from collections import deque
from dataclasses import dataclass

from .errors import MalformedPayload

REPORT_BYTES = 4
REPORT_SLOTS = 50
"""Shares are of so many slots: the last second."""

TARGET_UNIT_MS = 10


class Carrier(enum.IntEnum):
    """Which way the receiver wants the frames to come."""

    MESSAGE = 0
    DIRECT = 1
    BOTH = 2


class Redundancy(enum.IntEnum):
    """Which earlier packets the receiver wants repeated, by their distance in packets; more is a larger number."""

    NONE = 0
    D1 = 1
    D12 = 2
    D13 = 3

    @property
    def distances(self) -> tuple[int, ...]:
        """Distances in packets, the most wanted first: in bursts the most distant copy survives."""
        return _DISTANCES[self]


_DISTANCES = {Redundancy.NONE: (), Redundancy.D1: (1,), Redundancy.D12: (1, 2), Redundancy.D13: (3, 1)}


@dataclass(frozen=True, slots=True)
class Report:
    """One direction of a call as it is heard. `target_ms` is 0 while nothing was heard."""

    lost_percent: int = 0
    late_percent: int = 0
    target_ms: int = 0
    carrier: Carrier = Carrier.MESSAGE
    redundancy: Redundancy = Redundancy.NONE
    takes_short: bool = False
    """Whether there is room for short packets on the way to the receiver."""

    def encode(self) -> bytes:
        """Its four bytes."""
        target = min(-(-self.target_ms // TARGET_UNIT_MS), 0xFF)
        return bytes(
            (
                self.lost_percent,
                self.late_percent,
                target,
                self.takes_short << 4 | self.redundancy << 2 | self.carrier,
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Report:
        """Raises `MalformedPayload` for a share above 100 %, an unknown wish, or a reserved bit."""
        lost, late, target, wishes = data
        if lost + late > 100:
            raise MalformedPayload(f"{lost} % lost and {late} % late")
        carrier, redundancy, takes_short = wishes & 3, wishes >> 2 & 3, wishes >> 4
        if carrier > Carrier.BOTH or takes_short > 1:
            raise MalformedPayload(f"wishes {wishes:#x}")
        target_ms = target * TARGET_UNIT_MS
        return cls(lost, late, target_ms, Carrier(carrier), Redundancy(redundancy), bool(takes_short))


class _Fate(enum.Enum):
    CAME = enum.auto()
    LATE = enum.auto()
    LOST = enum.auto()


class SlotFates:
    """Whether the last slots played were brought by their own packets: in time, late, or not at all."""

    def __init__(self, slots: int = REPORT_SLOTS) -> None:
        self._size = slots
        self._fates: dict[int, _Fate] = {}

    def due(self, slot: int, came: bool) -> None:
        """`slot` is played, or would be; `came` tells whether its own packet is here."""
        self._fates.pop(slot, None)
        self._fates[slot] = _Fate.CAME if came else _Fate.LOST
        if len(self._fates) > self._size:
            del self._fates[next(iter(self._fates))]

    def came(self, slot: int) -> None:
        """The own packet of `slot` has come after all."""
        if self._fates.get(slot) is _Fate.LOST:
            self._fates[slot] = _Fate.LATE

    def clear(self) -> None:
        """Forget everything."""
        self._fates.clear()

    def percent(self) -> tuple[int, int]:
        """Return lost and late slots in percent of those known, rounded down: together at most 100."""
        known = len(self._fates)
        if not known:
            return 0, 0
        fates = list(self._fates.values())
        return fates.count(_Fate.LOST) * 100 // known, fates.count(_Fate.LATE) * 100 // known

    def mean_lost_run(self) -> float:
        """Return how many lost slots there are in a row, on average; 0 where none is lost."""
        fates = itertools.groupby(self._fates.values())
        runs = [len(list(run)) for fate, run in fates if fate is _Fate.LOST]
        return sum(runs) / len(runs) if runs else 0.0


WISH_SECONDS = 5
"""Loss is averaged over so long."""

BURST_PACKETS = 2.0
"""Lost packets in a row, on average, from which near copies are lost with what they copy: more than chance makes."""

_LEAST_PERCENT = {Redundancy.NONE: 0, Redundancy.D1: 2, Redundancy.D12: 8, Redundancy.D13: 2}
"""Loss from which each is wished for; it is kept down to half of that."""


class RedundancyWish:
    """Which copies to wish for: more as soon as much is lost, less when little was for some seconds."""

    def __init__(self) -> None:
        self._seconds: deque[int] = deque(maxlen=WISH_SECONDS)
        self._wish = Redundancy.NONE

    @property
    def wish(self) -> Redundancy:
        """The present one."""
        return self._wish

    def second(self, lost_percent: int, lost_run_packets: float) -> None:
        """A second has passed: the share lost in it, and how many packets in a row are lost on average."""
        self._seconds.append(lost_percent)
        loss = max(sum(self._seconds) / len(self._seconds), lost_percent / 2)
        wanted = Redundancy.NONE
        if loss >= _LEAST_PERCENT[Redundancy.D1]:
            bursts = lost_run_packets >= BURST_PACKETS
            several = loss >= _LEAST_PERCENT[Redundancy.D12]
            wanted = Redundancy.D13 if bursts else Redundancy.D12 if several else Redundancy.D1
        if wanted >= self._wish or loss < _LEAST_PERCENT[self._wish] / 2:
            self._wish = wanted
