"""Restriction: each TCP connection falls silent towards the host after some KB (foreign networks from Russia)."""

from __future__ import annotations

from lab.middlebox.rules import Freeze
from lab.rules.restriction import Restriction


def restriction(host: str = "alice", *, payload_bytes: int = 16_000) -> Restriction:
    """Payload from servers is counted for each connection; nobody is told when it freezes."""
    return Restriction((Freeze(id="tcp frozen", host=host, direction="down", payload_bytes=payload_bytes),))
