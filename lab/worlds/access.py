"""Hosts that reach one another only through the middlebox, each over an access link of its own.

    alice  10.77.1.2 ──┐
    bob    10.77.2.2 ──┼── middlebox
    server 10.77.3.2 ──┘

All addresses of a host's /24 belong to it, so a host may change its address during a call. There is no other way out.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import namespaces
from lab.certificates import make_certificates
from lab.middlebox.control import Config, Counters, LinkConfig, Middlebox
from lab.middlebox.rules import Drop
from lab.rules.restriction import NOTHING, Restriction

PEOPLE = ("alice", "bob")
SERVER = "server"
SETTINGS = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv4.tcp_no_metrics_save=1")
CONGESTION_CONTROL = "cubic"
"""What most systems have by default; a program may still choose another for its sockets."""
KNOCK = Path(__file__).with_name("knock.py")
OFFLOADS = ("tx", "rx", "tso", "gso", "gro", "sg")
"""All off: the middlebox sees packets as a network does, whole, single and with their checksums."""


@dataclass
class World:
    """A world that runs. Host names are keys everywhere. Nothing is bent before `restrict`."""

    prefix: str
    folder: Path
    """For files of the run: certificates, logs."""
    addresses: dict[str, str]
    ca: Path
    certificates: dict[str, tuple[Path, Path]]
    """By host: a certificate for its address, signed by `ca`, and the key (PEM)."""
    middlebox: Middlebox
    links: dict[str, LinkConfig]
    restriction: Restriction
    call_bytes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By host, IP bytes (up, down) between `call_begins` and `call_ends`."""
    _before: Counters | None = None
    _changes: list[threading.Timer] = field(default_factory=list)

    def namespace(self, host: str) -> str:
        """The name of the host's namespace."""
        return self.prefix + host

    def inside(self, host: str, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` on that host."""
        return namespaces.inside(self.namespace(host), command)

    def restrict(self) -> None:
        """From now on the world's rules act. What they forbid is tried once, so that their counters prove it."""
        self.middlebox.set_rules(self.restriction.rules)
        bans = [rule for rule in self.restriction.rules if isinstance(rule, Drop) and rule.from_s is None]
        for host in sorted({rule.host for rule in bans}):
            named = [rule.match.address for rule in bans if rule.match.address is not None]
            others = [address for other, address in self.addresses.items() if other != host]
            knock = [sys.executable, str(KNOCK), *named, *others]
            namespaces.run(*self.inside(host, knock))

    def call_begins(self) -> None:
        """The callee answers now: windows of rules and the bytes of the call count from here."""
        self._before = self.middlebox.begin()
        for change in self.restriction.changes:
            timer = threading.Timer(change.at_s, self.change_address, [change.host])
            timer.start()
            self._changes.append(timer)

    def call_ends(self) -> None:
        """The call is about to be hung up: its bytes are counted up to here."""
        after = self.middlebox.counters()
        assert self._before is not None, "call_begins comes first"
        for host, link in after.links.items():
            before = self._before.links[host]
            self.call_bytes[host] = link.up_bytes - before.up_bytes, link.down_bytes - before.down_bytes

    def cancel(self) -> None:
        """Changes of address that have not come will not come."""
        for timer in self._changes:
            timer.cancel()
            timer.join()

    def change_address(self, host: str) -> str:
        """The host loses its address and gains the next one, as on a change of network; what ran over the old one
        hears nothing more. Returns the new address."""
        old = self.addresses[host]
        stem, last = old.rsplit(".", 1)
        new = f"{stem}.{int(last) + 1}"
        ns, device = self.namespace(host), _device(host)
        namespaces.run("ip", "-n", ns, "address", "del", f"{old}/24", "dev", device)
        _give_address(ns, device, new, self.links[host])
        self.addresses[host] = new
        return new


@contextlib.contextmanager
def world(
    folder: Path,
    restriction: Restriction = NOTHING,
    *,
    seed: int = 1,
    hosts: Sequence[str] = (*PEOPLE, SERVER),
) -> Iterator[World]:
    """Make the world; take it down at the end. Raises LabUnavailable, MiddleboxFailed."""
    namespaces.check()
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f"{namespaces.PREFIX}{os.getpid() % 100000}-"
    with contextlib.ExitStack() as stack:
        box = stack.enter_context(namespaces.namespace(prefix + "box"))
        _settle(box)
        addresses, links = {}, {}
        for number, host in enumerate(hosts, start=1):
            ns = stack.enter_context(namespaces.namespace(prefix + host))
            _settle(ns)
            stem = f"10.77.{number}"
            links[host] = _join(ns, host, box, number, stem)
            addresses[host] = f"{stem}.2"
        ca, pairs = make_certificates(folder, list(addresses.values()))
        certificates = {host: pairs[address] for host, address in addresses.items()}
        middlebox = stack.enter_context(Middlebox(Config(box, seed, links), folder / "middlebox.log"))
        made = World(prefix, folder, addresses, ca, certificates, middlebox, links, restriction)
        stack.callback(made.cancel)
        yield made


def _settle(ns: str) -> None:
    namespaces.run(*namespaces.inside(ns, ["sysctl", "-qw", *SETTINGS]))


def _device(host: str) -> str:
    return f"v{host[-8:]}"


def _join(ns: str, host: str, box: str, number: int, stem: str) -> LinkConfig:
    """A link between a host and the middlebox, which answers no ARP: the host knows its gateway by heart."""
    here, there = _device(host), f"b{host[-8:]}"
    host_mac, box_mac = f"0277000000{number:02x}", f"0278000000{number:02x}"
    run = namespaces.run
    run("ip", "link", "add", "dev", here, "netns", ns, "type", "veth", "peer", "name", there, "netns", box)
    for where, device, mac in ((ns, here, host_mac), (box, there, box_mac)):
        run("ip", "-n", where, "link", "set", "dev", device, "address", _mac(mac), "up")
        switches = [word for offload in OFFLOADS for word in (offload, "off")]
        run(*namespaces.inside(where, ["ethtool", "-K", device, *switches]))
    link = LinkConfig(there, host_mac, box_mac, stem + ".")
    _give_address(ns, here, f"{stem}.2", link)
    return link


def _give_address(ns: str, device: str, address: str, link: LinkConfig) -> None:
    gateway = link.prefix + "1"
    mac, route = _mac(link.box_mac), ["default", "via", gateway, "dev", device, "congctl", CONGESTION_CONTROL]
    namespaces.run("ip", "-n", ns, "address", "add", f"{address}/24", "dev", device)
    namespaces.run("ip", "-n", ns, "neigh", "replace", gateway, "lladdr", mac, "nud", "permanent", "dev", device)
    namespaces.run("ip", "-n", ns, "route", "replace", *route)


def _mac(digits: str) -> str:
    """`0277..` as `02:77:..`."""
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))
