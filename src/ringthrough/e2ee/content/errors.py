"""Why content is refused: one closed list of reasons, shared with the vectors and with other implementations."""

from __future__ import annotations

from enum import StrEnum

from ringthrough.e2ee.errors import E2eeError


class Reason(StrEnum):
    """Stable names. The first group is about CBOR, the second about the message, the third about bodies in it."""

    TRUNCATED = "truncated"
    TRAILING_BYTES = "trailing_bytes"
    NOT_SHORTEST = "not_shortest"
    INDEFINITE_LENGTH = "indefinite_length"
    KEYS_UNSORTED = "keys_unsorted"
    DUPLICATE_KEY = "duplicate_key"
    BAD_KEY = "bad_key"
    BAD_UTF8 = "bad_utf8"
    UNSUPPORTED_VALUE = "unsupported_value"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"

    BAD_STRUCTURE = "bad_structure"
    BAD_MESSAGE_ID = "bad_message_id"
    OUT_OF_RANGE = "out_of_range"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    UNKNOWN_CARDINALITY = "unknown_cardinality"
    UNKNOWN_SEMANTICS = "unknown_semantics"
    BAD_ENCRYPTION = "bad_encryption"
    BAD_HASH = "bad_hash"
    UNSAFE_FILENAME = "unsafe_filename"
    WRONG_SENDER = "wrong_sender"
    WRONG_ROOM = "wrong_room"
    IMPLAUSIBLE_EXPIRY = "implausible_expiry"

    UNSUPPORTED_VERSION = "unsupported_version"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_REASON = "unknown_reason"
    UNKNOWN_CODEC = "unknown_codec"
    BAD_BODY = "bad_body"
    UNSUPPORTED_ALGORITHM = "unsupported_algorithm"
    HASH_MISMATCH = "hash_mismatch"
    DECRYPTION_FAILED = "decryption_failed"


class ContentError(E2eeError):
    """Content that cannot be sent or must not be believed. `reason` is one of `Reason`."""

    reason: Reason

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
