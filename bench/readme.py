"""The README's table of numbers, made from `bench/results`: `python -m bench.readme` writes it in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.report import RESULTS, ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- numbers -->\n", "<!-- /numbers -->"
QUOTED = (
    (
        "messages",
        "64 pairs, 4 messages on the way each",
        "durable messages",
        "durable one-to-one messages, synced first",
    ),
    ("fanout", "10 groups of 20, 4 on the way each", "durable deliveries", "durable deliveries in groups of 20"),
    ("relay", "4 members, saturated", "frames out", "signals relayed, groups of four"),
    ("call", "call over loopback", "answer to first audio, at the one who answers", "answer to first sound"),
    ("call", "call over loopback", "mouth to ear", "mouth to ear, 60 ms frames"),
    ("webrtc", "call between two pages", "mouth to ear", "page to page: mouth to ear"),
    (
        "webrtc",
        "call between two pages",
        "answer to first audio, at the one who answers",
        "page to page: answer to first sound",
    ),
    ("page", "first visit, 4x slower, 1.6 Mbit/s", "until one can type", "first visit, slow phone and line"),
    ("page", "a conversation of 10,000", "opens", "a conversation of 10,000 messages opens"),
    ("memory", "at rest", "resident memory", "server at rest"),
    ("mls_groups", "2 devices", "message: protect and process", "MLS, 2 devices: a message"),
    ("mls_groups", "100 devices", "add all, one commit", "MLS, 100 devices: add all"),
    ("mls_groups", "100 devices", "remove one: commit and process", "MLS, 100 devices: remove one"),
    ("mls_groups", "500 devices", "add all, one commit", "MLS, 500 devices: add all"),
)


def rows(results: Path = RESULTS) -> list[tuple[str, dict[str, Any]]]:
    """The quoted rows with their captions. Raises KeyError when a result has no such row."""
    found = []
    for name, case, metric, caption in QUOTED:
        result = json.loads((results / f"{name}.json").read_text())
        matching = [r for r in result["rows"] if r["case"] == case and r["metric"] == metric]
        if not matching:
            raise KeyError(f"{name}: {case}, {metric}")
        found.append((f"[{caption}](bench/results/{name}.json)", matching[0]))
    return found


def numbers(results: Path = RESULTS) -> str:
    """The block between the markers."""
    lines = ["| | ours | reference in the same run | ratio |", "|---|---|---|---|"]
    for caption, row in rows(results):
        unit = "" if row["unit"] == "1" else f" {row['unit'].replace('1/s', '/s')}"
        reference = f"{_number(row['reference'])}{unit}, {row['reference_name']}"
        lines.append(f"| {caption} | {_number(row['ours'])}{unit} | {reference} | {row['ratio']:.3g} |")
    lines += [
        "",
        "Two shared cores, loopback. A ratio above 1 means better than the reference; `make bench` repeats them.",
        "",
    ]
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{round(value, -2):,.0f}" if value >= 1000 else f"{value:.3g}"


def written(readme: str, results: Path = RESULTS) -> str:
    """The README with the present numbers."""
    before, rest = readme.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return before + BEGIN + numbers(results) + END + after


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
