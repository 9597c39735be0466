"""LeafNode (RFC 9420 section 7.2) and its validation (section 7.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

from .codec import Reader, opaque, u8, u32, u64
from .credentials import CREDENTIAL_BASIC, Credential
from .errors import DecodeError, InvalidLeafNode
from .extensions import (
    Capabilities,
    Extensions,
    RequiredCapabilities,
    encode_extensions,
    read_extensions,
)
from .limits import PUBLIC_KEY_BYTES_MAX, SIGNATURE_BYTES_MAX
from .structure import Structure, remember
from .suites import PROTOCOL_VERSION, CipherSuite


class LeafNodeSource(IntEnum):
    """Where a leaf node came from."""

    KEY_PACKAGE = 1
    UPDATE = 2
    COMMIT = 3


@dataclass(frozen=True)
class Lifetime:
    """When a key package may be used: seconds since 1970-01-01 UTC, both ends included."""

    not_before_s: int
    not_after_s: int

    def contains(self, now_s: float) -> bool:
        return self.not_before_s <= now_s <= self.not_after_s


@dataclass(frozen=True)
class LeafNode(Structure):
    """One member's public state. `lifetime` is set for KEY_PACKAGE only, `parent_hash` for COMMIT only."""

    encryption_key: bytes
    signature_key: bytes
    credential: Credential
    capabilities: Capabilities
    source: LeafNodeSource
    lifetime: Lifetime | None
    parent_hash: bytes
    extensions: Extensions
    signature: bytes

    @property
    def identity(self) -> bytes:
        """The basic credential's identity."""
        return self.credential.identity

    def _encode(self) -> bytes:
        return self.unsigned + opaque(self.signature)

    @cached_property
    def unsigned(self) -> bytes:
        """Everything before the signature."""
        if "encoded" in self.__dict__:
            return self.encoded[: -len(opaque(self.signature))]
        if self.source is LeafNodeSource.KEY_PACKAGE:
            if self.lifetime is None:
                raise InvalidLeafNode("a leaf of a key package has a lifetime")
            varying = u64(self.lifetime.not_before_s) + u64(self.lifetime.not_after_s)
        else:
            varying = opaque(self.parent_hash) if self.source is LeafNodeSource.COMMIT else b""
        return b"".join(
            (
                opaque(self.encryption_key),
                opaque(self.signature_key),
                self.credential.encode(),
                self.capabilities.encode(),
                u8(self.source),
                varying,
                encode_extensions(self.extensions),
            )
        )

    @staticmethod
    def read(reader: Reader) -> LeafNode:
        start = reader.position
        encryption_key = reader.opaque(PUBLIC_KEY_BYTES_MAX)
        signature_key = reader.opaque(PUBLIC_KEY_BYTES_MAX)
        credential = Credential.read(reader)
        capabilities = Capabilities.read(reader)
        source = _read_source(reader)
        lifetime = None
        parent_hash = b""
        if source is LeafNodeSource.KEY_PACKAGE:
            lifetime = Lifetime(reader.u64(), reader.u64())
        elif source is LeafNodeSource.COMMIT:
            parent_hash = reader.opaque(PUBLIC_KEY_BYTES_MAX)
        extensions = read_extensions(reader)
        signature = reader.opaque(SIGNATURE_BYTES_MAX)
        leaf = LeafNode(
            encryption_key,
            signature_key,
            credential,
            capabilities,
            source,
            lifetime,
            parent_hash,
            extensions,
            signature,
        )
        return remember(leaf, reader, start)

    def _to_be_signed(self, group_id: bytes, leaf_index: int) -> bytes:
        """LeafNodeTBS: a key package's leaf is bound to no group yet."""
        if self.source is LeafNodeSource.KEY_PACKAGE:
            return self.unsigned
        return self.unsigned + opaque(group_id) + u32(leaf_index)

    def signed(
        self, cs: CipherSuite, signature_private: bytes, group_id: bytes = b"", leaf_index: int = 0
    ) -> LeafNode:
        """This leaf with its signature filled in."""
        content = self._to_be_signed(group_id, leaf_index)
        return replace(self, signature=cs.sign_with_label(signature_private, "LeafNodeTBS", content))

    def verify_signature(self, cs: CipherSuite, group_id: bytes = b"", leaf_index: int = 0) -> None:
        """Raises `InvalidSignature` unless the leaf's own key signed it for this place."""
        content = self._to_be_signed(group_id, leaf_index)
        cs.verify_with_label(self.signature_key, "LeafNodeTBS", content, self.signature)

    def check_capabilities(self, cs: CipherSuite, group_extensions: Extensions) -> None:
        """The leaf can take part in a group with this suite and these extensions (section 7.3)."""
        own = self.capabilities
        if PROTOCOL_VERSION not in own.versions or cs.id not in own.cipher_suites:
            raise InvalidLeafNode("a leaf does not list the group's version and cipher suite")
        if CREDENTIAL_BASIC not in own.credentials:
            raise InvalidLeafNode("a leaf does not list its own credential type")
        for extension in self.extensions:
            if not own.support_extension(extension.type):
                raise InvalidLeafNode("a leaf holds an extension it does not list")
        for extension in group_extensions:
            if not own.support_extension(extension.type):
                raise InvalidLeafNode("a leaf does not support an extension of the group")
        required = RequiredCapabilities.of(group_extensions)
        if required is not None and not required.met_by(own):
            raise InvalidLeafNode("a leaf does not meet the group's required capabilities")

    def check_lifetime(self, now_s: float | None) -> None:
        """The lifetime contains `now_s`; None means that the caller does not want the check."""
        if now_s is not None and self.lifetime is not None and not self.lifetime.contains(now_s):
            raise InvalidLeafNode("the lifetime of a key package does not contain this moment")


def _read_source(reader: Reader) -> LeafNodeSource:
    value = reader.u8()
    try:
        return LeafNodeSource(value)
    except ValueError as error:
        raise DecodeError(f"leaf node source {value} does not exist") from error
