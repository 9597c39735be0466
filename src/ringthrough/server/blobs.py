"""Blobs: ciphertext in files named by their hash. The only times kept are the files' own, for expiry."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import IO

from ringthrough.protocol.errors import ErrorCode

from .store.port import Refused


class Upload:
    """A blob on its way in: `write` chunks, then `finish` or `discard`. All methods block; call them in a thread."""

    def __init__(self, folder: BlobFolder, sha256: bytes, size_max: int) -> None:
        self._folder = folder
        self._sha256 = sha256
        self._size_max = size_max
        self._hash = hashlib.sha256()
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(  # noqa: SIM115 (lives as long as the upload)
            dir=folder.incoming, delete=False
        )
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Raises `Refused`: `too_large`."""
        self.size += len(chunk)
        if self.size > self._size_max:
            raise Refused(ErrorCode.TOO_LARGE)
        self._hash.update(chunk)
        self._file.write(chunk)

    def finish(self) -> None:
        """On disk, synced, under its name.

        Raises:
            Refused: `hash_mismatch`.
            OSError: the disk failed; nothing is there under the name, or the whole blob is.
        """
        if self._hash.digest() != self._sha256:
            raise Refused(ErrorCode.HASH_MISMATCH)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._folder.place(Path(self._file.name), self._sha256, self.size)

    def discard(self) -> None:
        """Remove what is left of an upload that did not finish."""
        with contextlib.suppress(OSError):  # a full disk refuses the last flush too
            self._file.close()
        Path(self._file.name).unlink(missing_ok=True)


class BlobFolder:
    """The folder of all blobs: `xx/` by the first byte of the hash, and `incoming/` for uploads."""

    def __init__(self, folder: Path, size_max: int, total_max: int) -> None:
        self._folder = folder
        self._size_max = size_max
        self._total_max = total_max
        self.incoming = folder / "incoming"
        self.incoming.mkdir(parents=True, exist_ok=True)
        for left_over in self.incoming.iterdir():
            left_over.unlink()
        self.total_bytes = sum(path.stat().st_size for path in folder.glob("??/*"))

    def path(self, sha256: bytes) -> Path:
        name = sha256.hex()
        return self._folder / name[:2] / name

    def begin(self, sha256: bytes, length: int | None) -> Upload:
        """Raises `Refused`: `too_large`, or `too_many` when all blobs together would be too large."""
        if length is not None and length > self._size_max:
            raise Refused(ErrorCode.TOO_LARGE)
        if self.total_bytes + (length or 0) > self._total_max:
            raise Refused(ErrorCode.TOO_MANY)
        return Upload(self, sha256, self._size_max)

    def place(self, temporary: Path, sha256: bytes, size: int) -> None:
        """Give a synced file its name and sync the folders, so that the name survives power loss too."""
        path = self.path(sha256)
        new_folder = not path.parent.exists()
        path.parent.mkdir(exist_ok=True)
        known = path.exists()
        os.replace(temporary, path)
        if not known:
            self.total_bytes += size
        _sync_folder(path.parent)
        if new_folder:
            _sync_folder(self._folder)

    def expire(self, before_s: float) -> int:
        """Remove blobs last uploaded before that moment, and uploads abandoned before it. Returns how many went."""
        gone = 0
        for path in self._folder.glob("??/*"):
            status = path.stat()
            if status.st_mtime < before_s:
                path.unlink()
                self.total_bytes -= status.st_size
                gone += 1
        return gone


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
