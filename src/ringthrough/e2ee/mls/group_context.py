"""GroupContext (RFC 9420 section 8.1) and the transcript hashes (section 8.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from .codec import Reader, opaque, u16, u64
from .errors import Unsupported
from .extensions import Extensions, encode_extensions, read_extensions
from .limits import GROUP_ID_BYTES_MAX, PUBLIC_KEY_BYTES_MAX
from .structure import Structure, remember
from .suites import PROTOCOL_VERSION, CipherSuite


@dataclass(frozen=True)
class GroupContext(Structure):
    """What all members agree on in an epoch."""

    cipher_suite: int
    group_id: bytes
    epoch: int
    tree_hash: bytes = field(repr=False)
    confirmed_transcript_hash: bytes = field(repr=False)
    extensions: Extensions = ()

    def _encode(self) -> bytes:
        return b"".join(
            (
                u16(PROTOCOL_VERSION),
                u16(self.cipher_suite),
                opaque(self.group_id),
                u64(self.epoch),
                opaque(self.tree_hash),
                opaque(self.confirmed_transcript_hash),
                encode_extensions(self.extensions),
            )
        )

    @staticmethod
    def read(reader: Reader) -> GroupContext:
        start = reader.position
        version = reader.u16()
        if version != PROTOCOL_VERSION:
            raise Unsupported(f"protocol version {version} is not supported")
        context = GroupContext(
            reader.u16(),
            reader.opaque(GROUP_ID_BYTES_MAX),
            reader.u64(),
            reader.opaque(PUBLIC_KEY_BYTES_MAX),
            reader.opaque(PUBLIC_KEY_BYTES_MAX),
            read_extensions(reader),
        )
        return remember(context, reader, start)


def confirmed_transcript_hash(cs: CipherSuite, interim_before: bytes, commit_content: bytes) -> bytes:
    """The hash over all commits; `commit_content` is ConfirmedTranscriptHashInput encoded."""
    return cs.hash(interim_before + commit_content)


def interim_transcript_hash(cs: CipherSuite, confirmed: bytes, confirmation_tag: bytes) -> bytes:
    """The confirmed hash with the commit's own confirmation tag added."""
    return cs.hash(confirmed + opaque(confirmation_tag))
