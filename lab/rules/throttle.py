"""Restriction: a whole network is slowed down to a trickle; packets wait in a queue of its router, or are dropped."""

from __future__ import annotations

from lab.middlebox.rules import Rate
from lab.rules.restriction import Restriction


def restriction(host: str = "alice", *, kbit_per_s: float, queue_bytes: int = 32_000) -> Restriction:
    """The same rate in each direction of the host's link, over all that it does."""
    rate = Rate(id="throttle", host=host, bits_per_s=kbit_per_s * 1000, queue_bytes=queue_bytes)
    return Restriction((rate,))
