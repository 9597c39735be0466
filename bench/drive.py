"""Runs load clients from a benchmark."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator

import msgspec

from bench.load_plan import Outcome, Plan
from bench.processes import ProcessFailed, stop
from bench.report import ROOT

OVERHEAD_S_MAX = 60.0


class LoadClient:
    """One load client, connected; `begin` and `outcome` apply its load."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def begin(self) -> None:
        """Let it start."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def outcome(self) -> Outcome:
        """Wait for its report. Raises ProcessFailed when it had none."""
        return msgspec.json.decode(_line(self._process), type=Outcome)


@contextlib.contextmanager
def load_client(plan: Plan) -> Iterator[LoadClient]:
    """A client with all its connections made. It is ended at the latest a minute after the plan's time."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load_client"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    overdue = threading.Timer(plan.warmup_s + plan.measure_s + OVERHEAD_S_MAX, process.kill)
    overdue.start()
    try:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(plan).decode() + "\n")
        process.stdin.flush()
        _line(process)
        yield LoadClient(process)
    finally:
        overdue.cancel()
        stop(process)


def apply_load(plan: Plan) -> Outcome:
    """One load from beginning to end. Raises ProcessFailed."""
    with load_client(plan) as client:
        client.begin()
        return client.outcome()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise ProcessFailed(f"the load client ended ({process.wait()}); what it said stands above")
    return line
