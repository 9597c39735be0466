"""Restriction: the first packet of DTLS is recognised and dropped (Russia, March 2026), so WebRTC never gets keys."""

from __future__ import annotations

from lab.middlebox.rules import Drop, Match
from lab.rules.restriction import Restriction


def restriction(host: str = "alice") -> Restriction:
    """On the host's link, in both directions."""
    return Restriction((Drop(id="dtls hello dropped", host=host, match=Match(content="dtls_client_hello")),))
