"""The way out of one connection: pre-encoded WebSocket frames written straight to the transport.

Answers always go out. Records are held back by their reader when the connection is congested (they are in the store).
Signals are dropped, oldest first: stale sound is worth nothing.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import Protocol

from .log import Event, log

SIGNALS_AHEAD_BYTES = 16 * 1024
"""Unsent bytes in the transport beyond which signals wait in the deque instead."""
SIGNALS_WAITING_BYTES = 32 * 1024
SIGNAL_AGE_S_MAX = 0.4
RECORDS_AHEAD_BYTES = 256 * 1024
DRAINED_BYTES = 64 * 1024
POLL_S = 0.01
NOTSENT_LOWAT_BYTES = 32 * 1024
_TCP_NOTSENT_LOWAT = 25

_SHORT = struct.Struct(">BBH")
_LONG = struct.Struct(">BBQ")
_BINARY = 0x82


def websocket_header(length: int) -> bytes:
    """Header of an unmasked, final, binary message (RFC 6455, section 5.2)."""
    if length < 126:
        return bytes((_BINARY, length))
    if length < 65536:
        return _SHORT.pack(_BINARY, 126, length)
    return _LONG.pack(_BINARY, 127, length)


class Stalled(Exception):
    """The peer takes nothing any more; its connection was cut."""


class Outlet:
    """Writes to one transport. Not thread-safe: event loop only.

    All messages of one turn of the loop become one write: the system call costs more than anything else here.
    """

    __slots__ = (
        "_collected",
        "_collected_bytes",
        "_flusher",
        "_loop",
        "_signals",
        "_signals_bytes",
        "_stall_s",
        "_transport",
        "dropped",
        "turn",
    )

    def __init__(self, transport: asyncio.Transport, stall_timeout_s: float) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._stall_s = stall_timeout_s
        self._collected: list[bytes] | None = None
        self._collected_bytes = 0
        self._signals: deque[tuple[float, bytes]] | None = None
        self._signals_bytes = 0
        self._flusher: asyncio.Task[None] | None = None
        self.turn = asyncio.Lock()
        """Held by the one backlog reader of the connection whose page is on its way."""
        self.dropped = 0

    @property
    def closing(self) -> bool:
        return self._transport.is_closing()

    @property
    def congested(self) -> bool:
        return self.unsent_bytes > RECORDS_AHEAD_BYTES

    def send(self, message: bytes) -> None:
        """One message, in this turn of the loop."""
        if not self._transport.is_closing():
            self._write(websocket_header(len(message)), message)

    def flush(self) -> None:
        """Write what this turn has collected."""
        collected, self._collected = self._collected, None
        self._collected_bytes = 0
        if collected is not None and not self._transport.is_closing():
            self._transport.write(b"".join(collected))

    def _write(self, *parts: bytes) -> None:
        if self._collected is None:
            self._collected = []
            self._loop.call_soon(self.flush)
        self._collected += parts
        self._collected_bytes += sum(map(len, parts))

    @property
    def unsent_bytes(self) -> int:
        """What waits here for the kernel to take it."""
        return self._transport.get_write_buffer_size() + self._collected_bytes

    def send_shared(self, head: bytes, body: bytes) -> None:
        """One message in two parts, the second shared among many connections."""
        if not self._transport.is_closing():
            self._write(websocket_header(len(head) + len(body)), head, body)

    def signal(self, head: bytes, body: bytes) -> None:
        """One message that may be dropped."""
        if self._transport.is_closing():
            return
        message = b"".join((websocket_header(len(head) + len(body)), head, body))
        if not self._signals and self.unsent_bytes <= SIGNALS_AHEAD_BYTES:
            self._write(message)
            return
        if self._signals is None:
            self._signals = deque()
            self._flusher = self._loop.create_task(self._flush_signals(self._signals))
        self._signals.append((self._loop.time(), message))
        self._signals_bytes += len(message)
        while self._signals_bytes > SIGNALS_WAITING_BYTES:
            self._drop_oldest(self._signals)

    def _drop_oldest(self, signals: deque[tuple[float, bytes]]) -> None:
        self._signals_bytes -= len(signals.popleft()[1])
        self.dropped += 1

    async def _flush_signals(self, signals: deque[tuple[float, bytes]]) -> None:
        try:
            while signals and not self.closing:
                await asyncio.sleep(POLL_S)
                oldest_s = self._loop.time() - SIGNAL_AGE_S_MAX
                while signals and signals[0][0] < oldest_s:
                    self._drop_oldest(signals)
                while signals and self.unsent_bytes <= SIGNALS_AHEAD_BYTES and not self.closing:
                    _, message = signals.popleft()
                    self._signals_bytes -= len(message)
                    self._write(message)
        finally:
            self._signals = self._flusher = None
            self._signals_bytes = 0

    async def drained(self) -> None:
        """Until the transport holds little.

        Raises:
            Stalled: it is closing, or took nothing for the stall timeout and was cut.
        """
        size = self.unsent_bytes
        since_s = self._loop.time()
        while size > DRAINED_BYTES and not self.closing:
            await asyncio.sleep(POLL_S)
            now_size = self.unsent_bytes
            if now_size != size:
                size, since_s = now_size, self._loop.time()
            elif self._loop.time() - since_s > self._stall_s:
                log(Event.CONNECTION_STALLED)
                self._transport.abort()
        if self.closing:
            raise Stalled

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    def close(self) -> None:
        """Write what is collected and stop the background work. The transport is closed by its owner."""
        self.flush()
        if self._flusher is not None:
            self._flusher.cancel()


class Tunable(Protocol):
    """A socket, as far as its options go."""

    def setsockopt(self, level: int, optname: int, value: int | bytes, /) -> None: ...


def tune_socket(sock: Tunable | None) -> None:
    """No delay for small messages; little unsent data in the kernel, so that drops happen here and not behind us; BBR
    where the kernel has it. What cannot be set is left. A listening socket hands all of it on."""
    if sock is None:
        return
    options: tuple[tuple[int, int | bytes], ...] = (
        (socket.TCP_NODELAY, 1),
        (_TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES),
        (getattr(socket, "TCP_CONGESTION", 13), b"bbr"),
    )
    for name, value in options:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, name, value)
        except OSError:
            continue
