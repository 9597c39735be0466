"""Sockets to the server, told before they connect what a call needs of them."""

from __future__ import annotations

import contextlib
import socket
import sys

import aiohttp

NOTSENT_BYTES_MAX = 4096
"""What waits unsent is kept where a caller can see it."""
RTO_US_MIN = 50_000
"""A lost packet is sent again so long after its answer was due, and not after 200 ms: what comes behind it on the
connection waits for it. Longer than a receiver may keep its answer to itself (40 ms in Linux)."""

OPTIONS = [(socket.TCP_NODELAY, 1)]
if sys.platform == "linux":  # elsewhere these numbers mean other things
    OPTIONS += [
        (25, NOTSENT_BYTES_MAX),  # TCP_NOTSENT_LOWAT
        (45, RTO_US_MIN),  # TCP_RTO_MIN_US, since Linux 6.15
    ]


def tuned_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A new socket for this address. An option that the system does not know is left."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    for name, value in OPTIONS:
        with contextlib.suppress(OSError):
            made.setsockopt(socket.IPPROTO_TCP, name, value)
    return made
