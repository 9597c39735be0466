"""The mixed MLS soak: `python tests/e2e/mls_soak/run.py --seeds 5 --steps 60 --members 12`.

The last line counts failures; each failure before it names the seed and the step that show it again.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.e2e.mls_soak.browser_driver import BrowserDriver
from tests.e2e.mls_soak.driver import Driver
from tests.e2e.mls_soak.node_driver import NodeDriver
from tests.e2e.mls_soak.soak import Count, Soak


def run_seed(driver: Driver, seed: int, steps: int, members: int) -> tuple[Count, str | None]:
    """One walk; returns what it did, and where it failed if it did."""
    step, name, soak = 0, "creation", None
    try:
        soak = Soak(driver, seed, members, time.time)
        for step in range(1, steps + 1):
            name = "the step after " + name if step > 1 else "the first step"
            name = soak.step()
    except Exception:
        return soak.count if soak else Count(), f"seed {seed}, step {step} ({name}):\n{traceback.format_exc()}"
    return soak.count, None


def soak_seeds(
    driver: Driver, seeds: range, steps: int, members: int, *, say: bool = False
) -> tuple[Count, list[str]]:
    """All seeds, one after the other."""
    total, failures = Count(), []
    for seed in seeds:
        started = time.monotonic()
        count, failure = run_seed(driver, seed, steps, members)
        total.add(count)
        if failure is not None:
            failures.append(failure)
        if say:
            taken = f"{time.monotonic() - started:.1f} s"
            print(f"seed {seed}: {count.commits} commits, {count.messages} messages, {taken}", flush=True)
    return total, failures


def summary(place: str, seeds: int, steps: int, total: Count, failures: list[str]) -> str:
    """The one line that says how it went."""
    did = f"{total.commits} commits, {total.messages} messages, {total.refusals} refusals, {len(failures)} failures"
    return f"mixed MLS soak, Python and ts-mls in {place}: {seeds} seeds x {steps} steps, {did}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--members", type=int, default=12, help="most members at one time")
    parser.add_argument("--browser", action="store_true", help="ts-mls in a page in Chromium instead of Node")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    with BrowserDriver() if arguments.browser else NodeDriver() as driver:
        total, failures = soak_seeds(driver, seeds, arguments.steps, arguments.members, say=True)
    for failure in failures:
        print(failure)
    print("operations: " + ", ".join(f"{kind} {times}" for kind, times in sorted(total.by_kind.items())))
    print(summary(driver.place, arguments.seeds, arguments.steps, total, failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
