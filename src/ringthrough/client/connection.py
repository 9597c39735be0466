"""One WebSocket to one server that stays up: requests, subscriptions and signals over it.

All protocol rules are in `ringthrough.protocol.session`; here are only the socket, the futures and the re-connecting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from ringthrough.protocol import frames, limits, session
from ringthrough.protocol.errors import ProtocolError
from ringthrough.protocol.frames import StreamId, Token, TokenHash

from .errors import Refused, ServerUnreachable
from .http import ServerHttp

log = logging.getLogger(__name__)

HEARTBEAT_S = 8.0
"""Below the 10 s after which some content networks cut an idle stream."""
REQUEST_TIMEOUT_S = 30.0
BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
UNSENT_BYTES_MAX = 2048
"""A signal is dropped rather than queued when more than this waits in front of it."""
BACKLOG_RECORDS_MAX = 8192


@dataclass
class Subscription:
    """A stream that is opened again after every reconnect.

    `capability` is asked at each opening, so that it is the newest; records wait in `records` for one consumer.
    """

    stream: StreamId
    capability: Callable[[], tuple[Token | None, int]]
    on_signal: Callable[[bytes], None] | None = None
    records: asyncio.Queue[tuple[frames.Record, ...]] = field(default_factory=asyncio.Queue)
    opened: frames.Opened | None = None
    refused: Refused | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Connection:
    """Keeps one connection to `http.origin`; call `run` in a task, `aclose` at the end."""

    def __init__(self, http: ServerHttp) -> None:
        self._http = http
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._session = session.Session()
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._subscriptions: dict[StreamId, Subscription] = {}
        self._task: asyncio.Task[None] | None = None
        self._backlog = 0
        self._backlog_drained = asyncio.Event()
        self.connected = asyncio.Event()
        self.down_reason = "not connected yet"
        self.generation = 0
        """Grows with every connection lost."""
        self.clock_offset_ms = 0
        self._clock: Callable[[], float] = lambda: 0.0

    @property
    def origin(self) -> str:
        """The server's origin."""
        return self._http.origin

    def start(self, clock: Callable[[], float]) -> None:
        """Begin connecting. `clock` gives Unix seconds, to learn the server clock's offset."""
        self._clock = clock
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"connection {self.origin}")

    async def aclose(self) -> None:
        """Stop for good."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    # -- requests -----------------------------------------------------------------------------------------------

    async def create(self, stream: StreamId, kind: frames.StreamKind, token_hash: TokenHash) -> None:
        """Make a stream. Raises Refused(`stream_exists`) also when an earlier try had come through."""
        await self._ask(lambda: self._session.create(stream, kind, token_hash))

    async def append(
        self,
        stream: StreamId,
        records: tuple[bytes, ...],
        commit_epoch: int | None = None,
        next_token_hash: TokenHash | None = None,
    ) -> int:
        """Append; returns the first seq once the records are on the server's disk.

        Raises:
            Refused: nothing was appended.
            ServerUnreachable: unknown whether it was appended; ask the log.
        """
        answer = await self._ask(lambda: self._session.append(stream, records, commit_epoch, next_token_hash))
        assert isinstance(answer, frames.Appended)
        return answer.first_seq

    async def deposit(self, inbox: StreamId, record: bytes) -> None:
        """Append one record to somebody's inbox without a capability."""
        if not self._session.is_open(inbox):
            await self._ask(lambda: self._session.open(inbox, None, 0))
        await self.append(inbox, (record,))
        if inbox not in self._subscriptions:
            await self._ask(lambda: self._session.close(inbox))

    def signal(self, stream: StreamId, body: bytes) -> bool:
        """Send a signal now or not at all; False when it was dropped (no connection, or something waits unsent)."""
        if self._socket is None or not self._session.is_open(stream):
            return False
        transport = self._transport()
        if transport is None or transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            return False
        self._send_soon(self._session.signal(stream, body))
        return True

    # -- subscriptions ------------------------------------------------------------------------------------------

    async def subscribe(self, subscription: Subscription) -> None:
        """Open the stream now, if connected, and after every reconnect."""
        self._subscriptions[subscription.stream] = subscription
        if self.connected.is_set():
            await self._open(subscription)

    async def reopen(self, stream: StreamId) -> None:
        """Show the newest capability of a subscribed stream."""
        subscription = self._subscriptions.get(stream)
        if subscription is not None and self.connected.is_set():
            await self._open(subscription)

    def unsubscribe(self, stream: StreamId) -> None:
        """Forget the stream on this connection."""
        self._subscriptions.pop(stream, None)
        if self._session.is_open(stream) and self._socket is not None:
            request, message = self._session.close(stream)
            self._waiting[request] = asyncio.get_running_loop().create_future()
            self._send_soon(message)

    def consumed(self, count: int) -> None:
        """A consumer has dealt with `count` records of its queue."""
        self._backlog -= count
        self._backlog_drained.set()

    # -- the socket ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._connect_once()
                failures = 0
            except (ServerUnreachable, aiohttp.ClientError, OSError, TimeoutError, ProtocolError) as e:
                self.down_reason = str(e) or type(e).__name__
                log.info("connection lost: %s", type(e).__name__)
            finally:
                self._drop()
            pause_s = BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]
            failures += 1
            await asyncio.sleep(pause_s * (0.5 + secrets.randbelow(1000) / 1000))

    async def _connect_once(self) -> None:
        self._session = session.Session()
        async with self._http.session.ws_connect(
            self.origin + "/v1/connect",
            max_msg_size=limits.MESSAGE_BYTES_MAX,
            compress=0,
            heartbeat=HEARTBEAT_S,
            timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
        ) as self._socket:
            self._tune_socket()
            await self._socket.send_bytes(self._session.hello())
            subscriber: asyncio.Task[None] | None = None
            try:
                async for message in self._socket:
                    if message.type is not aiohttp.WSMsgType.BINARY:
                        raise ServerUnreachable("the server sent something that is not a frame")
                    event = self._session.receive(message.data)
                    if isinstance(event, session.Ready):
                        self.clock_offset_ms = event.server_time_ms - int(self._clock() * 1000)
                        self.connected.set()
                        subscriber = asyncio.create_task(self._open_all())
                    else:
                        self._dispatch(event)
                    if self._backlog > BACKLOG_RECORDS_MAX:
                        self._backlog_drained.clear()
                        await self._backlog_drained.wait()
            finally:
                if subscriber is not None:
                    subscriber.cancel()
        raise ServerUnreachable("the server closed the connection")

    async def _open_all(self) -> None:
        for subscription in list(self._subscriptions.values()):
            with contextlib.suppress(ServerUnreachable):
                await self._open(subscription)

    async def _open(self, subscription: Subscription) -> None:
        token, from_seq = subscription.capability()
        try:
            answer = await self._ask(lambda: self._session.open(subscription.stream, token, from_seq))
            assert isinstance(answer, frames.Opened)
            subscription.opened, subscription.refused = answer, None
        except Refused as e:
            subscription.refused = e
        subscription.changed.set()

    def _dispatch(self, event: session.Event | None) -> None:
        match event:
            case session.RecordsArrived(stream, records):
                if subscription := self._subscriptions.get(stream):
                    self._backlog += len(records)
                    subscription.records.put_nowait(records)
            case session.SignalArrived(stream, body):
                subscription = self._subscriptions.get(stream)
                if subscription is not None and subscription.on_signal is not None:
                    subscription.on_signal(body)
            case session.Answered(request, frame):
                self._settle(request, frame)
            case session.RequestRefused(request, error):
                self._settle(request, Refused(error.code, error.message, error.retry_after_ms, error.detail))
            case session.ConnectionRefused(error):
                raise ServerUnreachable(f"the server said: {error.message} ({error.code})")
            case _:
                pass

    def _settle(self, request: int, outcome: object) -> None:
        future = self._waiting.pop(request, None)
        if future is None or future.done():
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
            future.exception()  # an abandoned request must not be reported as never retrieved
        else:
            future.set_result(outcome)

    async def _ask(self, make: Callable[[], tuple[int, bytes]]) -> object:
        if not self.connected.is_set():
            raise ServerUnreachable(f"not connected to {self.origin}: {self.down_reason}")
        try:
            request, message = make()
        except ProtocolError as e:
            raise Refused(e.code, e.message) from None
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        assert self._socket is not None
        try:
            await self._socket.send_bytes(message)
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                return await future
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as e:
            raise ServerUnreachable(f"{self.origin} did not answer: {type(e).__name__}") from e
        finally:
            self._waiting.pop(request, None)

    def _send_soon(self, message: bytes) -> None:
        assert self._socket is not None
        task = asyncio.ensure_future(self._socket.send_bytes(message))
        task.add_done_callback(lambda t: None if t.cancelled() else t.exception())

    def _drop(self) -> None:
        self.connected.clear()
        self.generation += 1
        self._session = session.Session()
        self._socket = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ServerUnreachable(self.down_reason))
                future.exception()
        self._waiting.clear()
        for subscription in self._subscriptions.values():
            subscription.opened = None
            subscription.changed.set()

    def is_open(self, stream: StreamId) -> bool:
        """Whether the stream is open on the present connection."""
        return self._session.is_open(stream)

    def _transport(self) -> asyncio.WriteTransport | None:
        writer = getattr(self._socket, "_writer", None)
        return getattr(writer, "transport", None)

    def _tune_socket(self) -> None:
        """Send small frames at once, and keep what waits unsent where `signal` can see it."""
        sock = self._socket.get_extra_info("socket") if self._socket is not None else None
        if sock is None:
            return
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, "TCP_NOTSENT_LOWAT", 25), 4096)
