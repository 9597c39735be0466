"""All benchmarks: `python -m bench [--quick] [NAME ...]`. Prints Markdown tables and which goals were missed."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import time

from bench.processes import ProcessFailed
from bench.report import Result, machine, table, watched

NAMES = ("mls_groups", "messages", "fanout", "relay", "call", "webrtc", "page", "memory")


def main() -> int:
    """Run them one after another. Fails only when one could not be run; a missed goal is no failure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run each, to see that it works")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(NAMES)} (default: all)")
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(NAMES))
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}")
    print(f"machine: {machine()}\n", flush=True)
    results: list[Result] = []
    failed: list[str] = []
    for name in args.names or NAMES:
        started_s = time.monotonic()
        try:
            result: Result = watched(importlib.import_module(f"bench.{name}").run, quick=args.quick)
        except (ProcessFailed, RuntimeError, OSError, subprocess.SubprocessError) as e:
            print(f"{name} could not be run: {e}\n", file=sys.stderr, flush=True)
            failed.append(name)
            continue
        result.write()
        results.append(result)
        print(f"{table(result)}\n\n({name}: {time.monotonic() - started_s:.0f} s)\n", flush=True)
    print(_goals(results), flush=True)
    return 1 if failed else 0


def _goals(results: list[Result]) -> str:
    rows = [(result.name, row) for result in results for row in result.rows if row.goal is not None]
    missed = [(name, row) for name, row in rows if not row.goal_met]
    lines = [f"{len(rows) - len(missed)} of {len(rows)} goals reached"]
    lines += [
        f"missed: {name}, {row.case}, {row.metric}: {row.ours:g} {row.unit}, {row.ratio:g}x; goal {row.goal}"
        for name, row in missed
    ]
    lines += [
        f"not fit to be quoted: {result.name}: {result.disturbance}"
        for result in results
        if result.disturbance is not None and result.disturbance.too_much
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
