"""Processing somebody else's commit (RFC 9420 section 12.4.2) into the next epoch, without touching state."""

from __future__ import annotations

import hmac
from dataclasses import replace

from .commits import Commit, UpdatePath
from .credentials import CredentialUse
from .epoch import Epoch
from .errors import InvalidCommit, InvalidMac, UnknownProposal
from .events import CommitApplied
from .framing import AuthenticatedContent, SenderType
from .group_context import confirmed_transcript_hash
from .hpke import hpke_export_from
from .leaf_node import LeafNodeSource
from .proposal_list import Judge, ProposalEffects, SentProposal, apply_proposals
from .psk import psk_secret
from .state import GroupState, begin_epoch, kept_private_keys
from .tree_validation import check_unique_keys
from .treekem import merge_public_path, open_path

EXTERNAL_INIT_LABEL = b"MLS 1.0 external init secret"


def process_commit(
    state: GroupState, judge: Judge, content: AuthenticatedContent, commit: Commit
) -> tuple[Epoch | None, CommitApplied]:
    """The next epoch (None if the commit removes us) and what happened. The signature was verified before."""
    epoch = state.epoch
    framed = content.framed
    committer = framed.sender.index if framed.sender.type is SenderType.MEMBER else None
    proposals = _resolve(state, commit, committer)
    effects = apply_proposals(judge, proposals, committer)
    if effects.path_required and commit.path is None:
        raise InvalidCommit("a commit with these proposals must carry a path")
    removed = [epoch.tree.member(leaf) for leaf in effects.removed]
    committer_leaf = committer
    if commit.path is not None:
        committer_leaf = _merge_path(judge, effects, committer, commit.path)
    check_unique_keys(effects.tree)
    added = [effects.tree.member(leaf) for leaf, _ in effects.added]
    if committer is None and committer_leaf is not None:
        added.append(effects.tree.member(committer_leaf))
    self_removed = epoch.own_leaf in effects.removed
    applied = CommitApplied(committer, epoch.number + 1, added, removed, self_removed, framed.authenticated_data)
    if self_removed:
        return None, applied
    successor = _enter(state, effects, content, commit, committer_leaf)
    if content.confirmation_tag is None or not hmac.compare_digest(
        successor.confirmation_tag, content.confirmation_tag
    ):
        raise InvalidMac("the confirmation tag is wrong")
    return successor, applied


def _resolve(state: GroupState, commit: Commit, committer: int | None) -> list[SentProposal]:
    """The commit's proposals, references looked up."""
    proposals: list[SentProposal] = []
    for entry in commit.proposals:
        if not isinstance(entry, bytes):
            proposals.append(SentProposal(entry, committer))
            continue
        if committer is None:
            raise InvalidCommit("an external commit references a proposal")
        found = state.pending.get(entry)
        if found is None:
            raise UnknownProposal("the commit references a proposal that was not received")
        proposals.append(found)
    return proposals


def _merge_path(judge: Judge, effects: ProposalEffects, committer: int | None, path: UpdatePath) -> int:
    """Checks the committer's new leaf and sets its path in the new tree; gives its leaf index."""
    leaf = path.leaf_node
    tree = effects.tree
    if leaf.source is not LeafNodeSource.COMMIT:
        raise InvalidCommit("the leaf of a path says that it comes from elsewhere")
    leaf.check_capabilities(judge.cs, effects.extensions)
    if committer is None:
        for removed in effects.removed:
            if judge.tree.leaf(removed).identity != leaf.identity:
                raise InvalidCommit("an external joiner removes somebody other than itself")
        index = tree.add_leaf(leaf)
        use = CredentialUse.EXTERNAL
    else:
        index = committer
        before = tree.leaf(index)
        if before.encryption_key == leaf.encryption_key:
            raise InvalidCommit("the path keeps the committer's encryption key")
        if before.identity != leaf.identity:
            raise InvalidCommit("the path changes the committer's identity")
        use = CredentialUse.COMMIT
    leaf.verify_signature(judge.cs, judge.context.group_id, index)
    judge.check(leaf.identity, leaf.signature_key, use)
    merge_public_path(tree, index, path)
    return index


def _enter(
    state: GroupState,
    effects: ProposalEffects,
    content: AuthenticatedContent,
    commit: Commit,
    committer_leaf: int | None,
) -> Epoch:
    """Decrypts the path and runs the key schedule."""
    epoch, cs, tree = state.epoch, state.cs, effects.tree
    private_keys = kept_private_keys(epoch, tree)
    if epoch.own_leaf in effects.updated:
        own = state.pending_updates.get(tree.leaf(epoch.own_leaf).encryption_key)
        if own is None:
            raise InvalidCommit("the commit takes in an Update of ours whose private key is not here")
        private_keys[2 * epoch.own_leaf] = own
    context = replace(
        epoch.context, epoch=epoch.number + 1, tree_hash=tree.tree_hash(), extensions=effects.extensions
    )
    commit_secret = cs.zero()
    if commit.path is not None and committer_leaf is not None:
        new_leaves = {leaf for leaf, _ in effects.added}
        found, commit_secret = open_path(
            tree, committer_leaf, commit.path, epoch.own_leaf, private_keys, context.encoded, new_leaves
        )
        private_keys.update(found)
    init_secret = epoch.secrets.init_secret
    if effects.external_init is not None:
        external = epoch.secrets.external_key_pair(cs)
        init_secret = hpke_export_from(
            cs, external.private, effects.external_init, EXTERNAL_INIT_LABEL, cs.hash_bytes
        )
    confirmed = confirmed_transcript_hash(cs, epoch.interim_transcript_hash, content.transcript_input())
    following = begin_epoch(
        tree,
        replace(context, confirmed_transcript_hash=confirmed),
        epoch.own_leaf,
        private_keys,
        init_secret=init_secret,
        commit_secret=commit_secret,
        psk_secret=psk_secret(cs, state.psks(effects.psks)),
    )
    return following.epoch
