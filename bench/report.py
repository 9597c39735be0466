"""Result files and tables. A result is `bench/results/NAME.json`; its rows hold medians of interleaved runs."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from bench.quiet import Disturbance, Watch
from bench.stats import RATIO_OF_RATES, RATIO_OF_TIMES, median, ratio

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"


@dataclass(frozen=True)
class Goal:
    """What is to be reached: a least ratio, or a largest value of ours."""

    ratio_min: float | None = None
    ours_max: float | None = None

    def met(self, ours: float, ratio: float) -> bool:
        """Whether it was reached."""
        return (self.ratio_min is None or ratio >= self.ratio_min) and (
            self.ours_max is None or ours <= self.ours_max
        )

    def __str__(self) -> str:
        parts = []
        if self.ratio_min is not None:
            parts.append(f"ratio ≥ {self.ratio_min:g}")
        if self.ours_max is not None:
            parts.append(f"≤ {self.ours_max:g}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Row:
    """One comparison. `goal` and `goal_met` are None where only the value is of interest."""

    case: str
    metric: str
    unit: str
    ours: float
    reference: float
    reference_name: str
    ratio: float
    ratio_means: str
    runs: int
    spread: tuple[float, float]
    """Lowest and highest of our runs."""
    reference_spread: tuple[float, float]
    goal: str | None = None
    goal_met: bool | None = None


def compare(
    case: str,
    metric: str,
    unit: str,
    ours: Sequence[float],
    reference: Sequence[float],
    reference_name: str,
    *,
    higher_is_better: bool = False,
    ratio_means: str | None = None,
    goal: Goal | None = None,
) -> Row:
    """The row of two series of interleaved runs: their medians and the ratio of these.

    Raises:
        ValueError: a series is empty, or a median is not positive.
    """
    mine, theirs = median(ours), median(reference)
    better = ratio(mine, theirs, higher_is_better=higher_is_better)
    return Row(
        case=case,
        metric=metric,
        unit=unit,
        ours=_rounded(mine),
        reference=_rounded(theirs),
        reference_name=reference_name,
        ratio=_rounded(better),
        ratio_means=ratio_means or (RATIO_OF_RATES if higher_is_better else RATIO_OF_TIMES),
        runs=len(ours),
        spread=(_rounded(min(ours)), _rounded(max(ours))),
        reference_spread=(_rounded(min(reference)), _rounded(max(reference))),
        goal=None if goal is None else str(goal),
        goal_met=None if goal is None else goal.met(mine, better),
    )


@dataclass
class Result:
    """One benchmark's outcome. `notes` holds what else a reader must know, such as the load client's CPU share."""

    name: str
    runs: int
    quick: bool
    rows: list[Row] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)
    disturbance: Disturbance | None = None

    def to_json(self) -> dict[str, object]:
        """The file's content."""
        return {
            "name": self.name,
            "commit": commit(),
            "machine": machine(),
            "disturbance": None if self.disturbance is None else asdict(self.disturbance),
            "runs": self.runs,
            "quick": self.quick,
            "rows": [{k: v for k, v in asdict(row).items() if v is not None} for row in self.rows],
            "notes": self.notes,
        }

    def write(self, folder: Path = RESULTS) -> Path:
        """Save as `NAME.json`; a quick run, which is no number to quote, as `quick/NAME.json`."""
        path = (folder / "quick" if self.quick else folder) / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n")
        return path


def commit() -> str:
    """The commit that was measured, `unknown` outside of a repository."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def machine() -> dict[str, object]:
    """What the figures were measured on; `load_1min` tells a quiet machine from a busy one."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("aiohttp", "uvloop")},
        "load_1min": round(os.getloadavg()[0], 2),
    }


def table(result: Result) -> str:
    """Markdown, as the README quotes it."""
    lines = [
        f"### {result.name}",
        "",
        "| case | metric | ours | reference | ratio | goal |",
        "|---|---|---|---|---|---|",
    ]
    for row in result.rows:
        goal = "" if row.goal is None else f"{row.goal}{'' if row.goal_met else ' **missed**'}"
        lines.append(
            f"| {row.case} | {row.metric}, {row.unit} | {_figure(row.ours)} "
            f"| {_figure(row.reference)} ({row.reference_name}) | {_figure(row.ratio)}x | {goal} |"
        )
    if result.disturbance is not None and result.disturbance.too_much:
        lines += ["", f"**not fit to be quoted**: {result.disturbance}"]
    return "\n".join(lines)


def options(description: str | None) -> argparse.Namespace:
    """`--quick`, the one option of all benchmarks."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="one short run, to see that it works; not to be quoted")
    return parser.parse_args()


class Run(Protocol):
    """A benchmark's `run`."""

    def __call__(self, *, quick: bool) -> Result: ...


def watched(run: Run, *, quick: bool) -> Result:
    """Run it, and note who else used the machine meanwhile."""
    watch = Watch()
    result = run(quick=quick)
    result.disturbance = watch.disturbance()
    return result


def finish(run: Run, *, quick: bool) -> int:
    """Run, save and print. A missed goal is printed and is no failure: speed depends on the machine."""
    result = watched(run, quick=quick)
    path = result.write()
    print(table(result), flush=True)
    for row in result.rows:
        if row.goal_met is False:
            print(f"goal missed: {row.case}, {row.metric}: {row.ours:g} {row.unit}, {row.ratio:g}x; goal {row.goal}")
    print(f"\nwritten to {path.relative_to(ROOT)}", flush=True)
    return 0


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
