"""Ticks at a fixed rate, finer than an event loop's own timers (which round to a millisecond). Linux only."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import time
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_NONBLOCK = os.O_NONBLOCK
_EXPIRED = struct.Struct("=Q")


class _Times(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("first_s", ctypes.c_long),
        ("first_ns", ctypes.c_long),
    )


class Pacer:
    """Calls `due(planned_ns)` for every planned time on CLOCK_MONOTONIC, late ones at once one after another."""

    def __init__(self, rate_per_s: float, due: Callable[[int], None]) -> None:
        """Raises OSError where the kernel has no such timers."""
        self._due = due
        self._interval_ns = int(1e9 / rate_per_s)
        self._loop = asyncio.get_running_loop()
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._next_ns = time.monotonic_ns() + self._interval_ns
        times = _Times(*divmod(self._interval_ns, 10**9), *divmod(self._next_ns, 10**9))
        if libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(times), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        self._loop.add_reader(self._fd, self._tick)

    def _tick(self) -> None:
        try:
            (expired,) = _EXPIRED.unpack(os.read(self._fd, _EXPIRED.size))
        except BlockingIOError:
            return
        for _ in range(expired):
            planned_ns = self._next_ns
            self._next_ns += self._interval_ns
            self._due(planned_ns)

    def stop(self) -> None:
        """No more ticks."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
