"""Durable one-to-one messages: published, forced to disk, delivered to the other subscriber.

Beside a bare echo on the same library (what the connection alone costs) and beside the disk's own commit rate. Ours
does more than an echo for each message: the author gets an acknowledgement and his own record as well.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from bench.disk import Commits, commits
from bench.load_plan import Plan, Target
from bench.processes import bare_server, data_folder, our_server
from bench.report import Goal, Result, Row, compare, finish, options
from bench.series import Series, measured, notes_of, on

BODY_BYTES = 1280
PAIRS, WINDOW = 64, 4
RATES_PER_S = (200, 1000)
RAW_LOG = "raw log + fdatasync"
ECHO = "bare aiohttp echo"
SYNC_GOAL = Goal(ratio_min=0.5)
"""Delivered within twice the time of one bare write to disk."""


class Messages:
    """The cases, filled run by run."""

    def __init__(self, stack: ExitStack, *, quick: bool) -> None:
        self._ours = stack.enter_context(our_server())
        self._bare = stack.enter_context(bare_server())
        self._folder: Path = stack.enter_context(data_folder())
        self._seconds = 0.2 if quick else 2.0
        self._warmup_s = 0.1 if quick else 0.5
        self.full = Series(f"{PAIRS} pairs, {WINDOW} messages on the way each", ECHO)
        self.paced = {rate: Series(f"{rate} messages/s", ECHO) for rate in RATES_PER_S}
        self.waiting: dict[int, list[float]] = {1: [], 16: [], PAIRS * WINDOW: []}
        self.disk: dict[int, list[Commits]] = {1: [], 16: [], PAIRS * WINDOW: []}

    def run(self) -> None:
        """One run of everything, ours and reference in turn."""
        full = {"groups": PAIRS, "window": WINDOW}
        self.full.ours.append(measured(self._plan_ours(**full)))
        self.full.reference.append(measured(self._plan_echo(**full)))
        self.waiting[PAIRS * WINDOW].append(self.full.ours[-1].per_s)
        alone = self._plan_ours(groups=8, window=1, rotate=True)
        self.waiting[1].append(measured(alone).per_s)
        self.waiting[16].append(measured(self._plan_ours(groups=16, window=1)).per_s)
        for records, found in self.disk.items():
            found.append(commits(self._folder, records, BODY_BYTES, self._seconds / 2))
        for rate, series in self.paced.items():
            series.ours.append(measured(self._plan_ours(groups=PAIRS, rate_per_s=rate)))
            series.reference.append(measured(self._plan_echo(groups=PAIRS, rate_per_s=rate)))

    def _plan_ours(self, **plan: object) -> Plan:
        times = {"measure_s": self._seconds, "warmup_s": self._warmup_s, "body_bytes": BODY_BYTES}
        return on(self._ours, Target.OURS, **{**times, **plan})

    def _plan_echo(self, **plan: object) -> Plan:
        times = {"measure_s": self._seconds, "warmup_s": self._warmup_s, "body_bytes": BODY_BYTES}
        return on(self._bare, Target.BARE_ECHO, **{**times, **plan}, members=1, count_own=True)

    def rows(self) -> list[Row]:
        """What is quoted."""
        rows = [
            self.full.row("durable messages", "1/s", lambda o: o.per_s, higher_is_better=True),
            self.full.row("server CPU per message", "µs", lambda o: o.server_cpu_us),
        ]
        for waiters, per_s in self.waiting.items():
            ideal = [found.per_s * waiters for found in self.disk[waiters]]
            name = f"{RAW_LOG}, {waiters} record{'s' if waiters > 1 else ''} each"
            case = f"{waiters} on the way"
            rows.append(compare(case, "durable messages", "1/s", per_s, ideal, name, higher_is_better=True))
        for series in self.paced.values():
            rows += series.latency_rows()
            p50 = [o.latency_p50_ms for o in series.ours]
            sync = [found.p50_ms for found in self.disk[1]]
            rows.append(compare(series.case, "latency p50", "ms", p50, sync, "one raw fdatasync", goal=SYNC_GOAL))
        return rows


def run(*, quick: bool = False) -> Result:
    """All runs. Raises ProcessFailed."""
    runs = 1 if quick else 5
    with ExitStack() as stack:
        messages = Messages(stack, quick=quick)
        for _ in range(runs):
            messages.run()
        result = Result("messages", runs, quick, messages.rows())
        result.notes = {"body_bytes": BODY_BYTES, **notes_of([messages.full, *messages.paced.values()])}
        result.notes["fdatasync_per_s"] = [round(found.per_s) for found in messages.disk[1]]
    return result


if __name__ == "__main__":
    sys.exit(finish(run, quick=options(__doc__).quick))
