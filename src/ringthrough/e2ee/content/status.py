"""Delivery and read marks: `application/mimi-message-status` of draft-mahy-mimi-message-status-01."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from . import limits
from .cbor import Value, decode_deterministic, encode_deterministic
from .errors import ContentError, Reason
from .model import HashAlg, MessageId

STATUS_MEDIA_TYPE: Final = "application/mimi-message-status"


class Status(IntEnum):
    """What became of a message at the sender of the report. 7 to 255 are legal, unknown, and to be ignored."""

    UNREAD = 0
    DELIVERED = 1
    READ = 2
    EXPIRED = 3
    DELETED = 4
    HIDDEN = 5
    ERROR = 6


class Mark(NamedTuple):
    """One message's status."""

    message_id: MessageId
    status: int


def encode_status(marks: list[Mark] | tuple[Mark, ...]) -> bytes:
    """The part's content.

    Raises:
        ContentError: a report that `decode_status` would refuse.
    """
    encoded = encode_deterministic([[mark.message_id, int(mark.status)] for mark in marks])
    decode_status(encoded)
    return encoded


def decode_status(content: bytes) -> tuple[Mark, ...]:
    """Read and check a report.

    Raises:
        ContentError: not deterministic CBOR, `too_many`, `bad_message_id` or `bad_body`.
    """
    value = decode_deterministic(content)
    if not isinstance(value, list):
        raise ContentError(Reason.BAD_BODY, "no array")
    if len(value) > limits.STATUSES_MAX:
        raise ContentError(Reason.TOO_MANY, f"{len(value)} marks, at most {limits.STATUSES_MAX}")
    return tuple(_mark(item) for item in value)


def _mark(value: Value) -> Mark:
    match value:
        case [bytes(identity), int(status)] if not isinstance(status, bool) and 0 <= status <= 255:
            if len(identity) != limits.MESSAGE_ID_BYTES or identity[0] != HashAlg.SHA_256:
                raise ContentError(Reason.BAD_MESSAGE_ID, "in a report")
            return Mark(MessageId(identity), status)
    raise ContentError(Reason.BAD_BODY, "no pair of message id and status")
