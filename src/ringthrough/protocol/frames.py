"""The frames of one connection (docs/spec/transport.md).

One WebSocket message is one frame: a type byte and a body. Control bodies are MessagePack arrays; appends, records
and signals have a fixed binary header so that the hot path builds no maps.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import NewType

import msgspec

from . import limits
from .errors import ErrorCode, ProtocolError

StreamId = NewType("StreamId", bytes)
Token = NewType("Token", bytes)
TokenHash = NewType("TokenHash", bytes)
BundleId = NewType("BundleId", bytes)
StreamHandle = NewType("StreamHandle", int)


class FrameType(IntEnum):
    """First byte of every message. Below 0x80 from the client, from 0x80 on from the server."""

    HELLO = 0x01
    CREATE = 0x02
    OPEN = 0x03
    CLOSE = 0x04
    APPEND = 0x05
    SIGNAL = 0x06
    PING = 0x07
    JOIN = 0x08
    CARRY = 0x09
    ACK = 0x0A
    WELCOME = 0x81
    CREATED = 0x82
    OPENED = 0x83
    CLOSED = 0x84
    APPENDED = 0x85
    RECORDS = 0x86
    SIGNALLED = 0x87
    PONG = 0x88
    JOINED = 0x89
    CARRIED = 0x8A
    ACKED = 0x8B
    ERROR = 0xFF


class StreamKind(IntEnum):
    """Who may append: members who show the token, or anybody (an inbox)."""

    CONVERSATION = 0
    INBOX = 1


class Right(IntFlag):
    """What the capability shown with OPEN allows on the stream."""

    READ = 1
    APPEND = 2
    SIGNAL = 4


class AppendFlag(IntFlag):
    """COMMIT: compare the epoch, and on success move to the next epoch and token."""

    COMMIT = 1


class Hello(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Client's first frame: the versions it speaks."""

    version_min: int
    version_max: int


