"""Recorded human speech for the tests that need it: Debian's asterisk-core-sounds-en-g722 (CC BY-SA 3.0)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm
from ringthrough.client.audiofile import read_pcm

SPEECH_FOLDER = Path(
    os.environ.get("RINGTHROUGH_SPEECH", "/usr/share/asterisk/sounds/en_US_f_Allison"),
)
CLIPS = ("conf-adminmenu-162", "demo-echotest", "conf-getconfno", "conf-placeintoconf", "conf-usermenu")


@pytest.fixture(scope="session")
def speech() -> Pcm:
    """About 30 s of speech with pauses of 0.4 s between sentences of several files, 16 kHz mono."""
    paths = [SPEECH_FOLDER / f"{name}.g722" for name in CLIPS]
    if not all(path.is_file() for path in paths):
        message = f"no recorded speech in {SPEECH_FOLDER}: install asterisk-core-sounds-en-g722"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    pause = np.zeros(SAMPLE_RATE_HZ * 2 // 5, dtype=np.int16)
    parts = [part for path in paths for part in (read_pcm(path), pause)]
    return np.concatenate(parts)[: 30 * SAMPLE_RATE_HZ]
