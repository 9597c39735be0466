"""Network namespaces, veth pairs and processes inside them; everything made here is taken down again.

What this lab does not claim: no radio, no real distance, no queue of a real router. Loss, delay and restrictions are
the middlebox's (`lab.middlebox`), which stands between hosts of `lab.worlds.access`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

REQUIRED = ("ip", "nft", "ethtool")
PREFIX = "rt"
"""Names of the lab's namespaces begin with it; nothing else is ever touched."""
NAMED = Path("/run/netns")


class LabUnavailable(Exception):
    """This machine cannot make namespaces; the message says what is missing."""


def check() -> None:
    """Raises LabUnavailable without root, iproute2 or nftables."""
    if os.geteuid() != 0:
        raise LabUnavailable("network namespaces need root: run it with sudo")
    for tool in REQUIRED:
        if shutil.which(tool) is None:
            raise LabUnavailable(f"{tool} is missing: apt-get install iproute2 nftables ethtool")


def run(*command: str, given: str | None = None) -> str:
    """Run a tool to its end; its standard output. Raises CalledProcessError with its standard error shown."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabUnavailable(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def inside(namespace: str, command: Sequence[str]) -> list[str]:
    """The command, to be run in the namespace."""
    return ["ip", "netns", "exec", namespace, *command]


def refuse_outside(namespace: str, devices: Sequence[str]) -> None:
    """Raises LabUnavailable unless this process is in the lab's namespace of that name and the devices are its veths.

    For processes that are about to bend what passes through the devices.
    """
    own, named = Path("/proc/self/ns/net").stat(), NAMED / namespace
    if not namespace.startswith(PREFIX) or not named.exists():
        raise LabUnavailable(f"{namespace} is no namespace of the lab")
    there = named.stat()
    if (own.st_dev, own.st_ino) != (there.st_dev, there.st_ino):
        raise LabUnavailable(f"this process is not inside {namespace}")
    links = {link["ifname"]: link for link in json.loads(run("ip", "-j", "-d", "link", "show"))}
    for device in devices:
        if links.get(device, {}).get("linkinfo", {}).get("info_kind") != "veth":
            raise LabUnavailable(f"{device} is no virtual link of the lab")


@contextlib.contextmanager
def namespace(name: str) -> Iterator[str]:
    """A namespace with its loopback up, gone at the end. Raises LabUnavailable for a name that is not the lab's."""
    if not name.startswith(PREFIX):
        raise LabUnavailable(f"{name}: names of the lab's namespaces begin with {PREFIX}")
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