class Welcome(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Answer to Hello: the version chosen and the server's clock."""

    version: int
    time_ms: int


class Create(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Make an empty stream at epoch 0 whose capability hashes to `token_hash` (SHA-256)."""

    request: int
    stream: bytes
    kind: StreamKind
    token_hash: bytes


class Created(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The stream is on disk."""

    request: int


class Open(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Show a capability and subscribe. Opening a stream again replaces the capability, keeps the handle and goes on
    after the last record delivered. An empty token on an inbox allows to append only."""

    request: int
    stream: bytes
    token: bytes
    from_seq: int


class Opened(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`epoch` and `head` (last seq, 0 if none) of the stream now; `first` is the oldest seq still kept.

    `read_to` is 0, or the last seq that this retired capability may read.
    """

    request: int
    handle: int
    rights: int
    epoch: int
    first: int
    head: int
    read_to: int


class Close(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Unsubscribe and forget the handle."""

    request: int
    handle: int


class Closed(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The handle is gone."""

    request: int


class Ping(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Liveness and clock question."""

    request: int


class Pong(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The server's clock."""

    request: int
    time_ms: int


class Join(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Make this connection a lane of the bundle (docs/spec/lanes.md). `handle` is a conversation open on this
    connection with the right to signal, which the bundle then speaks for; 0 where another lane has shown one."""

    request: int
    bundle: bytes
    handle: int


class Joined(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The connection is a lane. Another `instance` than before: the server counts frames afresh."""

    request: int
    instance: int


class Error(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Request `request` was refused and changed nothing (0: not tied to a request).

    `detail` is the current epoch for `conflict` and `stale`, else 0.
    """

    request: int
    code: str
    message: str
    retry_after_ms: int = 0
    detail: int = 0


class Append(msgspec.Struct, frozen=True, gc=False):
    """Add records, all or none, with consecutive seqs.

    `commit_epoch` is None, or the epoch that must be current for this commit to win; then `next_token_hash` replaces
    the capability, and the old one reads up to and including this record.
    """

    handle: int
    request: int
    records: tuple[bytes, ...]
    commit_epoch: int | None = None
    next_token_hash: bytes = b""


class Appended(msgspec.Struct, frozen=True, gc=False):
    """The records are on disk (fsynced); `first_seq` is the seq of the first."""

    request: int
    first_seq: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """One entry of a stream. `received_s`: when the server stored it, in Unix seconds."""

    seq: int
    received_s: int
    body: bytes


class Records(msgspec.Struct, frozen=True, gc=False):
    """Records of one stream, in order and without gaps but for expiry."""

    handle: int
    records: tuple[Record, ...]


class Signal(msgspec.Struct, frozen=True, gc=False):
    """Bytes for whoever listens now; never stored."""

    handle: int
    body: bytes


class Signalled(msgspec.Struct, frozen=True, gc=False):
    """A signal from another subscriber."""

    handle: int
    body: bytes


class Carry(msgspec.Struct, frozen=True, gc=False):
    """One copy of a sealed frame on this lane. `seq`: the frame's number on this hop, `sent_ms`: the sender's clock,
    both modulo 2^32."""

    seq: int
    sent_ms: int
    body: bytes


class Carried(msgspec.Struct, frozen=True, gc=False):
    """The same, from the server."""

    seq: int
    sent_ms: int
    body: bytes


class Ack(msgspec.Struct, frozen=True, gc=False):
    """Everything on this lane up to the copy of `seq` has arrived. `delay_ms`: the receiver's clock less `sent_ms`,
    modulo 2^32. `level`: the redundancy of the other direction, 0 to 3; `narrow`: a hop further on has no room;
    `sparing`: one answer for several frames of the other direction will do."""

    seq: int
    delay_ms: int
    level: int
    narrow: bool
    sparing: bool


class Acked(msgspec.Struct, frozen=True, gc=False):
    """The same, from the server."""

    seq: int
    delay_ms: int
    level: int
    narrow: bool
    sparing: bool


ClientFrame = Hello | Create | Open | Close | Append | Signal | Ping | Join | Carry | Ack
ServerFrame = (
    Welcome | Created | Opened | Closed | Appended | Records | Signalled | Pong | Joined | Carried | Acked | Error
)

_CONTROL: dict[type[msgspec.Struct], FrameType] = {
    Hello: FrameType.HELLO,
    Create: FrameType.CREATE,
    Open: FrameType.OPEN,
    Close: FrameType.CLOSE,
    Ping: FrameType.PING,
    Welcome: FrameType.WELCOME,
    Created: FrameType.CREATED,
    Opened: FrameType.OPENED,
    Closed: FrameType.CLOSED,
    Pong: FrameType.PONG,
    Join: FrameType.JOIN,
    Joined: FrameType.JOINED,
    Error: FrameType.ERROR,
}
_ENCODER = msgspec.msgpack.Encoder()
_DECODERS = {frame_type: msgspec.msgpack.Decoder(cls) for cls, frame_type in _CONTROL.items()}
_APPEND_HEAD = struct.Struct(">BIIB")
_COMMIT_HEAD = struct.Struct(">Q32s")
_COUNT = struct.Struct(">H")
_LENGTH = struct.Struct(">I")
_APPENDED = struct.Struct(">BIQ")
_RECORDS_HEAD = struct.Struct(">BIH")
_RECORD_HEAD = struct.Struct(">QQI")
_SIGNAL_HEAD = struct.Struct(">BI")
_CARRIED, _ACKED = int(FrameType.CARRIED), int(FrameType.ACKED)
SIGNAL_HEADER_BYTES = _SIGNAL_HEAD.size
_CARRY_HEAD = struct.Struct(">BII")
_ACK = struct.Struct(">BIIB3x")  # as long as APPENDED


def encode(frame: ClientFrame | ServerFrame) -> bytes:
    """One WebSocket message."""
    match frame:
        case Append():
            return _encode_append(frame)
        case Appended(request, first_seq):
            return _APPENDED.pack(FrameType.APPENDED, request, first_seq)
        case Records(handle, records):
            return encode_records(handle, [encode_record(r) for r in records])
        case Signal(handle, body):
            return _SIGNAL_HEAD.pack(FrameType.SIGNAL, handle) + body
        case Signalled(handle, body):
            return _SIGNAL_HEAD.pack(FrameType.SIGNALLED, handle) + body
        case Carry(seq, sent_ms, body):
            return _CARRY_HEAD.pack(FrameType.CARRY, seq, sent_ms) + body
        case Carried(seq, sent_ms, body):
            return encode_carried(seq, sent_ms, body)
        case Ack(seq, delay_ms, level, narrow, sparing):
            return _ACK.pack(FrameType.ACK, seq, delay_ms, level | narrow << 2 | sparing << 3)
        case Acked(seq, delay_ms, level, narrow, sparing):
            return encode_acked(seq, delay_ms, level, narrow=narrow, sparing=sparing)
        case _:
            return bytes((_CONTROL[type(frame)],)) + _ENCODER.encode(frame)


def encode_carried(seq: int, sent_ms: int, body: bytes) -> bytes:
    """A CARRIED frame without the object in between, for the path that every frame of every call takes."""
    return _CARRY_HEAD.pack(_CARRIED, seq, sent_ms) + body


def encode_acked(seq: int, delay_ms: int, level: int, *, narrow: bool, sparing: bool) -> bytes:
    """An ACKED frame, likewise."""
    return _ACK.pack(_ACKED, seq, delay_ms, level | narrow << 2 | sparing << 3)


def encode_record(record: Record) -> bytes:
    """The part of a RECORDS frame that is the same for every subscriber, so that fan-out encodes it once."""
    return _RECORD_HEAD.pack(record.seq, record.received_s, len(record.body)) + record.body


def encode_records(handle: int, encoded: Sequence[bytes]) -> bytes:
    """A RECORDS frame from records that `encode_record` made."""
    return records_header(handle, len(encoded)) + b"".join(encoded)


def records_header(handle: int, count: int) -> bytes:
    """The part of a RECORDS frame that differs between subscribers."""
    return _RECORDS_HEAD.pack(FrameType.RECORDS, handle, count)


def signalled_header(handle: int) -> bytes:
    """The part of a SIGNALLED frame that differs between subscribers; the body follows."""
    return _SIGNAL_HEAD.pack(FrameType.SIGNALLED, handle)


def _encode_append(frame: Append) -> bytes:
    commit = frame.commit_epoch is not None
    if commit and len(frame.next_token_hash) != limits.TOKEN_HASH_BYTES:
        raise ValueError("a commit names the next token's hash, 32 bytes")
    parts = [
        _APPEND_HEAD.pack(
            FrameType.APPEND, frame.handle, frame.request, AppendFlag.COMMIT if commit else AppendFlag(0)
        )
    ]
    if frame.commit_epoch is not None:
        parts.append(_COMMIT_HEAD.pack(frame.commit_epoch, frame.next_token_hash))
    parts.append(_COUNT.pack(len(frame.records)))
    for body in frame.records:
        parts += (_LENGTH.pack(len(body)), body)
    return b"".join(parts)


def decode_client(message: bytes) -> ClientFrame:
    """Parse what a client sent.

    Raises:
        ProtocolError: `bad_frame`, `unknown_type`, `too_large` or `bad_size`, with the request number (and for an
            append the handle) where it was readable, so that the answer finds its question.
    """
    frame_type = _frame_type(message)
    if frame_type == FrameType.APPEND:
        return _decode_append(message)
    if frame_type == FrameType.SIGNAL:
        handle, body = _decode_signal(message)
        return Signal(handle, body)
    if frame_type == FrameType.CARRY:
        return Carry(*_decode_carry(message))
    if frame_type == FrameType.ACK:
        return Ack(*_decode_ack(message))
    if frame_type >= 0x80:
        raise ProtocolError(ErrorCode.UNKNOWN_TYPE, f"type 0x{frame_type:02x} is the server's")
    frame = _decode_control(frame_type, message)
    if isinstance(frame, Create | Open) and len(frame.stream) != limits.STREAM_ID_BYTES:
        raise ProtocolError(ErrorCode.BAD_FRAME, "a stream id is 16 bytes", frame.request)
    if isinstance(frame, Create) and len(frame.token_hash) != limits.TOKEN_HASH_BYTES:
        raise ProtocolError(ErrorCode.BAD_FRAME, "a token hash is 32 bytes", frame.request)
    if isinstance(frame, Open) and (
        len(frame.token) not in (0, limits.TOKEN_BYTES) or not 0 <= frame.from_seq < 1 << 63
    ):
        raise ProtocolError(ErrorCode.BAD_FRAME, "a token is 32 bytes or empty, and seqs are positive", frame.request)
    if isinstance(frame, Join) and len(frame.bundle) != limits.BUNDLE_ID_BYTES:
        raise ProtocolError(ErrorCode.BAD_FRAME, "a bundle's id is 16 bytes", frame.request)
    return frame  # type: ignore[return-value]


def decode_server(message: bytes) -> ServerFrame:
    """Parse what a server sent.

    Raises:
        ProtocolError: as `decode_client`; the client then closes the connection, since its server is broken.
    """
    frame_type = _frame_type(message)
    try:
        if frame_type == FrameType.RECORDS:
            return _decode_records(message)
        if frame_type == FrameType.APPENDED:
            _, request, first_seq = _APPENDED.unpack(message)
            return Appended(request, first_seq)
    except struct.error as e:
        raise ProtocolError(ErrorCode.BAD_FRAME, str(e)) from None
    if frame_type == FrameType.SIGNALLED:
        handle, body = _decode_signal(message)
        return Signalled(handle, body)
    if frame_type == FrameType.CARRIED:
        return Carried(*_decode_carry(message))
    if frame_type == FrameType.ACKED:
        return Acked(*_decode_ack(message))
    if frame_type < 0x80:
        raise ProtocolError(ErrorCode.UNKNOWN_TYPE, f"type 0x{frame_type:02x} is the client's")
    return _decode_control(frame_type, message)  # type: ignore[return-value]


def _frame_type(message: bytes) -> int:
    if not message:
        raise ProtocolError(ErrorCode.BAD_FRAME, "empty message")
    if len(message) > limits.MESSAGE_BYTES_MAX:
        raise ProtocolError(ErrorCode.TOO_LARGE, f"a message is at most {limits.MESSAGE_BYTES_MAX} bytes")
    return message[0]


def _decode_control(frame_type: int, message: bytes) -> msgspec.Struct:
    decoder = _DECODERS.get(frame_type)  # type: ignore[call-overload]
    if decoder is None:
        raise ProtocolError(ErrorCode.UNKNOWN_TYPE, f"type 0x{frame_type:02x} is unknown")
    try:
        frame: msgspec.Struct = decoder.decode(memoryview(message)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise ProtocolError(ErrorCode.BAD_FRAME, str(e), _request_of(frame_type, message)) from None
    for name in ("request", "handle", "instance"):
        if not 0 <= getattr(frame, name, 0) < 1 << 32:
            text = f"{name} is an unsigned 32-bit number"
            raise ProtocolError(ErrorCode.BAD_FRAME, text, _request_of(frame_type, message))
    return frame


def _request_of(frame_type: int, message: bytes) -> int:
    """The request number of a control frame that is wrong elsewhere, or 0."""
    if frame_type in (FrameType.HELLO, FrameType.WELCOME):
        return 0
    try:
        fields = msgspec.msgpack.decode(memoryview(message)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0
    request = fields[0] if isinstance(fields, list) and fields else 0
    return request if type(request) is int and 0 <= request < 1 << 32 else 0


def _decode_append(message: bytes) -> Append:
    handle = request = 0
    try:
        _, handle, request, flags = _APPEND_HEAD.unpack_from(message)
        at = _APPEND_HEAD.size
        epoch: int | None = None
        next_hash = b""
        if flags & AppendFlag.COMMIT:
            epoch, next_hash = _COMMIT_HEAD.unpack_from(message, at)
            at += _COMMIT_HEAD.size
        (count,) = _COUNT.unpack_from(message, at)
        at += _COUNT.size
        if flags & ~int(AppendFlag.COMMIT):  # the complement of a Flag knows only named bits
            raise ProtocolError(ErrorCode.BAD_FRAME, "unknown append flag", request, handle)
        if not 1 <= count <= limits.APPEND_RECORDS_MAX or (epoch is not None and count != 1):
            raise ProtocolError(
                ErrorCode.BAD_FRAME, "an append carries 1 to 64 records, a commit exactly one", request, handle
            )
        bodies = []
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(message, at)
            at += _LENGTH.size
            if length not in limits.PADDED_SIZES_BYTES:
                raise ProtocolError(ErrorCode.BAD_SIZE, f"{length} is not one of the padded sizes", request, handle)
            bodies.append(message[at : at + length])
            at += length
    except struct.error:
        raise ProtocolError(ErrorCode.BAD_FRAME, "append ends too early", request, handle) from None
    if at != len(message):
        raise ProtocolError(ErrorCode.BAD_FRAME, "append has a wrong length", request, handle)
    if sum(map(len, bodies)) > limits.APPEND_BYTES_MAX:
        raise ProtocolError(
            ErrorCode.TOO_LARGE, f"an append carries at most {limits.APPEND_BYTES_MAX} bytes", request, handle
        )
    if epoch is not None and epoch >= 1 << 63:
        raise ProtocolError(ErrorCode.BAD_FRAME, "an epoch is below 2^63", request, handle)
    return Append(handle, request, tuple(bodies), epoch, next_hash)


def _decode_signal(message: bytes) -> tuple[int, bytes]:
    if len(message) < _SIGNAL_HEAD.size:
        raise ProtocolError(ErrorCode.BAD_FRAME, "signal ends too early")
    _, handle = _SIGNAL_HEAD.unpack_from(message)
    length = len(message) - _SIGNAL_HEAD.size
    if length > limits.SIGNAL_BYTES_MAX or length not in limits.PADDED_SIZES_BYTES:
        raise ProtocolError(ErrorCode.BAD_SIZE, f"{length} is not a padded size for a signal")
    return handle, message[_SIGNAL_HEAD.size :]


def _decode_carry(message: bytes) -> tuple[int, int, bytes]:
    if len(message) < _CARRY_HEAD.size:
        raise ProtocolError(ErrorCode.BAD_FRAME, "a carried frame ends too early")
    _, seq, sent_ms = _CARRY_HEAD.unpack_from(message)
    length = len(message) - _CARRY_HEAD.size
    if length > limits.SIGNAL_BYTES_MAX or length not in limits.PADDED_SIZES_BYTES:
        raise ProtocolError(ErrorCode.BAD_SIZE, f"{length} is not a padded size for a carried frame")
    return seq, sent_ms, message[_CARRY_HEAD.size :]


def _decode_ack(message: bytes) -> tuple[int, int, int, bool, bool]:
    if len(message) != _ACK.size or message[-3:] != bytes(3) or message[9] > 15:
        raise ProtocolError(
            ErrorCode.BAD_FRAME, "an acknowledgement has 13 bytes, flags up to 15, the last three zero"
        )
    _, seq, delay_ms, flags = _ACK.unpack(message)
    return seq, delay_ms, flags & 3, bool(flags & 4), bool(flags & 8)


def _decode_records(message: bytes) -> Records:
    _, handle, count = _RECORDS_HEAD.unpack_from(message)
    at = _RECORDS_HEAD.size
    records = []
    for _ in range(count):
        seq, received_s, length = _RECORD_HEAD.unpack_from(message, at)
        at += _RECORD_HEAD.size
        if length not in limits.PADDED_SIZES_BYTES:
            raise ProtocolError(ErrorCode.BAD_SIZE, f"{length} is not one of the padded sizes")
        records.append(Record(seq, received_s, message[at : at + length]))
        at += length
    if at != len(message):
        raise ProtocolError(ErrorCode.BAD_FRAME, "records have a wrong length")
    return Records(handle, tuple(records))
