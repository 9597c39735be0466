"""Which verdicts are right in each cell: docs/spec/verdicts.md, section 3, for all that bends the way of its call."""

from __future__ import annotations

from ringthrough.protocol.verdicts import Verdict

Right = frozenset[Verdict]


def _either(*verdicts: Verdict) -> Right:
    return frozenset(verdicts)


def _told(verdict: Verdict) -> tuple[Right, Right]:
    """It is told whether or not a direct way is tried."""
    return _either(verdict), _either(verdict)


def _direct(verdict: Verdict) -> tuple[Right, Right]:
    """It is told of the direct way alone, and nothing else is in the way."""
    return _either(verdict), _either(Verdict.CLEAR)


_CLEAR = _told(Verdict.CLEAR)
_LOSSY = _told(Verdict.LOSSY)
_NARROW = _told(Verdict.NARROW)
_BLOCKED = _direct(Verdict.DIRECT_BLOCKED)
_REPAIRED = (_either(Verdict.LOSSY, Verdict.DIRECT_BLOCKED), _either(Verdict.LOSSY, Verdict.CLEAR))
"""TCP may repair so few losses before a call notices; then what remains is told."""
_DIRECTLY = _either(Verdict.LOSSY, Verdict.CLEAR)
"""What the lanes measure is not in the way of a call that the direct way carries."""

RIGHT: dict[str, tuple[Right, Right]] = {
    "clean, RTT 20": _CLEAR,
    "jitter 40 ms with reordering, RTT 50": (_DIRECTLY, _DIRECTLY),
    "RTT 200": _CLEAR,
    "all lose 10 %, RTT 50": (_DIRECTLY, _either(Verdict.LOSSY)),
    "STUN dropped": _BLOCKED,
    "UDP dropped": _BLOCKED,
    "UDP degraded": _direct(Verdict.DIRECT_DEGRADED),
    "UDP and relay blocked": _BLOCKED,
    "DTLS hello dropped": _direct(Verdict.DIRECT_KEYS_BLOCKED),
    "TLS alone, 5 % lost, RTT 50": _REPAIRED,
    "TLS alone, 10 % lost, RTT 50": _LOSSY,
    "TLS alone, 20 % lost, RTT 50": _LOSSY,
    "TLS alone, 30 % lost, RTT 50": _LOSSY,
    "TLS alone, 10 % lost, RTT 100": _LOSSY,
    "TLS alone, 20 % lost, RTT 100": _LOSSY,
    "TLS alone, 5 % in bursts of 5, RTT 50": _REPAIRED,
    "TLS alone, 10 % lost on both hops of RTT 50": _LOSSY,
    # A call may need no more than is left.
    "throttle 64 kbit/s, RTT 80": (_either(Verdict.NARROW, Verdict.CLEAR),) * 2,
    "throttle 32 kbit/s, RTT 80": _NARROW,
    "throttle 32 kbit/s, 2 % lost, RTT 80": _NARROW,
    "TCP frozen after 16 KB, no UDP": _told(Verdict.FROZEN),
    "TCP frozen after 16 KB, 5 % lost, no UDP": _told(Verdict.FROZEN),
    "idle connections cut after 10 s, no UDP": _BLOCKED,
    # The limit is met only by a call that wants more connections than it allows.
    "more than 6 connections reset, no UDP, 10 % lost": (_either(Verdict.COUNTED, Verdict.LOSSY),) * 2,
    "busiest TCP silent from 5 s, no UDP": _told(Verdict.LANE_LOST),
    "UDP silent from 5 s": _direct(Verdict.DIRECT_LOST),
    # A direct way that is open needs no STUN until its consent runs out.
    "STUN dropped from 5 s": (_either(Verdict.CLEAR, Verdict.DIRECT_LOST), _either(Verdict.CLEAR)),
    "address changed at 5 s": _told(Verdict.RECONNECTED),
}
"""By the cell's name: where a direct way is tried, and where none is."""
