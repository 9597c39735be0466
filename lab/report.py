"""The lab's results: the table people read, and `bench/results/lab.json`. Pure: calls in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lab.calibration.checks import Report
from lab.cases.case import Case
from lab.driver import MODES
from lab.drivers import OURS
from lab.play import Call
from lab.verdicts import Tally, expected, judge, tally

METRICS = {
    "estoi": ("1", True),
    "pesq": ("MOS", True),
    "mouth_to_ear_ms_p95": ("ms", False),
    "speech_lost": ("1", False),
    "answer_to_audio_ms": ("ms", False),
}
"""Unit, and whether more is better."""

WORSE_ESTOI_MAX = 0.02
WORSE_DELAY_MS_MAX = 40.0
ESTOI_TIE = 0.01
"""Peers so close in ESTOI are told apart by their delay."""


@dataclass(frozen=True, slots=True)
class Cell:
    """All calls of one case; of a messenger's several calls, the middle one by ESTOI."""

    case: str
    ours: Call | None
    peers: Mapping[str, Call]
    conversation: bool
    """Ours has to be intelligible here."""
    verdicts: Mapping[str, Tally] = field(default_factory=dict)
    """What was told of the restriction, by messenger of ours."""
    otherwise: Mapping[str, Call] = field(default_factory=dict)
    """Calls of ours that go otherwise than over the message connection alone."""

    @property
    def best_peer(self) -> Call | None:
        """An intelligible one before others, then the highest ESTOI, then the shortest delay; None without a call."""
        heard = [call for call in self.peers.values() if call.heard]
        if not heard:
            return None
        clear = [call for call in heard if call.intelligible] or heard
        top = max(call.estoi or 0.0 for call in clear)
        near = [call for call in clear if (call.estoi or 0.0) >= top - ESTOI_TIE]
        return min(near, key=lambda call: call.mouth_to_ear_ms_p95 or float("inf"))

    @property
    def behind(self) -> list[str]:
        """In what ours falls short: of a conversation, of the right verdict, or of the best peer by more than is
        allowed."""
        found = []
        for driver, counted in self.verdicts.items():
            for verdict, count in counted.wrong.items():
                right = " or ".join(counted.right_ones)
                found.append(f"verdict {verdict} instead of {right} in {count} of {counted.calls} ({driver})")
        found += self._behind(self.ours)
        for driver, call in self.otherwise.items():
            found += [f"{text} ({driver})" for text in self._behind(call)]
        return found

    def _behind(self, ours: Call | None) -> list[str]:
        found = []
        if self.conversation and (ours is None or not ours.intelligible):
            found.append("not intelligible")
        if not self.conversation and ours is not None and not _is_of_use(ours):
            found.append("neither intelligible nor push-to-talk")
        best = self.best_peer
        if best is None or not best.intelligible:
            return found
        ours_estoi = 0.0 if ours is None else ours.estoi or 0.0
        ours_ms = None if ours is None else ours.mouth_to_ear_ms_p95
        if (best.estoi or 0.0) - ours_estoi > WORSE_ESTOI_MAX:
            found.append(f"ESTOI {best.estoi or 0.0:.3f} of {best.driver}")
        if ours_ms is None or ours_ms - (best.mouth_to_ear_ms_p95 or 0.0) > WORSE_DELAY_MS_MAX:
            found.append(f"{best.mouth_to_ear_ms_p95 or 0.0:.0f} ms of {best.driver}")
        return found


def _is_of_use(call: Call) -> bool:
    """People talk, or have turned to push-to-talk, both of them."""
    modes = call.notes.get(MODES, {}).values()
    return call.intelligible or (bool(modes) and all(any(mode == "notes" for _, mode in side) for side in modes))


def cells(calls: Iterable[Call], cases: Iterable[Case]) -> list[Cell]:
    """The calls by case, in the order of the cases, less those that were not played."""
    by_name = {case.name: case for case in cases}
    by_case: dict[str, dict[str, list[Call]]] = {name: {} for name in by_name}
    for call in calls:
        by_case[call.case].setdefault(call.driver, []).append(call)
    made = []
    for name, drivers in by_case.items():
        if drivers:
            middle = {driver: _middle(runs) for driver, runs in drivers.items()}
            peers = {driver: call for driver, call in middle.items() if not driver.startswith(OURS)}
            otherwise = {driver: call for driver, call in middle.items() if driver not in {OURS, *peers}}
            case = by_name[name]
            own = {
                driver: tally(runs, expected(case, driver))
                for driver, runs in drivers.items()
                if driver.startswith(OURS)
            }
            made.append(Cell(name, middle.get(OURS), peers, case.conversation, own, otherwise))
    return made


