"""How much of the machine others used while a benchmark ran: with two cores, one busy neighbour moves every ratio."""

from __future__ import annotations

import ctypes
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
OTHERS_CORES_MAX = 0.1
"""Beyond a tenth of a core the figures are not fit to be quoted."""
ORPHANS_S_MAX = 2.0
_PR_SET_CHILD_SUBREAPER = 36
_IDLE, _IOWAIT, _STEAL, _USER_TO_STEAL = 3, 4, 7, 8


@dataclass(frozen=True)
class CpuTimes:
    """Seconds of all cores together: worked, and taken away by the host of a virtual machine."""

    worked_s: float
    stolen_s: float


@dataclass(frozen=True)
class Disturbance:
    """Cores used by others, and cores taken by the host, on average."""

    others_cores: float
    stolen_cores: float

    def __str__(self) -> str:
        return f"others used {self.others_cores:g} cores, the host took {self.stolen_cores:g}"

    @property
    def too_much(self) -> bool:
        """Whether the figures should not be quoted."""
        return self.others_cores + self.stolen_cores > OTHERS_CORES_MAX


def cpu_times(stat: str, ticks_per_s: int) -> CpuTimes:
    """The first line of /proc/stat (proc(5)). Raises ValueError where it is another file."""
    name, _, rest = stat.partition("\n")[0].partition(" ")
    fields = rest.split()
    if name != "cpu" or len(fields) < _USER_TO_STEAL:
        raise ValueError("not /proc/stat")
    ticks = [int(field) for field in fields[:_USER_TO_STEAL]]
    worked = sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT] - ticks[_STEAL]
    return CpuTimes(worked / ticks_per_s, ticks[_STEAL] / ticks_per_s)


class Watch:
    """From its making on. Children count as ours once they have been waited for: a browser's, whose parents go before
    them, come to us for that."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        machine: Callable[[], CpuTimes] | None = None,
        own: Callable[[], float] | None = None,
    ) -> None:
        self._clock, self._machine, self._own = clock, machine or _machine, own or _own_s
        _adopt_orphans()
        self._started_s, self._before, self._own_before_s = clock(), self._machine(), self._own()

    def disturbance(self) -> Disturbance:
        """Since the beginning."""
        seconds = max(self._clock() - self._started_s, 1e-9)
        now = self._machine()
        others_s = now.worked_s - self._before.worked_s - (self._own() - self._own_before_s)
        stolen_s = now.stolen_s - self._before.stolen_s
        return Disturbance(round(max(0.0, others_s / seconds), 3), round(max(0.0, stolen_s / seconds), 3))


def _machine() -> CpuTimes:
    return cpu_times(STAT.read_text(), os.sysconf("SC_CLK_TCK"))


def _adopt_orphans() -> None:
    """prctl(2): what our children leave behind becomes ours."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _wait_for_children() -> None:
    """For those that end in time."""
    until_s = time.monotonic() + ORPHANS_S_MAX
    while time.monotonic() < until_s:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.02)
        except ChildProcessError:
            return


def _own_s() -> float:
    _wait_for_children()
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)
