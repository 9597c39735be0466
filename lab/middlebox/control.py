"""The middlebox as the rest of the lab sees it: a process that takes rules and gives counters."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from lab import namespaces
from lab.middlebox.rules import Counts, Rule

ROOT = Path(__file__).parents[2]
ENDING_S = 5.0


LATE_MS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, float("inf"))
"""Upper bounds of the histogram of how late packets left."""


class LinkConfig(msgspec.Struct, frozen=True):
    """The box's end of a host's link. MAC addresses as 12 hex digits; `prefix` as in `Box`."""

    device: str
    host_mac: str
    box_mac: str
    prefix: str


class Config(msgspec.Struct, frozen=True):
    """What the process is started with."""

    namespace: str
    seed: int
    links: dict[str, LinkConfig]


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line to the process; the answer is always `Counters`."""

    rules: list[Rule] | None = None
    begin_s: float | None = None


class LinkCounts(msgspec.Struct, frozen=True):
    """IP packets and bytes of one link, as its host sent (`up`) and received (`down`) them."""

    up_packets: int
    up_bytes: int
    down_packets: int
    down_bytes: int


class Counters(msgspec.Struct, frozen=True):
    """What the box has done so far. `strays` were not IPv4 or for nobody; `refused` the system did not send."""

    rules: dict[str, Counts]
    links: dict[str, LinkCounts]
    strays: int
    refused: int
    late: list[int]
    """Departures by how late they were, in the classes of `LATE_MS`."""

    def late_share(self, over_ms: float, before: Counters | None = None) -> float:
        """The share of departures later than `over_ms` (a bound of `LATE_MS`), since `before`."""
        counts = [now - (before.late[i] if before else 0) for i, now in enumerate(self.late)]
        return sum(counts[LATE_MS.index(over_ms) + 1 :]) / max(1, sum(counts))


class MiddleboxFailed(Exception):
    """The process ended or did not start; its own words stand in its log."""


class Middlebox:
    """The running process. Use as a context manager."""

    def __init__(self, config: Config, log: Path) -> None:
        self.log = log
        command = [sys.executable, "-m", "lab.middlebox", msgspec.json.encode(config).decode()]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                namespaces.inside(config.namespace, command),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self.realtime = self._line() == b"ready realtime\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def set_rules(self, rules: Sequence[Rule]) -> Counters:
        """From now on exactly these rules act."""
        return self._ask(Command(rules=list(rules)))

    def begin(self) -> Counters:
        """The call begins now: windows of rules count from here."""
        return self._ask(Command(begin_s=time.monotonic()))

    def counters(self) -> Counters:
        """What it has done so far."""
        return self._ask(Command())

    def _ask(self, command: Command) -> Counters:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(command) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._line(), type=Counters)

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise MiddleboxFailed(f"the middlebox ended ({self._process.wait()}): {self.log.read_text()[-2000:]}")
        return line
