"""Calls with figures of our choice."""

from __future__ import annotations

from typing import Any

import msgspec

from lab.calibration.checks import Report, exact_check
from lab.play import Call

CALIBRATED = Report((exact_check("x", "n", 1, 1),), realtime=True, attempts=1)

_GOOD = Call(
    case="clean",
    driver="ours",
    failure=None,
    estoi=0.95,
    pesq=3.5,
    speech_lost=0.0,
    mouth_to_ear_ms_p50=150.0,
    mouth_to_ear_ms_p95=180.0,
    longest_silence_ms=0.0,
    plcmos=None,
    word_errors=None,
    answer_to_audio_ms=120.0,
    intelligible=True,
    call_bytes={},
    rules={},
    late_share=0.0,
    by_callee=None,
    by_caller=None,
    notes={},
)


def call(driver: str, **fields: Any) -> Call:
    """A good call of that messenger, but for the fields."""
    return msgspec.structs.replace(_GOOD, driver=driver, **fields)


def no_call(driver: str) -> Call:
    """One that did not come to be."""
    return call(
        driver,
        failure="no answer",
        estoi=None,
        pesq=None,
        speech_lost=None,
        mouth_to_ear_ms_p95=None,
        intelligible=False,
    )


def told(driver: str, verdict: str | None) -> Call:
    """A good call of ours that told this verdict at last."""
    return call(driver, notes={"verdicts": {"last": verdict, "headed": []}})
