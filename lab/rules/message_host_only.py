"""Restriction: all UDP is dropped, and TCP reaches only the message server's port.

What survives must be carried by the message connection (CANNOT-SINGLE-OUT). The counters prove that the rule was in
force while something tried it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable

from lab import namespaces
from lab.worlds.homes import Homes

TABLE = "restriction"


def apply(world: Homes, allowed: Iterable[tuple[str, int]]) -> None:
    """Forbid at the provider everything but TCP with the (address, port) pairs in `allowed`."""
    passes = "\n".join(
        f"    ip daddr {address} tcp dport {port} accept\n    ip saddr {address} tcp sport {port} accept"
        for address, port in allowed
    )
    rules = f"""
table inet {TABLE} {{
  counter udp_dropped {{ }}
  counter other_dropped {{ }}
  chain forward {{
    type filter hook forward priority 0; policy drop;
    meta l4proto udp counter name udp_dropped drop
{passes}
    counter name other_dropped drop
  }}
}}
"""
    namespaces.run(*namespaces.inside(world.provider, ["nft", "-f", "-"]), given=rules)


def dropped(world: Homes) -> dict[str, int]:
    """Packets dropped so far, by counter."""
    listing = namespaces.run(*namespaces.inside(world.provider, ["nft", "-j", "list", "counters"]))
    entries = json.loads(listing)["nftables"]
    return {e["counter"]["name"]: e["counter"]["packets"] for e in entries if "counter" in e}


def knock(world: Homes, host: str, address: str) -> None:
    """Send one UDP datagram (STUN's port) and try one TCP port that is no message port, from `host`."""
    script = (
        "import socket,sys\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', (sys.argv[1], 3478))\n"
        "s = socket.socket()\n"
        "s.settimeout(0.3)\n"
        "sys.exit(s.connect_ex((sys.argv[1], 5222)) == 0)\n"
    )
    done = subprocess.run(world.inside(host, [sys.executable, "-c", script, address]), check=False)
    if done.returncode:
        raise namespaces.LabUnavailable("the restriction let a forbidden TCP port through")
