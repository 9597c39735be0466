"""Waits until a server in a namespace listens, by looking and not by knocking."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from lab import namespaces


class NotListening(Exception):
    """The process ended or took too long."""


def wait_listening(
    process: subprocess.Popen[bytes], inside: Sequence[str], ports: Sequence[int], seconds_max: float = 20.0
) -> None:
    """Return when TCP sockets listen on all `ports`; `inside` runs a command there (`world.inside(host, [])`).

    Raises NotListening.
    """
    end = time.monotonic() + seconds_max
    while True:
        listing = namespaces.run(*inside, "ss", "-Hltn")
        open_ports = {int(line.split()[3].rpartition(":")[2]) for line in listing.splitlines()}
        if open_ports >= set(ports):
            return
        if process.poll() is not None:
            raise NotListening(f"it ended with status {process.returncode}")
        if time.monotonic() > end:
            raise NotListening(f"ports {sorted(set(ports) - open_ports)} do not listen after {seconds_max:g} s")
        time.sleep(0.05)
