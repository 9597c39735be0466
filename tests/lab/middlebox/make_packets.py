"""IPv4 packets for tests of the middlebox, with checksums left at zero: its rules do not look at them."""

from __future__ import annotations

import struct
from socket import inet_aton

from lab.middlebox.packets import ACK, TCP, UDP

ALICE, BOB, SERVER = "10.77.1.2", "10.77.2.2", "10.77.3.2"
PREFIXES = {"alice": "10.77.1.", "bob": "10.77.2.", "server": "10.77.3."}


def ip(protocol: int, source: str, destination: str, body: bytes) -> bytes:
    """A packet without options."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
    return header + inet_aton(source) + inet_aton(destination) + body


def udp(
    source: str = ALICE, destination: str = BOB, payload: bytes = b"hello", port: int = 4000, to_port: int = 3478
) -> bytes:
    """A UDP packet."""
    return ip(UDP, source, destination, struct.pack("!HHHH", port, to_port, 8 + len(payload), 0) + payload)


def tcp(
    source: str = ALICE,
    destination: str = SERVER,
    payload: bytes = b"",
    *,
    port: int = 40_000,
    to_port: int = 443,
    flags: int = ACK,
) -> bytes:
    """A TCP packet with sequence number 1000, acknowledging 2000."""
    header = struct.pack("!HHIIBBHHH", port, to_port, 1000, 2000, 5 << 4, flags, 65_535, 0, 0)
    return ip(TCP, source, destination, header + payload)
