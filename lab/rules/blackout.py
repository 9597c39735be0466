"""Restriction: in the middle of a call, the carrier in use falls silent."""

from __future__ import annotations

from typing import Literal

from lab.middlebox.rules import Cut, Drop, Match
from lab.rules.restriction import Restriction


def restriction(
    host: str = "alice", *, carrier: Literal["tcp", "udp"], from_s: float = 10.0, until_s: float | None = None
) -> Restriction:
    """The host's busiest TCP connection, or all of its UDP; forever, or until `until_s` of the call."""
    if carrier == "tcp":
        return Restriction((Cut(id="blackout", host=host, from_s=from_s, until_s=until_s),))
    udp = Match(protocol="udp")
    return Restriction((Drop(id="blackout", host=host, match=udp, from_s=from_s, until_s=until_s),))
