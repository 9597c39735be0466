"""The reference server: aiohttp on uvloop and nothing else, frames written straight to the transport.

Three paths: `/echo` answers the sender; `/group/NAME` writes to every connection of that group, the sender among
them; `/relay/NAME` writes to the others. No storage, no rights, no limits, no parsing of what is inside.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import struct
import sys

import uvloop
from aiohttp import WSMsgType, web

MESSAGE_BYTES_MAX = 1 << 20
_SHORT = struct.Struct(">BBH")
_GROUPS: dict[str, dict[asyncio.Transport, None]] = {}


def websocket_header(length: int) -> bytes:
    """Header of an unmasked, final, binary message (RFC 6455 section 5.2)."""
    if length < 126:
        return bytes((0x82, length))
    if length < 65536:
        return _SHORT.pack(0x82, 126, length)
    return struct.pack(">BBQ", 0x82, 127, length)


async def _prepared(request: web.Request) -> tuple[web.WebSocketResponse, asyncio.Transport]:
    socket = web.WebSocketResponse(compress=False, max_msg_size=MESSAGE_BYTES_MAX)
    await socket.prepare(request)
    assert request.transport is not None
    return socket, request.transport


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Every message goes back to where it came from."""
    socket, transport = await _prepared(request)
    async for message in socket:
        if message.type is WSMsgType.BINARY and not transport.is_closing():
            transport.write(websocket_header(len(message.data)) + message.data)
    return socket


async def fan_out(request: web.Request) -> web.WebSocketResponse:
    """Every message goes to the group, encoded once; `/relay/` leaves out the sender."""
    socket, transport = await _prepared(request)
    to_sender = request.path.startswith("/group/")
    group = _GROUPS.setdefault(request.path, {})
    group[transport] = None
    try:
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                continue
            frame = websocket_header(len(message.data)) + message.data
            for member in group:
                if (to_sender or member is not transport) and not member.is_closing():
                    member.write(frame)
    finally:
        del group[transport]
        if not group:
            _GROUPS.pop(request.path, None)
    return socket


async def serve() -> None:
    """Listen on a free port of loopback until SIGTERM."""
    app = web.Application()
    app.router.add_get("/echo", echo)
    app.router.add_get("/group/{name}", fan_out)
    app.router.add_get("/relay/{name}", fan_out)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    gc.collect()
    gc.freeze()
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await stop.wait()
    await runner.cleanup()


def main() -> int:
    """`python -m bench.bare_server`."""
    with asyncio.Runner(loop_factory=uvloop.Loop) as runner:
        runner.run(serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
