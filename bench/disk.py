"""The disk's own commit rate: append to a plain file and fdatasync, one writer, nothing else."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from bench.stats import percentile


@dataclass(frozen=True)
class Commits:
    """What one writer reached."""

    per_s: float
    p50_ms: float
    p99_ms: float


def commits(folder: Path, records: int, record_bytes: int, seconds: float) -> Commits:
    """Append `records` records and force them to disk, again and again. Raises OSError."""
    batch = os.urandom(records * record_bytes)
    path = folder / "raw.log"
    times_s = []
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_TRUNC, 0o600)
    try:
        started_s = before_s = time.perf_counter()
        while before_s - started_s < seconds:
            os.write(fd, batch)
            os.fdatasync(fd)
            after_s = time.perf_counter()
            times_s.append(after_s - before_s)
            before_s = after_s
    finally:
        os.close(fd)
        path.unlink()
    ms = [t * 1000 for t in times_s]
    return Commits(len(ms) / (before_s - started_s), percentile(ms, 50), percentile(ms, 99))
