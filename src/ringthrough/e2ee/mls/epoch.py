"""One member's view of one epoch, and what is kept of past ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .credentials import Member
from .group_context import GroupContext
from .key_schedule import EpochSecrets
from .ratchet_tree import RatchetTree
from .secret_tree import SecretTree
from .suites import CipherSuite


@dataclass(frozen=True)
class Epoch:
    """A current (or staged) epoch. Only `secret_tree` changes, as messages use its keys up.

    `private_keys` are our HPKE private keys by node index, our own leaf's among them.
    """

    cs: CipherSuite
    context: GroupContext
    tree: RatchetTree
    secrets: EpochSecrets
    secret_tree: SecretTree
    interim_transcript_hash: bytes
    confirmation_tag: bytes
    own_leaf: int
    private_keys: Mapping[int, bytes] = field(repr=False)

    @property
    def number(self) -> int:
        return self.context.epoch


@dataclass(frozen=True)
class PastEpoch:
    """Enough of a past epoch to read late application messages.

    `replaced` holds the members whose leaf is another one in the next epoch (None: blank in this one).
    """

    context: GroupContext
    sender_data_secret: bytes = field(repr=False)
    secret_tree: SecretTree
    replaced: Mapping[int, Member | None]


def past_epoch_of(epoch: Epoch, successor: RatchetTree) -> PastEpoch:
    """Turns `epoch` into a past one; our own sending keys in it are deleted."""
    epoch.secret_tree.forget(epoch.own_leaf)
    replaced: dict[int, Member | None] = {}
    for index in range(max(epoch.tree.leaf_count, successor.leaf_count)):
        before = epoch.tree.leaves[index] if index < epoch.tree.leaf_count else None
        after = successor.leaves[index] if index < successor.leaf_count else None
        if before is after:
            continue
        old = None if before is None else Member(index, before.identity, before.signature_key)
        new = None if after is None else Member(index, after.identity, after.signature_key)
        if old != new:
            replaced[index] = old
    return PastEpoch(epoch.context, epoch.secrets.sender_data_secret, epoch.secret_tree, replaced)
