"""Checking and applying the proposals of one commit (RFC 9420 sections 12.2 and 12.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .credentials import CredentialCheck, CredentialUse
from .errors import InvalidProposal, LimitExceeded, Unsupported
from .extensions import Extensions, RequiredCapabilities
from .group_context import GroupContext
from .key_package import KeyPackage
from .leaf_node import LeafNode, LeafNodeSource
from .limits import PSKS_PER_COMMIT_MAX
from .proposals import (
    PATH_REQUIRED,
    AddProposal,
    ExternalInitProposal,
    GroupContextExtensionsProposal,
    Proposal,
    ProposalType,
    PskProposal,
    ReInitProposal,
    RemoveProposal,
    UpdateProposal,
)
from .psk import PreSharedKeyId, PskType, ResumptionUsage
from .ratchet_tree import RatchetTree
from .suites import CipherSuite


@dataclass(frozen=True)
class SentProposal:
    """A proposal with the leaf index of its sender; None for somebody who joins by an external commit."""

    proposal: Proposal
    sender: int | None


@dataclass(frozen=True)
class Judge:
    """What proposals are judged by: the group before the commit, the application's check and the time."""

    cs: CipherSuite
    context: GroupContext
    tree: RatchetTree
    check: CredentialCheck
    now_s: float | None


@dataclass(frozen=True)
class ProposalEffects:
    """What a list of proposals makes of a group; `tree` is a changed copy."""

    tree: RatchetTree
    extensions: Extensions
    added: tuple[tuple[int, KeyPackage], ...]
    removed: tuple[int, ...]
    updated: tuple[int, ...]
    psks: tuple[PreSharedKeyId, ...]
    external_init: bytes | None
    path_required: bool


def apply_proposals(judge: Judge, proposals: Sequence[SentProposal], committer: int | None) -> ProposalEffects:
    """Checks a commit's proposals and applies them to a copy of the tree.

    `committer` is a leaf index, or None for an external commit. Raises `InvalidProposal` and relatives.
    """
    listed = [sent.proposal for sent in proposals]
    if committer is None:
        _check_external_list(judge, listed)
    else:
        _check_member_list(proposals, committer)
    psks = tuple(proposal.psk for proposal in listed if isinstance(proposal, PskProposal))
    check_psks(judge.cs, psks)
    tree = judge.tree.clone()
    extensions = _new_extensions(judge.context.extensions, listed)
    updated = tuple(
        _apply_update(judge, tree, extensions, sent.sender, sent.proposal.leaf_node)
        for sent in proposals
        if isinstance(sent.proposal, UpdateProposal)
    )
    removed = tuple(proposal.removed for proposal in listed if isinstance(proposal, RemoveProposal))
    for leaf in removed:
        tree.remove_leaf(leaf)
    tree.truncate()
    added = tuple(
        (_apply_add(judge, tree, extensions, proposal.key_package), proposal.key_package)
        for proposal in listed
        if isinstance(proposal, AddProposal)
    )
    if extensions != judge.context.extensions:
        for _, member in tree.occupied():
            member.check_capabilities(judge.cs, extensions)
    inits = [proposal.kem_output for proposal in listed if isinstance(proposal, ExternalInitProposal)]
    path_required = not listed or any(proposal.type in PATH_REQUIRED for proposal in listed)
    return ProposalEffects(
        tree, extensions, added, removed, updated, psks, inits[0] if inits else None, path_required
    )


def _check_member_list(proposals: Sequence[SentProposal], committer: int) -> None:
    """Section 12.2 for a commit by a member."""
    touched: set[int] = set()
    extension_lists = 0
    for sent in proposals:
        proposal = sent.proposal
        match proposal:
            case ReInitProposal():
                raise Unsupported("re-initialising a group is not supported")
            case ExternalInitProposal():
                raise InvalidProposal("an ExternalInit in a commit by a member")
            case GroupContextExtensionsProposal():
                extension_lists += 1
            case UpdateProposal() | RemoveProposal():
                leaf = proposal.removed if isinstance(proposal, RemoveProposal) else sent.sender
                if leaf is None or leaf == committer:
                    raise InvalidProposal("a commit updates or removes its own committer by a proposal")
                if leaf in touched:
                    raise InvalidProposal("two proposals of a commit update or remove the same leaf")
                touched.add(leaf)
            case _:
                pass
    if extension_lists > 1:
        raise InvalidProposal("a commit replaces the group's extensions twice")


