"""How well a listener heard what was said: PESQ wideband (ITU-T P.862.2) and ESTOI, against the reference.

Two values are computed for each metric and the lower one is the score: over the whole reference, and as the mean of
its 2 to 3 s segments. The whole reference counts, from its first sample to its last: what the recording lacks is
silence. Needs the optional packages of the extra `ringthrough[score]`; nothing else in this package does.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .alignment import Segment, align, counterpart
from .errors import ScoreError, ScoreUnavailable
from .pcm import SAMPLE_RATE_HZ, FloatPcm, as_float

PESQ_FLOOR = 1.0
"""Given where PESQ finds nothing to judge in the recording although the reference speaks."""

SECONDS_MIN = 1.0
SECONDS_MAX = 600.0
_PESQ_BLOCK_S = 30.0


@dataclass(frozen=True, slots=True)
class Score:
    """`pesq` (1.0 to 4.64) and `estoi` (0 to 1) are the lower of the whole-file value and the mean of segments."""

    estoi: float
    pesq: float
    lag_ms: float
    """Where the recording starts to match: of the first segment."""
    lag_spread_ms: float
    """Largest less smallest lag of the segments: above 0 the playout delay changed on the way."""
    seconds_compared: float
    estoi_whole: float
    estoi_segments: float
    pesq_whole: float
    pesq_segments: float
    pesq_worst_segment: float


def score(reference: npt.NDArray[np.generic], heard: npt.NDArray[np.generic]) -> Score:
    """Compare 16 kHz mono `heard` with `reference` (int16, or float -1..1).

    Raises `ScoreUnavailable` without the extra, `ScoreError` when the reference is too short, too long or silent,
    `PcmShapeError` for samples of another shape.
    """
    pesq = _pesq()
    estoi = _estoi()
    said, got = as_float(reference), as_float(heard)
    seconds = said.size / SAMPLE_RATE_HZ
    if not SECONDS_MIN <= seconds <= SECONDS_MAX:
        raise ScoreError(f"a reference of {seconds:.1f} s: {SECONDS_MIN:g} to {SECONDS_MAX:g} s can be compared")
    if got.size == 0:
        got = np.zeros(1, dtype=np.float64)
    segments = align(said, got)
    spoken = [segment for segment in segments if not segment.silent]
    if not spoken:
        raise ScoreError("nothing is said in the reference")
    aligned = counterpart(said, got, segments)
    pesq_values = [pesq(said[s.start : s.stop], aligned[s.start : s.stop]) for s in spoken]
    lengths = [segment.stop - segment.start for segment in spoken]
    pesq_segments = _mean(pesq_values, lengths)
    pesq_whole = _in_blocks(pesq, said, aligned, segments)
    estoi_whole = estoi(said, aligned)
    if estoi_whole is None:
        raise ScoreError("too little is said in the reference")
    estoi_by_segment = [(estoi(said[s.start : s.stop], aligned[s.start : s.stop]), s.stop - s.start) for s in spoken]
    judged = [(value, length) for value, length in estoi_by_segment if value is not None]
    estoi_segments = _mean(*map(list, zip(*judged, strict=True))) if judged else estoi_whole
    lags_ms = [segment.lag * 1000 / SAMPLE_RATE_HZ for segment in spoken]
    return Score(
        estoi=min(estoi_whole, estoi_segments),
        pesq=min(pesq_whole, pesq_segments),
        lag_ms=lags_ms[0],
        lag_spread_ms=max(lags_ms) - min(lags_ms),
        seconds_compared=seconds,
        estoi_whole=estoi_whole,
        estoi_segments=estoi_segments,
        pesq_whole=pesq_whole,
        pesq_segments=pesq_segments,
        pesq_worst_segment=min(pesq_values),
    )


Metric = Callable[[FloatPcm, FloatPcm], float]


def _mean(values: list[float], lengths: list[int]) -> float:
    return float(np.average(values, weights=lengths))


def _in_blocks(metric: Metric, said: FloatPcm, got: FloatPcm, segments: list[Segment]) -> float:
    """PESQ's reference code holds 50 utterances: longer speech goes in blocks, cut where the segments are."""
    blocks: list[list[Segment]] = [[]]
    for segment in segments:
        if blocks[-1] and segment.stop - blocks[-1][0].start > _PESQ_BLOCK_S * SAMPLE_RATE_HZ:
            blocks.append([])
        blocks[-1].append(segment)
    spoken = [block for block in blocks if not all(segment.silent for segment in block)]
    bounds = [(block[0].start, block[-1].stop) for block in spoken]
    values = [metric(said[start:stop], got[start:stop]) for start, stop in bounds]
    return _mean(values, [stop - start for start, stop in bounds])


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ScoreUnavailable(f"the score needs `{name}`: install ringthrough[score]") from error


def _pesq() -> Metric:
    module = _load("pesq")

    def measure(said: FloatPcm, got: FloatPcm) -> float:
        if not np.any(got):
            return PESQ_FLOOR
        try:
            value = float(module.pesq(SAMPLE_RATE_HZ, said, got, "wb"))
        except module.PesqError:
            # The reference speaks (silent pieces never come here), so it is the recording that has no speech.
            return PESQ_FLOOR
        return value if math.isfinite(value) else PESQ_FLOOR

    return measure


def _estoi() -> Callable[[FloatPcm, FloatPcm], float | None]:
    """ESTOI; None where the reference speaks for less than its window of 384 ms."""
    module = _load("pystoi")

    def measure(said: FloatPcm, got: FloatPcm) -> float | None:
        # Silent recordings warn of a division by zero.
        with warnings.catch_warnings(record=True) as warned, np.errstate(all="ignore"):
            warnings.simplefilter("always")
            value = float(module.stoi(said, got, SAMPLE_RATE_HZ, extended=True))
        if any("Not enough STFT frames" in str(warning.message) for warning in warned):
            return None
        return value if math.isfinite(value) else 0.0

    return measure
