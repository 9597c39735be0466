"""PLCMOS v2: an opinion score for concealed losses, from what is heard alone.

Valid where playing stretches time, as no comparison with a reference is. Needs the extra `ringthrough[plcmos]`.
"""

from __future__ import annotations

import importlib

import numpy as np
import numpy.typing as npt

from .errors import ScoreUnavailable
from .pcm import SAMPLE_RATE_HZ, as_float

PIECE_S = 10
"""The model was trained on clips of this length."""


def plcmos(heard: npt.NDArray[np.generic]) -> float:
    """The mean score (1 to 5) of the pieces of 16 kHz mono `heard`. Raises `ScoreUnavailable` without the extra."""
    try:
        module = importlib.import_module("speechmos.plcmos")
    except ImportError as error:
        raise ScoreUnavailable(f"PLCMOS needs `{error.name}`: install ringthrough[plcmos]") from error
    samples = as_float(heard).astype(np.float32)
    pieces = np.array_split(samples, max(1, round(samples.size / (PIECE_S * SAMPLE_RATE_HZ))))
    return float(np.mean([module.run(piece, sr=SAMPLE_RATE_HZ)["plcmos"] for piece in pieces]))
