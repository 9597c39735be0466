"""The client's half of one connection as a pure machine: bytes in, answers and stream events out.

It pairs answers with requests, keeps the handle of each stream, and refuses what a hostile or broken server may send:
answers to nothing, handles never opened, records out of order. After any `ProtocolError` the connection is unusable.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import frames, limits
from .errors import ErrorCode, ProtocolError
from .frames import BundleId, StreamId, Token, TokenHash


@dataclass(frozen=True)
class Answered:
    """The request succeeded with this frame."""

    request: int
    frame: frames.Created | frames.Opened | frames.Closed | frames.Appended | frames.Pong | frames.Joined


@dataclass(frozen=True)
class RequestRefused:
    """The request changed nothing on the server."""

    request: int
    error: frames.Error


@dataclass(frozen=True)
class ConnectionRefused:
    """An error that belongs to no request."""

    error: frames.Error


@dataclass(frozen=True)
class Ready:
    """The version is agreed; requests may be sent."""

    version: int
    server_time_ms: int


@dataclass(frozen=True)
class RecordsArrived:
    """Records of one stream, consecutive."""

    stream: StreamId
    records: tuple[frames.Record, ...]


@dataclass(frozen=True)
class SignalArrived:
    """A signal of one stream."""

    stream: StreamId
    body: bytes


Event = (
    Answered
    | RequestRefused
    | ConnectionRefused
    | Ready
    | RecordsArrived
    | SignalArrived
    | frames.Carried
    | frames.Acked
)


@dataclass
class _Pending:
    answer: type[frames.ServerFrame]
    stream: StreamId | None = None
    from_seq: int = 0
    handle: int = 0
    is_void: bool = False
    """The stream was closed after this OPEN had been sent: its answer opens nothing."""


@dataclass
class _Stream:
    handle: int
    next_seq: int | None
    """Seq the next record must have; None until the first one, since older records may have expired."""
    from_seq: int


class Session:
    """State of one connection. Every method that makes a request returns `(request number, message bytes)`."""

    def __init__(self) -> None:
        self._next_request = 1
        self._pending: dict[int, _Pending] = {}
        self._streams: dict[StreamId, _Stream] = {}
        self._by_handle: dict[int, StreamId] = {}
        self.ready = False

    def hello(self) -> bytes:
        """The first message."""
        return frames.encode(frames.Hello(limits.VERSION_MIN, limits.VERSION_MAX))

    def create(self, stream: StreamId, kind: frames.StreamKind, token_hash: TokenHash) -> tuple[int, bytes]:
        """Ask for a new stream."""
        request = self._request(_Pending(frames.Created))
        return request, frames.encode(frames.Create(request, stream, kind, token_hash))

    def open(self, stream: StreamId, token: Token | None, from_seq: int) -> tuple[int, bytes]:
        """Show a capability (None: deposit only) and subscribe from `from_seq`."""
        request = self._request(_Pending(frames.Opened, stream, from_seq))
        return request, frames.encode(frames.Open(request, stream, token or b"", from_seq))

    def close(self, stream: StreamId) -> tuple[int, bytes]:
        """Unsubscribe. Records still under way are dropped."""
        handle = self._handle(stream)
        request = self._request(_Pending(frames.Closed, handle=handle))
        del self._streams[stream]
        for pending in self._pending.values():
            pending.is_void = pending.is_void or pending.stream == stream
        return request, frames.encode(frames.Close(request, handle))

    def append(
        self,
        stream: StreamId,
        records: tuple[bytes, ...],
        commit_epoch: int | None = None,
        next_token_hash: TokenHash | None = None,
    ) -> tuple[int, bytes]:
        """Append records, or one commit that moves the stream to the next epoch."""
        handle = self._handle(stream)
        request = self._request(_Pending(frames.Appended))
        frame = frames.Append(handle, request, records, commit_epoch, next_token_hash or b"")
        return request, frames.encode(frame)

    def signal(self, stream: StreamId, body: bytes) -> bytes:
        """A signal's message; there is no answer."""
        return frames.encode(frames.Signal(self._handle(stream), body))

    def join(self, bundle: BundleId, stream: StreamId | None) -> tuple[int, bytes]:
        """Make this connection a lane; `stream` is what the bundle speaks for, None where another lane showed it."""
        handle = 0 if stream is None else self._handle(stream)
        request = self._request(_Pending(frames.Joined))
        return request, frames.encode(frames.Join(request, bundle, handle))

    def ping(self) -> tuple[int, bytes]:
        """Ask for the server's clock."""
        request = self._request(_Pending(frames.Pong))
        return request, frames.encode(frames.Ping(request))

    def is_open(self, stream: StreamId) -> bool:
        """Whether the stream has a handle on this connection."""
        return stream in self._streams

    def receive(self, message: bytes) -> Event | None:
        """Take one message; None when it is of no interest any more.

        Raises:
            ProtocolError: the server broke the protocol.
        """
        frame = frames.decode_server(message)
        match frame:
            case frames.Welcome():
                return self._welcome(frame)
            case frames.Records():
                return self._records(frame)
            case frames.Signalled(handle, body):
                stream = self._stream_of(handle)
                return SignalArrived(stream, body) if stream in self._streams else None
            case frames.Carried() | frames.Acked():
                return frame
            case frames.Error():
                return self._error(frame)
            case _:
                return self._answer(frame)

    def _request(self, pending: _Pending) -> int:
        if len(self._pending) >= limits.REQUESTS_IN_FLIGHT_MAX:
            raise ProtocolError(ErrorCode.TOO_MANY, "too many requests in flight")
        request = self._next_request
        self._next_request = request % 0xFFFF_FFFF + 1
        self._pending[request] = pending
        return request

    def _handle(self, stream: StreamId) -> int:
        try:
            return self._streams[stream].handle
        except KeyError:
            raise ProtocolError(ErrorCode.BAD_HANDLE, "the stream is not open on this connection") from None

    def _stream_of(self, handle: int) -> StreamId:
        try:
            return self._by_handle[handle]
        except KeyError:
            raise ProtocolError(ErrorCode.BAD_HANDLE, f"the server used handle {handle}, which is not open") from None

    def _welcome(self, frame: frames.Welcome) -> Event:
        if self.ready or not limits.VERSION_MIN <= frame.version <= limits.VERSION_MAX:
            raise ProtocolError(ErrorCode.UNSUPPORTED_VERSION, f"the server chose version {frame.version}")
        self.ready = True
        return Ready(frame.version, frame.time_ms)

    def _records(self, frame: frames.Records) -> Event | None:
        stream = self._stream_of(frame.handle)
        state = self._streams.get(stream)
        if state is None:
            return None
        for record in frame.records:
            in_order = record.seq == state.next_seq if state.next_seq is not None else record.seq >= state.from_seq
            if not in_order:
                raise ProtocolError(ErrorCode.BAD_FRAME, f"record {record.seq} is out of order")
            state.next_seq = record.seq + 1
        return RecordsArrived(stream, frame.records) if frame.records else None

    def _error(self, frame: frames.Error) -> Event:
        if frame.request == 0:
            return ConnectionRefused(frame)
        if self._pending.pop(frame.request, None) is None:
            raise ProtocolError(ErrorCode.BAD_FRAME, f"an error for request {frame.request}, which was never made")
        return RequestRefused(frame.request, frame)

    def _answer(
        self,
        frame: frames.Created | frames.Opened | frames.Closed | frames.Appended | frames.Pong | frames.Joined,
    ) -> Event:
        pending = self._pending.pop(frame.request, None)
        if pending is None or type(frame) is not pending.answer:
            raise ProtocolError(ErrorCode.BAD_FRAME, f"an answer to request {frame.request}, which was never made")
        if isinstance(frame, frames.Opened):
            self._opened(pending, frame)
        elif isinstance(frame, frames.Closed):
            self._by_handle.pop(pending.handle, None)
        return Answered(frame.request, frame)

    def _opened(self, pending: _Pending, frame: frames.Opened) -> None:
        assert pending.stream is not None, "OPEN names a stream"
        known = self._streams.get(pending.stream)
        if known is not None and known.handle != frame.handle and not pending.is_void:
            raise ProtocolError(ErrorCode.BAD_FRAME, "the server changed the handle of an open stream")
        if self._by_handle.get(frame.handle, pending.stream) != pending.stream:
            raise ProtocolError(ErrorCode.BAD_FRAME, "the server gave one handle to two streams")
        if pending.is_void:
            return
        if known is None:
            self._streams[pending.stream] = _Stream(frame.handle, None, pending.from_seq)
        self._by_handle[frame.handle] = pending.stream