def _middle(runs: Sequence[Call]) -> Call:
    return sorted(runs, key=lambda call: call.estoi or 0.0)[(len(runs) - 1) // 2]


def rows(cell: Cell) -> list[dict[str, Any]]:
    """One row for each metric; a value is null where there was no call."""
    best = cell.best_peer
    return [
        {
            "case": cell.case,
            "metric": metric,
            "unit": unit,
            "higher_is_better": higher,
            "ours": _value(cell.ours, metric),
            "otherwise": {driver: _value(call, metric) for driver, call in cell.otherwise.items()},
            "reference": _value(best, metric),
            "reference_name": None if best is None else best.driver,
            "peers": {driver: _value(call, metric) for driver, call in cell.peers.items()},
        }
        for metric, (unit, higher) in METRICS.items()
    ]


def _value(call: Call | None, metric: str) -> float | None:
    value = None if call is None else getattr(call, metric)
    return None if value is None else float(f"{value:.4g}")


def document(
    made: Sequence[Cell], calls: Sequence[Call], calibration: Report, about: Mapping[str, object]
) -> dict[str, Any]:
    """The file's content. `about` says when and on what it was measured. Raises ValueError for a calibration that
    failed: what a middlebox did that does not do as it is told is no result."""
    if not calibration.passed:
        raise ValueError("the calibration failed")
    by_case = {cell.case: cell for cell in made}
    return {
        "name": "lab",
        **about,
        "reference": "the best peer of the cell: intelligible before not, then by ESTOI, ties of 0.01 by delay",
        "rows": [row for cell in made for row in rows(cell)],
        "cells": [
            {
                "case": cell.case,
                "conversation_expected": cell.conversation,
                "intelligible": {
                    call.driver: call.intelligible
                    for call in (cell.ours, *cell.otherwise.values(), *cell.peers.values())
                    if call is not None
                },
                "verdicts": {
                    driver: {
                        "verdict_expected": list(counted.right_ones),
                        "verdict": next(iter(counted.told), None),
                        "verdict_right": counted.right == counted.calls,
                        "told": dict(counted.told),
                        "right": counted.right,
                        "calls": counted.calls,
                    }
                    for driver, counted in cell.verdicts.items()
                },
                "behind": cell.behind,
            }
            for cell in made
        ],
        "calibration": msgspec.to_builtins(calibration),
        "calls": [{**msgspec.to_builtins(call), **_judged(call, by_case[call.case])} for call in calls],
    }


def _judged(call: Call, cell: Cell) -> dict[str, Any]:
    """What is said beside a call of ours."""
    counted = cell.verdicts.get(call.driver)
    if counted is None:
        return {}
    judged = judge(call, counted.right_ones)
    return {"verdict": judged.verdict, "verdict_right": judged.is_right}


def table(made: Sequence[Cell], drivers: Sequence[str]) -> str:
    """Markdown: ESTOI, delay (p95) and lost speech of every messenger in every cell, and a verdict that is wrong."""
    lines = [f"| network | {' | '.join(drivers)} |", "|---" * (len(drivers) + 1) + "|"]
    for cell in made:
        calls = {OURS: cell.ours, **cell.otherwise, **cell.peers}
        columns = [_figures(calls.get(driver)) + _wrong(cell.verdicts.get(driver)) for driver in drivers]
        lines.append(f"| {cell.case} | {' | '.join(columns)} |")
    return "\n".join(lines)


def _figures(call: Call | None) -> str:
    if call is None:
        return ""
    if not call.heard or call.estoi is None or call.speech_lost is None:
        return "no call"
    delay = "?" if call.mouth_to_ear_ms_p95 is None else f"{call.mouth_to_ear_ms_p95:.0f}"
    text = f"{call.estoi:.2f}, {delay} ms, {call.speech_lost * 100:.1f} %"
    marks = f"**{text}**" if call.intelligible else text
    return f"{marks} (disturbed)" if call.disturbed else marks


def _wrong(counted: Tally | None) -> str:
    if counted is None or not counted.wrong:
        return ""
    told = ", ".join(f"{verdict} in {count} of {counted.calls}" for verdict, count in counted.wrong.items())
    return f"; WRONG VERDICT: {told}"


def verdicts(made: Sequence[Cell]) -> list[str]:
    """A line for each cell and messenger of ours: in how many calls the verdict was right."""
    return [f"{cell.case}: {driver}: {counted}" for cell in made for driver, counted in cell.verdicts.items()]


def shortcomings(made: Sequence[Cell]) -> list[str]:
    """A line for each cell in which ours falls short."""
    return [f"{cell.case}: {'; '.join(cell.behind)}" for cell in made if cell.behind]


def without_effect(calls: Iterable[Call]) -> list[str]:
    """Rules that matched nothing in a call of ours, which therefore proves nothing about them."""
    found = []
    for call in calls:
        if call.driver == OURS:
            idle = [rule for rule, counts in call.rules.items() if not counts.matched]
            found += [f"{call.case}: {rule}" for rule in idle]
    return found
