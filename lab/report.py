"""The lab's results: the table people read, and `bench/results/lab.json`. Pure: calls in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lab.calibration.checks import Report
from lab.drivers import OURS
from lab.play import Call

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

    @property
    def best_peer(self) -> Call | None:
        """An intelligible one before others, then the highest ESTOI, then the shortest delay; None without a call."""
        others = [call for call in self.peers.values() if not call.driver.startswith(OURS)]
        heard = [call for call in others if call.heard]
        if not heard:
            return None
        clear = [call for call in heard if call.intelligible] or heard
        top = max(call.estoi or 0.0 for call in clear)
        near = [call for call in clear if (call.estoi or 0.0) >= top - ESTOI_TIE]
        return min(near, key=lambda call: call.mouth_to_ear_ms_p95 or float("inf"))

    @property
    def behind(self) -> list[str]:
        """In what ours falls short: of a conversation, or of the best peer by more than is allowed."""
        found = []
        if self.conversation and (self.ours is None or not self.ours.intelligible):
            found.append("not intelligible")
        best = self.best_peer
        if best is None or not best.intelligible:
            return found
        ours_estoi = 0.0 if self.ours is None else self.ours.estoi or 0.0
        ours_ms = None if self.ours is None else self.ours.mouth_to_ear_ms_p95
        if (best.estoi or 0.0) - ours_estoi > WORSE_ESTOI_MAX:
            found.append(f"ESTOI {best.estoi or 0.0:.3f} of {best.driver}")
        if ours_ms is None or ours_ms - (best.mouth_to_ear_ms_p95 or 0.0) > WORSE_DELAY_MS_MAX:
            found.append(f"{best.mouth_to_ear_ms_p95 or 0.0:.0f} ms of {best.driver}")
        return found


def cells(calls: Iterable[Call], conversations: Mapping[str, bool]) -> list[Cell]:
    """The calls by case, in the order of `conversations` (case to whether ours has to be intelligible)."""
    by_case: dict[str, dict[str, list[Call]]] = {name: {} for name in conversations}
    for call in calls:
        by_case[call.case].setdefault(call.driver, []).append(call)
    made = []
    for name, drivers in by_case.items():
        if drivers:
            middle = {driver: _middle(runs) for driver, runs in drivers.items()}
            peers = {driver: call for driver, call in middle.items() if driver != OURS}
            made.append(Cell(name, middle.get(OURS), peers, conversations[name]))
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
                    for call in ([cell.ours] if cell.ours is not None else []) + list(cell.peers.values())
                },
                "behind": cell.behind,
            }
            for cell in made
        ],
        "calibration": msgspec.to_builtins(calibration),
        "calls": [msgspec.to_builtins(call) for call in calls],
    }


def table(made: Sequence[Cell], drivers: Sequence[str]) -> str:
    """Markdown: ESTOI, delay (p95) and lost speech of every messenger in every cell."""
    lines = [f"| network | {' | '.join(drivers)} |", "|---" * (len(drivers) + 1) + "|"]
    for cell in made:
        calls = {OURS: cell.ours, **cell.peers}
        lines.append(f"| {cell.case} | {' | '.join(_figures(calls.get(driver)) for driver in drivers)} |")
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
