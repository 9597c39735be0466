"""A server between the page and the real one that shows everything through, but for what a test makes of a frame.

Only browsers are lied to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import aiohttp
from aiohttp import web

Twist = Callable[[bytes], list[bytes | str]]
"""One message from the real server, to what the page gets in its place."""


class HostileProxy:
    """`twist` and `twist_http` may be set at any time."""

    def __init__(self) -> None:
        self.twist: Twist = lambda message: [message]
        self.twist_http: Callable[[str, bytes], bytes] = lambda path, body: body
        self.target = ""
        self.url = ""
        self.seen: list[bytes] = []
        self.links: list[asyncio.Transport] = []
        """The browsers' sockets, the one opened first in front."""
        self.is_closed = False
        """No browser gets a new one."""
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self, target: str) -> None:
        self.target = target
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=1 << 27)
        app.router.add_get("/v1/connect", self._socket)
        app.router.add_route("*", "/{path:.*}", self._request)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://localhost:{port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _request(self, request: web.Request) -> web.Response:
        assert self._session is not None
        headers = {k: v for k, v in request.headers.items() if k.lower() in ("content-type", "authorization", "host")}
        headers["Accept-Encoding"] = "identity"
        body = await request.read()
        async with self._session.request(
            request.method, self.target + request.path_qs, data=body or None, headers=headers
        ) as answer:
            kept = {
                k: v for k, v in answer.headers.items() if k.lower() in ("content-type", "content-security-policy")
            }
            data = await answer.read()
            if "Sec-Fetch-Mode" in request.headers:
                data = self.twist_http(request.path, data)
            return web.Response(status=answer.status, body=data, headers=kept)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        is_browser = "Origin" in request.headers
        if is_browser and self.is_closed:
            raise web.HTTPServiceUnavailable
        near = web.WebSocketResponse(max_msg_size=0, compress=False)
        await near.prepare(request)
        link = request.transport
        assert isinstance(link, asyncio.Transport)
        if not is_browser:
            return await self._relay(near, is_browser=False)
        self.links.append(link)
        try:
            return await self._relay(near, is_browser=True)
        finally:
            self.links.remove(link)

    async def _relay(self, near: web.WebSocketResponse, *, is_browser: bool) -> web.WebSocketResponse:
        assert self._session is not None
        async with self._session.ws_connect(self.target + "/v1/connect", max_msg_size=0, compress=0) as far:

            async def up() -> None:
                async for message in near:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        await far.send_bytes(message.data)
                await far.close()

            upward = asyncio.create_task(up())
            async for message in far:
                if message.type is aiohttp.WSMsgType.BINARY:
                    with contextlib.suppress(ConnectionError):
                        await self._down(near, message.data, is_browser)
            upward.cancel()
        await near.close()
        return near

    async def _down(self, near: web.WebSocketResponse, message: bytes, is_browser: bool) -> None:
        if is_browser:
            self.seen.append(message)
        for out in self.twist(message) if is_browser else [message]:
            await (near.send_bytes(out) if isinstance(out, bytes) else near.send_str(out))
