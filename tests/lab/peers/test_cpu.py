"""Processor time of a family of processes."""

from __future__ import annotations

import os
import subprocess
import sys

from lab.peers.cpu import cpu_seconds

BURN_S = 0.3
CHILD = (
    "import sys, time\n"
    f"while time.process_time() < {BURN_S}: pass\n"
    "print('burnt', flush=True)\n"
    "sys.stdin.read()\n"
)  # fmt: skip


def test_children_of_children_count() -> None:
    before = cpu_seconds(os.getpid())
    shell = ["sh", "-c", '"$0" -c "$1"; true', sys.executable, CHILD]
    with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        assert cpu_seconds(process.pid) >= BURN_S - 0.05
        assert cpu_seconds(os.getpid()) - before >= BURN_S - 0.05
        process.stdin.close()
