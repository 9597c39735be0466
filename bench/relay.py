"""Voice frames passed on: signals of 160 bytes on streams with two and with four members.

Beside a bare fan-out on the same library. At a fixed rate every member speaks, as in a call; with no window to fill,
each outgoing frame is a system call of its own, as in life. Once more with durable messages under way on the server.
"""

from __future__ import annotations

import sys

from bench.drive import load_client
from bench.load_plan import Outcome, Plan, Target, Traffic
from bench.processes import Server, bare_server, our_server
from bench.report import Goal, Result, Row, finish, options
from bench.series import Series, measured, notes_of, on

BODY_BYTES = 160
CONNECTIONS = 120
"""At the fixed rate."""
SPEAKERS = 120
"""When saturated. Each may send some 1500 frames at once and then 500 a second, so those runs are short."""
RATE_PER_S = 2000
BARE = "bare aiohttp fan-out"
SHORT = {"warmup_s": 0.2, "measure_s": 0.8}
LOAD = {"groups": 3, "members": 20, "rate_per_s": 300.0, "count_own": True, "body_bytes": 1280}
P99_GOAL = Goal(ratio_min=None, ours_max=1.5)
"""Milliseconds that a voice frame may spend here while messages are stored."""


def run(*, quick: bool = False) -> Result:
    """All runs. Raises ProcessFailed."""
    runs = 1 if quick else 5
    times = {"warmup_s": 0.2, "measure_s": 0.4} if quick else {"warmup_s": 0.5, "measure_s": 2.0}
    base = {"traffic": Traffic.SIGNALS, "body_bytes": BODY_BYTES, **times}
    busy = {m: Series(f"{m} members, saturated", BARE) for m in (2, 4)}
    paced = {m: Series(f"{m} members, {RATE_PER_S} frames/s in", BARE) for m in (2, 4)}
    loaded = Series(f"4 members, {RATE_PER_S} frames/s in, 300 messages/s to 20 beside", BARE)
    with our_server() as ours, bare_server() as bare:
        for _ in range(runs):
            for members, series in busy.items():
                shape = {**base, **SHORT, "groups": SPEAKERS, "members": members, "window": 4}
                series.ours.append(measured(on(ours, Target.OURS, **shape)))
                series.reference.append(measured(on(bare, Target.BARE_RELAY, **shape)))
            for members, series in paced.items():
                shape = {**base, **_speaking(members)}
                series.ours.append(measured(on(ours, Target.OURS, **shape)))
                series.reference.append(measured(on(bare, Target.BARE_RELAY, **shape)))
            shape = {**base, **_speaking(4)}
            loaded.ours.append(_beside_load(ours, Target.OURS, on(ours, Target.OURS, **shape)))
            loaded.reference.append(_beside_load(bare, Target.BARE_GROUP, on(bare, Target.BARE_RELAY, **shape)))
    rows: list[Row] = []
    for series in busy.values():
        rows.append(series.row("frames out", "1/s", lambda o: o.per_s, higher_is_better=True))
        rows.append(series.row("server CPU per frame out", "µs", lambda o: o.server_cpu_us))
    for series in paced.values():
        rows.append(series.row("server CPU per frame out", "µs", lambda o: o.server_cpu_us))
        rows += series.latency_rows()
    rows += loaded.latency_rows(goal_p99=P99_GOAL)
    notes = {"body_bytes": BODY_BYTES, **notes_of([*busy.values(), *paced.values(), loaded])}
    return Result("relay", runs, quick, rows, notes)


def _speaking(members: int) -> dict[str, object]:
    return {"groups": CONNECTIONS // members, "members": members, "rate_per_s": RATE_PER_S, "all_send": True}


def _beside_load(server: Server, target: Target, plan: Plan) -> Outcome:
    """Measure `plan` while a second client sends messages to groups of 20."""
    beside = on(server, target, **LOAD, warmup_s=plan.warmup_s, measure_s=plan.measure_s + 1.0)
    with load_client(beside) as messages:
        messages.begin()
        outcome = measured(plan)
        messages.outcome()
    return outcome


if __name__ == "__main__":
    sys.exit(finish(run, quick=options(__doc__).quick))
