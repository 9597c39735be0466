"""Welcome, GroupSecrets and GroupInfo (RFC 9420 section 12.4.3) as they stand on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from .codec import Reader, opaque, optional, u16, u32, vector
from .commits import HpkeCiphertext
from .extensions import Extensions, encode_extensions, read_extensions
from .group_context import GroupContext
from .limits import GROUP_LEAVES_MAX, PSKS_PER_COMMIT_MAX, PUBLIC_KEY_BYTES_MAX, SIGNATURE_BYTES_MAX
from .psk import PreSharedKeyId
from .structure import Structure, remember
from .suites import CipherSuite


@dataclass(frozen=True)
class GroupInfo(Structure):
    """A signed description of a group in one epoch; `signer` is a leaf index."""

    group_context: GroupContext
    extensions: Extensions
    confirmation_tag: bytes
    signer: int
    signature: bytes

    def _encode(self) -> bytes:
        return self.unsigned + opaque(self.signature)

    @cached_property
    def unsigned(self) -> bytes:
        """GroupInfoTBS."""
        return b"".join(
            (
                self.group_context.encoded,
                encode_extensions(self.extensions),
                opaque(self.confirmation_tag),
                u32(self.signer),
            )
        )

    @staticmethod
    def read(reader: Reader) -> GroupInfo:
        start = reader.position
        info = GroupInfo(
            GroupContext.read(reader),
            read_extensions(reader),
            reader.opaque(PUBLIC_KEY_BYTES_MAX),
            reader.u32(),
            reader.opaque(SIGNATURE_BYTES_MAX),
        )
        return remember(info, reader, start)

    def signed(self, cs: CipherSuite, signature_private: bytes) -> GroupInfo:
        """This GroupInfo with its signature filled in."""
        return replace(self, signature=cs.sign_with_label(signature_private, "GroupInfoTBS", self.unsigned))

    def verify_signature(self, cs: CipherSuite, signature_public: bytes) -> None:
        """Raises `InvalidSignature` unless the signer's key made it."""
        cs.verify_with_label(signature_public, "GroupInfoTBS", self.unsigned, self.signature)


@dataclass(frozen=True)
class GroupSecrets:
    """What one new member is told in secret."""

    joiner_secret: bytes = field(repr=False)
    path_secret: bytes | None = field(repr=False)
    psks: tuple[PreSharedKeyId, ...]

    def encode(self) -> bytes:
        path_secret = None if self.path_secret is None else opaque(self.path_secret)
        return opaque(self.joiner_secret) + optional(path_secret) + vector(p.encode() for p in self.psks)

    @staticmethod
    def read(reader: Reader) -> GroupSecrets:
        return GroupSecrets(
            reader.opaque(PUBLIC_KEY_BYTES_MAX),
            reader.optional(lambda inner: inner.opaque(PUBLIC_KEY_BYTES_MAX)),
            tuple(reader.vector(PreSharedKeyId.read, PSKS_PER_COMMIT_MAX)),
        )


@dataclass(frozen=True)
class EncryptedGroupSecrets:
    """GroupSecrets sealed to one key package."""

    new_member: bytes
    encrypted_group_secrets: HpkeCiphertext

    def encode(self) -> bytes:
        return opaque(self.new_member) + self.encrypted_group_secrets.encode()

    @staticmethod
    def read(reader: Reader) -> EncryptedGroupSecrets:
        return EncryptedGroupSecrets(reader.opaque(PUBLIC_KEY_BYTES_MAX), HpkeCiphertext.read(reader))


@dataclass(frozen=True)
class Welcome:
    """The way in for all members that one commit adds."""

    cipher_suite: int
    secrets: tuple[EncryptedGroupSecrets, ...]
    encrypted_group_info: bytes

    def encode(self) -> bytes:
        secrets = vector(entry.encode() for entry in self.secrets)
        return u16(self.cipher_suite) + secrets + opaque(self.encrypted_group_info)

    @staticmethod
    def read(reader: Reader) -> Welcome:
        suite_id = reader.u16()
        secrets = tuple(reader.vector(EncryptedGroupSecrets.read, GROUP_LEAVES_MAX))
        return Welcome(suite_id, secrets, reader.opaque())
