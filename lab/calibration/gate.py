"""The gate before each report: what went through a middlebox that does not do as it is told is no result."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from lab.calibration.checks import Report
from lab.calibration.measure import calibrate


def judged(folder: Path) -> Report:
    """Calibrate and say what came out."""
    report = calibrate(folder)
    for line in report.lines():
        print(line, flush=True)
    verdict = (
        "the middlebox does as it is told" if report.passed else "THE CALIBRATION FAILED: no results are written"
    )
    print(f"calibration: {verdict} (real-time priority: {'yes' if report.realtime else 'no'})", flush=True)
    return report


def demanded() -> dict[str, object]:
    """Calibrate before anything is played. Returns what results say of it; exits where it failed."""
    with tempfile.TemporaryDirectory(prefix="calibration-") as folder:
        report = judged(Path(folder))
    if not report.passed:
        sys.exit(1)
    return {"checks_passed": len(report.checks), "realtime": report.realtime}
