"""How often the verdict is right: each restriction many times, each time with another seed.

`python -m lab.verdict_runs` plays calls of ours without measuring how they sound, several at once, and writes
bench/results/verdicts.json. What is right: docs/spec/verdicts.md, section 3.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from bench.report import RESULTS, commit, machine
from lab import speech
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


def played(runs: Sequence[Run], at_once: int) -> Iterator[tuple[Run, str]]:
    """Each run with what was told, as they end; each in a process of its own, which names its namespaces."""
    with ProcessPoolExecutor(at_once, max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(tell, run) for run in runs]):
            yield done.result()


def rows(told: dict[tuple[str, str], Counter[str]]) -> list[dict[str, object]]:
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
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--out", type=Path, help="else bench/results, where all are played")
    args = parser.parse_args(argv)
    rules = args.only or list(RULES)
    runs = [Run(rule, args.driver, args.first_seed + n) for rule in rules for n in range(args.runs)]
    told: dict[tuple[str, str], Counter[str]] = {(rule, args.driver): Counter() for rule in rules}
    for done, (run, verdict) in enumerate(played(runs, args.at_once), start=1):
        told[run.rule, run.driver][verdict] += 1
        if verdict not in expected(find(CELLS, RULES[run.rule]), run.driver):
            print(f"{run.rule}, seed {run.seed}: {verdict}", flush=True)
        if done % PROGRESS_RUNS == 0:
            print(f"{done} of {len(runs)}", flush=True)
    made = rows(told)
    for row in made:
        print(
            f"{row['rule']}: {row['driver']}: right in {row['right']} of {row['calls']} ({row['told']})", flush=True
        )
    about = {"commit": commit(), "machine": machine(), "at_once": args.at_once, "first_seed": args.first_seed}
    out = args.out or (RESULTS / "verdicts.json" if args.only is None else None)
    if out is not None:
        out.write_text(json.dumps({"about": about, "rows": made}, indent=1) + "\n")


if __name__ == "__main__":
    main()
