"""Base of the immutable wire structures: each knows its encoding and computes it at most once."""

from __future__ import annotations

from functools import cached_property
from typing import TypeVar

from .codec import Reader

S = TypeVar("S", bound="Structure")


class Structure:
    """A wire structure. Subclasses are frozen dataclasses that implement `_encode`."""

    @cached_property
    def encoded(self) -> bytes:
        """The structure in the presentation language of RFC 9420 section 2.1."""
        return self._encode()

    def _encode(self) -> bytes:
        raise NotImplementedError


def remember(structure: S, reader: Reader, start: int) -> S:
    """Keeps the bytes just read as the structure's encoding.

    Decoding is strict (shortest lengths, no spare octets), so these are the only bytes that decode to it.
    """
    structure.__dict__["encoded"] = reader.data[start : reader.position]
    return structure
