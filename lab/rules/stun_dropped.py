"""Restriction: UDP packets with STUN's magic cookie are dropped (Russia, August 2025); other UDP passes."""

from __future__ import annotations

from lab.middlebox.rules import Drop, Match
from lab.rules.restriction import Restriction


def restriction(host: str = "alice", *, from_s: float | None = None) -> Restriction:
    """On the host's link, in both directions."""
    return Restriction((Drop(id="stun dropped", host=host, match=Match(content="stun"), from_s=from_s),))
