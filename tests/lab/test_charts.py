"""Charts are well-formed SVG that says in text what it shows in colour, in light and in dark."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.charts import Field, Scale, dots, grid
from lab.pictures import draw, field
from lab.report import Cell

from .make_calls import call, no_call

SVG = "{http://www.w3.org/2000/svg}"
SCALE = Scale(0, 100, (0, 50, 100), "ms", limit=40)


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_grid_holds_its_words() -> None:
    svg = grid("A & B", "note", ["ours", "peer"], [("<1 %>", [Field("good", "0.95"), Field("none", "no call")])])
    assert texts(svg) == ["A & B", "note", "ours", "peer", "<1 %>", "0.95", "no call"]
    classes = [node.get("class") for node in ElementTree.fromstring(svg).iter(f"{SVG}rect")]
    assert classes == ["good", "none"]
    assert "prefers-color-scheme: dark" in svg


def test_dots_lie_where_their_values_are_and_none_has_none() -> None:
    svg = dots("t", "n", SCALE, ["a", "b"], [("row", {"a": 50.0, "b": None}), ("other", {"a": 500.0})])
    marks = list(ElementTree.fromstring(svg).iter(f"{SVG}circle"))
    at = [float(node.attrib["cx"]) for node in marks[1:]]
    ticks = sorted({float(node.attrib["x1"]) for node in ElementTree.fromstring(svg).iter(f"{SVG}line")})
    assert at == [ticks[2], ticks[3]], "in the middle; and at the end for what is beyond it"
    limit = [node for node in ElementTree.fromstring(svg).iter(f"{SVG}line") if node.get("class") == "limit"]
    assert len(limit) == 1


@pytest.mark.parametrize(("value", "place"), [(0, 0), (25, 0.25), (100, 1), (1e9, 1), (-5, 0)])
def test_a_scale(value: float, place: float) -> None:
    assert SCALE.place(value) == place


def test_a_logarithmic_scale() -> None:
    scale = Scale(10, 1_000, (), "ms", logarithmic=True)
    assert [scale.place(value) for value in (1, 10, 100, 1_000)] == pytest.approx([0, 0, 0.5, 1])


def test_a_run_is_drawn(tmp_path: Path) -> None:
    made = [Cell("clean", call("ours"), {"webrtc": no_call("webrtc")}, conversation=True)]
    paths = draw(made, ["ours", "webrtc"], tmp_path)
    assert [path.name for path in paths] == ["lab.svg", "lab-delay.svg", "lab-lost.svg"]
    for path in paths:
        ElementTree.parse(path)
    assert "no call" in texts(paths[0].read_text())


def test_fields() -> None:
    assert field(call("ours")) == Field("good", "0.95 · 180 ms")
    assert field(call("ours", intelligible=False)).kind == "poor"
    assert field(no_call("ours")) == Field("none", "no call")
    assert field(call("ours", speech_lost=1.0, intelligible=False)).text == "no call"
    assert field(None) == Field("none", "")
