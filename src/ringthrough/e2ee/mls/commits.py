"""Commit and UpdatePath (RFC 9420 sections 7.6 and 12.4) as they stand on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from .codec import Reader, opaque, optional, vector
from .leaf_node import LeafNode
from .limits import GROUP_LEAVES_MAX, PROPOSALS_PER_COMMIT_MAX, PUBLIC_KEY_BYTES_MAX, TREE_DEPTH_MAX
from .proposals import ProposalOrRef, encode_proposal_or_ref, read_proposal_or_ref


@dataclass(frozen=True)
class HpkeCiphertext:
    """HPKECiphertext of section 7.6."""

    kem_output: bytes
    ciphertext: bytes

    def encode(self) -> bytes:
        return opaque(self.kem_output) + opaque(self.ciphertext)

    @staticmethod
    def read(reader: Reader) -> HpkeCiphertext:
        return HpkeCiphertext(reader.opaque(PUBLIC_KEY_BYTES_MAX), reader.opaque())


@dataclass(frozen=True)
class UpdatePathNode:
    """A node's new public key, and its path secret for each node of the copath child's resolution."""

    encryption_key: bytes
    encrypted_path_secret: tuple[HpkeCiphertext, ...]

    def encode(self) -> bytes:
        return opaque(self.encryption_key) + vector(c.encode() for c in self.encrypted_path_secret)

    @staticmethod
    def read(reader: Reader) -> UpdatePathNode:
        key = reader.opaque(PUBLIC_KEY_BYTES_MAX)
        return UpdatePathNode(key, tuple(reader.vector(HpkeCiphertext.read, GROUP_LEAVES_MAX)))


@dataclass(frozen=True)
class UpdatePath:
    """New keys for the committer's leaf and its filtered direct path, from the bottom up."""

    leaf_node: LeafNode
    nodes: tuple[UpdatePathNode, ...]

    def encode(self) -> bytes:
        return self.leaf_node.encoded + vector(node.encode() for node in self.nodes)

    @staticmethod
    def read(reader: Reader) -> UpdatePath:
        leaf = LeafNode.read(reader)
        return UpdatePath(leaf, tuple(reader.vector(UpdatePathNode.read, TREE_DEPTH_MAX)))


@dataclass(frozen=True)
class Commit:
    """Proposals, by value or by reference, and the path that brings fresh entropy."""

    proposals: tuple[ProposalOrRef, ...]
    path: UpdatePath | None

    def encode(self) -> bytes:
        proposals = vector(encode_proposal_or_ref(entry) for entry in self.proposals)
        return proposals + optional(None if self.path is None else self.path.encode())

    @staticmethod
    def read(reader: Reader) -> Commit:
        proposals = tuple(reader.vector(read_proposal_or_ref, PROPOSALS_PER_COMMIT_MAX))
        return Commit(proposals, reader.optional(UpdatePath.read))
