"""The README quotes what was measured, and nothing else."""

from __future__ import annotations

from bench.readme import README, written


def test_the_readme_quotes_the_results() -> None:
    text = README.read_text()
    assert written(text) == text, "run `python -m bench.readme`"
