"""Durable messages to groups of 20: ten groups, every record delivered to all twenty, its author among them.

Beside the same fan-out by a bare server on the same library, which stores nothing and looks at nothing.
"""

from __future__ import annotations

import sys

from bench.load_plan import Target
from bench.processes import bare_server, our_server
from bench.report import Goal, Result, Row, finish, options
from bench.series import Series, measured, notes_of, on

GROUPS, MEMBERS, BODY_BYTES = 10, 20, 1280
RATE_PER_S = 200
BARE = "bare aiohttp fan-out"
CPU_GOAL = Goal(ratio_min=1 / 1.15)
"""At most 15 % more CPU for each delivery than without storage, rights and limits."""


def run(*, quick: bool = False) -> Result:
    """All runs. Raises ProcessFailed."""
    runs = 1 if quick else 5
    times = {"warmup_s": 0.2, "measure_s": 0.4} if quick else {"warmup_s": 0.5, "measure_s": 2.0}
    shape = {"groups": GROUPS, "members": MEMBERS, "body_bytes": BODY_BYTES, "count_own": True, **times}
    busy = {w: Series(f"{GROUPS} groups of {MEMBERS}, {w} on the way each", BARE) for w in (4, 1)}
    paced = Series(f"{GROUPS} groups of {MEMBERS}, {RATE_PER_S} messages/s", BARE)
    with our_server() as ours, bare_server() as bare:
        for _ in range(runs):
            for window, series in busy.items():
                series.ours.append(measured(on(ours, Target.OURS, **shape, window=window)))
                series.reference.append(measured(on(bare, Target.BARE_GROUP, **shape, window=window)))
            paced.ours.append(measured(on(ours, Target.OURS, **shape, rate_per_s=RATE_PER_S)))
            paced.reference.append(measured(on(bare, Target.BARE_GROUP, **shape, rate_per_s=RATE_PER_S)))
    rows: list[Row] = []
    for window, series in busy.items():
        rows.append(series.row("durable deliveries", "1/s", lambda o: o.per_s, higher_is_better=True))
        goal = CPU_GOAL if window == 4 else None
        rows.append(series.row("server CPU per delivery", "µs", lambda o: o.server_cpu_us, goal=goal))
    rows += paced.latency_rows()
    notes = {"body_bytes": BODY_BYTES, **notes_of([*busy.values(), paced])}
    return Result("fanout", runs, quick, rows, notes)


if __name__ == "__main__":
    sys.exit(finish(run, quick=options(__doc__).quick))
