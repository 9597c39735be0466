"""Frames of nothing that both ends send while a call rings (docs/spec/lanes.md section 6): how unevenly they come
tells how long playout will have to wait for those of the call, before its first word.

Nothing here is authentic, and nothing of it is played: whoever forges rehearsals lengthens the delay of a call's
first seconds, which whoever can hold up its frames does anyway.
"""

from __future__ import annotations

import struct
from collections import deque

REHEARSAL_KIND = 4
"""The first byte of a rehearsal, where that of a call's frame tells what it is."""
NAME_BYTES = 4
RECENT_FRAMES = 50
"""Three seconds: what was before them, the first lane alone and no copies, is no longer so when the call begins."""
SENDERS_MAX = 4
"""Several devices of the one who is called may ring."""

_HEAD = struct.Struct(f">B{NAME_BYTES}sI")


def rehearsal(name: bytes, now_ms: float, noise: bytes) -> bytes:
    """A frame of nothing: `name` is that of its sender, made for this call (`NAME_BYTES`), `now_ms` the sender's
    clock, `noise` whatever fills the frame up to its size."""
    return _HEAD.pack(REHEARSAL_KIND, name, int(now_ms) & 0xFFFFFFFF) + noise


class Rehearsed:
    """What came of the other end's rehearsal, in ms of two unrelated clocks."""

    def __init__(self) -> None:
        self._delays_ms: dict[bytes, deque[int]] = {}

    def arrived(self, body: bytes, now_ms: float) -> bool:
        """Whether it was a rehearsal. One too short to tell anything is one."""
        if body[:1] != bytes((REHEARSAL_KIND,)):
            return False
        if len(body) >= _HEAD.size:
            _, name, sent_ms = _HEAD.unpack_from(body)
            if name in self._delays_ms or len(self._delays_ms) < SENDERS_MAX:
                delays_ms = self._delays_ms.setdefault(name, deque(maxlen=RECENT_FRAMES))
                delays_ms.append((int(now_ms) - sent_ms) & 0xFFFFFFFF)
        return True

    @property
    def reach_ms(self) -> float:
        """How much later than the fastest frame the slowest came, of each sender's last; 0 where nobody rehearsed."""
        return float(max((_spread(delays_ms) for delays_ms in self._delays_ms.values()), default=0))


def _spread(delays_ms: deque[int]) -> int:
    """Largest less smallest of numbers modulo 2^32."""
    first = delays_ms[0]
    relative = [(delay - first + 2**31) % 2**32 for delay in delays_ms]
    return max(relative) - min(relative)
