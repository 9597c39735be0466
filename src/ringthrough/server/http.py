"""What all HTTP routes share: the context, refusals as JSON, security headers, the caller's address and session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

import msgspec
from aiohttp import web

from ringthrough.protocol.directory import Refusal
from ringthrough.protocol.errors import ErrorCode, ProtocolError

from .blobs import BlobFolder
from .config import ServerConfig
from .connection import Shared
from .log import log_unexpected
from .rates import Buckets, address_key
from .sessions import Sessions, SignedIn
from .store.port import Refused, Store

T = TypeVar("T")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON_BYTES_MAX = 2 * 1024 * 1024

STATUS = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.BAD_SIZE: 400,
    ErrorCode.HASH_MISMATCH: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.BAD_SIGNATURE: 403,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.HANDLE_TAKEN: 409,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.TOO_MANY: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNAVAILABLE: 503,
}

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
HSTS = "max-age=31536000"
CROSS_ORIGIN_HEADERS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
"""A page of another server joins conversations here. Nothing is lent to it: no route knows cookies, and without the
bearer or the capability in hand it may do no more than anybody."""


class Auth(Enum):
    """What a route asks for."""

    NOBODY = "anybody"
    SESSION = "a device's session"
    HASH = "the blob's hash"
    CAPABILITY = "a stream's capability, inside"


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the route table."""

    method: str
    path: str
    auth: Auth
    handler: Handler


@dataclass(slots=True)
class Context:
    """Everything the routes work with. `connections` counts by address, in memory only."""

    config: ServerConfig
    store: Store
    shared: Shared
    sessions: Sessions
    blobs: BlobFolder
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    accounts_created: Buckets
    http_requests: Buckets
    claims_per_account: Buckets
    claims_per_address: Buckets
    blob_bytes: Buckets
    check_bytes: Buckets
    connections: dict[bytes, int] = field(default_factory=dict)
    connections_total: int = 0
    uploads: int = 0
    silent: set[asyncio.BaseProtocol] = field(default_factory=set)
    """Connections that have not sent a request yet."""
    healthy_at_s: float = -1e9
    stopping: bool = False


CONTEXT = web.AppKey("context", Context)


class Denied(Exception):
    """An HTTP answer that is not a success."""

    def __init__(self, code: ErrorCode, message: str, retry_after_ms: int = 0) -> None:
        super().__init__(message)
        self.refusal = Refusal(code.value, message, retry_after_ms)
        self.status = STATUS[code]


def json_answer(body: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json", status=status)


async def json_body(request: web.Request, body_type: type[T]) -> T:
    """The parsed body. Raises `Denied`: `too_large` or `bad_request`."""
    try:
        return msgspec.json.decode(await request.read(), type=body_type)
    except web.HTTPRequestEntityTooLarge:
        raise Denied(ErrorCode.TOO_LARGE, f"a body is at most {JSON_BYTES_MAX} bytes") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise Denied(ErrorCode.BAD_REQUEST, str(e)) from None


def caller(request: web.Request) -> bytes:
    """The key of the caller's network address, for limits in memory."""
    hops = request.app[CONTEXT].config.proxy_hops
    if hops:
        named = [part.strip() for value in request.headers.getall("X-Forwarded-For", []) for part in value.split(",")]
        if len(named) >= hops:
            return address_key(named[-hops])
    return address_key(request.remote)


def limit(buckets: Buckets, key: bytes, now_s: float, amount: float = 1) -> None:
    """Raises `Denied`: `rate_limited`."""
    wait_ms = buckets.take(key, now_s, amount)
    if wait_ms:
        raise Denied(ErrorCode.RATE_LIMITED, "too fast", wait_ms)


def signed_in(request: web.Request) -> SignedIn:
    """The device of this session. Raises `Denied`: `unauthenticated`."""
    context = request.app[CONTEXT]
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    device = context.sessions.find(bearer, context.monotonic()) if scheme.lower() == "bearer" else None
    if device is None:
        raise Denied(ErrorCode.UNAUTHENTICATED, "sign in first")
    return device


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure becomes a Refusal with a fitting status; nothing of it reaches a log but its type."""
    context = request.app[CONTEXT]
    context.silent.discard(request.protocol)
    try:
        limit(context.http_requests, caller(request), context.monotonic())
        return await handler(request)
    except Denied as e:
        return _refusal(e)
    except ProtocolError as e:
        return _refusal(Denied(e.code, e.message))
    except Refused as e:
        return _refusal(Denied(e.code, _words(e), e.retry_after_ms))
    except web.HTTPException as e:
        code = {404: ErrorCode.NOT_FOUND, 413: ErrorCode.TOO_LARGE}.get(e.status, ErrorCode.BAD_REQUEST)
        answer = json_answer(Refusal(code.value, e.reason), e.status)
        if "Allow" in e.headers:
            answer.headers["Allow"] = e.headers["Allow"]
        return answer
    except ConnectionError:
        raise
    except Exception as e:
        log_unexpected(e)
        return _refusal(Denied(ErrorCode.INTERNAL, "the server failed"))


def _words(why: Refused) -> str:
    return {
        ErrorCode.CONFLICT: f"version {why.detail} is already there",
        ErrorCode.HANDLE_TAKEN: "the handle is taken",
        ErrorCode.NOT_FOUND: "not here",
        ErrorCode.TOO_MANY: "too many",
        ErrorCode.UNAVAILABLE: "the store cannot commit now; whether this was stored is unknown",
    }.get(why.code, why.code.value)


def _refusal(denied: Denied) -> web.Response:
    answer = json_answer(denied.refusal, denied.status)
    if denied.refusal.retry_after_ms:
        answer.headers["Retry-After"] = str(-(-denied.refusal.retry_after_ms // 1000))
    if denied.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Security headers on every answer. A route that must differ sets its own first."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path.startswith("/v1/"):
        response.headers.update(CROSS_ORIGIN_HEADERS)
    if request.app[CONTEXT].config.tls_cert is not None:
        response.headers.setdefault("Strict-Transport-Security", HSTS)
    response.headers["Server"] = "ringthrough"
