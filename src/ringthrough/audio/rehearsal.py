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
RECENT_MS = 1500
"""What came before, over the first lane alone, without copies, or through a pipe that was full, is no longer so
when the call begins."""
FRAMES_MAX = 150
"""Of each sender; more come only from who floods."""
AROUND_MS = 100
"""A frame is late beside the one before, the one after, and those that came so close: a queue delays all of them, and
is no unevenness."""
SENDERS_MAX = 4
"""Several devices of the one who is called may ring."""

_HEAD = struct.Struct(f">B{NAME_BYTES}sI?")


def rehearsal(name: bytes, now_ms: float, noise: bytes, *, takes_short: bool = False) -> bytes:
    """A frame of nothing: `name` is that of its sender, made for this call (`NAME_BYTES`), `now_ms` the sender's
    clock, `takes_short` what the call's reports will say of it, `noise` whatever fills the frame up to its size."""
    return _HEAD.pack(REHEARSAL_KIND, name, int(now_ms) & 0xFFFFFFFF, takes_short) + noise


class Rehearsed:
    """What came of the other end's rehearsal, in ms of two unrelated clocks."""

    def __init__(self) -> None:
        self._came: dict[bytes, deque[tuple[float, int]]] = {}
        """Of each sender: when a frame came, and its delay."""
        self._takes_short: dict[bytes, bool] = {}

    def arrived(self, body: bytes, now_ms: float) -> bool:
        """Whether it was a rehearsal. One too short to tell anything is one."""
        if body[:1] != bytes((REHEARSAL_KIND,)):
            return False
        if len(body) >= _HEAD.size:
            _, name, sent_ms, takes_short = _HEAD.unpack_from(body)
            if name in self._came or len(self._came) < SENDERS_MAX:
                came = self._came.setdefault(name, deque(maxlen=FRAMES_MAX))
                came.append((now_ms, (int(now_ms) - sent_ms) & 0xFFFFFFFF))
                while came[0][0] < now_ms - RECENT_MS:
                    came.popleft()
                self._takes_short[name] = takes_short
        return True

    @property
    def takes_short(self) -> bool:
        """Whether somebody rehearsed, and short packets are welcome to all who did."""
        return bool(self._takes_short) and all(self._takes_short.values())

    @property
    def reach_ms(self) -> float:
        """How much later than the fastest around it the slowest frame came, of each sender's last; 0 where nobody
        rehearsed."""
        return float(max((_unevenness(list(came)) for came in self._came.values()), default=0))


def _unevenness(came: list[tuple[float, int]]) -> int:
    """The largest delay less the smallest around it, modulo 2^32."""
    first = came[0][1]
    relative = [(at, (delay - first + 2**31) % 2**32) for at, delay in came]

    def least_around(place: int) -> int:
        at = relative[place][0]
        close = [
            delay for other, (a, delay) in enumerate(relative) if abs(a - at) <= AROUND_MS or abs(other - place) == 1
        ]
        return min(close)

    return max(delay - least_around(place) for place, (_, delay) in enumerate(relative))
