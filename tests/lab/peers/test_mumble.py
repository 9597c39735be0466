"""A call over Mumble's server in the lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.peers.mumble import Mumble
from tests.lab.peers.calls import call, check_clean

pytestmark = [pytest.mark.slow, pytest.mark.alone]


async def test_the_tunnel_carries_a_call(tmp_path: Path) -> None:
    result, said = await call(Mumble(), tmp_path)
    check_clean(result, said, 300)
