"""Restriction: connections that are silent for some seconds are forgotten, as short-lived address tables do."""

from __future__ import annotations

from lab.middlebox.rules import Idle
from lab.rules.restriction import Restriction


def restriction(host: str = "alice", *, idle_s: float = 10.0) -> Restriction:
    """TCP connections of the host; what they send afterwards vanishes."""
    return Restriction((Idle(id="idle cut", host=host, idle_s=idle_s),))
