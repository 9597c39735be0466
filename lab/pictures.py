"""Which charts are drawn of a run, into `docs/charts`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.charts import Field, Scale, dots, grid
from lab.drivers import OURS
from lab.play import Call
from lab.report import Cell
from ringthrough.audio.quality import (
    INTELLIGIBLE_DELAY_MS_MAX,
    INTELLIGIBLE_ESTOI_MIN,
    INTELLIGIBLE_LOST_MAX,
)

CONVERSATION = (
    f"green: a conversation (ESTOI at least {INTELLIGIBLE_ESTOI_MIN:g}, at most "
    f"{INTELLIGIBLE_LOST_MAX * 100:g} % lost, 95 % within {INTELLIGIBLE_DELAY_MS_MAX:g} ms)"
)


def draw(made: Sequence[Cell], drivers: Sequence[str], folder: Path) -> list[Path]:
    """Write the charts; their files."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [(cell.case, {OURS: cell.ours, **cell.otherwise, **cell.peers}) for cell in made]
    charts = {
        "lab": grid(
            "Is it still a conversation?",
            f"{CONVERSATION}; figures: ESTOI and mouth to ear, 95 %",
            drivers,
            [(case, [field(calls.get(driver)) for driver in drivers]) for case, calls in rows],
        ),
        "lab-delay": dots(
            "Mouth to ear",
            "95 % of the speech that was recognised, worse direction; broken line: the limit of a conversation",
            Scale(50, 8_000, (50, 100, 200, 400, 1_000, 2_000, 5_000), "ms", INTELLIGIBLE_DELAY_MS_MAX, True),
            drivers,
            [(case, {d: call.mouth_to_ear_ms_p95 for d, call in calls.items() if call}) for case, calls in rows],
        ),
        "lab-lost": dots(
            "Speech lost",
            "share of what was said, worse direction; broken line: the limit of a conversation",
            Scale(0, 50, (0, 10, 20, 30, 40, 50), "%", INTELLIGIBLE_LOST_MAX * 100),
            drivers,
            [(case, {d: percent(call) for d, call in calls.items() if call}) for case, calls in rows],
        ),
    }
    paths = []
    for name, text in charts.items():
        path = folder / f"{name}.svg"
        path.write_text(text)
        paths.append(path)
    return paths


def percent(call: Call) -> float | None:
    """Speech lost, in percent."""
    return None if call.speech_lost is None else call.speech_lost * 100


def field(call: Call | None) -> Field:
    """A call as a field of the grid."""
    if call is None:
        return Field("none", "")
    if not call.heard or call.estoi is None:
        return Field("none", "no call")
    delay = "–" if call.mouth_to_ear_ms_p95 is None else f"{call.mouth_to_ear_ms_p95:.0f} ms"
    return Field("good" if call.intelligible else "poor", f"{call.estoi:.2f} · {delay}")
