"""Sliding windows over packet delays: the network's floor and its tail, from arrival times alone."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque


class DelayWindow:
    """The last `size` delays in ms, with their minimum and any quantile.

    A delay is "arrival time minus nominal sending time" across two unrelated clocks: only differences mean
    anything. The window, not the first packet, gives the floor: a call that starts while the network is busy
    would otherwise keep that start-up delay to its end.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a window holds at least one delay")
        self._size = size
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._recent)

    def add(self, delay_ms: float) -> None:
        """Add the newest delay, forgetting the oldest of a full window."""
        if len(self._recent) == self._size:
            oldest = self._recent.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        self._recent.append(delay_ms)
        insort(self._sorted, delay_ms)

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()
        self._sorted.clear()

    def floor_ms(self) -> float:
        """Return the smallest delay. Raises `ValueError` when the window is empty."""
        if not self._sorted:
            raise ValueError("no delays yet")
        return self._sorted[0]

    def above_floor_ms(self, quantile: float) -> float:
        """Return the `quantile` (0..1) of the delays, over the floor; of few delays this is the largest."""
        rank = max(1, math.ceil(quantile * len(self._sorted)))
        return self._sorted[rank - 1] - self.floor_ms()


class SettledMinimum:
    """The smallest of the last `size` delays, once there are so many.

    One pull that came late would make a short buffer look long; the smallest of a second's pulls does not.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a minimum needs at least one delay")
        self._recent: deque[float] = deque(maxlen=size)
        self._size = size

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
        """Return the minimum, None while the window is not full."""
        return min(self._recent) if len(self._recent) == self._size else None


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
