"""Making a commit (RFC 9420 section 12.4.1) and the Welcome for those it adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .codec import opaque
from .commits import Commit, HpkeCiphertext
from .credentials import CredentialCheck
from .epoch import Epoch
from .errors import CommitStaged
from .extensions import EXTERNAL_PUB, RATCHET_TREE, Extension
from .framing import FramedContent, Sender, SenderType, WireFormat, encode_mls_message
from .group_context import confirmed_transcript_hash
from .hpke import encrypt_with_label
from .key_schedule import welcome_key_and_nonce
from .message_protection import Pad, protect_private, protect_public, sign
from .pending import select_pending
from .proposal_list import Judge, ProposalEffects, SentProposal, apply_proposals
from .proposals import Proposal, ProposalOrRef
from .psk import psk_secret
from .signatures import Random
from .state import GroupState, NextEpoch, StagedCommit, begin_epoch, kept_private_keys
from .tree_math import common_ancestor
from .tree_validation import check_unique_keys
from .treekem import NewPath, encrypt_path, set_new_path
from .welcome import EncryptedGroupSecrets, GroupInfo, GroupSecrets, Welcome


@dataclass(frozen=True)
class CommitOptions:
    """How a commit is made, whatever it proposes."""

    force_path: bool = True
    include_tree: bool = True
    with_pending: bool = True
    wire_format: WireFormat = WireFormat.PRIVATE_MESSAGE
    aad: bytes = b""
    pad: Pad | None = None


def create_commit(
    state: GroupState,
    proposals: Sequence[Proposal],
    options: CommitOptions,
    *,
    random: Random,
    check: CredentialCheck,
    now_s: float | None,
) -> StagedCommit:
    """Commits `proposals` by value and the pending ones by reference. `state` changes at the very end only:
    the message uses up a handshake generation."""
    state.require_active()
    if state.staged is not None:
        raise CommitStaged("a commit is staged already: merge or discard it first")
    epoch, cs = state.epoch, state.cs
    judge = Judge(cs, epoch.context, epoch.tree, check, now_s)
    references = select_pending(state, judge, proposals) if options.with_pending else {}
    by_value = [SentProposal(proposal, epoch.own_leaf) for proposal in proposals]
    effects = apply_proposals(judge, [*references.values(), *by_value], epoch.own_leaf)
    psks = state.psks(effects.psks)
    entries: tuple[ProposalOrRef, ...] = (*references, *proposals)

    tree = effects.tree
    new_leaves = {leaf for leaf, _ in effects.added}
    context = replace(epoch.context, epoch=epoch.number + 1, extensions=effects.extensions)
    private_keys = kept_private_keys(epoch, tree)
    path = None
    commit = Commit(entries, None)
    commit_secret = cs.zero()
    if options.force_path or effects.path_required:
        own = tree.leaf(epoch.own_leaf)
        own.check_capabilities(cs, effects.extensions)
        path = set_new_path(tree, epoch.own_leaf, own, context.group_id, state.signature_private, random)
        context = replace(context, tree_hash=tree.tree_hash())
        sealed = encrypt_path(tree, epoch.own_leaf, path, context.encoded, new_leaves, random)
        commit = Commit(entries, sealed)
        commit_secret = path.commit_secret
        private_keys.update(path.private_keys)
        private_keys[2 * epoch.own_leaf] = path.leaf_private
    check_unique_keys(tree)

    framed = FramedContent(
        context.group_id, epoch.number, Sender(SenderType.MEMBER, epoch.own_leaf), options.aad, commit
    )
    content = sign(cs, options.wire_format, framed, epoch.context, state.signature_private)
    confirmed = confirmed_transcript_hash(cs, epoch.interim_transcript_hash, content.transcript_input())
    context = replace(context, tree_hash=tree.tree_hash(), confirmed_transcript_hash=confirmed)
    following = begin_epoch(
        tree,
        context,
        epoch.own_leaf,
        private_keys,
        init_secret=epoch.secrets.init_secret,
        commit_secret=commit_secret,
        psk_secret=psk_secret(cs, psks),
    )
    content = replace(content, confirmation_tag=following.epoch.confirmation_tag)
    welcome = None
    if effects.added:
        welcome = _welcome(state, following, effects, path, options.include_tree, random)
    message = (
        protect_public(cs, content, epoch.context, epoch.secrets.membership_key)
        if options.wire_format is WireFormat.PUBLIC_MESSAGE
        else protect_private(cs, content, epoch.secrets.sender_data_secret, epoch.secret_tree, random, options.pad)
    )
    state.staged = StagedCommit(
        encode_mls_message(message),
        welcome,
        tuple(tree.member(leaf) for leaf, _ in effects.added),
        tuple(epoch.tree.member(leaf) for leaf in effects.removed),
        following.epoch,
    )
    return state.staged


def _welcome(
    state: GroupState,
    following: NextEpoch,
    effects: ProposalEffects,
    path: NewPath | None,
    include_tree: bool,
    random: Random,
) -> bytes:
    """The Welcome of section 12.4.3.1, as an MLSMessage."""
    cs = state.cs
    info = sign_group_info(following.epoch, state.signature_private, include_tree=include_tree, external=False)
    key, nonce = welcome_key_and_nonce(cs, following.member_secret)
    encrypted_info = cs.aead.seal(key, nonce, b"", info.encoded)
    secrets: list[EncryptedGroupSecrets] = []
    for leaf, package in effects.added:
        path_secret = None
        if path is not None:
            path_secret = path.path_secrets[common_ancestor(following.epoch.own_leaf, leaf)]
        plain = GroupSecrets(following.joiner_secret, path_secret, effects.psks).encode()
        sealed = encrypt_with_label(cs, package.init_key, "Welcome", encrypted_info, plain, random)
        secrets.append(EncryptedGroupSecrets(package.ref(cs), HpkeCiphertext(*sealed)))
    return encode_mls_message(Welcome(cs.id, tuple(secrets), encrypted_info))


def sign_group_info(epoch: Epoch, signature_private: bytes, *, include_tree: bool, external: bool) -> GroupInfo:
    """A GroupInfo (section 12.4.3) of an epoch, signed by us; `external` lets others join by a commit."""
    extensions: list[Extension] = []
    if include_tree:
        extensions.append(Extension(RATCHET_TREE, epoch.tree.encode()))
    if external:
        public = epoch.secrets.external_key_pair(epoch.cs).public
        extensions.append(Extension(EXTERNAL_PUB, opaque(public)))
    unsigned = GroupInfo(epoch.context, tuple(extensions), epoch.confirmation_tag, epoch.own_leaf, b"")
    return unsigned.signed(epoch.cs, signature_private)
