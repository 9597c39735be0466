"""Fixed-size plaintext for variable-size packets, so that sealed frames do not show how much was said.

The scheme is ISO/IEC 7816-4: one byte 0x80, then zeros up to the bucket. It costs one byte at any bucket size and
has exactly one encoding for each packet. Both run on authenticated plaintext, so a precise error leaks nothing.
"""

from __future__ import annotations

from .errors import PaddingError

BUCKET_BYTES = 128
"""Plaintext of one sealed voice frame, unless the wire says otherwise."""

OVERHEAD_BYTES = 1
"""A bucket carries a packet of at most its size less this."""

_MARK = 0x80


def packet_bytes_max(bucket_bytes: int = BUCKET_BYTES) -> int:
    """Return the longest packet a bucket carries: the limit to give the encoder. Raises `PaddingError`."""
    if bucket_bytes <= OVERHEAD_BYTES:
        raise PaddingError(f"a bucket of {bucket_bytes} bytes carries nothing")
    return bucket_bytes - OVERHEAD_BYTES


def pad(packet: bytes, bucket_bytes: int = BUCKET_BYTES) -> bytes:
    """Return `packet` as exactly `bucket_bytes`. Raises `PaddingError` when it is empty or does not fit."""
    if not packet:
        raise PaddingError("an empty packet carries nothing")
    if len(packet) > packet_bytes_max(bucket_bytes):
        raise PaddingError(f"a packet of {len(packet)} bytes does not fit a bucket of {bucket_bytes}")
    return packet + bytes([_MARK]) + bytes(bucket_bytes - len(packet) - OVERHEAD_BYTES)


def unpad(plaintext: bytes, bucket_bytes: int = BUCKET_BYTES) -> bytes:
    """Return the packet inside `plaintext`. Raises `PaddingError` unless `pad` could have written it."""
    if len(plaintext) != bucket_bytes:
        raise PaddingError(f"plaintext of {len(plaintext)} bytes, not {bucket_bytes}")
    marked = plaintext.rstrip(b"\x00")
    if not marked or marked[-1] != _MARK:
        raise PaddingError("the padding mark is missing")
    if len(marked) == OVERHEAD_BYTES:
        raise PaddingError("the padding holds no packet")
    return marked[:-1]
