"""Proposals (RFC 9420 section 12.1) as they stand on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from .codec import Reader, opaque, u8, u16, u32
from .errors import DecodeError, Unsupported
from .extensions import Extensions, encode_extensions, read_extensions
from .key_package import KeyPackage
from .leaf_node import LeafNode
from .limits import GROUP_ID_BYTES_MAX, PUBLIC_KEY_BYTES_MAX
from .psk import PreSharedKeyId


class ProposalType(IntEnum):
    ADD = 1
    UPDATE = 2
    REMOVE = 3
    PSK = 4
    REINIT = 5
    EXTERNAL_INIT = 6
    GROUP_CONTEXT_EXTENSIONS = 7


@dataclass(frozen=True)
class AddProposal:
    """Section 12.1.1."""

    key_package: KeyPackage
    type = ProposalType.ADD

    def encode(self) -> bytes:
        return u16(self.type) + self.key_package.encoded


@dataclass(frozen=True)
class UpdateProposal:
    """Section 12.1.2."""

    leaf_node: LeafNode
    type = ProposalType.UPDATE

    def encode(self) -> bytes:
        return u16(self.type) + self.leaf_node.encoded


@dataclass(frozen=True)
class RemoveProposal:
    """Section 12.1.3; `removed` is a leaf index."""

    removed: int
    type = ProposalType.REMOVE

    def encode(self) -> bytes:
        return u16(self.type) + u32(self.removed)


@dataclass(frozen=True)
class PskProposal:
    """Section 12.1.4."""

    psk: PreSharedKeyId
    type = ProposalType.PSK

    def encode(self) -> bytes:
        return u16(self.type) + self.psk.encode()


@dataclass(frozen=True)
class ReInitProposal:
    """Section 12.1.5; decoded so that it can be named when it is refused."""

    group_id: bytes
    version: int
    cipher_suite: int
    extensions: Extensions
    type = ProposalType.REINIT

    def encode(self) -> bytes:
        body = opaque(self.group_id) + u16(self.version) + u16(self.cipher_suite)
        return u16(self.type) + body + encode_extensions(self.extensions)


@dataclass(frozen=True)
class ExternalInitProposal:
    """Section 12.1.6."""

    kem_output: bytes
    type = ProposalType.EXTERNAL_INIT

    def encode(self) -> bytes:
        return u16(self.type) + opaque(self.kem_output)


@dataclass(frozen=True)
class GroupContextExtensionsProposal:
    """Section 12.1.7."""

    extensions: Extensions
    type = ProposalType.GROUP_CONTEXT_EXTENSIONS

    def encode(self) -> bytes:
        return u16(self.type) + encode_extensions(self.extensions)


Proposal = (
    AddProposal
    | UpdateProposal
    | RemoveProposal
    | PskProposal
    | ReInitProposal
    | ExternalInitProposal
    | GroupContextExtensionsProposal
)

PATH_REQUIRED = frozenset(
    (
        ProposalType.UPDATE,
        ProposalType.REMOVE,
        ProposalType.EXTERNAL_INIT,
        ProposalType.GROUP_CONTEXT_EXTENSIONS,
    )
)
"""Types that make a commit without a path invalid (section 12.4): without it the removed would keep reading."""


def read_proposal(reader: Reader) -> Proposal:
    """`Proposal` of section 12.1."""
    number = reader.u16()
    match number:
        case ProposalType.ADD:
            return AddProposal(KeyPackage.read(reader))
        case ProposalType.UPDATE:
            return UpdateProposal(LeafNode.read(reader))
        case ProposalType.REMOVE:
            return RemoveProposal(reader.u32())
        case ProposalType.PSK:
            return PskProposal(PreSharedKeyId.read(reader))
        case ProposalType.REINIT:
            group_id = reader.opaque(GROUP_ID_BYTES_MAX)
            return ReInitProposal(group_id, reader.u16(), reader.u16(), read_extensions(reader))
        case ProposalType.EXTERNAL_INIT:
            return ExternalInitProposal(reader.opaque(PUBLIC_KEY_BYTES_MAX))
        case ProposalType.GROUP_CONTEXT_EXTENSIONS:
            return GroupContextExtensionsProposal(read_extensions(reader))
        case _:
            raise Unsupported(f"proposal type {number} is not supported")


_BY_VALUE = 1
_BY_REFERENCE = 2

ProposalRef = bytes
"""RefHash of the AuthenticatedContent that carried a proposal (section 5.2)."""

ProposalOrRef = Proposal | ProposalRef


def encode_proposal_or_ref(entry: ProposalOrRef) -> bytes:
    """`ProposalOrRef` of section 12.4."""
    if isinstance(entry, bytes):
        return u8(_BY_REFERENCE) + opaque(entry)
    return u8(_BY_VALUE) + entry.encode()


def read_proposal_or_ref(reader: Reader) -> ProposalOrRef:
    """`ProposalOrRef` of section 12.4."""
    kind = reader.u8()
    if kind == _BY_VALUE:
        return read_proposal(reader)
    if kind == _BY_REFERENCE:
        return reader.opaque(PUBLIC_KEY_BYTES_MAX)
    raise DecodeError(f"a commit's entry is neither a proposal nor a reference: {kind}")
