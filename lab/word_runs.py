"""How many words are understood: every cell in single words, with ours, beside the clean codec.

`python -m lab.word_runs` plays several calls at once and writes bench/results/words.json. What a recogniser's errors
are worth: docs/spec/quality.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from bench.report import RESULTS, commit, machine
from lab import speech
from lab.calibration.gate import demanded
from lab.cases.case import Case
from lab.cases.cells import CELLS
from lab.drivers import DRIVERS, OURS
from lab.play import play
from ringthrough.audio.coding import PacketMaker
from ringthrough.audio.opus import OpusDecoder
from ringthrough.audio.pcm import SLOT_SAMPLES, Pcm
from ringthrough.audio.words import word_errors

WORDS = "words"
POINTS_OVER_MAX = 4.0
"""Points of word errors that an intelligible call may have over the clean codec's."""


@dataclass(frozen=True, slots=True)
class Row:
    """One cell, both directions together: words said, and how many of them were not recognised; None where there was
    no call."""

    case: str
    intelligible: bool
    words: int
    errors: int | None
    errors_of_clean_codec: int

    @property
    def points_over(self) -> float | None:
        """Points (hundredths) of word errors over the clean codec's."""
        return None if self.errors is None else 100 * (self.errors - self.errors_of_clean_codec) / self.words

    def __str__(self) -> str:
        if self.errors is None:
            return f"{self.case}: no call"
        state = "intelligible" if self.intelligible else "NOT INTELLIGIBLE"
        of = f"{self.errors} of {self.words} words not recognised, {self.errors_of_clean_codec} by the clean codec"
        return f"{self.case}: {state}, {of}: {self.points_over:+.1f} points"


def together(rows: Sequence[Row]) -> Row:
    """All intelligible cells as one."""
    held = [row for row in rows if row.intelligible and row.errors is not None]
    return Row(
        case="all that are intelligible",
        intelligible=True,
        words=sum(row.words for row in held),
        errors=sum(row.errors or 0 for row in held),
        errors_of_clean_codec=sum(row.errors_of_clean_codec for row in held),
    )


def through_codec(said: Pcm) -> Pcm:
    """As it sounds where nothing is lost: ordinary packets, coded and decoded."""
    maker, decoder = PacketMaker(), OpusDecoder()
    slots = [said[at : at + SLOT_SAMPLES] for at in range(0, said.size - SLOT_SAMPLES + 1, SLOT_SAMPLES)]
    return np.concatenate([decoder.decode(packet) for slot in slots for packet in maker.push(slot)])


def listen(case: Case) -> Row:
    """Play the cell. Raises `ScoreUnavailable` without the extra `words`."""
    texts = [speech.words(case.speech_s, case.seed + n) for n in range(2)]
    vocabulary = sorted(speech.WORDS)
    clean = [word_errors(text.pcm, through_codec(text.pcm), text.words, vocabulary) for text in texts]
    folder = Path(tempfile.mkdtemp(prefix="words-"))
    try:
        call = play(case, DRIVERS[OURS](), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    counts = [len(text.words) for text in texts]
    heard = [None if one is None else one.word_errors for one in (call.by_callee, call.by_caller)]
    errors = None
    if None not in heard:
        errors = sum(round(share * count) for share, count in zip(heard, counts, strict=True) if share is not None)
    return Row(
        case=case.name,
        intelligible=call.intelligible,
        words=sum(counts),
        errors=errors,
        errors_of_clean_codec=sum(round(share * count) for share, count in zip(clean, counts, strict=True)),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m lab.word_runs", description=__doc__)
    parser.add_argument("--only", action="append", metavar="TEXT", help="cells whose name holds this text")
    parser.add_argument("--seconds", type=float, default=42.0, help="of each call")
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--out", type=Path, help="else bench/results, where all are played")
    args = parser.parse_args(argv)
    cases = [
        replace(case, seconds=args.seconds, seed=100 + case.seed, speech=WORDS)
        for case in CELLS
        if case.speech != WORDS and (args.only is None or any(text in case.name for text in args.only))
    ]
    calibration = demanded()
    rows = []
    with ProcessPoolExecutor(args.at_once, max_tasks_per_child=1) as pool:
        for row in pool.map(listen, cases):
            rows.append(row)
            print(row, flush=True)
    whole = together(rows)
    print(whole)
    over = [row.case for row in rows if row.intelligible and (row.points_over or 0) > POINTS_OVER_MAX]
    if over:
        print(f"more than {POINTS_OVER_MAX:g} points over: {', '.join(over)}")
    about = {"commit": commit(), "machine": machine(), "at_once": args.at_once, "seconds": args.seconds}
    about["calibration"] = calibration
    document = {"about": about, "together": asdict(whole), "rows": [asdict(row) for row in rows]}
    out = args.out or (RESULTS / "words.json" if args.only is None else None)
    if out is not None:
        out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
