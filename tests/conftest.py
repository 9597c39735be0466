"""What holds for all tests."""

from __future__ import annotations

import signal

import pytest


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT, and so would every program it starts, Ctrl-C or not."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, the browser's before all others, so that two at a time end at about the same time."""
    items.sort(key=lambda item: (item.get_closest_marker("slow") is None, "/web/" not in item.path.as_posix()))
