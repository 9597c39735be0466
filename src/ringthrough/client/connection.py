"""One WebSocket to one server that stays up: requests, subscriptions and signals over it.

All protocol rules are in `ringthrough.protocol.session`; here are only the socket, the futures and the re-connecting.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import secrets
import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from ringthrough.protocol import frames, limits, session
from ringthrough.protocol.errors import ProtocolError
from ringthrough.protocol.frames import BundleId, StreamId, Token, TokenHash

from .errors import Refused, ServerUnreachable
from .http import ServerHttp
from .local_address import is_lost

log = logging.getLogger(__name__)

HEARTBEAT_S = 8.0
"""Below the 10 s after which some content networks cut an idle stream."""
REQUEST_TIMEOUT_S = 30.0
BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
BACK_OFF_S_IN_CALL = 1.0
"""The longest of these while a call uses the connection: it would miss a lane, and the end of the call its word."""
STEADY_S = 10.0
"""A connection that lasted this long starts the back-off afresh."""
WELCOME_TIMEOUT_S = 15.0
"""From the first packet of a new connection to the server's greeting."""
WELCOME_TIMEOUT_S_IN_CALL = 5.0
OPEN_RETRY_S = 1.0
UNSENT_BYTES_MAX = 2048
"""A signal is dropped rather than queued when more than this waits in front of it."""
BACKLOG_BYTES_MAX = 8 * 1024 * 1024
"""Beyond this, a stream whose consumer is behind is closed, and opened again once the consumer has caught up."""
REQUESTS_AT_ONCE_MAX = limits.REQUESTS_IN_FLIGHT_MAX // 2
"""The other half is left for requests given up on and not answered yet."""


@dataclass
class Subscription:
    """A stream that is opened again after every reconnect.

    `capability` is asked at each opening, so that it is the newest; records wait in `records` for one consumer, who
    calls `Connection.consumed` for each batch. `opened` is the answer to the last opening on the present connection
    and `token` what was shown for it; `refused` is why the last opening failed.
    """

    stream: StreamId
    capability: Callable[[], tuple[Token | None, int]]
    on_signal: Callable[[bytes], None] | None = None
    records: asyncio.Queue[tuple[frames.Record, ...]] = field(default_factory=asyncio.Queue)
    opened: frames.Opened | None = None
    token: Token | None = None
    refused: Refused | None = None
    waiting_bytes: int = 0
    is_paused: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class MessageLane(Protocol):
    """A call that uses this connection as one of its lanes (docs/spec/lanes.md)."""

    def main_opened(self) -> None:
        """The call's stream has been opened on this connection, for the first time or again."""

    def main_lost(self) -> None:
        """The connection ended, or is none of the call's lanes."""

    def main_received(self, frame: frames.Joined | frames.Carried | frames.Acked) -> None:
        """A frame of the call's."""


