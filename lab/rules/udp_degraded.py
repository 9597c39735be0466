"""Restriction: UDP passes, but so badly that voices sound of metal; TCP is left alone."""

from __future__ import annotations

from lab.middlebox.rules import Bursts, Delay, Match
from lab.rules.restriction import Restriction


def restriction(
    host: str = "alice", *, loss: float = 0.25, burst_packets: float = 3.0, jitter_ms: float = 150.0
) -> Restriction:
    """Bursts of loss and jitter with reordering on UDP alone, in both directions of the host's link."""
    udp = Match(protocol="udp")
    return Restriction(
        (
            Bursts(id="udp degraded: loss", host=host, match=udp, share=loss, mean_packets=burst_packets),
            Delay(id="udp degraded: jitter", host=host, match=udp, delay_ms=0, jitter_ms=jitter_ms, reorder=True),
        )
    )
