"""Restriction: nothing passes between two servers; what tries is counted and dropped."""

from __future__ import annotations

import json
import subprocess
import sys

from lab import namespaces
from lab.worlds.homes import Homes

TABLE = "apart"


def apply(world: Homes) -> None:
    """Drop and count at the provider every packet from a server to a server."""
    addresses = ", ".join(world.servers.values())
    rules = f"""
table inet {TABLE} {{
  counter between {{ }}
  chain forward {{
    type filter hook forward priority 0; policy accept;
    ip saddr {{ {addresses} }} ip daddr {{ {addresses} }} counter name between drop
  }}
}}
"""
    namespaces.run(*namespaces.inside(world.provider, ["nft", "-f", "-"]), given=rules)


def between(world: Homes) -> int:
    """Packets that tried to pass."""
    listing = namespaces.run(
        *namespaces.inside(world.provider, ["nft", "-j", "list", "counters", "table", "inet", TABLE])
    )
    entries = json.loads(listing)["nftables"]
    return sum(int(e["counter"]["packets"]) for e in entries if "counter" in e)


def knock(world: Homes, host: str, address: str) -> None:
    """Try to open a TCP connection from `host`; it must not succeed."""
    script = "import socket,sys; s=socket.socket(); s.settimeout(0.3); sys.exit(s.connect_ex((sys.argv[1],443))==0)"
    done = subprocess.run(world.inside(host, [sys.executable, "-c", script, address]), check=False)
    if done.returncode:
        raise namespaces.LabUnavailable("the rule let a connection between servers through")
