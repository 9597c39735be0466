"""Restriction: all UDP is dropped, as mobile networks and company firewalls do."""

from __future__ import annotations

from lab.middlebox.rules import Drop, Match
from lab.rules.restriction import Restriction


def restriction(host: str = "alice", *, from_s: float | None = None) -> Restriction:
    """On the host's link, in both directions."""
    return Restriction((Drop(id="udp dropped", host=host, match=Match(protocol="udp"), from_s=from_s),))
