"""Sound files: any format PyAV knows in, 16 kHz mono WAV out."""

from __future__ import annotations

import itertools
import wave
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 16_000
DURATION_S_MAX = 4 * 3600

Pcm = npt.NDArray[np.int16]

# Formats without a header of their own: the name is the only thing that tells.
_HEADERLESS = {".g722": "g722"}


class AudioFileError(Exception):
    """Base of the errors of this module. The text is fit to be shown to a person."""


class AudioFileMissing(AudioFileError):
    """There is no such file, or it may not be read."""


class AudioFileBroken(AudioFileError):
    """The file holds no sound that can be decoded."""


class AudioFileTooLong(AudioFileError):
    """The file decodes to more sound than this module holds in memory."""


class AudioFileWriteError(AudioFileError):
    """The recording could not be written."""


def read_pcm(path: Path, *, duration_s_max: float = DURATION_S_MAX) -> Pcm:
    """Return the first audio stream of `path` as 16 kHz mono int16.

    Several channels are mixed down. Blocks while it reads: call it from a thread inside an event loop.
    Raises `AudioFileMissing`, `AudioFileBroken`, `AudioFileTooLong`.
    """
    if not path.is_file():
        raise AudioFileMissing(f"no such file: {path}")
    blocks: list[Pcm] = []
    samples = 0
    try:
        with av.open(str(path), mode="r", format=_HEADERLESS.get(path.suffix.lower())) as container:
            if not container.streams.audio:
                raise AudioFileBroken(f"no sound in {path}")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
            stream = container.streams.audio[0]
            for frame in itertools.chain(container.decode(stream), [None]):
                for converted in resampler.resample(frame):
                    block = converted.to_ndarray().reshape(-1).astype(np.int16)
                    samples += block.size
                    if samples > duration_s_max * SAMPLE_RATE_HZ:
                        raise AudioFileTooLong(f"{path} is longer than {duration_s_max:g} s")
                    blocks.append(block)
    except PermissionError as error:
        raise AudioFileMissing(f"may not read {path}") from error
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AudioFileBroken(f"cannot decode {path}: {error}") from error
    if samples == 0:
        raise AudioFileBroken(f"no sound in {path}")
    return np.concatenate(blocks)


class WavWriter:
    """Writes 16-bit mono WAV piece by piece; what was written so far is a valid file after every `flush`."""

    def __init__(self, path: Path, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """Creates or replaces `path`. Raises `AudioFileWriteError`."""
        self._path = path
        self._samples = 0
        self._rate = sample_rate_hz
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise AudioFileWriteError(f"cannot write {path}: {error.strerror}") from error
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115 - closed by close()
        self._wave.setnchannels(1)
        self._wave.setsampwidth(2)
        self._wave.setframerate(sample_rate_hz)

    @property
    def seconds(self) -> float:
        """Sound written so far."""
        return self._samples / self._rate

    def write(self, pcm: Pcm) -> None:
        """Append samples. Raises `AudioFileWriteError` (disk full, closed)."""
        if pcm.ndim != 1 or pcm.dtype != np.int16:
            raise AudioFileWriteError(f"samples are one-dimensional int16, not {pcm.dtype} {pcm.shape}")
        if self._file.closed:
            raise AudioFileWriteError(f"{self._path} is closed")
        try:
            self._wave.writeframesraw(pcm.tobytes())
        except (OSError, ValueError, wave.Error) as error:
            raise AudioFileWriteError(f"cannot write {self._path}: {error}") from error
        self._samples += pcm.size

    def flush(self) -> None:
        """Put the header's lengths right and hand everything to the system. Raises `AudioFileWriteError`."""
        if self._file.closed:
            raise AudioFileWriteError(f"{self._path} is closed")
        try:
            self._wave.writeframes(b"")
            self._file.flush()
        except (OSError, ValueError, wave.Error) as error:
            raise AudioFileWriteError(f"cannot write {self._path}: {error}") from error

    def close(self) -> None:
        """Finish the file; safe to call twice. Raises `AudioFileWriteError`."""
        try:
            self._wave.close()
            self._file.close()
        except OSError as error:
            raise AudioFileWriteError(f"cannot write {self._path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
