"""Charts as plain SVG, readable in light and in dark. Pure: figures in, text out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

ROW = 22
LABEL_WIDTH = 300
CELL_WIDTH = 104
PLOT_WIDTH = 560
TOP = 64
COLOURS = ("#0b7a5e", "#3f6fd8", "#8250c4", "#b5521b", "#c23b6b", "#7a7a12", "#556270")
SHAPES = ("circle", "square", "diamond", "triangle", "cross", "ring", "bar")
STYLE = """
svg { font: 12px system-ui, sans-serif; background: #ffffff; }
text { fill: #1c2024; }
.head { font-weight: 600; }
.faint { fill: #5c656e; }
.line { stroke: #d5dadf; stroke-width: 1; }
.limit { stroke: #5c656e; stroke-width: 1; stroke-dasharray: 4 3; }
.good { fill: #cfeadd; }
.poor { fill: #f7dfc4; }
.none { fill: #eceef0; }
@media (prefers-color-scheme: dark) {
  svg { background: #14181c; }
  text { fill: #e8ebee; }
  .faint { fill: #a4adb5; }
  .line { stroke: #343b42; }
  .limit { stroke: #a4adb5; }
  .good { fill: #17503c; }
  .poor { fill: #6a4417; }
  .none { fill: #262c32; }
  .mark { filter: brightness(1.6); }
}
"""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a grid: `good`, `poor` or `none` decides its colour; the text says the same in words or figures."""

    kind: str
    text: str


def grid(title: str, note: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Field]]]) -> str:
    """A table in colours."""
    width, height = LABEL_WIDTH + CELL_WIDTH * len(columns) + 12, TOP + ROW * len(rows) + 12
    parts = _header(title, note, width, height)
    for i, column in enumerate(columns):
        parts.append(_text(LABEL_WIDTH + CELL_WIDTH * (i + 0.5), TOP - 8, column, "head", "middle"))
    for j, (label, fields) in enumerate(rows):
        y = TOP + ROW * j
        parts.append(_text(12, y + 15, label))
        for i, one in enumerate(fields):
            x = LABEL_WIDTH + CELL_WIDTH * i
            size = f'width="{CELL_WIDTH - 2}" height="{ROW - 2}" rx="3"'
            parts.append(f'<rect class="{one.kind}" x="{x + 1}" y="{y + 1}" {size}/>')
            parts.append(_text(x + CELL_WIDTH / 2, y + 15, one.text, "", "middle"))
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class Scale:
    """A horizontal axis from `low` to `high`, in `ticks`; a `limit` is drawn as a broken line."""

    low: float
    high: float
    ticks: Sequence[float]
    unit: str
    limit: float | None = None
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """0 to 1; values beyond the ends lie on them."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def dots(
    title: str, note: str, scale: Scale, series: Sequence[str], rows: Sequence[tuple[str, Mapping[str, float | None]]]
) -> str:
    """A line for each row with a mark for each series; a series without a value has no mark there."""
    width, height = LABEL_WIDTH + PLOT_WIDTH + 40, TOP + 24 + ROW * len(rows) + 28
    parts = _header(title, note, width, height)
    x = float(LABEL_WIDTH)
    for i, name in enumerate(series):
        parts += [_mark(i, x + 5, TOP - 10), _text(x + 14, TOP - 6, name)]
        x += 24 + 6.6 * len(name)
    top, bottom = TOP + 10, TOP + 10 + ROW * len(rows)
    for tick in scale.ticks:
        at = LABEL_WIDTH + PLOT_WIDTH * scale.place(tick)
        parts.append(f'<line class="line" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(_text(at, bottom + 16, f"{tick:g} {scale.unit}".strip(), "faint", "middle"))
    if scale.limit is not None:
        at = LABEL_WIDTH + PLOT_WIDTH * scale.place(scale.limit)
        parts.append(f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{bottom}"/>')
    for j, (label, values) in enumerate(rows):
        y = top + ROW * (j + 0.5)
        parts.append(_text(12, y + 4, label))
        parts.append(
            f'<line class="line" x1="{LABEL_WIDTH}" x2="{LABEL_WIDTH + PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        # Ours is drawn last, so that it lies on top.
        for i, name in reversed(list(enumerate(series))):
            value = values.get(name)
            if value is not None:
                parts.append(_mark(i, LABEL_WIDTH + PLOT_WIDTH * scale.place(value), y))
    return "\n".join([*parts, "</svg>", ""])


def _header(title: str, note: str, width: int, height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="title note">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="note">{escape(note)}</desc>',
        f"<style>{STYLE}</style>",
        _text(12, 20, title, "head"),
        _text(12, 38, note, "faint"),
    ]


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    named = f' class="{style}"' if style else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _mark(number: int, x: float, y: float) -> str:
    """A mark of its own form and colour, to be told apart by either."""
    colour, shape = COLOURS[number % len(COLOURS)], SHAPES[number % len(SHAPES)]
    fill = f'class="mark" fill="{colour}"'
    stroke = f'class="mark" fill="none" stroke="{colour}" stroke-width="2"'
    path = {
        "circle": f'<circle {fill} cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>',
        "ring": f'<circle {stroke} cx="{x:.1f}" cy="{y:.1f}" r="4"/>',
        "square": f'<rect {fill} x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>',
        "bar": f'<rect {fill} x="{x - 1.5:.1f}" y="{y - 6:.1f}" width="3" height="12"/>',
        "diamond": f'<path {fill} d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"/>',
        "triangle": f'<path {fill} d="M{x:.1f} {y - 5:.1f}l5 9h-10z"/>',
        "cross": f'<path {stroke} d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"/>',
    }
    return path[shape]
