"""How often the verdict is right: each restriction many times, each time with another seed.

`python -m lab.verdict_runs` plays calls of ours without measuring how they sound, several at once, and adds them to
those in bench/results/verdicts.json: a hundred of each take hours, `--minutes` some of them. What is right:
docs/spec/verdicts.md, section 3.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.report import RESULTS, commit, machine
from lab import speech
from lab.calibration.gate import demanded
from lab.cases.case import Case, find
from lab.cases.cells import CELLS
from lab.drivers import DRIVERS, OURS
from lab.play import LATE_MS, LATE_SHARE_MAX
from lab.verdicts import NONE, NOTE, expected
from lab.worlds.access import world

RULES = {
    "stun_dropped": "STUN dropped",
    "udp_dropped": "UDP dropped",
    "udp_degraded": "UDP degraded",
    "relay_blocked": "UDP and relay blocked",
    "dtls_hello_dropped": "DTLS hello dropped",
    "tcp_frozen": "TCP frozen after 16 KB, no UDP",
    "connections_limited": "more than 6 connections reset, no UDP, 10 % lost",
    "idle_cut": "idle connections cut after 10 s, no UDP",
    "blackout, TCP": "busiest TCP silent from 5 s, no UDP",
    "blackout, UDP": "UDP silent from 5 s",
    "throttle": "throttle 32 kbit/s, RTT 80",
    "address_changed": "address changed at 5 s",
    "path, 10 % lost": "TLS alone, 10 % lost, RTT 50",
}
"""By restriction file, the cell that is played."""
TRIES = 2
"""A call that the machine disturbed, or that did not come to be, is played once more."""
NO_CALL = "no call"
FIRST_SEED = 1000
PROGRESS_RUNS = 25
"""After so many calls it says how many are done."""


@dataclass(frozen=True, slots=True)
class Run:
    """One call to be played."""

    rule: str
    driver: str
    seed: int


def tell(run: Run) -> tuple[Run, str]:
    """Play it. Returns what headed the caller's screen last, or why there was no call: one that cannot be played must
    not cost a run of hours."""
    case = replace(find(CELLS, RULES[run.rule]), seed=run.seed)
    told = NO_CALL
    for _ in range(TRIES):
        folder = Path(tempfile.mkdtemp(prefix="verdict-"))
        try:
            told, is_disturbed = _play(case, run.driver, folder)
        except Exception as fault:
            told, is_disturbed = f"{NO_CALL}: {type(fault).__name__}: {fault}", True
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if not is_disturbed:
            break
    return run, told


def _play(case: Case, driver: str, folder: Path) -> tuple[str, bool]:
    said = [speech.write_wav(folder / f"{n}.wav", speech.talk(case.speech, case.speech_s, n).pcm) for n in range(2)]
    with world(folder / "world", case.restriction, seed=case.seed) as place:
        result = asyncio.run(DRIVERS[driver]().call(place, said[0], said[1], case.seconds, folder / "call"))
        late_share = place.middlebox.counters().late_share(LATE_MS)
    note = result.notes.get(NOTE)
    if not isinstance(note, dict):
        return f"{NO_CALL}: {result.failure}", True
    return note["last"] or NONE, late_share > LATE_SHARE_MAX


def played(runs: Sequence[Run], at_once: int, goes_on: Callable[[], bool]) -> Iterator[tuple[Run, str]]:
    """Each run with what was told, as they end; each in a process of its own, which names its namespaces. None is
    begun once it does not go on."""
    waiting = iter(runs)
    under_way: set[Future[tuple[Run, str]]] = set()
    with ProcessPoolExecutor(at_once, max_tasks_per_child=1) as pool:
        while True:
            while len(under_way) < at_once and goes_on() and (run := next(waiting, None)) is not None:
                under_way.add(pool.submit(tell, run))
            if not under_way:
                return
            ended, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for run_and_verdict in ended:
                yield run_and_verdict.result()


Told = dict[tuple[str, str], Counter[str]]
"""How often each verdict was told, by restriction and messenger."""


def told_in(document: dict[str, Any]) -> Told:
    """What an earlier run has counted."""
    return {(row["rule"], row["driver"]): Counter(row["told"]) for row in document["rows"]}


def seed_after(document: dict[str, Any]) -> int:
    """The first that no earlier run has used."""
    return max((part["first_seed"] + part["seeds"] for part in document["parts"]), default=FIRST_SEED)


def rows(told: Told) -> list[dict[str, object]]:
    """One row for each restriction and messenger."""
    made: list[dict[str, object]] = []
    for (rule, driver), counts in told.items():
        right = sorted(expected(find(CELLS, RULES[rule]), driver))
        made.append(
            {
                "rule": rule,
                "case": RULES[rule],
                "driver": driver,
                "right": sum(counts[verdict] for verdict in right),
                "calls": counts.total(),
                "right_ones": right,
                "told": dict(counts.most_common()),
            }
        )
    return made


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m lab.verdict_runs", description=__doc__)
    parser.add_argument("--only", action="append", choices=RULES, help="restrictions; else all")
    parser.add_argument("--with", dest="driver", default=OURS, choices=[name for name in DRIVERS if OURS in name])
    parser.add_argument("--runs", type=int, default=100, help="of each restriction")
    parser.add_argument("--minutes", type=float, default=math.inf, help="none is begun later")
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "verdicts.json", help="what is in it is added to")
    args = parser.parse_args(argv)
    rules = args.only or list(RULES)
    document = json.loads(args.out.read_text()) if args.out.exists() else {"parts": [], "rows": []}
    told = told_in(document)
    calibration = demanded()
    first_seed, last_seed = seed_after(document), FIRST_SEED
    # Each seed with every restriction before the next one: however early it ends, all were played about as often.
    runs = [Run(rule, args.driver, first_seed + n) for n in range(args.runs) for rule in rules]
    ends_s = time.monotonic() + 60 * args.minutes
    for done, (run, verdict) in enumerate(played(runs, args.at_once, lambda: time.monotonic() < ends_s), start=1):
        last_seed = max(last_seed, run.seed)
        told.setdefault((run.rule, run.driver), Counter())[verdict] += 1
        if verdict not in expected(find(CELLS, RULES[run.rule]), run.driver):
            print(f"{run.rule}, seed {run.seed}: {verdict}", flush=True)
        if done % PROGRESS_RUNS == 0:
            print(f"{done} of {len(runs)}", flush=True)
    made = rows(told)
    for row in made:
        print(
            f"{row['rule']}: {row['driver']}: right in {row['right']} of {row['calls']} ({row['told']})", flush=True
        )
    part = {
        "commit": commit(),
        "machine": machine(),
        "calibration": calibration,
        "at_once": args.at_once,
        "driver": args.driver,
        "first_seed": first_seed,
        "seeds": max(0, last_seed + 1 - first_seed),
    }
    args.out.write_text(json.dumps({"parts": [*document["parts"], part], "rows": made}, indent=1) + "\n")


if __name__ == "__main__":
    main()
