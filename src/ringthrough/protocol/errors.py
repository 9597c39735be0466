"""The closed list of errors that cross the wire, in frames and in HTTP answers alike."""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a request was refused. The value is the wire form."""

    BAD_FRAME = "bad_frame"
    UNKNOWN_TYPE = "unknown_type"
    HELLO_FIRST = "hello_first"
    UNSUPPORTED_VERSION = "unsupported_version"
    TOO_LARGE = "too_large"
    BAD_SIZE = "bad_size"
    FORBIDDEN = "forbidden"
    STREAM_EXISTS = "stream_exists"
    BAD_HANDLE = "bad_handle"
    CONFLICT = "conflict"
    STALE = "stale"
    TOO_MANY = "too_many"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    BAD_REQUEST = "bad_request"
    BAD_SIGNATURE = "bad_signature"
    NOT_FOUND = "not_found"
    HANDLE_TAKEN = "handle_taken"
    UNAUTHENTICATED = "unauthenticated"
    HASH_MISMATCH = "hash_mismatch"


class ProtocolError(Exception):
    """Input that does not follow the protocol. Nothing was changed by it.

    `request` and `handle` are 0 where they do not apply or could not be read.
    """

    def __init__(self, code: ErrorCode, message: str, request: int = 0, handle: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request = request
        self.handle = handle
