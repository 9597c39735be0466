"""Sliding windows over what was measured last: smallest, largest, and any quantile."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque


class SlidingWindow:
    """The last `size` values. `smallest`, `largest` and `quantile` raise `ValueError` when there is none."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a window holds at least one value")
        self._size = size
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._recent)

    @property
    def is_full(self) -> bool:
        """Whether the next value takes the place of the oldest."""
        return len(self._recent) == self._size

    def add(self, value: float) -> None:
        """Add the newest value, forgetting the oldest of a full window."""
        if self.is_full:
            oldest = self._recent.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        self._recent.append(value)
        insort(self._sorted, value)

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()
        self._sorted.clear()

    def smallest(self) -> float:
        """Return the smallest value."""
        return self.quantile(0.0)

    def largest(self) -> float:
        """Return the largest value."""
        return self.quantile(1.0)

    def quantile(self, share: float) -> float:
        """Return the value that `share` (0..1) of the values do not exceed; of few values this is the largest."""
        if not self._sorted:
            raise ValueError("no values yet")
        rank = max(1, math.ceil(share * len(self._sorted)))
        return self._sorted[rank - 1]


class SettledMinimum:
    """The smallest of the last `size` delays in ms, once there are `least` of them.

    One pull that came late would make a short buffer look long; the smallest of many pulls does not.
    """

    def __init__(self, size: int, least: int) -> None:
        if not 1 <= least <= size:
            raise ValueError("a minimum needs at least one delay, and room for all that it needs")
        self._recent: deque[float] = deque(maxlen=size)
        self._size = size
        self._least = least

    def add(self, delay_ms: float) -> None:
        """Add the newest delay, forgetting the oldest of a full window."""
        self._recent.append(delay_ms)

    def shift(self, by_ms: float) -> None:
        """Move every remembered delay: the schedule or the floor they were counted from has moved."""
        if by_ms:
            self._recent = deque((delay + by_ms for delay in self._recent), maxlen=self._size)

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()

    def settled_ms(self) -> float | None:
        """Return the minimum, None while there are too few."""
        return min(self._recent) if len(self._recent) >= self._least else None


class LongestRecent:
    """The longest packet of the last `size` slots of sound; 1 slot while none is known."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._recent: deque[int] = deque()
        self._sum = 0

    def add(self, slots: int) -> None:
        """Add the length of the newest packet, forgetting those that `size` slots no longer reach."""
        self._recent.append(slots)
        self._sum += slots
        while self._sum - self._recent[0] >= self._size:
            self._sum -= self._recent.popleft()

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()
        self._sum = 0

    def longest(self) -> int:
        """Return the length in slots."""
        return max(self._recent, default=1)
