"""Restriction: the address of a media relay is blocked, for every protocol; message servers are not."""

from __future__ import annotations

from lab.middlebox.rules import Drop, Match
from lab.rules.restriction import Restriction


def restriction(host: str = "alice", *, address: str, port: int | None = None) -> Restriction:
    """Nothing passes between the host and the relay's address, or one port of it."""
    return Restriction((Drop(id="relay blocked", host=host, match=Match(address=address, port=port)),))