class Connection:
    """Keeps one connection to `http.origin`; call `run` in a task, `aclose` at the end."""

    def __init__(self, http: ServerHttp) -> None:
        self._http = http
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._session = session.Session()
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._subscriptions: dict[StreamId, Subscription] = {}
        self._task: asyncio.Task[None] | None = None
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE_MAX)
        self._errands: set[asyncio.Task[None]] = set()
        self._backlog_bytes = 0
        self._call: tuple[StreamId, MessageLane] | None = None
        self._joining = 0
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
            await asyncio.gather(self._task, return_exceptions=True)
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
        try:
            await self.append(inbox, (record,))
        finally:
            if inbox not in self._subscriptions:
                self._close_soon(inbox)

    def signal(self, stream: StreamId, body: bytes) -> bool:
        """Send a signal now or not at all; False when it was dropped (no connection, or something waits unsent)."""
        if self._socket is None or not self._session.is_open(stream):
            return False
        transport = self._transport()
        if transport is None or transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            return False
        self._send_soon(self._session.signal(stream, body))
        return True

    # -- a call -------------------------------------------------------------------------------------------------

    def attach(self, stream: StreamId, call: MessageLane) -> None:
        """Be a lane of the call in `stream`, from each time on that the stream is open here."""
        self._call = stream, call
        if self._session.is_open(stream):
            call.main_opened()

    def detach(self, call: MessageLane) -> None:
        """The call is over."""
        if self._call is not None and self._call[1] is call:
            self._call = None

    def join(self, bundle: BundleId, stream: StreamId) -> None:
        """Ask to be a lane; what is written next follows at once, for the server acts in order."""
        self._joining, message = self._session.join(bundle, stream)
        self._send_soon(message)

    def write(self, message: bytes) -> None:
        """A lane's frame."""
        self._send_soon(message)

    def unsent_bytes(self) -> int:
        """What waits in front of the next message."""
        transport = self._transport()
        return transport.get_write_buffer_size() if transport is not None else 0

    def end(self) -> None:
        """Give this connection up and make a new one: nothing comes through it any more."""
        transport = self._transport()
        if transport is not None:
            transport.abort()

    def has_lost_its_address(self) -> bool:
        """Whether it comes from an address that this device no longer has."""
        return self._socket is not None and is_lost(self._socket.get_extra_info("socket"))

    @property
    def tls(self) -> ssl.SSLContext | bool:
        """How the server's certificate is checked."""
        return self._http.tls if self._http.tls is not None else True

    # -- subscriptions ------------------------------------------------------------------------------------------

    async def subscribe(self, subscription: Subscription) -> None:
        """Open the stream now, if connected, and after every reconnect. Never fails: see `opened` and `refused`."""
        self._subscriptions[subscription.stream] = subscription
        await self._open(subscription)

    async def reopen(self, stream: StreamId) -> None:
        """Show the newest capability of a subscribed stream. Never fails: see `opened` and `refused`."""
        subscription = self._subscriptions.get(stream)
        if subscription is not None:
            await self._open(subscription)

    def unsubscribe(self, stream: StreamId) -> None:
        """Forget the stream on this connection."""
        subscription = self._subscriptions.pop(stream, None)
        if subscription is not None:
            self._forget_waiting(subscription)
            subscription.opened = None
        self._close_soon(stream)

    def consumed(self, subscription: Subscription, records: Sequence[frames.Record]) -> None:
        """The consumer has dealt with this batch of its queue."""
        size = min(_size(records), subscription.waiting_bytes)
        subscription.waiting_bytes -= size
        self._backlog_bytes -= size
        if subscription.is_paused and subscription.records.empty():
            subscription.is_paused = False
            self._spawn(self._open(subscription))

    def _arrived(self, stream: StreamId, records: tuple[frames.Record, ...]) -> None:
        """Queue records for their consumer. One that lets too much pile up is unsubscribed until it has caught up:
        waiting for it here would stop answers and signals too, and with them perhaps the consumer itself."""
        subscription = self._subscriptions.get(stream)
        if subscription is None or subscription.is_paused:
            return
        size = _size(records)
        if self._backlog_bytes + size > BACKLOG_BYTES_MAX and not subscription.records.empty():
            subscription.is_paused = True
            subscription.opened = None
            self._close_soon(stream)
            return
        subscription.waiting_bytes += size
        self._backlog_bytes += size
        subscription.records.put_nowait(records)

    def _forget_waiting(self, subscription: Subscription) -> None:
        self._backlog_bytes -= subscription.waiting_bytes
        subscription.waiting_bytes = 0
        subscription.is_paused = False
        while not subscription.records.empty():
            subscription.records.get_nowait()

    # -- the socket ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started_s = loop.time()
            try:
                await self._connect_once()
            except (ServerUnreachable, aiohttp.ClientError, OSError, TimeoutError, ProtocolError) as e:
                self.down_reason = str(e) or type(e).__name__
                log.info("connection lost: %s", type(e).__name__)
            except Exception as e:  # a defect of ours must not end the connection for good, nor be quiet
                self.down_reason = type(e).__name__
                log.exception("connection failed")
            finally:
                self._drop()
            failures = 0 if loop.time() - started_s > STEADY_S else failures + 1
            pause_s = BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1] if failures else BACK_OFF_S[0]
            if self._call is not None:
                pause_s = min(pause_s, BACK_OFF_S_IN_CALL)
            await asyncio.sleep(pause_s * (0.5 + secrets.randbelow(1000) / 1000))

    async def _connect_once(self) -> None:
        self._session = session.Session()
        patience_s = WELCOME_TIMEOUT_S if self._call is None else WELCOME_TIMEOUT_S_IN_CALL
        async with (
            asyncio.timeout(patience_s) as welcome,
            self._http.fresh.ws_connect(
                self.origin + "/v1/connect",
                max_msg_size=limits.MESSAGE_BYTES_MAX + 1,
                compress=0,
                heartbeat=HEARTBEAT_S,
                timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
            ) as self._socket,
        ):
            await self._socket.send_bytes(self._session.hello())
            async for message in self._socket:
                if message.type is not aiohttp.WSMsgType.BINARY:
                    raise ServerUnreachable("the server sent something that is not a frame")
                event = self._session.receive(message.data)
                if isinstance(event, session.Ready):
                    welcome.reschedule(None)
                    self._ready(event)
                else:
                    self._dispatch(event)
        raise ServerUnreachable("the server closed the connection")

    def _ready(self, event: session.Ready) -> None:
        self.clock_offset_ms = event.server_time_ms - int(self._clock() * 1000)
        self.connected.set()
        for subscription in list(self._subscriptions.values()):
            if not subscription.is_paused:
                self._spawn(self._open(subscription))

    async def _open(self, subscription: Subscription) -> None:
        """Open and say how it went; what is only temporary is tried again for as long as this connection lasts."""
        connected = self.generation
        while self._subscriptions.get(subscription.stream) is subscription and not subscription.is_paused:
            token, from_seq = subscription.capability()
            ask = functools.partial(self._session.open, subscription.stream, token, from_seq)
            try:
                answer = await self._ask(ask)
            except ServerUnreachable:
                return  # the next connection opens it again
            except Refused as e:
                subscription.refused = e
                if not e.is_temporary:
                    subscription.opened = None
                subscription.changed.set()
                if not e.is_temporary:
                    return
                await asyncio.sleep(max(e.retry_after_ms / 1000, OPEN_RETRY_S))
                if self.generation != connected:
                    return
                continue
            assert isinstance(answer, frames.Opened)
            if self.generation == connected and not subscription.is_paused:
                subscription.opened, subscription.token, subscription.refused = answer, token, None
                if self._call is not None and self._call[0] == subscription.stream:
                    self._call[1].main_opened()
            subscription.changed.set()
            return

    def _dispatch(self, event: session.Event | None) -> None:
        match event:
            case session.RecordsArrived(stream, records):
                self._arrived(stream, records)
            case session.SignalArrived(stream, body):
                subscription = self._subscriptions.get(stream)
                if subscription is not None and subscription.on_signal is not None:
                    subscription.on_signal(body)
            case frames.Carried() | frames.Acked() | session.Answered(_, frames.Joined()):
                frame = event.frame if isinstance(event, session.Answered) else event
                assert isinstance(frame, frames.Joined | frames.Carried | frames.Acked)
                if self._call is not None:
                    self._call[1].main_received(frame)
            case session.Answered(request, frame):
                self._settle(request, frame)
            case session.RequestRefused(request, _) if request == self._joining:
                if self._call is not None:
                    self._call[1].main_lost()
            case session.RequestRefused(request, error):
                self._settle(request, Refused(error.code, error.message, error.retry_after_ms, error.detail))
            case session.ConnectionRefused(error) if self._session.ready:
                # A signal that came too fast, or between a commit and our opening of the new epoch: it is lost.
                log.debug("the server refused something: %s", error.code)
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
        """Send the request that `make` makes, and wait for its answer."""
        async with self._slots:
            if self._socket is None or not self.connected.is_set():
                raise ServerUnreachable(f"not connected to {self.origin}: {self.down_reason}")
            socket = self._socket
            try:
                request, message = make()
            except ProtocolError as e:
                raise Refused(e.code, e.message) from None
            future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            self._waiting[request] = future
            waiting = self._waiting
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    self._send_soon(message)
                    return await future
            except TimeoutError as e:
                # Whatever comes of it now, the log will tell after the next connection.
                self._spawn(_close(socket))
                raise ServerUnreachable(f"{self.origin} did not answer") from e
            finally:
                waiting.pop(request, None)

    def _close_soon(self, stream: StreamId) -> None:
        if not self._session.is_open(stream):
            return
        with contextlib.suppress(ProtocolError):
            _, message = self._session.close(stream)
            self._send_soon(message)

    def _send_soon(self, message: bytes) -> None:
        """Everything goes this way, since tasks begin in the order in which they are made: a request must not
        overtake one that the session made before it."""
        if self._socket is not None:
            self._spawn(_send(self._socket, message))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errand_done)

    def _errand_done(self, task: asyncio.Task[None]) -> None:
        self._errands.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("a task of the connection failed", exc_info=failure)

    def _drop(self) -> None:
        self.connected.clear()
        self.generation += 1
        self._session = session.Session()
        self._socket = None
        self._joining = 0
        if self._call is not None:
            self._call[1].main_lost()
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ServerUnreachable(self.down_reason))
                future.exception()
        for errand in self._errands:
            errand.cancel()
        for subscription in self._subscriptions.values():
            subscription.opened = None
            subscription.changed.set()

    def is_subscribed(self, stream: StreamId) -> bool:
        """Whether the stream is kept open."""
        return stream in self._subscriptions

    def is_open(self, stream: StreamId) -> bool:
        """Whether the stream is open on the present connection."""
        return self._session.is_open(stream)

    def _transport(self) -> asyncio.WriteTransport | None:
        writer = getattr(self._socket, "_writer", None)
        return getattr(writer, "transport", None)


def _size(records: Sequence[frames.Record]) -> int:
    return sum(len(record.body) for record in records)


async def _send(socket: aiohttp.ClientWebSocketResponse, message: bytes) -> None:
    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
        await socket.send_bytes(message)


async def _close(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.close()
