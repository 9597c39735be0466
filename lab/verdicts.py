"""Which verdict a call of ours told the one whose network is restricted, and whether it was right.

What a verdict is, and which one is right for which restriction: docs/spec/verdicts.md. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.cases.case import Case
from lab.drivers import OURS
from lab.play import Call
from ringthrough.protocol.verdicts import Verdict

NOTE = "verdicts"
"""Where a driver of ours puts `headed` among its notes."""
NONE = "none"
"""In place of a verdict where none was told."""


def headed(changes: Sequence[tuple[float, str | None]], ended_at_s: float) -> dict[str, Any]:
    """What headed the caller's screen, as it is noted: `last`, and of each verdict in the order in which they came,
    when it first did (`first_at_s`) and for how long in all (`for_s`).

    `changes` are pairs (s since the answer, the verdict that heads from then on, or None); they end at `ended_at_s`.
    """
    found: dict[str, dict[str, Any]] = {}
    last = None
    ends_s = [at_s for at_s, _ in changes[1:]] + [ended_at_s]
    for (at_s, verdict), end_s in zip(changes, ends_s, strict=False):
        if verdict is None:
            continue
        last = verdict
        entry = found.setdefault(verdict, {"verdict": verdict, "first_at_s": round(at_s, 1), "for_s": 0.0})
        entry["for_s"] = round(entry["for_s"] + end_s - at_s, 1)
    return {"last": last, "headed": list(found.values())}


def expected(case: Case, driver: str) -> frozenset[Verdict]:
    """The verdicts that are right for that messenger of ours: two terminals try no direct way unless told to."""
    return case.verdicts_without_direct if driver == OURS else case.verdicts


@dataclass(frozen=True, slots=True)
class Judged:
    """One call's. `is_right` is None where nobody can say: a messenger that has no verdicts, or no call at all."""

    verdict: str | None
    """The last that headed the screen: by then the restriction has shown itself."""
    is_right: bool | None


def judge(call: Call, right: Iterable[str]) -> Judged:
    """A call was told one of `right`, or another, or none."""
    note = call.notes.get(NOTE)
    if note is None:
        return Judged(None, None)
    verdict = note["last"]
    return Judged(verdict, verdict in set(right))


@dataclass(frozen=True, slots=True)
class Tally:
    """All calls of one messenger of ours in one cell."""

    right_ones: tuple[str, ...]
    """In the order of the spec."""
    told: Mapping[str, int]
    """By verdict, in how many calls; the most frequent first."""
    right: int
    calls: int
    """With those that never came to be."""

    @property
    def wrong(self) -> dict[str, int]:
        """What was told and is not right, in how many calls."""
        return {verdict: count for verdict, count in self.told.items() if verdict not in self.right_ones}

    def __str__(self) -> str:
        told = ", ".join(f"{verdict} {count}" for verdict, count in self.told.items()) or "nothing"
        return f"right in {self.right} of {self.calls} (right: {' or '.join(self.right_ones)}; told: {told})"


def tally(calls: Sequence[Call], right: frozenset[Verdict]) -> Tally:
    """Count."""
    judged = [one for one in (judge(call, right) for call in calls) if one.is_right is not None]
    told = Counter(one.verdict or NONE for one in judged)
    ordered = tuple(verdict.value for verdict in Verdict if verdict in right)
    return Tally(ordered, dict(told.most_common()), sum(one.is_right is True for one in judged), len(calls))
