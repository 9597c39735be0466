"""A tiny WebSocket client side that costs next to nothing: whole frames made beforehand, lengths read, no copies.

The mask key is zero: allowed for who needs no masking against proxies, and the server unmasks all the same. So a
frame can be made once and the planned time be written into its body before each send.
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from collections.abc import Callable
from typing import cast

_SHORT = struct.Struct(">BBH4x")
_LONG = struct.Struct(">BBQ4x")
_BINARY, _CLOSE, _PING = 0x82, 0x88, 0x89
HEADER_BYTES = _SHORT.size
"""Header of a masked message of 126 to 65535 bytes."""

OnMessage = Callable[[bytes, int, int], None]
"""Called with a buffer and the bounds of one message within it."""


class BrokenStream(Exception):
    """The server closed, refused the upgrade, or sent what is not a frame."""


def masked_frame(message: bytes) -> bytes:
    """A whole client frame (RFC 6455 section 5.2), mask key zero."""
    length = len(message)
    if length < 126:
        return bytes((_BINARY, 0x80 | length, 0, 0, 0, 0)) + message
    if length < 65536:
        return _SHORT.pack(_BINARY, 0x80 | 126, length) + message
    return _LONG.pack(_BINARY, 0x80 | 127, length) + message


def frame_at(data: bytes, at: int) -> tuple[int, int] | None:
    """Bounds of the message of the unmasked frame that starts at `at`; None when it is not whole yet."""
    size = len(data)
    if size - at < 2:
        return None
    length = data[at + 1]
    start = at + 2
    if length == 126:
        if size - at < 4:
            return None
        length = (data[at + 2] << 8) | data[at + 3]
        start = at + 4
    elif length == 127:
        if size - at < 10:
            return None
        length = int.from_bytes(data[at + 2 : at + 10])
        start = at + 10
    end = start + length
    return (start, end) if end <= size else None


class WebSocketPeer(asyncio.Protocol):
    """One connection. `on_message` may be exchanged while it runs."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._rest = b""
        self.upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_message: OnMessage = _ignore
        self.closing = False
        self.broken: BrokenStream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's do not say so
        host, port = transport.get_extra_info("peername")[:2]
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if not self.upgraded.done():
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._break(f"no upgrade: {head[:200]!r}")
                return
            self.upgraded.set_result(None)
        at, on_message = 0, self.on_message
        while (bounds := frame_at(data, at)) is not None:
            start, end_at = bounds
            if data[at] == _BINARY:
                on_message(data, start, end_at)
            else:
                self._control(data[at], data[start:end_at])
            at = end_at
        self._rest = data[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closing:
            self._break(f"connection lost: {exc}")

    def _control(self, opcode: int, body: bytes) -> None:
        if opcode == _PING:
            self.transport.write(bytes((0x8A, 0x80 | len(body), 0, 0, 0, 0)) + body)
        elif opcode == _CLOSE and not self.closing:
            self._break(f"the server closed: {body[:100]!r}")

    def _break(self, why: str) -> None:
        self.broken = BrokenStream(why)
        if not self.upgraded.done():
            self.upgraded.set_exception(self.broken)
        self.transport.abort()

    def close(self) -> None:
        """End it without the closing handshake; the measurement is over."""
        self.closing = True
        self.transport.abort()


async def connect(host: str, port: int, path: str) -> WebSocketPeer:
    """A connection after its upgrade. Raises OSError, BrokenStream."""
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_connection(lambda: WebSocketPeer(path), host, port)
    await peer.upgraded
    return peer


def _ignore(data: bytes, start: int, end: int) -> None:
    pass
