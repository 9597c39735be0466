"""Try what a restriction forbids: `knock.py ADDRESS ...` sends each address one datagram that is
STUN, one that begins DTLS and one that is neither.

A messenger that does not even try leaves no trace in a rule's counters; so every restriction is tried once, and the
counters show that it was in force.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Sequence

PORT = 3478
STUN_BINDING = struct.pack("!HHI", 1, 0, 0x2112A442) + b"lab knocking"
DTLS_CLIENT_HELLO = bytes([22, 0xFE, 0xFD]) + bytes(8) + struct.pack("!H", 52) + bytes([1]) + bytes(51)
PLAIN = b"knock"


def main(addresses: Sequence[str]) -> None:
    """Send them; nobody answers, or it does not matter."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for address in addresses:
        for payload in (STUN_BINDING, DTLS_CLIENT_HELLO, PLAIN):
            sock.sendto(payload, (address, PORT))


if __name__ == "__main__":
    main(sys.argv[1:])
