"""Which of the proposals received by reference a commit of ours takes in (RFC 9420 section 12.2)."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import MlsError
from .leaf_node import LeafNode
from .proposal_list import Judge, SentProposal, check_proposal
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


def select_pending(state: GroupState, judge: Judge, by_value: Sequence[Proposal]) -> dict[bytes, SentProposal]:
    """Pending proposals by reference that go together with each other and with those given by value.

    A Remove wins over an Update of the same leaf; otherwise the first one received wins. What became invalid
    since it was received (a lifetime ran out, a device was revoked) is left out rather than blocking us.
    """
    choice = _Choice(state, by_value)
    chosen: dict[bytes, SentProposal] = {}
    for reference, sent in state.pending.items():
        try:
            if sent.sender is not None and choice.takes(sent):
                check_proposal(judge, sent.proposal, sent.sender)
                chosen[reference] = sent
        except MlsError:
            continue
    return chosen


class _Choice:
    """What is taken so far: leaves touched, keys in use, extensions replaced."""

    def __init__(self, state: GroupState, by_value: Sequence[Proposal]) -> None:
        tree = state.epoch.tree
        self.state = state
        self.touched = {proposal.removed for proposal in by_value if isinstance(proposal, RemoveProposal)}
        pending = [sent.proposal for sent in state.pending.values()]
        self.removed = self.touched | {p.removed for p in pending if isinstance(p, RemoveProposal)}
        added = [proposal.key_package.leaf_node for proposal in by_value if isinstance(proposal, AddProposal)]
        kept = [leaf for index, leaf in tree.occupied() if index not in self.removed]
        self.signature_keys = {leaf.signature_key for leaf in (*kept, *added)}
        self.encryption_keys = {leaf.encryption_key for leaf in (*kept, *added)}
        self.encryption_keys |= {parent.encryption_key for parent in tree.parents if parent is not None}
        self.has_extensions = any(isinstance(p, GroupContextExtensionsProposal) for p in by_value)

    def takes(self, sent: SentProposal) -> bool:
        """Whether one more proposal fits, in which case it counts from here on."""
        match sent.proposal:
            case UpdateProposal(leaf):
                return self._takes_update(sent.sender, leaf)
            case RemoveProposal(removed):
                if removed == self.state.epoch.own_leaf or removed in self.touched:
                    return False
                self.touched.add(removed)
                return True
            case AddProposal(package):
                return self._takes_keys(package.leaf_node)
            case GroupContextExtensionsProposal():
                first = not self.has_extensions
                self.has_extensions = True
                return first
            case PskProposal(psk):
                self.state.psk(psk)
                return True
            case ReInitProposal() | ExternalInitProposal():
                return False

    def _takes_update(self, sender: int | None, leaf: LeafNode) -> bool:
        if sender is None or sender == self.state.epoch.own_leaf:
            return False
        if sender in self.removed or sender in self.touched:
            return False
        self.signature_keys.discard(self.state.epoch.tree.leaf(sender).signature_key)
        self.touched.add(sender)
        return self._takes_keys(leaf)

    def _takes_keys(self, leaf: LeafNode) -> bool:
        if leaf.signature_key in self.signature_keys or leaf.encryption_key in self.encryption_keys:
            return False
        self.signature_keys.add(leaf.signature_key)
        self.encryption_keys.add(leaf.encryption_key)
        return True
