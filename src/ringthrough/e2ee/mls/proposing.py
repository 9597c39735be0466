"""Sending proposals by reference (RFC 9420 section 12.1)."""

from __future__ import annotations

from dataclasses import replace

from .credentials import CredentialCheck
from .framing import (
    AuthenticatedContent,
    FramedContent,
    PrivateMessage,
    PublicMessage,
    Sender,
    SenderType,
    WireFormat,
    encode_mls_message,
)
from .hpke import hpke_generate
from .leaf_node import LeafNodeSource
from .message_protection import Pad, protect_private, protect_public, sign
from .proposal_list import Judge, SentProposal, check_proposal
from .proposals import Proposal, UpdateProposal
from .signatures import Random
from .state import GroupState


def propose(
    state: GroupState,
    proposal: Proposal,
    random: Random,
    check: CredentialCheck,
    now_s: float | None,
    pad: Pad | None,
    wire_format: WireFormat,
) -> bytes:
    """Checks, signs and stores a proposal of ours; gives the MLSMessage to send."""
    state.require_active()
    epoch, cs = state.epoch, state.cs
    judge = Judge(cs, epoch.context, epoch.tree, check, now_s)
    check_proposal(judge, proposal, epoch.own_leaf)
    sender = Sender(SenderType.MEMBER, epoch.own_leaf)
    framed = FramedContent(epoch.context.group_id, epoch.number, sender, b"", proposal)
    content = sign(cs, wire_format, framed, epoch.context, state.signature_private)
    message = _protect(state, content, random, pad)
    state.pending[content.proposal_ref(cs)] = SentProposal(proposal, epoch.own_leaf)
    return encode_mls_message(message)


def _protect(
    state: GroupState, content: AuthenticatedContent, random: Random, pad: Pad | None
) -> PublicMessage | PrivateMessage:
    epoch = state.epoch
    if content.wire_format is WireFormat.PUBLIC_MESSAGE:
        return protect_public(state.cs, content, epoch.context, epoch.secrets.membership_key)
    return protect_private(state.cs, content, epoch.secrets.sender_data_secret, epoch.secret_tree, random, pad)


def propose_update(state: GroupState, random: Random, check: CredentialCheck, now_s: float | None) -> bytes:
    """Proposes fresh keys for our leaf and keeps the private one until a commit takes it in."""
    state.require_active()
    epoch = state.epoch
    keys = hpke_generate(state.cs, random)
    leaf = replace(
        epoch.tree.leaf(epoch.own_leaf),
        encryption_key=keys.public,
        source=LeafNodeSource.UPDATE,
        lifetime=None,
        parent_hash=b"",
        signature=b"",
    ).signed(state.cs, state.signature_private, epoch.context.group_id, epoch.own_leaf)
    message = propose(state, UpdateProposal(leaf), random, check, now_s, None, WireFormat.PRIVATE_MESSAGE)
    state.pending_updates[keys.public] = keys.private
    return message
