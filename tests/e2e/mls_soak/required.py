"""For tests that need Node: it may be missing on a contributor's machine, never in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from .node_driver import DriverMissing, NodeDriver


def driver_or_skip() -> Iterator[NodeDriver]:
    """Body of a fixture: a running driver. Without Node the test is skipped, and fails where `CI` is set."""
    try:
        driver = NodeDriver()
    except DriverMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    with driver:
        yield driver
