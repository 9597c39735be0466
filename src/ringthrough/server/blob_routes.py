"""PUT and GET /v1/blobs/{sha256}."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from ringthrough.protocol.errors import ErrorCode

from .blobs import Upload
from .http import CONTEXT, Auth, Denied, Route, caller, limit
from .store.port import Unavailable

_HASH = re.compile(r"[0-9a-f]{64}")
CHUNK_BYTES = 256 * 1024


def _sha256(request: web.Request) -> bytes:
    name = request.match_info["sha256"]
    if not _HASH.fullmatch(name):
        raise Denied(ErrorCode.BAD_REQUEST, "a blob is named by its SHA-256 in lower-case hex")
    return bytes.fromhex(name)


async def put_blob(request: web.Request) -> web.Response:
    """Stream a blob in. 201 when it is on disk; the same again renews its lifetime."""
    context = request.app[CONTEXT]
    sha256 = _sha256(request)
    limit(context.blob_bytes, caller(request), context.monotonic(), request.content_length or 0)
    if context.uploads >= context.config.limits.uploads_at_once_max:
        raise Denied(ErrorCode.TOO_MANY, "too many uploads at once", 1000)
    context.uploads += 1
    upload: Upload | None = None
    try:
        upload = await asyncio.to_thread(context.blobs.begin, sha256, request.content_length)
        async for chunk in request.content.iter_chunked(CHUNK_BYTES):
            if request.content_length is None:
                limit(context.blob_bytes, caller(request), context.monotonic(), len(chunk))
            await asyncio.to_thread(upload.write, chunk)
        await asyncio.to_thread(upload.finish)
    except ConnectionError:
        raise
    except OSError:
        raise Unavailable from None
    finally:
        context.uploads -= 1
        if upload is not None:
            await asyncio.shield(asyncio.to_thread(upload.discard))
    return web.Response(status=201)


async def get_blob(request: web.Request) -> web.StreamResponse:
    """The blob, whole or by Range."""
    path = request.app[CONTEXT].blobs.path(_sha256(request))
    if not await asyncio.to_thread(path.is_file):
        raise Denied(ErrorCode.NOT_FOUND, "no such blob, or not any more")
    return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})


async def may_put_blob(request: web.Request) -> web.Response:
    """204. What a browser asks before a page of another server uploads (CORS preflight)."""
    headers = {"Access-Control-Allow-Methods": "PUT", "Access-Control-Allow-Headers": "Content-Type"}
    return web.Response(status=204, headers=headers | {"Access-Control-Max-Age": "86400"})


ROUTES = (
    Route("OPTIONS", "/v1/blobs/{sha256}", Auth.NOBODY, may_put_blob),
    Route("PUT", "/v1/blobs/{sha256}", Auth.HASH, put_blob),
    Route("GET", "/v1/blobs/{sha256}", Auth.HASH, get_blob),
)
