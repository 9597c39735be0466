"""Joining by an external commit (RFC 9420 section 12.4.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .commits import Commit
from .credentials import Credential, CredentialCheck, Member
from .epoch import Epoch
from .errors import InvalidProposal, InvalidWelcome
from .extensions import LAST_RESORT, Capabilities, external_pub
from .framing import (
    FramedContent,
    Sender,
    SenderType,
    WireFormat,
    decode_padded_mls_message,
    encode_mls_message,
)
from .group_context import confirmed_transcript_hash, interim_transcript_hash
from .hpke import hpke_export_to
from .joining import joined_tree
from .leaf_node import LeafNode, LeafNodeSource
from .message_protection import protect_public, sign
from .processing_commit import EXTERNAL_INIT_LABEL
from .proposal_list import Judge, SentProposal, apply_proposals
from .proposals import ExternalInitProposal, Proposal, PskProposal, RemoveProposal
from .psk import PreSharedKeyId, psk_secret
from .signatures import Random, SignatureKeyPair
from .state import begin_epoch
from .suites import suite
from .tree_validation import check_unique_keys
from .treekem import encrypt_path, set_new_path
from .welcome import GroupInfo


def parse_group_info(data: bytes) -> GroupInfo:
    """The GroupInfo in an MLSMessage."""
    body, _ = decode_padded_mls_message(data)
    if not isinstance(body, GroupInfo):
        raise InvalidWelcome("this message is not a GroupInfo")
    return body


def join_by_external_commit(
    info: GroupInfo,
    identity: bytes,
    signature_key: SignatureKeyPair,
    *,
    random: Random,
    check: CredentialCheck,
    ratchet_tree: bytes | None,
    psks: Sequence[tuple[PreSharedKeyId, bytes]],
    replace_own_leaf: bool,
    aad: bytes,
) -> tuple[Epoch, bytes]:
    """The epoch we begin, and the commit (a PublicMessage) that the others must accept.

    `replace_own_leaf` removes an old leaf with the same identity in the same commit.
    """
    old = info.group_context
    cs = suite(old.cipher_suite)
    before = joined_tree(cs, info, ratchet_tree, check)
    public = external_pub(info.extensions)
    if public is None:
        raise InvalidWelcome("the GroupInfo offers no key for external joiners")
    kem_output, init_secret = hpke_export_to(cs, public, EXTERNAL_INIT_LABEL, cs.hash_bytes, random)
    proposals: list[Proposal] = [ExternalInitProposal(kem_output)]
    if replace_own_leaf:
        proposals.append(RemoveProposal(_leaf_of(before.members(), identity)))
    proposals.extend(PskProposal(psk) for psk, _ in psks)
    judge = Judge(cs, old, before, check, None)
    effects = apply_proposals(judge, [SentProposal(proposal, None) for proposal in proposals], None)
    tree = effects.tree
    template = LeafNode(
        b"",
        signature_key.public,
        Credential(identity),
        Capabilities.of(cs, (LAST_RESORT,)),
        LeafNodeSource.COMMIT,
        None,
        b"",
        (),
        b"",
    )
    template.check_capabilities(cs, old.extensions)
    own_leaf = tree.add_leaf(template)
    path = set_new_path(tree, own_leaf, template, old.group_id, signature_key.private, random)
    check_unique_keys(tree)
    context = replace(old, epoch=old.epoch + 1, tree_hash=tree.tree_hash())
    sealed = encrypt_path(tree, own_leaf, path, context.encoded, (), random)
    sender = Sender(SenderType.NEW_MEMBER_COMMIT)
    framed = FramedContent(old.group_id, old.epoch, sender, aad, Commit(tuple(proposals), sealed))
    content = sign(cs, WireFormat.PUBLIC_MESSAGE, framed, old, signature_key.private)
    interim = interim_transcript_hash(cs, old.confirmed_transcript_hash, info.confirmation_tag)
    confirmed = confirmed_transcript_hash(cs, interim, content.transcript_input())
    following = begin_epoch(
        tree,
        replace(context, confirmed_transcript_hash=confirmed),
        own_leaf,
        {**path.private_keys, 2 * own_leaf: path.leaf_private},
        init_secret=init_secret,
        commit_secret=path.commit_secret,
        psk_secret=psk_secret(cs, psks),
    )
    content = replace(content, confirmation_tag=following.epoch.confirmation_tag)
    return following.epoch, encode_mls_message(protect_public(cs, content, old, b""))


def _leaf_of(members: Sequence[Member], identity: bytes) -> int:
    for member in members:
        if member.identity == identity:
            return member.leaf
    raise InvalidProposal("no member has this identity")