def _check_external_list(judge: Judge, proposals: Sequence[Proposal]) -> None:
    """Section 12.2 for an external commit: ExternalInit once, at most one Remove, pre-shared keys."""
    counts = Counter(proposal.type for proposal in proposals)
    allowed = {ProposalType.EXTERNAL_INIT, ProposalType.REMOVE, ProposalType.PSK}
    if counts[ProposalType.EXTERNAL_INIT] != 1 or counts[ProposalType.REMOVE] > 1 or set(counts) - allowed:
        raise InvalidProposal("the proposals are not those of an external commit")


def check_psks(cs: CipherSuite, psks: Sequence[PreSharedKeyId]) -> None:
    """Section 12.1.4; using a PSK to re-initialise or to branch is `Unsupported`."""
    if len(psks) > PSKS_PER_COMMIT_MAX:
        raise LimitExceeded(f"more than {PSKS_PER_COMMIT_MAX} pre-shared keys")
    if len(set(psks)) != len(psks):
        raise InvalidProposal("a pre-shared key is used twice in a commit")
    for psk in psks:
        if len(psk.nonce) != cs.hash_bytes:
            raise InvalidProposal("the nonce of a pre-shared key has the wrong length")
        if psk.type is PskType.RESUMPTION and psk.usage is not ResumptionUsage.APPLICATION:
            raise Unsupported("re-initialising and branching are not supported")


def _new_extensions(current: Extensions, proposals: Sequence[Proposal]) -> Extensions:
    for proposal in proposals:
        if isinstance(proposal, GroupContextExtensionsProposal):
            RequiredCapabilities.of(proposal.extensions)
            return proposal.extensions
    return current


def check_update(judge: Judge, extensions: Extensions, leaf_index: int, leaf: LeafNode) -> None:
    """Everything about an Update's leaf node that needs no other proposal (sections 7.3 and 12.1.2)."""
    before = judge.tree.leaf(leaf_index)
    if leaf.source is not LeafNodeSource.UPDATE:
        raise InvalidProposal("an Update holds a leaf node of another source")
    if leaf.encryption_key == before.encryption_key:
        raise InvalidProposal("an Update keeps the encryption key")
    if leaf.identity != before.identity:
        raise InvalidProposal("an Update changes the member's identity")
    leaf.check_capabilities(judge.cs, extensions)
    leaf.verify_signature(judge.cs, judge.context.group_id, leaf_index)
    judge.check(leaf.identity, leaf.signature_key, CredentialUse.UPDATE)


def check_add(judge: Judge, extensions: Extensions, package: KeyPackage) -> None:
    """Everything about an Add's key package that needs no other proposal (sections 10.1 and 12.1.1)."""
    if package.cipher_suite != judge.cs.id:
        raise InvalidProposal("a key package is of another cipher suite")
    package.verify(judge.now_s)
    package.leaf_node.check_capabilities(judge.cs, extensions)
    judge.check(package.identity, package.signature_key, CredentialUse.ADD)


def _apply_update(judge: Judge, tree: RatchetTree, extensions: Extensions, sender: int | None, leaf: LeafNode) -> int:
    if sender is None:
        raise InvalidProposal("an Update that no member sent")
    check_update(judge, extensions, sender, leaf)
    tree.update_leaf(sender, leaf)
    return sender


def _apply_add(judge: Judge, tree: RatchetTree, extensions: Extensions, package: KeyPackage) -> int:
    check_add(judge, extensions, package)
    return tree.add_leaf(package.leaf_node)


def check_proposal(judge: Judge, proposal: Proposal, sender: int) -> None:
    """Refuses a proposal that no commit could take in, so that it is never stored."""
    extensions = judge.context.extensions
    match proposal:
        case AddProposal(package):
            check_add(judge, extensions, package)
        case UpdateProposal(leaf):
            check_update(judge, extensions, sender, leaf)
        case RemoveProposal(removed):
            judge.tree.leaf(removed)
        case PskProposal(psk):
            check_psks(judge.cs, (psk,))
        case GroupContextExtensionsProposal(wanted):
            for _, member in judge.tree.occupied():
                member.check_capabilities(judge.cs, wanted)
        case ExternalInitProposal():
            raise InvalidProposal("an ExternalInit outside of an external commit")
        case ReInitProposal():
            raise Unsupported("re-initialising a group is not supported")
