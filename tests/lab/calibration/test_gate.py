"""No report without a calibration that passed."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from lab import check_runs, verdict_runs, word_runs
from lab.calibration import gate
from lab.calibration.checks import Check, Report
from lab.frames import compare


def measured(value: float) -> Report:
    return Report((Check("delay", "ms", value, 0.0, 1.0),), True, 1)


def test_a_calibration_that_passed_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate, "calibrate", lambda folder: measured(0.5))
    assert gate.demanded() == {"checks_passed": 1, "realtime": True}
    assert "ok   delay: 0.5 ms" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [verdict_runs, word_runs, compare, check_runs], ids=lambda module: module.__name__
)
def test_nothing_is_played_after_one_that_failed(
    command: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def played(*args: object, **settings: object) -> None:
        raise AssertionError("something is played")

    monkeypatch.setattr(gate, "calibrate", lambda folder: measured(2.0))
    for plays in ("ProcessPoolExecutor", "play"):
        monkeypatch.setattr(command, plays, played, raising=False)
    out = tmp_path / "out.json"
    with pytest.raises(SystemExit):
        command.main(["--out", str(out)])
    assert "THE CALIBRATION FAILED" in capsys.readouterr().out
    assert not out.exists()
