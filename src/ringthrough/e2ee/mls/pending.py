"""Which of the proposals received by reference a commit of ours takes in (RFC 9420 section 12.2)."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import UnknownPsk
from .proposal_list import SentProposal
from .proposals import (
    AddProposal,
    ExternalInitProposal,
    GroupContextExtensionsProposal,
    Proposal,
    PskProposal,
    ReInitProposal,
    RemoveProposal,
    UpdateProposal,
)
from .state import GroupState


def select_pending(state: GroupState, by_value: Sequence[Proposal]) -> dict[bytes, SentProposal]:
    """Pending proposals by reference that go together with each other and with those given by value.

    A Remove wins over an Update of the same leaf; otherwise the first one received wins.
    """
    own_leaf = state.epoch.own_leaf
    removed = {proposal.removed for proposal in by_value if isinstance(proposal, RemoveProposal)}
    removed |= {sent.proposal.removed for sent in state.pending.values() if isinstance(sent.proposal, RemoveProposal)}
    touched = {proposal.removed for proposal in by_value if isinstance(proposal, RemoveProposal)}
    keys = {p.key_package.signature_key for p in by_value if isinstance(p, AddProposal)}
    keys |= {leaf.signature_key for index, leaf in state.epoch.tree.occupied() if index not in removed}
    has_extensions = any(isinstance(proposal, GroupContextExtensionsProposal) for proposal in by_value)
    chosen: dict[bytes, SentProposal] = {}
    for reference, sent in state.pending.items():
        match sent.proposal:
            case UpdateProposal():
                if sent.sender is None or sent.sender == own_leaf:
                    continue
                if sent.sender in removed or sent.sender in touched:
                    continue
                touched.add(sent.sender)
            case RemoveProposal(leaf):
                if leaf == own_leaf or leaf in touched:
                    continue
                touched.add(leaf)
            case AddProposal(package):
                if package.signature_key in keys:
                    continue
                keys.add(package.signature_key)
            case GroupContextExtensionsProposal():
                if has_extensions:
                    continue
                has_extensions = True
            case PskProposal(psk):
                try:
                    state.psk(psk)
                except UnknownPsk:
                    continue
            case ReInitProposal() | ExternalInitProposal():
                continue
        chosen[reference] = sent
    return chosen
