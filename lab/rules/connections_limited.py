"""Restriction: connections to one address are counted, and those beyond a limit are reset."""

from __future__ import annotations

from lab.middlebox.rules import Limit
from lab.rules.restriction import Restriction


def restriction(host: str = "alice", *, connections: int = 6) -> Restriction:
    """TCP connections that the host opens."""
    return Restriction((Limit(id="connections limited", host=host, connections=connections),))
