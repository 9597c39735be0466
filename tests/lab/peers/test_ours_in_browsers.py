"""Our own call between two browsers in the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.peers.ours_in_browsers import OursInBrowsers
from tests.lab.peers.calls import call, check_clean

pytestmark = [pytest.mark.slow, pytest.mark.alone]


ATTEMPTS = 3
"""On a busy machine answers are late, and that is what loss looks like."""


async def test_the_built_page_calls_and_is_heard(tmp_path: Path) -> None:
    for attempt in range(ATTEMPTS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        result, said = await call(OursInBrowsers(), folder)
        check_clean(result, said, 500)
        seen: Any = result.notes["caller"]
        told: Any = result.notes["verdicts"]
        if told["last"] == "clear":
            break
    assert told["last"] == "clear", told
    assert "Directly between the two devices." in seen["says"]
