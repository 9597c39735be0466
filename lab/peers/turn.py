"""coturn in the server's namespace, on an address of its own there: a relay that a rule can tell from the server."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import namespaces
from lab.certificates import make_certificates
from lab.peers.listening import NotListening, wait_listening
from lab.worlds.access import SERVER, World

TURN_PORT = 3478
TURNS_PORT = 443
"""Where TURN over TLS has the best chance to pass."""
RELAY_HOST = 10
USER = "lab"
REALM = "lab.example"
ENDING_S = 5


class RelayFailed(Exception):
    """coturn is not installed, or ended; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay that listens, with its long-term credentials."""

    address: str
    password: str

    def servers(self, transport: str) -> list[dict[str, str]]:
        """The `iceServers` of an RTCPeerConnection; `transport` is "udp", "tcp" or "tls"."""
        if transport == "tls":
            url = f"turns:{self.address}:{TURNS_PORT}?transport=tcp"
        else:
            url = f"turn:{self.address}:{TURN_PORT}?transport={transport}"
        return [{"urls": url, "username": USER, "credential": self.password}]


def relay_address(world: World) -> str:
    """The relay's address: in the server's network, apart from the server's own."""
    network = ipaddress.ip_network(world.addresses[SERVER] + "/24", strict=False)
    return str(network[RELAY_HOST])


@contextlib.contextmanager
def relay(world: World, out: Path) -> Iterator[Relay]:
    """Run coturn for the length of the block. Raises RelayFailed."""
    program = shutil.which("turnserver")
    if program is None:
        raise RelayFailed("turnserver is missing: apt-get install coturn")
    address, namespace = relay_address(world), world.namespace(SERVER)
    found = Relay(address, secrets.token_urlsafe(12))
    _, pairs = make_certificates(out, [address])
    certificate, key = pairs[address]
    namespaces.run("ip", "-n", namespace, "address", "add", f"{address}/32", "dev", "lo")
    log = out / "turnserver.log"
    options = [
        "-n", "--no-cli", "--lt-cred-mech", f"--user={USER}:{found.password}", f"--realm={REALM}",
        f"--listening-ip={address}", f"--relay-ip={address}", "--no-dtls",
        f"--listening-port={TURN_PORT}", f"--tls-listening-port={TURNS_PORT}",
        f"--cert={certificate}", f"--pkey={key}",
        f"--log-file={log}", "--simple-log", f"--pidfile={out / 'turnserver.pid'}", f"--userdb={out / 'turndb'}",
    ]  # fmt: skip
    with (out / "turnserver.out").open("wb") as output:
        process = subprocess.Popen(world.inside(SERVER, [program, *options]), stdout=output, stderr=output)
        try:
            wait_listening(process, world.inside(SERVER, []), [TURN_PORT, TURNS_PORT])
            yield found
        except NotListening as error:
            raise RelayFailed(f"coturn: {error}; {log}") from error
        finally:
            process.terminate()
            try:
                process.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            namespaces.run("ip", "-n", namespace, "address", "del", f"{address}/32", "dev", "lo")
