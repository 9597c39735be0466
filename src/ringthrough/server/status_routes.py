"""GET /health, GET /v1/server, GET /v1/check and the WebSocket at GET /v1/connect."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from ringthrough import __version__
from ringthrough.protocol import limits as wire
from ringthrough.protocol.errors import ErrorCode

from .connection import Connection
from .http import CONTEXT, Auth, Context, Denied, Route, caller, json_answer, limit
from .outlet import Outlet, tune_socket

HEALTH_FRESH_S = 1.0
CHECK_BYTES_MAX = 65_536


class Health(msgspec.Struct, frozen=True):
    """GET /health."""

    status: str
    version: str


class ServerFacts(msgspec.Struct, frozen=True):
    """GET /v1/server: what a client must know before it connects."""

    version: str
    protocol_min: int
    protocol_max: int
    message_bytes_max: int
    append_bytes_max: int
    append_records_max: int
    signal_bytes_max: int
    padded_sizes_bytes: tuple[int, ...]
    streams_per_connection_max: int
    requests_in_flight_max: int
    record_lifetime_s: int
    blob_lifetime_s: int
    blob_bytes_max: int


async def health(request: web.Request) -> web.Response:
    """200 when the store just committed; 503 when it cannot. At most one commit a second comes of it."""
    context = request.app[CONTEXT]
    now_s = context.monotonic()
    if now_s - context.healthy_at_s > HEALTH_FRESH_S:
        await context.store.ping()
        context.healthy_at_s = now_s
    return json_answer(Health("ok", __version__))


async def server_facts(request: web.Request) -> web.Response:
    config = request.app[CONTEXT].config
    return json_answer(
        ServerFacts(
            version=__version__,
            protocol_min=wire.VERSION_MIN,
            protocol_max=wire.VERSION_MAX,
            message_bytes_max=wire.MESSAGE_BYTES_MAX,
            append_bytes_max=wire.APPEND_BYTES_MAX,
            append_records_max=wire.APPEND_RECORDS_MAX,
            signal_bytes_max=wire.SIGNAL_BYTES_MAX,
            padded_sizes_bytes=wire.PADDED_SIZES_BYTES,
            streams_per_connection_max=config.limits.streams_per_connection_max,
            requests_in_flight_max=config.limits.requests_in_flight_max,
            record_lifetime_s=config.record_lifetime_s,
            blob_lifetime_s=config.blob_lifetime_s,
            blob_bytes_max=config.blob_bytes_max,
        )
    )


async def check(request: web.Request) -> web.Response:
    """`?bytes=N` zero bytes, so that a client learns after how many its network freezes a connection. The connection
    ends with the answer: what one has carried before would count too."""
    context = request.app[CONTEXT]
    asked = request.query.get("bytes", "")
    if not (asked.isascii() and asked.isdigit() and len(asked) < 6 and 1 <= int(asked) <= CHECK_BYTES_MAX):
        raise Denied(ErrorCode.BAD_SIZE, f"bytes is 1 to {CHECK_BYTES_MAX}")
    limit(context.check_bytes, caller(request), context.monotonic(), int(asked))
    response = web.Response(body=bytes(int(asked)), content_type="application/octet-stream")
    response.force_close()
    return response


async def connect(request: web.Request) -> web.StreamResponse:
    """The WebSocket. Refused before the upgrade when there are too many connections, in total or from one address."""
    context = request.app[CONTEXT]
    address = caller(request)
    _admit(context, address)
    try:
        return await _serve(request, context, address)
    finally:
        context.connections_total -= 1
        context.connections[address] -= 1
        if not context.connections[address]:
            del context.connections[address]


def _admit(context: Context, address: bytes) -> None:
    bounds = context.config.limits
    here = context.connections.get(address, 0)
    if context.stopping:
        raise Denied(ErrorCode.UNAVAILABLE, "the server is stopping", 1000)
    if context.connections_total >= bounds.connections_max or here >= bounds.connections_per_address_max:
        raise Denied(ErrorCode.TOO_MANY, "too many connections", 10_000)
    context.connections_total += 1
    context.connections[address] = here + 1


async def _serve(request: web.Request, context: Context, address: bytes) -> web.WebSocketResponse:
    bounds = context.config.limits
    # permessage-deflate off: what passes is ciphertext.
    socket = web.WebSocketResponse(
        compress=False, max_msg_size=wire.MESSAGE_BYTES_MAX, heartbeat=bounds.heartbeat_s, timeout=2.0
    )
    if not socket.can_prepare(request).ok:
        raise Denied(ErrorCode.BAD_REQUEST, "this is a WebSocket")
    await socket.prepare(request)
    transport = request.transport
    if transport is None:
        return socket
    tune_socket(transport.get_extra_info("socket"))
    loop = asyncio.get_running_loop()
    closers: set[asyncio.Task[bool]] = set()

    def close(code: int, reason: bytes) -> None:
        task = loop.create_task(socket.close(code=code, message=reason))
        closers.add(task)
        task.add_done_callback(closers.discard)

    connection = Connection(
        context.shared,
        Outlet(transport, bounds.stall_timeout_s),
        address,
        lambda: close(WSCloseCode.POLICY_VIOLATION, b"too many errors"),
    )

    def check_greeted() -> None:
        if not connection.greeted:
            close(WSCloseCode.POLICY_VIOLATION, b"no HELLO")

    timer = loop.call_later(bounds.hello_timeout_s, check_greeted)
    request.app[SOCKETS].add(socket)
    try:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                connection.receive(message.data)
            elif message.type is WSMsgType.TEXT:
                connection.receive_text()
            if connection.closed:
                break
    finally:
        timer.cancel()
        request.app[SOCKETS].discard(socket)
        connection.shut()
    return socket


class Sockets(set[web.WebSocketResponse]):
    """Every open WebSocket."""


SOCKETS = web.AppKey("sockets", Sockets)

ROUTES = (
    Route("GET", "/health", Auth.NOBODY, health),
    Route("GET", "/v1/server", Auth.NOBODY, server_facts),
    Route("GET", "/v1/check", Auth.NOBODY, check),
    Route("GET", "/v1/connect", Auth.CAPABILITY, connect),
)
