"""Credentials (RFC 9420 section 5.3): basic ones only, and the application's say about each leaf."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from .codec import Reader, opaque, u16
from .errors import Unsupported
from .limits import IDENTITY_BYTES_MAX

CREDENTIAL_BASIC: Final = 1


class CredentialUse(Enum):
    """Why a leaf is being checked."""

    ADD = "add"
    """A key package is proposed or committed as a new member."""
    UPDATE = "update"
    """A member proposes a new leaf for itself."""
    JOIN = "join"
    """A leaf of the tree of a group being joined."""
    COMMIT = "commit"
    """The new leaf of a member that commits."""
    EXTERNAL = "external"
    """The leaf of somebody who joins by an external commit."""


CredentialCheck = Callable[[bytes, bytes, CredentialUse], None]
"""`check(identity, signature_key, use)`: returns to accept, raises `CredentialRefused` to refuse."""


@dataclass(frozen=True)
class Credential:
    """A basic credential: an identity of the application's making (section 5.3)."""

    identity: bytes

    def encode(self) -> bytes:
        return u16(CREDENTIAL_BASIC) + opaque(self.identity)

    @staticmethod
    def read(reader: Reader) -> Credential:
        kind = reader.u16()
        if kind != CREDENTIAL_BASIC:
            raise Unsupported(f"credential type {kind} is not supported")
        return Credential(reader.opaque(IDENTITY_BYTES_MAX))


@dataclass(frozen=True)
class Member:
    """A member of a group: its leaf index, identity and signature public key."""

    leaf: int
    identity: bytes
    signature_key: bytes
