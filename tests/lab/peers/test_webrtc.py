"""Chromium's own call in the lab: direct, through a relay, and where it has no way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.peers.webrtc import WebRtc
from lab.rules import udp_dropped
from tests.lab.peers.calls import call, check_clean

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MOUTH_TO_EAR_MS_MAX = 300
"""Generous: other tests share the machine."""


async def test_direct(tmp_path: Path) -> None:
    result, said = await call(WebRtc(), tmp_path)
    check_clean(result, said, MOUTH_TO_EAR_MS_MAX)
    seen: Any = result.notes["callee"]
    assert (seen["candidate"], seen["protocol"]) == ("host", "udp")
    assert seen["codec"].startswith("audio/opus")


async def test_through_a_relay(tmp_path: Path) -> None:
    result, said = await call(WebRtc("tls"), tmp_path)
    check_clean(result, said, MOUTH_TO_EAR_MS_MAX)
    seen: Any = result.notes["callee"]
    assert (seen["candidate"], seen["protocol"]) == ("relay", "tls")


async def test_no_call_where_no_udp_passes(tmp_path: Path) -> None:
    result, _ = await call(WebRtc(), tmp_path, udp_dropped.restriction("alice"))
    assert result.failure is not None
    assert "no connection for sound" in result.failure
