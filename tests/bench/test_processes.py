"""What is known of other processes."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.processes import cpu_s_of, descendants

STARTS_ANOTHER = (
    "import subprocess, sys; other = subprocess.Popen(['sleep', '60']); print(other.pid, flush=True);"
    " sys.stdin.read(); other.kill()"
)


def test_the_processes_below_another_are_found_by_name_however_deep() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_ANOTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as between:
        assert between.stdout is not None
        sleeper = int(between.stdout.readline())
        assert sleeper in descendants(os.getpid(), "sleep")
        assert sleeper in descendants(between.pid, "sl")
        assert sleeper not in descendants(os.getpid(), "chrom")
        assert descendants(sleeper, "sleep") == []
        assert cpu_s_of(sleeper) >= 0
        between.communicate()
