"""Memory of the server: at rest, and for each idle connection with one open stream.

Beside a bare server on the same library that holds the same number of idle WebSockets.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.drive import load_client
from bench.load_plan import Target
from bench.processes import Server, allow_many_sockets, bare_server, our_server
from bench.report import Goal, Result, compare, finish, options
from bench.series import on
from bench.stats import RATIO_OF_SIZES

BARE = "bare aiohttp"
SETTLE_S = 0.5
IDLE_GOAL = Goal(ours_max=60.0)
CONNECTION_GOAL = Goal(ours_max=16.0)


@dataclass(frozen=True)
class Memory:
    """Resident megabytes at rest, and kilobytes for each connection above that."""

    idle_mb: float
    connection_kb: float


def weigh(start: Callable[[], AbstractContextManager[Server]], target: Target, connections: int) -> Memory:
    """A fresh server each time, since memory once used stays resident. Raises ProcessFailed."""
    with start() as server:
        idle_kb = server.rss_kb()
        with load_client(on(server, target, groups=connections, members=1)):
            time.sleep(SETTLE_S)
            grown_kb = server.rss_kb() - idle_kb
    return Memory(idle_kb / 1024, grown_kb / connections)


def run(*, quick: bool = False) -> Result:
    """All runs. Raises ProcessFailed."""
    runs = 1 if quick else 3
    connections = 100 if quick else 1000
    allow_many_sockets()
    ours: list[Memory] = []
    bare: list[Memory] = []
    for _ in range(runs):
        ours.append(weigh(our_server, Target.OURS, connections))
        bare.append(weigh(bare_server, Target.BARE_RELAY, connections))
    rows = [
        compare(
            case,
            "resident memory",
            unit,
            [value(m) for m in ours],
            [value(m) for m in bare],
            BARE,
            ratio_means=RATIO_OF_SIZES,
            goal=goal,
        )
        for case, unit, value, goal in (
            ("at rest", "MB", _idle, IDLE_GOAL),
            (f"each of {connections} idle connections", "KB", _connection, CONNECTION_GOAL),
        )
    ]
    return Result("memory", runs, quick, rows)


def _idle(memory: Memory) -> float:
    return memory.idle_mb


def _connection(memory: Memory) -> float:
    return memory.connection_kb


if __name__ == "__main__":
    sys.exit(finish(run, quick=options(__doc__).quick))
