"""One WebSocket connection: which frame may come when, who may do what, and how much."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ringthrough.protocol import limits as wire
from ringthrough.protocol.errors import ErrorCode, ProtocolError
from ringthrough.protocol.frames import (
    Ack,
    Append,
    Appended,
    Carry,
    Close,
    Closed,
    Create,
    Created,
    Error,
    Hello,
    Join,
    Joined,
    Open,
    Ping,
    Pong,
    Right,
    ServerFrame,
    Signal,
    Welcome,
    decode_client,
    encode,
)
from ringthrough.protocol.lanes import LaneId

from .bundle import Bundle
from .config import Limits
from .hub import Hub, Subscription
from .log import Event, log, log_unexpected
from .outlet import Outlet
from .rates import Bucket, Buckets
from .store.port import AppendJob, Refused, Store, StoreError, period_of

OPENS_AT_ONCE = 32

_MESSAGES = {
    ErrorCode.FORBIDDEN: "no such stream, or not its capability",
    ErrorCode.STREAM_EXISTS: "the stream exists",
    ErrorCode.BAD_HANDLE: "no stream is open under this handle",
    ErrorCode.CONFLICT: "another commit was first",
    ErrorCode.STALE: "the capability was replaced; open the stream with the new one",
    ErrorCode.TOO_MANY: "too many at once",
    ErrorCode.RATE_LIMITED: "too fast",
    ErrorCode.UNAVAILABLE: "the store cannot commit now; whether this was stored is unknown",
    ErrorCode.HELLO_FIRST: "say HELLO first",
    ErrorCode.UNSUPPORTED_VERSION: f"this server speaks versions {wire.VERSION_MIN} to {wire.VERSION_MAX}",
    ErrorCode.INTERNAL: "the server failed",
}
_HARMLESS = frozenset({ErrorCode.CONFLICT, ErrorCode.STALE, ErrorCode.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Shared:
    """What all connections of the process share. `clock`: Unix seconds."""

    store: Store
    hub: Hub
    limits: Limits
    clock: Callable[[], float]
    streams_created: Buckets
    address_deposits: Buckets


class Connection:
    """Implements `hub.Subscriber`. `address` is the key that per-address limits count by; it is kept nowhere else."""

    __slots__ = (
        "_address",
        "_bundle",
        "_by_stream",
        "_bytes",
        "_close",
        "_control",
        "_errors",
        "_greeted",
        "_in_flight",
        "_loop",
        "_next_handle",
        "_opens",
        "_records",
        "_shared",
        "_signals",
        "_subscriptions",
        "_worker",
        "closed",
        "outlet",
    )

    def __init__(self, shared: Shared, outlet: Outlet, address: bytes, close: Callable[[], None]) -> None:
        self._shared = shared
        self.outlet = outlet
        self._address = address
        self._close = close
        self._loop = asyncio.get_running_loop()
        now_s = self._loop.time()
        bounds = shared.limits
        self._records = Bucket(bounds.records, now_s)
        self._bytes = Bucket(bounds.bytes_received, now_s)
        self._signals = Bucket(bounds.signals, now_s)
        self._opens = Bucket(bounds.opens, now_s)
        self._errors = Bucket(bounds.errors, now_s)
        self._subscriptions: dict[int, Subscription] = {}
        self._by_stream: dict[bytes, Subscription] = {}
        self._control: deque[Create | Open | Close] | None = None  # 760 bytes that an idle connection saves
        self._worker: asyncio.Task[None] | None = None
        self._next_handle = 1
        self._bundle: tuple[Bundle, LaneId] | None = None
        self._in_flight = 0
        self._greeted = False
        self.closed = False

    @property
    def greeted(self) -> bool:
        return self._greeted

    def receive(self, message: bytes) -> None:
        """Act on one WebSocket message. Nothing a client sends raises."""
        try:
            frame = decode_client(message)
        except ProtocolError as e:
            subscription = self._subscriptions.get(e.handle)
            if subscription is not None:
                subscription.lane.shut = subscription.lane.shut or Refused(e.code)
            self._error(e.request, e.code, e.message)
            return
        if not self._greeted:
            self._hello(frame)
        elif isinstance(frame, Signal):
            self._signal(frame)
        elif isinstance(frame, Carry):
            self._carry(frame)
        elif isinstance(frame, Ack):
            if self._bundle is not None:
                bundle, lane = self._bundle
                bundle.acked(lane, frame)
        elif isinstance(frame, Append):
            self._append(frame)
        elif isinstance(frame, Ping):
            self._send(Pong(frame.request, self._now_ms()))
        elif isinstance(frame, Join):
            self._join(frame)
        elif isinstance(frame, Hello):
            self._error(0, ErrorCode.BAD_FRAME, "HELLO comes once")
        elif self._in_flight >= self._shared.limits.requests_in_flight_max:
            self._refuse(frame.request, Refused(ErrorCode.TOO_MANY))
        else:
            self._in_flight += 1
            if self._control is None:
                self._control = deque()
                self._worker = self._loop.create_task(self._work(self._control))
            self._control.append(frame)

    def receive_text(self) -> None:
        """A text message: the protocol has none."""
        self._error(0, ErrorCode.BAD_FRAME, "messages are binary")

    def shut(self) -> None:
        """The connection ended: forget everything. Appends under way still settle, and reach the others."""
        self.closed = True
        self._leave()
        if self._worker is not None:
            self._worker.cancel()
        for subscription in self._subscriptions.values():
            self._shared.hub.close(subscription)
        self._subscriptions.clear()
        self._by_stream.clear()
        self.outlet.close()

    # Answers

    def _send(self, frame: ServerFrame) -> None:
        self.outlet.send(encode(frame))

    def _refuse(self, request: int, why: Refused) -> None:
        self._error(request, why.code, _MESSAGES.get(why.code, ""), why.retry_after_ms, why.detail)

    def _error(self, request: int, code: ErrorCode, message: str, retry_after_ms: int = 0, detail: int = 0) -> None:
        self._send(Error(request, code.value, message, retry_after_ms, detail))
        if code not in _HARMLESS and self._errors.take(self._loop.time()) and not self.closed:
            log(Event.CONNECTION_FLOODED)
            self.closed = True
            self._close()

    def _now_ms(self) -> int:
        return int(self._shared.clock() * 1000)

    def _hello(self, frame: object) -> None:
        if not isinstance(frame, Hello):
            self._refuse(getattr(frame, "request", 0), Refused(ErrorCode.HELLO_FIRST))
            return
        version = min(frame.version_max, wire.VERSION_MAX)
        if version < max(frame.version_min, wire.VERSION_MIN):
            self._refuse(0, Refused(ErrorCode.UNSUPPORTED_VERSION))
            return
        self._greeted = True
        self._send(Welcome(version, self._now_ms()))

    # CREATE, OPEN, CLOSE: in order, neighbouring OPENs of different streams together

    async def _work(self, control: deque[Create | Open | Close]) -> None:
        try:
            while control:
                first = control.popleft()
                if not isinstance(first, Open):
                    await self._answer(first)
                    continue
                opens = [first]
                streams = {first.stream}
                while len(opens) < OPENS_AT_ONCE and control:
                    following = control[0]
                    if not isinstance(following, Open) or following.stream in streams:
                        break
                    control.popleft()
                    opens.append(following)
                    streams.add(following.stream)
                await asyncio.gather(*(self._answer(frame) for frame in opens))
        finally:
            self._control = self._worker = None

    async def _answer(self, frame: Create | Open | Close) -> None:
        try:
            match frame:
                case Create():
                    await self._create(frame)
                case Open():
                    await self._open(frame)
                case Close():
                    self._close_stream(frame)
        except Refused as e:
            self._refuse(frame.request, e)
        except Exception as e:
            log_unexpected(e)
            self._refuse(frame.request, Refused(ErrorCode.INTERNAL))
        finally:
            self._in_flight -= 1

    async def _create(self, frame: Create) -> None:
        wait_ms = self._shared.streams_created.take(self._address, self._loop.time())
        if wait_ms:
            raise Refused(ErrorCode.RATE_LIMITED, retry_after_ms=wait_ms)
        period = period_of(self._shared.clock())
        await self._shared.store.create_stream(frame.stream, frame.kind, frame.token_hash, period)
        self._send(Created(frame.request))

    async def _open(self, frame: Open) -> None:
        wait_ms = self._opens.take(self._loop.time())
        if wait_ms:
            raise Refused(ErrorCode.RATE_LIMITED, retry_after_ms=wait_ms)
        held = self._by_stream.get(frame.stream)
        if held is None and len(self._subscriptions) >= self._shared.limits.streams_per_connection_max:
            raise Refused(ErrorCode.TOO_MANY)
        handle = self._next_handle
        self._next_handle += 1
        subscription, opened, opening = await self._shared.hub.open(self, frame, handle, held)
        if self.closed:
            self._shared.hub.close(subscription)
            return
        if held is None and len(self._subscriptions) >= self._shared.limits.streams_per_connection_max:
            self._shared.hub.close(subscription)  # others of the same group came first
            raise Refused(ErrorCode.TOO_MANY)
        self._subscriptions[subscription.handle] = self._by_stream[frame.stream] = subscription
        self._send(opened)
        self._shared.hub.resume(subscription)
        period = period_of(self._shared.clock())
        if Right.APPEND in subscription.rights and subscription.epoch is not None and opening.kept_period < period:
            try:
                await self._shared.store.keep_stream(opening.sid, period)
            except StoreError:
                return  # the next OPEN tries again

    def _close_stream(self, frame: Close) -> None:
        subscription = self._subscriptions.pop(frame.handle, None)
        if subscription is None:
            raise Refused(ErrorCode.BAD_HANDLE)
        self._by_stream.pop(subscription.active.stream, None)
        self._shared.hub.close(subscription)
        self._send(Closed(frame.request))

    # APPEND

    def _append(self, frame: Append) -> None:
        subscription = self._subscriptions.get(frame.handle)
        if subscription is None:
            self._refuse(frame.request, Refused(ErrorCode.BAD_HANDLE))
            return
        lane = subscription.lane
        why = lane.held or lane.shut or self._append_refusal(subscription, frame)
        if why is not None:
            lane.shut = lane.shut or why
            self._refuse(frame.request, why)
            return
        job = AppendJob(
            subscription.active.sid,
            subscription.epoch,
            frame.records,
            frame.commit_epoch,
            frame.next_token_hash,
            lane,
            frame.request,
        )
        try:
            self._shared.hub.submit(subscription, job)
        except Refused as behind:
            lane.shut = behind
            self._refuse(frame.request, behind)
            return
        self._in_flight += 1

    def _append_refusal(self, subscription: Subscription, frame: Append) -> Refused | None:
        if self._in_flight >= self._shared.limits.requests_in_flight_max:
            return Refused(ErrorCode.TOO_MANY, retry_after_ms=100)
        now_s = self._loop.time()
        count = len(frame.records)
        active = subscription.active
        wait_ms = (
            self._records.take(now_s, count)
            or self._bytes.take(now_s, sum(map(len, frame.records)))
            or active.records.take(now_s, count)
        )
        if not wait_ms and subscription.epoch is None:
            wait_ms = active.deposits.take(now_s, count) or self._shared.address_deposits.take(
                self._address, now_s, count
            )
        return Refused(ErrorCode.RATE_LIMITED, retry_after_ms=wait_ms) if wait_ms else None

    def appended(self, job: AppendJob) -> None:
        """See `hub.Subscriber`. A depositor learns no seq, or it could count what others leave in the inbox."""
        self._in_flight -= 1
        if job.refused is not None:
            self._refuse(job.request, job.refused)
        else:
            self._send(Appended(job.request, job.first_seq if job.capability_epoch is not None else 0))

    # SIGNAL

    def _signal(self, frame: Signal) -> None:
        subscription = self._subscriptions.get(frame.handle)
        if subscription is None:
            self._refuse(0, Refused(ErrorCode.BAD_HANDLE))
            return
        if Right.SIGNAL not in subscription.rights:
            retired = subscription.epoch is not None and subscription.epoch < subscription.active.epoch
            code = ErrorCode.STALE if retired else ErrorCode.FORBIDDEN
            self._refuse(0, Refused(code, subscription.active.epoch if retired else 0))
            return
        now_s = self._loop.time()
        wait_ms = self._signals.take(now_s) or self._bytes.take(now_s, len(frame.body))
        if wait_ms:
            self._refuse(0, Refused(ErrorCode.RATE_LIMITED, retry_after_ms=wait_ms))
            return
        self._shared.hub.signal(subscription, frame.body)

    # Lanes

    def _join(self, frame: Join) -> None:
        """At once, so that frames may follow in the same breath."""
        shown = self._subscriptions.get(frame.handle)
        wait_ms = self._opens.take(self._loop.time())
        try:
            if wait_ms:
                raise Refused(ErrorCode.RATE_LIMITED, retry_after_ms=wait_ms)
            if frame.handle and shown is None:
                raise Refused(ErrorCode.BAD_HANDLE)
            bundle = self._shared.hub.bundle(frame.bundle, shown)
        except Refused as e:
            self._refuse(frame.request, e)
            return
        if self._bundle is None or self._bundle[0] is not bundle:
            self._leave()
            self._bundle = bundle, bundle.join(self)
        self._send(Joined(frame.request, bundle.instance))

    def left(self) -> None:
        """See `bundle.Lane`."""
        self._bundle = None
        self.closed = True
        self._close()

    def _leave(self) -> None:
        if self._bundle is not None:
            bundle, lane = self._bundle
            self._bundle = None
            bundle.leave(lane)

    def _carry(self, frame: Carry) -> None:
        if self._bundle is None:
            self._refuse(0, Refused(ErrorCode.FORBIDDEN))
            return
        now_s = self._loop.time()
        wait_ms = self._signals.take(now_s) or self._bytes.take(now_s, len(frame.body))
        if wait_ms:
            self._refuse(0, Refused(ErrorCode.RATE_LIMITED, retry_after_ms=wait_ms))
            return
        bundle, lane = self._bundle
        bundle.carried(lane, frame)
