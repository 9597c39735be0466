"""The main job is played once for all tests that look at what it left behind."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import namespaces, speech
from lab.demo import play

CALL_S = 12.0


@dataclass(frozen=True)
class Played:
    """What the demo printed as its last line, and the folder with everybody's state."""

    report: dict[str, Any]
    out: Path


@pytest.fixture(scope="session")
def lab_ready() -> None:
    """Namespaces and speech are there; CI must not pass without them."""
    try:
        namespaces.check()
        speech.speech(speech.ALICE_SAYS, 1.0)
    except (namespaces.LabUnavailable, speech.SpeechMissing) as e:
        if os.environ.get("CI"):
            pytest.fail(str(e))
        pytest.skip(str(e))


@pytest.fixture(scope="session")
def played(lab_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The demo with a shorter call."""
    out = tmp_path_factory.mktemp("demo")
    return Played(play(out, call_s=CALL_S), out)
