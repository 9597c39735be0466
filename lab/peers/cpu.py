"""Processor time of a process and all its descendants, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

_PARENT, _USER, _SYSTEM = 1, 11, 12
"""Fields of /proc/PID/stat after the name, counted from the state."""


def cpu_seconds(root: int) -> float:
    """User and system time so far of `root` and its living descendants, in seconds. What ended is not in it."""
    parents, ticks = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # It ended meanwhile.
        parents[int(entry.name)] = int(fields[_PARENT])
        ticks[int(entry.name)] = int(fields[_USER]) + int(fields[_SYSTEM])
    family = {root}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return sum(ticks.get(pid, 0) for pid in family) / os.sysconf("SC_CLK_TCK")
