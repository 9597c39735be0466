"""Deterministic CBOR (RFC 8949 section 4.2.1), as MIMI content demands: one value has one encoding, or is refused.

`cbor2` writes and reads the values. What it would let pass, or would turn into Python objects (tags), is refused on
the bytes before it sees them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import cbor2

from .errors import ContentError, Reason
from .limits import CBOR_DEPTH_MAX

Value = None | bool | int | bytes | str | Sequence["Value"] | Mapping[int | str | bytes, "Value"]
"""What our profile carries: no tags, no floating point, no undefined."""

KEY_INTEGER_MAX: Final = 2**53 - 1
"""Integer map keys must survive as JavaScript numbers (MIMI content, data model restrictions)."""
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_INDEFINITE: Final = 31
_FALSE_TRUE_NULL: Final = (20, 21, 22)
_SHORTEST: Final = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
"""By additional information: the least value that needs this many bytes."""


def encode_deterministic(value: object) -> bytes:
    """One `Value` in its only encoding.

    Raises:
        ContentError: `unsupported_value`, `bad_key`, `bad_utf8` or `too_deep`.
    """
    encoded: bytes = cbor2.dumps(_ordered(value, 1))
    return encoded


def decode_deterministic(data: bytes) -> Value:
    """The value whose deterministic encoding `data` is.

    Raises:
        ContentError: one of the reasons about CBOR.
    """
    end = item_end(data, 0)
    if end != len(data):
        raise ContentError(Reason.TRAILING_BYTES, f"{len(data) - end} bytes after the value")
    value: Value = cbor2.loads(data)
    return value


def item_end(data: bytes, start: int, depth: int = 1) -> int:
    """Where the item at `start` ends, after checking that it is well-formed, deterministic and in our profile.

    Raises:
        ContentError: one of the reasons about CBOR.
    """
    if depth > CBOR_DEPTH_MAX:
        raise ContentError(Reason.TOO_DEEP, f"more than {CBOR_DEPTH_MAX} levels")
    major, argument, end = _head(data, start)
    match major:
        case 0 | 1:
            return end
        case 2 | 3:
            return _string_end(data, end, argument, is_text=major == _TEXT)
        case 4:
            for _ in range(argument):
                end = item_end(data, end, depth + 1)
            return end
        case 5:
            return _map_end(data, end, argument, depth)
        case _:
            if major == _TAG or end != start + 1 or argument not in _FALSE_TRUE_NULL:
                raise ContentError(Reason.UNSUPPORTED_VALUE, "a tag, a float or a simple value")
            return end


def _head(data: bytes, start: int) -> tuple[int, int, int]:
    """Major type, argument, and where the head ends (RFC 8949 section 3)."""
    if start >= len(data):
        raise ContentError(Reason.TRUNCATED, "an item is missing")
    major, info = data[start] >> 5, data[start] & 31
    if info < 24:
        return major, info, start + 1
    if info == _INDEFINITE:
        raise ContentError(Reason.INDEFINITE_LENGTH, "indefinite length or a stray break")
    if info not in _SHORTEST:
        raise ContentError(Reason.UNSUPPORTED_VALUE, f"reserved additional information {info}")
    end = start + 1 + (1 << info - 24)
    if end > len(data):
        raise ContentError(Reason.TRUNCATED, "a head is cut short")
    argument = int.from_bytes(data[start + 1 : end], "big")
    if major != _SIMPLE and argument < _SHORTEST[info]:
        raise ContentError(Reason.NOT_SHORTEST, f"{argument} in {end - start - 1} bytes")
    return major, argument, end


def _string_end(data: bytes, start: int, length: int, *, is_text: bool) -> int:
    end = start + length
    if end > len(data):
        raise ContentError(Reason.TRUNCATED, "a string is cut short")
    if is_text:
        try:
            data[start:end].decode()
        except UnicodeDecodeError:
            raise ContentError(Reason.BAD_UTF8, "a text is not UTF-8") from None
    return end


def _map_end(data: bytes, start: int, pairs: int, depth: int) -> int:
    end, previous = start, b""
    for _ in range(pairs):
        key_start = end
        major, argument, _ = _head(data, key_start)
        if major > _TEXT:
            raise ContentError(Reason.BAD_KEY, "a key is neither an integer nor a string")
        limit = KEY_INTEGER_MAX - (major == _NEGATIVE)
        if major in (_UNSIGNED, _NEGATIVE) and argument > limit:
            raise ContentError(Reason.BAD_KEY, "an integer key exceeds 53 bits")
        end = item_end(data, key_start, depth + 1)
        key = data[key_start:end]
        if key == previous:
            raise ContentError(Reason.DUPLICATE_KEY, "one key twice")
        if key < previous:
            raise ContentError(Reason.KEYS_UNSORTED, "keys are not in the order of their bytes")
        previous = key
        end = item_end(data, end, depth + 1)
    return end


def _ordered(value: object, depth: int) -> object:
    """The same value with every map in deterministic order (dicts keep theirs, and `cbor2` sorts otherwise)."""
    if depth > CBOR_DEPTH_MAX:
        raise ContentError(Reason.TOO_DEEP, f"more than {CBOR_DEPTH_MAX} levels")
    match value:
        case None | bool() | bytes():
            return value
        case int():
            if not -(2**64) <= value < 2**64:
                raise ContentError(Reason.UNSUPPORTED_VALUE, "an integer exceeds 64 bits")
            return value
        case str():
            return _checked_text(value)
        case list() | tuple():
            return [_ordered(item, depth + 1) for item in value]
        case Mapping():
            pairs = [(_checked_key(key), _ordered(item, depth + 1)) for key, item in value.items()]
            return dict(sorted(pairs, key=lambda pair: cbor2.dumps(pair[0])))
    raise ContentError(Reason.UNSUPPORTED_VALUE, type(value).__name__)


def _checked_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ContentError(Reason.BAD_UTF8, "a text with a lone surrogate") from None
    return text


def _checked_key(key: object) -> int | str | bytes:
    match key:
        case bool():
            pass
        case int() if abs(key) <= KEY_INTEGER_MAX:
            return key
        case str():
            return _checked_text(key)
        case bytes():
            return key
    raise ContentError(Reason.BAD_KEY, repr(key))
