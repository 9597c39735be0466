"""The presentation language of RFC 9420 section 2.1: integers, `opaque<V>` and `T<V>` with minimal varints.

Encoding is done with functions that return bytes; decoding with a `Reader` over one buffer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from .errors import DecodeError, LimitExceeded

T = TypeVar("T")

_VARINT_MAX: Final = (1 << 30) - 1
_U16: Final = struct.Struct(">H")
_U32: Final = struct.Struct(">I")
_U64: Final = struct.Struct(">Q")


def u8(value: int) -> bytes:
    """`uint8`."""
    return value.to_bytes(1, "big")


def u16(value: int) -> bytes:
    """`uint16`."""
    return _U16.pack(value)


def u32(value: int) -> bytes:
    """`uint32`."""
    return _U32.pack(value)


def u64(value: int) -> bytes:
    """`uint64`."""
    return _U64.pack(value)


def varint(value: int) -> bytes:
    """A variable-size length in its shortest form (section 2.1.2)."""
    if value < 0x40:
        return value.to_bytes(1, "big")
    if value < 0x4000:
        return (0x4000 | value).to_bytes(2, "big")
    if value <= _VARINT_MAX:
        return (0x8000_0000 | value).to_bytes(4, "big")
    raise LimitExceeded(f"a length of {value} bytes has no encoding")


def varint_size(value: int) -> int:
    """Bytes `varint(value)` takes."""
    return 1 if value < 0x40 else 2 if value < 0x4000 else 4


def opaque(value: bytes) -> bytes:
    """`opaque value<V>`."""
    return varint(len(value)) + value


def vector(items: Iterable[bytes]) -> bytes:
    """`T items<V>` of items encoded already."""
    return opaque(b"".join(items))


def optional(value: bytes | None) -> bytes:
    """`optional<T>` of a value encoded already."""
    return b"\x00" if value is None else b"\x01" + value


def u16_vector(values: Iterable[int]) -> bytes:
    """`uint16 values<V>`."""
    return vector(_U16.pack(value) for value in values)


def u32_vector(values: Iterable[int]) -> bytes:
    """`uint32 values<V>`."""
    return vector(_U32.pack(value) for value in values)


class Reader:
    """A cursor over `data[position:end]`; whatever does not fit raises `DecodeError`."""

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return self.end - self.position

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        start = self.position
        stop = start + size
        if stop > self.end:
            raise DecodeError(f"{size} bytes wanted, {self.end - start} left")
        self.position = stop
        return self.data[start:stop]

    def u8(self) -> int:
        """`uint8`."""
        return self.take(1)[0]

    def u16(self) -> int:
        """`uint16`."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """`uint32`."""
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        """`uint64`."""
        return int.from_bytes(self.take(8), "big")

    def varint(self) -> int:
        """A length; the longer forms of a short one are refused (section 2.1.2)."""
        start = self.position
        if start >= self.end:
            raise DecodeError("a length wanted, nothing left")
        first = self.data[start]
        if first < 0x40:
            self.position = start + 1
            return first
        if first < 0x80:
            value = int.from_bytes(self.take(2), "big") & 0x3FFF
            if value < 0x40:
                raise DecodeError("a length is not in its shortest form")
            return value
        if first < 0xC0:
            value = int.from_bytes(self.take(4), "big") & _VARINT_MAX
            if value < 0x4000:
                raise DecodeError("a length is not in its shortest form")
            return value
        raise DecodeError("a length begins with the reserved bits 11")

    def opaque(self, size_max: int | None = None) -> bytes:
        """`opaque<V>` of at most `size_max` bytes."""
        size = self.varint()
        if size_max is not None and size > size_max:
            raise LimitExceeded(f"{size} bytes where at most {size_max} are allowed")
        return self.take(size)

    def nested(self) -> Reader:
        """A reader bounded to the next `<V>` block, which this reader steps over."""
        size = self.varint()
        start = self.position
        if start + size > self.end:
            raise DecodeError(f"{size} bytes wanted, {self.end - start} left")
        self.position = start + size
        return Reader(self.data, start, start + size)

    def vector(self, read_item: Callable[[Reader], T], count_max: int) -> list[T]:
        """`T<V>` of at most `count_max` items."""
        block = self.nested()
        items: list[T] = []
        while block.position < block.end:
            if len(items) == count_max:
                raise LimitExceeded(f"more than {count_max} items in a vector")
            items.append(read_item(block))
        return items

    def u16_vector(self, count_max: int) -> tuple[int, ...]:
        """`uint16<V>`."""
        return self._integers(2, "H", count_max)

    def u32_vector(self, count_max: int) -> tuple[int, ...]:
        """`uint32<V>`."""
        return self._integers(4, "I", count_max)

    def _integers(self, width: int, code: str, count_max: int) -> tuple[int, ...]:
        data = self.opaque()
        count, rest = divmod(len(data), width)
        if rest:
            raise DecodeError(f"a vector of {width}-byte integers is {len(data)} bytes long")
        if count > count_max:
            raise LimitExceeded(f"more than {count_max} items in a vector")
        return struct.unpack(f">{count}{code}", data)

    def optional(self, read_value: Callable[[Reader], T]) -> T | None:
        """`optional<T>`."""
        presence = self.u8()
        if presence > 1:
            raise DecodeError("the presence octet of an optional value is neither 0 nor 1")
        return read_value(self) if presence else None

    def finish(self) -> None:
        """Refuses trailing bytes."""
        if self.position != self.end:
            raise DecodeError(f"{self.end - self.position} bytes left over")


def decode(data: bytes, read: Callable[[Reader], T]) -> T:
    """The one structure that `data` is, without anything behind it."""
    reader = Reader(data)
    value = read(reader)
    reader.finish()
    return value
