"""Network namespaces, veth pairs and processes inside them; everything made here is taken down again.

What this lab does not claim: no radio, no real distance, no queue of a real router. Loss and delay need the
middlebox of a later case; here networks are whole and only forbid.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence

REQUIRED = ("ip", "nft")


class LabUnavailable(Exception):
    """This machine cannot make namespaces; the message says what is missing."""


def check() -> None:
    """Raises LabUnavailable without root, iproute2 or nftables."""
    if os.geteuid() != 0:
        raise LabUnavailable("network namespaces need root: run it with sudo")
    for tool in REQUIRED:
        if shutil.which(tool) is None:
            raise LabUnavailable(f"{tool} is missing: apt-get install iproute2 nftables")


def run(*command: str, given: str | None = None) -> str:
    """Run a tool to its end; its standard output. Raises CalledProcessError with its standard error shown."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabUnavailable(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def inside(namespace: str, command: Sequence[str]) -> list[str]:
    """The command, to be run in the namespace."""
    return ["ip", "netns", "exec", namespace, *command]


@contextlib.contextmanager
def namespace(name: str) -> Iterator[str]:
    """A namespace with its loopback up, gone at the end."""
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "dev", "lo", "up")
        yield name
    finally:
        run("ip", "netns", "del", name)


def wire(host: str, router: str, subnet: str) -> None:
    """Join `host` to `router`: the router has `subnet`.1, the host `subnet`.2 and its default route through it."""
    here, there = f"v{host[-8:]}", f"r{host[-8:]}"
    run("ip", "link", "add", "dev", here, "netns", host, "type", "veth", "peer", "name", there, "netns", router)
    for ns, device, address in ((host, here, f"{subnet}.2/24"), (router, there, f"{subnet}.1/24")):
        run("ip", "-n", ns, "address", "add", address, "dev", device)
        run("ip", "-n", ns, "link", "set", "dev", device, "up")
    run("ip", "-n", host, "route", "add", "default", "via", f"{subnet}.1")
