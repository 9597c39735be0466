"""Cuts a stream of samples into whole slots."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .pcm import SLOT_SAMPLES, Pcm, as_pcm, silence


class FrameCutter:
    """Takes chunks of any length, gives frames of exactly `frame_samples`; holds less than one frame between."""

    def __init__(self, frame_samples: int = SLOT_SAMPLES) -> None:
        if frame_samples < 1:
            raise ValueError("a frame holds at least one sample")
        self.frame_samples = frame_samples
        self._rest: Pcm = silence(0)

    @property
    def pending_samples(self) -> int:
        """Samples waiting for their frame to fill."""
        return int(self._rest.size)

    def push(self, chunk: npt.NDArray[np.generic]) -> Iterator[Pcm]:
        """Return the frames that `chunk` (mono int16, or float -1..1) completes. Raises `PcmShapeError`.

        The chunk is taken at once, whether or not the caller uses the iterator up.
        """
        samples = np.concatenate([self._rest, as_pcm(chunk)])
        whole = samples.size - samples.size % self.frame_samples
        self._rest = samples[whole:].copy()
        return iter(samples[:whole].reshape(-1, self.frame_samples))

    def flush(self) -> Pcm | None:
        """Return the unfinished frame, filled up with silence, or None; the end of a file."""
        if not self._rest.size:
            return None
        last = np.concatenate([self._rest, silence(self.frame_samples - self._rest.size)])
        self._rest = silence(0)
        return last
