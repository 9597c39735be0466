"""`make lab`: calibrate, play every cell with every messenger, interleaved, and write table, JSON and charts."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.quiet import Watch
from bench.report import RESULTS, ROOT, commit, machine
from lab.calibration.gate import judged
from lab.calibration.measure import ProbeFailed
from lab.cases.case import Case
from lab.cases.cells import CELLS, SMOKE
from lab.drivers import DIRECT, DRIVERS, OURS, PEERS
from lab.middlebox.control import MiddleboxFailed
from lab.namespaces import LabUnavailable
from lab.pictures import draw
from lab.play import Call, play
from lab.report import cells, document, shortcomings, table, verdicts, without_effect
from lab.speech import SpeechMissing
from lab.verdicts import expected, judge

CHARTS = ROOT / "docs" / "charts"
PARTS_MISSING = (LabUnavailable, SpeechMissing, MiddleboxFailed, ProbeFailed)
"""Without these there is no lab."""


class Played(msgspec.Struct, frozen=True):
    """A call that was measured, as it is kept in the run's folder."""

    commit: str
    call: Call


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("lab-out"), help="folder for recordings and logs")
    parser.add_argument("--only", action="append", metavar="TEXT", help="cells whose name holds this text")
    parser.add_argument("--with", dest="drivers", metavar="NAMES", help="messengers, separated by commas")
    parser.add_argument("--runs", type=int, default=1, help="calls of each messenger in each cell")
    parser.add_argument("--resume", action="store_true", help="keep the calls that the folder holds already")
    parser.add_argument("--smoke", action="store_true", help="a few cells with ours alone; writes no results")
    args = parser.parse_args(argv)
    args.out = args.out.resolve()  # mumble-server reads paths as seen from the folder of its settings
    known = [OURS, DIRECT, *PEERS]
    args.drivers = [OURS] if args.smoke else args.drivers.split(",") if args.drivers else known
    if unknown := set(args.drivers) - set(DRIVERS):
        parser.error(f"no such messengers: {', '.join(sorted(unknown))}; there are: {', '.join(DRIVERS)}")
    args.cases = [case for case in CELLS if wanted(case, args)]
    if not args.cases:
        parser.error("no such cells")
    return args


def wanted(case: Case, args: argparse.Namespace) -> bool:
    """Whether the cell is to be played."""
    if args.smoke:
        return case.name in SMOKE
    return args.only is None or any(text in case.name for text in args.only)


def play_all(args: argparse.Namespace) -> tuple[list[Played], list[str]]:
    """Cell by cell and run by run, all messengers one after another. Returns the calls, and faults of the lab."""
    played: list[Played] = []
    faults: list[str] = []
    for case in args.cases:
        for run in range(args.runs):
            for name in args.drivers:
                if name == DIRECT and not case.has_udp:
                    continue
                folder = args.out / slug(case.name) / f"{slug(name)}-{run}"
                kept = folder / "call.json"
                if args.resume and kept.is_file():
                    played.append(msgspec.json.decode(kept.read_bytes(), type=Played))
                    continue
                started_s = time.monotonic()
                try:
                    one = Played(commit(), play(case, DRIVERS[name](), folder))
                except PARTS_MISSING:
                    raise
                except Exception as fault:
                    # One messenger that cannot be played must not cost a run of hours; its cell stays empty.
                    faults.append(f"{case.name}: {name}: {type(fault).__name__}: {fault}")
                    say(f"FAULT {faults[-1]}")
                    continue
                kept.write_bytes(msgspec.json.encode(one))
                played.append(one)
                say(f"{summary(one.call)}{wrong_verdict(one.call, case)} [{time.monotonic() - started_s:.0f} s]")
    return played, faults


def summary(call: Call) -> str:
    """A call in one line."""
    if not call.heard or call.estoi is None or call.speech_lost is None:
        return f"{call.case}: {call.driver}: no call ({call.failure})"
    delay = "?" if call.mouth_to_ear_ms_p95 is None else f"{call.mouth_to_ear_ms_p95:.0f}"
    return (
        f"{call.case}: {call.driver}: {'intelligible' if call.intelligible else 'NOT INTELLIGIBLE'}, "
        f"ESTOI {call.estoi:.3f}, PESQ {call.pesq:.2f}, p95 {delay} ms, lost {call.speech_lost * 100:.1f} %"
        f"{', disturbed' if call.disturbed else ''}{f', {call.failure}' if call.failure else ''}"
    )


def wrong_verdict(call: Call, case: Case) -> str:
    """What is added to the line of a call of ours that told another verdict than one of those that are right."""
    right = expected(case, call.driver)
    judged = judge(call, right)
    if judged.is_right is not False:
        return ""
    return f", WRONG VERDICT: {judged.verdict or 'none'} instead of {' or '.join(sorted(right))}"


def slug(name: str) -> str:
    """A name as a folder."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def say(text: str) -> None:
    """A progress line."""
    print(text, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. 1 when the lab cannot run or its calibration failed, or in a smoke run when ours falls short."""
    args = parse(argv)
    watch = Watch()
    try:
        calibration = judged(args.out / "calibration")
        if not calibration.passed:
            return 1
        played, faults = play_all(args)
    except PARTS_MISSING as e:
        print(f"lab: {e}", file=sys.stderr)
        return 1
    calls = [one.call for one in played]
    made = cells(calls, args.cases)
    say("\n" + table(made, args.drivers) + "\n")
    for line in verdicts(made):
        say(f"verdict: {line}")
    for line in without_effect(calls):
        say(f"a rule had nothing to act on: {line}")
    behind = shortcomings(made)
    for line in behind:
        say(f"falls short: {line}")
    if args.smoke:
        return 1 if behind or faults else 0
    about = {
        "commits": sorted({one.commit for one in played}),
        "machine": machine(),
        "disturbance": str(watch.disturbance()),
        "runs": args.runs,
    }
    whole = args.only is None and set(PEERS) < set(args.drivers)
    path = (RESULTS if whole else args.out) / "lab.json"
    path.write_text(json.dumps(document(made, calls, calibration, about), indent=1, ensure_ascii=False) + "\n")
    charts = draw(made, args.drivers, CHARTS if whole else args.out)
    say(f"written: {', '.join(str(one) for one in (path, *charts))}")
    return 1 if faults else 0


if __name__ == "__main__":
    # One that is told to end takes its namespaces down, as one that is interrupted does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
