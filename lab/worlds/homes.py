"""Homes and a server behind one provider.

    alice ──┐
            ├── provider ── server
    bob   ──┘

The provider routes; a rule of `lab/rules` makes it forbid.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab import namespaces


@dataclass(frozen=True)
class Homes:
    """Namespace names and addresses."""

    provider: str
    servers: dict[str, str]
    """Address by name."""
    homes: tuple[str, ...]
    prefix: str

    def inside(self, host: str, command: Sequence[str]) -> list[str]:
        """The command, run on that host."""
        return namespaces.inside(self.prefix + host, command)


@contextlib.contextmanager
def homes(*names: str, servers: Sequence[str] = ("server",)) -> Iterator[Homes]:
    """Make the world; take it down at the end. Raises LabUnavailable."""
    namespaces.check()
    prefix = f"rt{os.getpid() % 100000}-"
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(namespaces.namespace(prefix + "net"))
        namespaces.run(*namespaces.inside(provider, ["sysctl", "-qw", "net.ipv4.ip_forward=1"]))
        addresses = {}
        for number, name in enumerate((*servers, *names)):
            host = stack.enter_context(namespaces.namespace(prefix + name))
            subnet = f"10.66.{number}"
            namespaces.wire(host, provider, subnet)
            addresses[name] = f"{subnet}.2"
        yield Homes(provider, {name: addresses[name] for name in servers}, names, prefix)
