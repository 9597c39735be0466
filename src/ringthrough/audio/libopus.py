"""Finds libopus and declares the C functions that `opus.py` calls.

PyAV ships a recent libopus inside its wheel, so a machine with our dependencies installed has one already;
the system's own library is the second choice. Only this file knows about ctypes signatures.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from .errors import OpusError, OpusUnavailable

OPUS_OK = 0
OPUS_BAD_ARG = -1
OPUS_INVALID_PACKET = -4

_SYSTEM_NAMES = ("libopus.so.0", "libopus.0.dylib", "opus.dll")

_INT16_P = ctypes.POINTER(ctypes.c_int16)
_INT_P = ctypes.POINTER(ctypes.c_int)
_BYTES_P = ctypes.c_char_p
_STATE = ctypes.c_void_p

_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "opus_get_version_string": (ctypes.c_char_p, []),
    "opus_strerror": (ctypes.c_char_p, [ctypes.c_int]),
    "opus_encoder_create": (_STATE, [ctypes.c_int32, ctypes.c_int, ctypes.c_int, _INT_P]),
    "opus_encoder_destroy": (None, [_STATE]),
    "opus_encode": (ctypes.c_int32, [_STATE, _INT16_P, ctypes.c_int, ctypes.c_void_p, ctypes.c_int32]),
    "opus_decoder_create": (_STATE, [ctypes.c_int32, ctypes.c_int, _INT_P]),
    "opus_decoder_destroy": (None, [_STATE]),
    "opus_decode": (
        ctypes.c_int,
        [_STATE, _BYTES_P, ctypes.c_int32, _INT16_P, ctypes.c_int, ctypes.c_int],
    ),
    "opus_packet_get_nb_samples": (ctypes.c_int, [_BYTES_P, ctypes.c_int32, ctypes.c_int32]),
    # The ctl functions are variadic: naming the fixed arguments lets ctypes use the right calling convention.
    "opus_encoder_ctl": (ctypes.c_int, [_STATE, ctypes.c_int]),
    "opus_decoder_ctl": (ctypes.c_int, [_STATE, ctypes.c_int]),
}


def candidate_paths() -> Iterator[str]:
    """Yield the libraries to try, best first: PyAV's bundled copy, then the system's."""
    spec = importlib.util.find_spec("av")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        for pattern in ("../av.libs/libopus-*", "../av.libs/opus-*", ".dylibs/libopus*"):
            for found in sorted(package.glob(pattern)):
                yield str(found)
    yield from _SYSTEM_NAMES
    located = ctypes.util.find_library("opus")
    if located is not None:
        yield located


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


@functools.cache
def load() -> ctypes.CDLL:
    """Return the loaded library. Raises `OpusUnavailable` naming what to install."""
    for path in candidate_paths():
        try:
            return _declare(ctypes.CDLL(path))
        except (OSError, AttributeError):
            continue
    raise OpusUnavailable("no libopus found: install the `av` package or the system's libopus (libopus0)")


def version() -> str:
    """Return the version text of the loaded library, such as `libopus 1.6.1`."""
    text: bytes = load().opus_get_version_string()
    return text.decode("ascii", "replace")


def check(operation: str, code: int) -> int:
    """Return `code` when it is not negative, else raise `OpusError`."""
    if code >= OPUS_OK:
        return code
    text: bytes = load().opus_strerror(code)
    raise OpusError(operation, code, text.decode("ascii", "replace"))
