"""The stored form of a member's group state: compact, versioned, secret.

Lengths are varints as on the wire; the tree is stored in its wire form. Node hashes are not stored, since they
are only needed again at the next commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple

from .codec import Reader, decode, opaque, optional, u8, u16, u32, u64, vector
from .credentials import Member
from .epoch import Epoch, PastEpoch
from .errors import Unsupported
from .group_context import GroupContext
from .key_schedule import EpochSecrets
from .limits import GROUP_LEAVES_MAX, PENDING_PROPOSALS_MAX, RESUMPTION_PSKS_MAX
from .proposal_list import SentProposal
from .proposals import read_proposal
from .ratchet_tree import RatchetTree
from .secret_tree import MessageKey, Ratchet, RatchetKind, SecretTree
from .state import GroupState, Retention, StagedCommit
from .suites import CipherSuite, suite

STATE_VERSION = 1

_NODES_MAX = 2 * GROUP_LEAVES_MAX
_STORED_MAX = 1 << 20


def encode_state(state: GroupState) -> bytes:
    """The whole state, private keys and unused message keys included."""
    retention = state.retention
    return b"".join(
        (
            u8(STATE_VERSION),
            u16(state.cs.id),
            u8(state.is_active),
            u32(retention.past_epochs_max),
            u32(retention.skipped_generations_max),
            u32(retention.forward_ratchet_max),
            opaque(state.signature_private),
            _encode_epoch(state.epoch),
            vector(_encode_past(past) for past in state.past),
            vector(opaque(ref) + _encode_sent(sent) for ref, sent in state.pending.items()),
            _encode_secrets(state.pending_updates),
            _encode_secrets(state.external_psks),
            vector(u64(epoch) + opaque(psk) for epoch, psk in state.resumption_psks.items()),
            optional(None if state.staged is None else _encode_staged(state.staged)),
        )
    )


def decode_state(data: bytes) -> GroupState:
    """The reverse of `encode_state`."""
    return decode(data, _read_state)


def _read_state(reader: Reader) -> GroupState:
    version = reader.u8()
    if version != STATE_VERSION:
        raise Unsupported(f"group states of version {version} are not supported")
    cs = suite(reader.u16())
    is_active = reader.u8() == 1
    retention = Retention(reader.u32(), reader.u32(), reader.u32())
    signature_private = reader.opaque()
    state = GroupState(_read_epoch(reader, cs), signature_private, retention, is_active)
    state.past = reader.vector(lambda inner: _read_past(inner, cs), _STORED_MAX)
    state.pending = dict(reader.vector(lambda inner: (inner.opaque(), _read_sent(inner)), PENDING_PROPOSALS_MAX))
    state.pending_updates = _read_secrets(reader)
    state.external_psks = _read_secrets(reader)
    state.resumption_psks = dict(reader.vector(lambda inner: (inner.u64(), inner.opaque()), RESUMPTION_PSKS_MAX))
    state.staged = reader.optional(lambda inner: _read_staged(inner, cs))
    return state


# --- parts --------------------------------------------------------------------------------------------------------


def _encode_secrets(secrets: Mapping[bytes, bytes]) -> bytes:
    return vector(opaque(name) + opaque(secret) for name, secret in secrets.items())


def _read_secrets(reader: Reader) -> dict[bytes, bytes]:
    return dict(reader.vector(lambda inner: (inner.opaque(), inner.opaque()), _STORED_MAX))


def _encode_epoch(epoch: Epoch) -> bytes:
    return b"".join(
        (
            epoch.context.encoded,
            epoch.tree.encode(),
            *(opaque(secret) for secret in astuple(epoch.secrets)),
            _encode_secret_tree(epoch.secret_tree),
            opaque(epoch.interim_transcript_hash),
            opaque(epoch.confirmation_tag),
            u32(epoch.own_leaf),
            vector(u32(node) + opaque(key) for node, key in epoch.private_keys.items()),
        )
    )


def _read_epoch(reader: Reader, cs: CipherSuite) -> Epoch:
    return Epoch(
        cs,
        GroupContext.read(reader),
        RatchetTree.read(reader, cs),
        EpochSecrets(*(reader.opaque() for _ in range(8))),
        _read_secret_tree(reader, cs),
        reader.opaque(),
        reader.opaque(),
        reader.u32(),
        dict(reader.vector(lambda inner: (inner.u32(), inner.opaque()), _NODES_MAX)),
    )


def _encode_secret_tree(tree: SecretTree) -> bytes:
    return b"".join(
        (
            u32(tree.leaf_count),
            vector(u32(node) + opaque(secret) for node, secret in tree.nodes.items()),
            vector(
                u32(leaf) + u8(kind) + _encode_ratchet(ratchet) for (leaf, kind), ratchet in tree.ratchets.items()
            ),
        )
    )


def _read_secret_tree(reader: Reader, cs: CipherSuite) -> SecretTree:
    leaf_count = reader.u32()
    nodes = dict(reader.vector(lambda inner: (inner.u32(), inner.opaque()), _NODES_MAX))
    ratchets = dict(
        reader.vector(
            lambda inner: ((inner.u32(), RatchetKind(inner.u8() & 1)), _read_ratchet(inner, cs)), _NODES_MAX
        )
    )
    return SecretTree(cs, leaf_count, nodes, ratchets)


def _encode_ratchet(ratchet: Ratchet) -> bytes:
    skipped = b"".join(u32(number) + key + nonce for number, (key, nonce) in ratchet.skipped.items())
    return opaque(ratchet.secret) + u32(ratchet.generation) + opaque(skipped)


def _read_ratchet(reader: Reader, cs: CipherSuite) -> Ratchet:
    secret, generation = reader.opaque(), reader.u32()
    block = reader.nested()
    skipped: dict[int, MessageKey] = {}
    while block.remaining:
        number = block.u32()
        skipped[number] = block.take(cs.aead.key_bytes), block.take(cs.aead.nonce_bytes)
    return Ratchet(secret, generation, skipped)


def _encode_member(member: Member) -> bytes:
    return u32(member.leaf) + opaque(member.identity) + opaque(member.signature_key)


def _read_member(reader: Reader) -> Member:
    return Member(reader.u32(), reader.opaque(), reader.opaque())


def _encode_past(past: PastEpoch) -> bytes:
    replaced = vector(
        u32(leaf) + optional(None if member is None else _encode_member(member))
        for leaf, member in past.replaced.items()
    )
    return b"".join(
        (past.context.encoded, opaque(past.sender_data_secret), _encode_secret_tree(past.secret_tree), replaced)
    )


def _read_past(reader: Reader, cs: CipherSuite) -> PastEpoch:
    return PastEpoch(
        GroupContext.read(reader),
        reader.opaque(),
        _read_secret_tree(reader, cs),
        dict(reader.vector(lambda inner: (inner.u32(), inner.optional(_read_member)), GROUP_LEAVES_MAX)),
    )


def _encode_sent(sent: SentProposal) -> bytes:
    return optional(None if sent.sender is None else u32(sent.sender)) + sent.proposal.encode()


def _read_sent(reader: Reader) -> SentProposal:
    sender = reader.optional(Reader.u32)
    return SentProposal(read_proposal(reader), sender)


def _encode_staged(staged: StagedCommit) -> bytes:
    return b"".join(
        (
            opaque(staged.commit),
            optional(None if staged.welcome is None else opaque(staged.welcome)),
            vector(_encode_member(member) for member in staged.added),
            vector(_encode_member(member) for member in staged.removed),
            _encode_epoch(staged.next_epoch),
        )
    )


def _read_staged(reader: Reader, cs: CipherSuite) -> StagedCommit:
    return StagedCommit(
        reader.opaque(),
        reader.optional(Reader.opaque),
        tuple(reader.vector(_read_member, GROUP_LEAVES_MAX)),
        tuple(reader.vector(_read_member, GROUP_LEAVES_MAX)),
        _read_epoch(reader, cs),
    )
