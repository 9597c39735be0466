"""For tests that need Node or a browser: they may be missing on a contributor's machine, never in CI."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from .browser_driver import BrowserDriver
from .driver import DriverMissing
from .node_driver import NodeDriver

AnyDriver = TypeVar("AnyDriver", NodeDriver, BrowserDriver)


def driver_or_skip(make: Callable[[], AnyDriver]) -> Iterator[AnyDriver]:
    """Body of a fixture: a running driver. Without what it needs the test is skipped, and fails where `CI` is set."""
    try:
        driver = make()
    except DriverMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    with driver:
        yield driver
