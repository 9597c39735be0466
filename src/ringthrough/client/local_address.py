"""Whether this device still has the address that a connection comes from."""

from __future__ import annotations

import errno
import socket

INTERNET = (socket.AF_INET, socket.AF_INET6)


def is_lost(connected: socket.socket | None) -> bool:
    """Whether the address of this socket is none of the device's any more, as after a change of network: nothing
    reaches the socket then, and no error says so. False where that cannot be told."""
    if connected is None or connected.family not in INTERNET:
        return False
    try:
        host, _, *scope = connected.getsockname()
    except OSError:
        return False  # closed
    with socket.socket(connected.family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0, *scope))
        except OSError as e:
            return e.errno == errno.EADDRNOTAVAIL
    return False
