"""No restriction, but as hard: the host leaves one network and joins another in the middle of a call."""

from __future__ import annotations

from lab.rules.restriction import ChangeOfAddress, Restriction


def restriction(host: str = "alice", *, at_s: float = 10.0) -> Restriction:
    """Its address is lost and another gained; connections from the old one hear nothing more, and are not told."""
    return Restriction(changes=(ChangeOfAddress(host, at_s),))
