"""The one listening process: one port, one data folder. Everything is put together here."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from aiohttp import WSCloseCode, web
from aiohttp.web_protocol import RequestHandler

from . import blob_routes, directory_routes, knowledge, status_routes
from .blobs import BlobFolder
from .config import Limits, Rate, ServerConfig
from .connection import Shared
from .http import CONTEXT, JSON_BYTES_MAX, Context, Route, add_headers, refusals
from .hub import Hub
from .log import Event, library_logger, log
from .outlet import tune_socket
from .page_routes import page_folder, page_routes
from .rates import Buckets
from .sessions import Sessions
from .status_routes import SOCKETS, Sockets
from .store.sqlite import SqliteStore, open_store
from .sweep import sweep_forever

__all__ = ["ROUTES", "Limits", "Rate", "RunningServer", "ServerConfig", "start"]

ROUTES: tuple[Route, ...] = (
    *status_routes.ROUTES,
    *directory_routes.ROUTES,
    *knowledge.ROUTES,
    *blob_routes.ROUTES,
)
"""Everything the server answers but the web client's files, which come after these with headers of their own."""

STOP_S = 5.0
"""How long a stopping server waits for HTTP requests under way."""

_CLOCK: Callable[[], float] = time.time  # noqa: TID251 (the shell's one clock)


class RunningServer:
    """A server that accepts connections at `url`."""

    def __init__(
        self,
        url: str,
        port: int,
        store: SqliteStore,
        app: web.Application,
        runner: web.AppRunner,
        server: asyncio.Server,
        lock: int,
    ) -> None:
        self.url = url
        self.port = port
        self.store = store
        self._app = app
        self._runner = runner
        self._server = server
        self._lock = lock
        self._sweeper = asyncio.create_task(
            sweep_forever(store, app[CONTEXT].blobs, app[CONTEXT].config, app[CONTEXT].clock)
        )

    @property
    def context(self) -> Context:
        """What the routes work with, for tests."""
        return self._app[CONTEXT]

    async def close(self) -> None:
        """Accept nothing new, put on disk and acknowledge what was submitted, then close the sockets."""
        if self._app[CONTEXT].stopping:
            return
        log(Event.STOPPING)
        self._app[CONTEXT].stopping = True
        self._sweeper.cancel()
        self._server.close()
        await self.store.close()
        await asyncio.sleep(0)  # the last commit's answers are on the loop
        sockets = self._app[SOCKETS].copy()
        closing = (s.close(code=WSCloseCode.GOING_AWAY, message=b"server stops") for s in sockets)
        await asyncio.gather(*closing, return_exceptions=True)
        await self._runner.cleanup()
        os.close(self._lock)
        log(Event.STOPPED)


async def start(config: ServerConfig, clock: Callable[[], float] = _CLOCK) -> RunningServer:
    """Open the data folder and listen.

    Raises:
        OSError: the folder or the port cannot be had.
        MigrationError: the data folder belongs to another version.
        ssl.SSLError: the certificate or its key is no good.
    """
    tls = _tls(config)
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(config.data_dir, 0o700)
    lock = _lock(config.data_dir)
    store = await open_store(config.data_dir, clock)
    try:
        app = _application(config, store, clock)
        runner = web.AppRunner(
            app, access_log=None, logger=library_logger(), handle_signals=False, shutdown_timeout=STOP_S
        )
        await runner.setup()
        server = await _listen(app[CONTEXT], runner, tls)
    except BaseException:
        await store.close()
        os.close(lock)
        raise
    port = server.sockets[0].getsockname()[1]
    host = f"[{config.host}]" if ":" in config.host else config.host
    log(Event.LISTENING, port=port)
    return RunningServer(f"{'https' if tls else 'http'}://{host}:{port}", port, store, app, runner, server, lock)


def _lock(folder: Path) -> int:
    """One server at a time: what it caches would be wrong with another one writing. Ends with the process."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise OSError(f"{folder} is used by another server") from None
    return descriptor


def _application(config: ServerConfig, store: SqliteStore, clock: Callable[[], float]) -> web.Application:
    bounds = config.limits
    app = web.Application(middlewares=[refusals], client_max_size=JSON_BYTES_MAX)
    hub = Hub(store, bounds)
    shared = Shared(store, hub, bounds, clock, Buckets(bounds.streams_created), Buckets(bounds.address_deposits))
    app[CONTEXT] = Context(
        config=config,
        store=store,
        shared=shared,
        sessions=Sessions(secrets.token_bytes),
        blobs=BlobFolder(config.data_dir / "blobs", config.blob_bytes_max, config.blob_bytes_total_max),
        clock=clock,
        monotonic=asyncio.get_running_loop().time,
        accounts_created=Buckets(bounds.accounts_created),
        http_requests=Buckets(bounds.http_requests),
        claims_per_account=Buckets(bounds.claims_per_account),
        claims_per_address=Buckets(bounds.claims_per_address),
        blob_bytes=Buckets(bounds.blob_bytes),
        check_bytes=Buckets(bounds.check_bytes),
    )
    app[SOCKETS] = Sockets()
    for route in (*ROUTES, *page_routes(page_folder(config.page_dir))):
        app.router.add_route(route.method, route.path, route.handler)
    app.on_response_prepare.append(add_headers)
    return app


async def _listen(context: Context, runner: web.AppRunner, tls: ssl.SSLContext | None) -> asyncio.Server:
    """Listen ourselves rather than through a site, to cut whoever connects and sends no request in time."""
    loop = asyncio.get_running_loop()
    config = context.config
    factory = runner.server
    assert factory is not None
    silent = context.silent
    timeout_s = config.limits.hello_timeout_s

    def accept() -> asyncio.BaseProtocol:
        protocol = factory()
        silent.add(protocol)
        loop.call_later(timeout_s, _cut_if_silent, silent, protocol)
        return protocol

    server = await loop.create_server(
        accept,
        config.host,
        config.port,
        ssl=tls,
        ssl_handshake_timeout=timeout_s if tls else None,
        backlog=1024,
        reuse_address=True,
    )
    for sock in server.sockets:
        tune_socket(sock)
    return server


def _cut_if_silent(silent: set[asyncio.BaseProtocol], protocol: RequestHandler) -> None:
    if protocol in silent:
        silent.discard(protocol)
        if protocol.transport is not None:
            protocol.transport.abort()


def _tls(config: ServerConfig) -> ssl.SSLContext | None:
    if config.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(config.tls_cert, config.tls_key)
    return context
