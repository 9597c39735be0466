"""The server of the WebRTC peers: keeps what each side tells the other until it has it. One call, two sides.

Run as a process inside the server's namespace; prints one line when it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ssl
from pathlib import Path

from aiohttp import WSMsgType, web

OTHER = {"caller": "callee", "callee": "caller"}
BEATS_S = 30.0


class Exchange:
    """Numbered messages for each side, from 1, and the sockets that wait for them."""

    def __init__(self) -> None:
        self._for: dict[str, list[str]] = {side: [] for side in OTHER}
        self._sockets: dict[str, web.WebSocketResponse] = {}

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """One connection of a side; it says how many messages it has."""
        side, got = request.query["side"], int(request.query["got"])
        socket = web.WebSocketResponse(receive_timeout=BEATS_S)
        await socket.prepare(request)
        self._sockets[side] = socket
        for text in self._for[side][got:]:
            await socket.send_str(text)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._receive(side, socket, message.data, message.json())
        return socket

    async def _receive(self, side: str, socket: web.WebSocketResponse, text: str, fields: dict[str, object]) -> None:
        box = self._for[OTHER[side]]
        new = fields.get("number") == len(box) + 1
        if new:
            box.append(text)
        await socket.send_json({"stored": len(box)})
        other = self._sockets.get(OTHER[side])
        if new and other is not None:
            # A connection that is gone: the side comes back and says how many it has.
            with contextlib.suppress(ConnectionError):
                await other.send_str(text)


async def serve(host: str, port: int, certificate: Path, key: Path) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    app.router.add_get("/signal", Exchange().connect)
    runner = web.AppRunner(app)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    await web.TCPSite(runner, host, port, ssl_context=tls).start()
    print("listening", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    args = parser.parse_args()
    asyncio.run(serve(args.host, args.port, args.certificate, args.key))


if __name__ == "__main__":
    main()
