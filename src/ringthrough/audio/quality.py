"""All measures of one direction of a call, as docs/spec/quality.md defines them, for lab, bench and client alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .alignment import align
from .lags import LagTrack, track_lags
from .missing import missing
from .pcm import SAMPLE_RATE_HZ, as_float
from .score import score

INTELLIGIBLE_ESTOI_MIN = 0.85
INTELLIGIBLE_LOST_MAX = 0.02
INTELLIGIBLE_DELAY_MS_MAX = 400.0
INTELLIGIBLE_DELAY_FAR_MS_MAX = 600.0
"""Where the round trip alone takes `FAR_RTT_MS`."""
FAR_RTT_MS = 200.0

Axis = Sequence[tuple[float, float]]
"""Pairs (position in the recording in s, when it sounded in s): `lab.driver.Heard.axis` says more."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What one side heard of what the other said."""

    estoi: float
    """0 to 1."""
    pesq: float
    """PESQ wideband, 1.0 to 4.64."""
    speech_lost: float
    """0 to 1, of the frames of 20 ms in which something was said."""
    longest_silence_ms: float
    """While the other side spoke."""
    mouth_to_ear_ms_p50: float | None
    """Over the windows of speech that were recognised; None when none was."""
    mouth_to_ear_ms_p95: float | None
    recognised: float
    """Share of the windows with speech that were recognised, 0 to 1."""
    seconds: float
    """Of the reference, all of which was compared."""

    def intelligible(self, rtt_ms: float = 0.0) -> bool:
        """Whether this was a conversation, on a path of that round trip."""
        delay_ms_max = INTELLIGIBLE_DELAY_FAR_MS_MAX if rtt_ms >= FAR_RTT_MS else INTELLIGIBLE_DELAY_MS_MAX
        return (
            self.estoi >= INTELLIGIBLE_ESTOI_MIN
            and self.speech_lost <= INTELLIGIBLE_LOST_MAX
            and self.mouth_to_ear_ms_p95 is not None
            and self.mouth_to_ear_ms_p95 <= delay_ms_max
        )


def judge(
    reference: npt.NDArray[np.generic], heard: npt.NDArray[np.generic], spoken_at_s: float, axis: Axis
) -> Quality:
    """Compare 16 kHz mono `heard` with `reference` (int16, or float -1..1), sample 0 of which was said at
    `spoken_at_s` on the clock of `axis`.

    Raises as `score` does, and ValueError for an empty axis.
    """
    scored = score(reference, heard)
    said, got = as_float(reference), as_float(heard)
    track = track_lags(said, got, align(said, got))
    gone = missing(said, got, track)
    delays_ms = mouth_to_ear_ms(track, spoken_at_s, axis)
    p50, p95 = (float(np.quantile(delays_ms, q)) if delays_ms.size else None for q in (0.5, 0.95))
    return Quality(
        estoi=scored.estoi,
        pesq=scored.pesq,
        speech_lost=gone.speech_lost,
        longest_silence_ms=gone.longest_silence_ms,
        mouth_to_ear_ms_p50=p50,
        mouth_to_ear_ms_p95=p95,
        recognised=float(track.sure.sum() / max(1, track.audible.sum())),
        seconds=scored.seconds_compared,
    )


def mouth_to_ear_ms(track: LagTrack, spoken_at_s: float, axis: Axis) -> npt.NDArray[np.float64]:
    """For each window that was recognised, the time from its being said to its being heard."""
    if not axis:
        raise ValueError("a recording without a time axis")
    said = track.centre[track.sure] / SAMPLE_RATE_HZ
    heard = (track.centre + track.lag)[track.sure] / SAMPLE_RATE_HZ
    positions, times = np.array([at for at, _ in axis]), np.array([when for _, when in axis])
    pair = np.clip(np.searchsorted(positions, heard, side="right") - 1, 0, positions.size - 1)
    return np.asarray((times[pair] + heard - positions[pair] - spoken_at_s - said) * 1000)
