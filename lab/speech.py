"""Recorded human speech: Debian's asterisk-core-sounds-en-g722 (CC BY-SA 3.0), 16 kHz wideband."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm
from ringthrough.client.audiofile import WavWriter, read_pcm

FOLDER = Path(os.environ.get("RINGTHROUGH_SPEECH", "/usr/share/asterisk/sounds/en_US_f_Allison"))
ALICE_SAYS = ("conf-adminmenu-162", "demo-echotest", "conf-getconfno", "conf-placeintoconf", "conf-usermenu")
BOB_SAYS = ("demo-congrats",)
PAUSE_S = 0.4


class SpeechMissing(Exception):
    """Install the package asterisk-core-sounds-en-g722."""


def speech(names: tuple[str, ...], seconds_max: float) -> Pcm:
    """The recordings one after another with pauses, as 16 kHz mono."""
    pause = np.zeros(int(SAMPLE_RATE_HZ * PAUSE_S), dtype=np.int16)
    parts: list[Pcm] = []
    for name in names:
        path = FOLDER / f"{name}.g722"
        if not path.is_file():
            raise SpeechMissing(f"{path} is missing: apt-get install asterisk-core-sounds-en-g722")
        parts += [read_pcm(path), pause]
    return np.concatenate(parts)[: int(seconds_max * SAMPLE_RATE_HZ)]


def write_wav(path: Path, pcm: Pcm) -> Path:
    """Save samples."""
    with WavWriter(path) as wav:
        wav.write(pcm)
    return path
