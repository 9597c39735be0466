"""The message structure of MIMI content (draft-ietf-mimi-content-08 sections 4 and appendix B), as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NewType

from .cbor import Value

MessageId = NewType("MessageId", bytes)
"""32 bytes: a hash algorithm's number and 31 bytes of the hash, see `message_id`."""
Salt = NewType("Salt", bytes)
"""16 random bytes, fresh for every message."""
Extensions = Mapping[int | str, Value]

SENDER_URI: Final = 1
ROOM_URI: Final = 2
"""Registered keys of the extensions map."""


class Disposition(IntEnum):
    """What a part is for. 9 to 255 are legal, unknown, and treated as `RENDER`."""

    UNSPECIFIED = 0
    RENDER = 1
    REACTION = 2
    PROFILE = 3
    INLINE = 4
    ICON = 5
    ATTACHMENT = 6
    SESSION = 7
    PREVIEW = 8


class Cardinality(IntEnum):
    """Which kind of part follows."""

    NULL = 0
    SINGLE = 1
    EXTERNAL = 2
    MULTI = 3


class Semantics(IntEnum):
    """What a receiver does with the parts of a `MultiPart`."""

    CHOOSE_ONE = 0
    SINGLE_UNIT = 1
    PROCESS_ALL = 2


class EncAlg(IntEnum):
    """AEAD algorithm numbers (RFC 5116 registry) that this software opens."""

    NONE = 0
    AES_128_GCM = 1
    AES_256_GCM = 2


class HashAlg(IntEnum):
    """Named Information hash algorithms that this software checks."""

    NONE = 0
    SHA_256 = 1


@dataclass(frozen=True, slots=True)
class NullPart:
    """No content: a message that deletes another one."""

    disposition: int = Disposition.RENDER
    language: str = ""


@dataclass(frozen=True, slots=True)
class SinglePart:
    """Content of one media type."""

    content_type: str
    content: bytes = field(repr=False)
    disposition: int = Disposition.RENDER
    language: str = ""


@dataclass(frozen=True, slots=True)
class ExternalPart:
    """Content that lies elsewhere, with what is needed to open and check it.

    `expires_s` is seconds since 1970 or 0, `size` the bytes at `url` or 0. `content_hash` is over the bytes at `url`.
    """

    content_type: str
    url: str
    size: int = 0
    expires_s: int = 0
    enc_alg: int = EncAlg.NONE
    key: bytes = field(default=b"", repr=False)
    nonce: bytes = b""
    aad: bytes = b""
    hash_alg: int = HashAlg.NONE
    content_hash: bytes = b""
    description: str = ""
    filename: str = ""
    disposition: int = Disposition.ATTACHMENT
    language: str = ""


@dataclass(frozen=True, slots=True)
class MultiPart:
    """Two or more parts and what they are to one another."""

    semantics: Semantics
    parts: tuple[NestedPart, ...]
    disposition: int = Disposition.RENDER
    language: str = ""


NestedPart = NullPart | SinglePart | ExternalPart | MultiPart


@dataclass(frozen=True, slots=True)
class Expiration:
    """When to delete: seconds since 1970, or (relative) seconds after it was read."""

    relative: bool
    time_s: int


@dataclass(frozen=True, slots=True)
class MimiContent:
    """One message as it goes into an MLS application message."""

    salt: Salt
    body: NestedPart
    replaces: MessageId | None = None
    topic_id: bytes = b""
    expires: Expiration | None = None
    in_reply_to: MessageId | None = None
    extensions: Extensions = field(default_factory=dict)
