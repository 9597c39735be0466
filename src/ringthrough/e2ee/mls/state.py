"""What a member keeps of a group, and how it moves from one epoch to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from .credentials import Member
from .epoch import Epoch, PastEpoch, past_epoch_of
from .errors import InvalidMessage, NotActive, UnknownPsk, WrongEpoch
from .group_context import GroupContext, interim_transcript_hash
from .key_schedule import EpochSecrets, epoch_keys, joiner_secret, member_secret
from .limits import (
    FORWARD_RATCHET_DEFAULT,
    PAST_EPOCHS_DEFAULT,
    RESUMPTION_PSKS_MAX,
    SKIPPED_GENERATIONS_DEFAULT,
)
from .proposal_list import SentProposal
from .psk import PreSharedKeyId, PskType
from .ratchet_tree import RatchetTree
from .secret_tree import SecretTree, Window
from .suites import CipherSuite


@dataclass(frozen=True)
class Retention:
    """How long keys of messages not yet seen are kept, against forward secrecy."""

    past_epochs_max: int = PAST_EPOCHS_DEFAULT
    skipped_generations_max: int = SKIPPED_GENERATIONS_DEFAULT
    forward_ratchet_max: int = FORWARD_RATCHET_DEFAULT

    @property
    def window(self) -> Window:
        return Window(self.skipped_generations_max, self.forward_ratchet_max)


RETENTION_DEFAULT: Final = Retention()


@dataclass(frozen=True)
class StagedCommit:
    """A commit of ours that nobody accepted yet.

    `commit` and `welcome` are MLSMessages; send the Welcome only once the commit was accepted. `epoch` is the
    epoch that merging begins.
    """

    commit: bytes
    welcome: bytes | None
    added: tuple[Member, ...]
    removed: tuple[Member, ...]
    next_epoch: Epoch = field(repr=False)

    @property
    def epoch(self) -> int:
        return self.next_epoch.number

    def export(self, label: str, context: bytes, length: int) -> bytes:
        """The exporter of the new epoch (section 8.5), before anybody accepted the commit."""
        return self.next_epoch.secrets.export(self.next_epoch.cs, label, context, length)

    @property
    def epoch_authenticator(self) -> bytes:
        """The new epoch's authenticator (section 8.7)."""
        return self.next_epoch.secrets.epoch_authenticator


@dataclass
class GroupState:
    """One member's state of one group.

    `past` is newest first. `pending` are proposals of this epoch by reference; `pending_updates` the private
    keys of our own Updates among them, by encryption public key.
    """

    epoch: Epoch
    signature_private: bytes = field(repr=False)
    retention: Retention = RETENTION_DEFAULT
    is_active: bool = True
    past: list[PastEpoch] = field(default_factory=list)
    pending: dict[bytes, SentProposal] = field(default_factory=dict)
    pending_updates: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    staged: StagedCommit | None = None
    external_psks: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    resumption_psks: dict[int, bytes] = field(default_factory=dict, repr=False)

    @property
    def cs(self) -> CipherSuite:
        return self.epoch.cs

    def require_active(self) -> None:
        """Raises `NotActive` once this member was removed."""
        if not self.is_active:
            raise NotActive("this member was removed from the group")

    def psk(self, psk_id: PreSharedKeyId) -> bytes:
        """The value of a pre-shared key, or `UnknownPsk`."""
        if psk_id.type is PskType.EXTERNAL:
            found = self.external_psks.get(psk_id.psk_id)
        elif psk_id.group_id != self.epoch.context.group_id:
            found = None
        elif psk_id.epoch == self.epoch.number:
            found = self.epoch.secrets.resumption_psk
        else:
            found = self.resumption_psks.get(psk_id.epoch)
        if found is None:
            raise UnknownPsk("a pre-shared key of the commit is not known here")
        return found

    def psks(self, psk_ids: Sequence[PreSharedKeyId]) -> list[tuple[PreSharedKeyId, bytes]]:
        """The pre-shared keys of a commit with their values."""
        return [(psk_id, self.psk(psk_id)) for psk_id in psk_ids]

    def past_epoch(self, number: int) -> tuple[int, PastEpoch]:
        """A kept past epoch with its place in `past`, or `WrongEpoch`."""
        for place, past in enumerate(self.past):
            if past.context.epoch == number:
                return place, past
        raise WrongEpoch(f"epoch {number} cannot be processed in epoch {self.epoch.number}", number)

    def past_member(self, place: int, leaf: int) -> Member:
        """The member who had a leaf in the past epoch at `place`, or `InvalidMessage`."""
        for past in reversed(self.past[: place + 1]):
            if leaf in past.replaced:
                found = past.replaced[leaf]
                if found is None:
                    raise InvalidMessage(f"leaf {leaf} was blank in that epoch")
                return found
        return self.epoch.tree.member(leaf)

    def advance(self, successor: Epoch) -> None:
        """Enters the next epoch: drops what belonged to this one alone."""
        self.resumption_psks[self.epoch.number] = self.epoch.secrets.resumption_psk
        while len(self.resumption_psks) > RESUMPTION_PSKS_MAX:
            del self.resumption_psks[min(self.resumption_psks)]
        self.past.insert(0, past_epoch_of(self.epoch, successor.tree))
        del self.past[self.retention.past_epochs_max :]
        self.epoch = successor
        self.pending = {}
        self.pending_updates = {}
        self.staged = None

    def leave(self) -> None:
        """This member was removed: the secrets go, so that nothing can be read or sent from here on."""
        epoch, cs = self.epoch, self.cs
        self.epoch = replace(
            epoch,
            secrets=EpochSecrets(*(b"" for _ in range(8))),
            secret_tree=SecretTree(cs, epoch.tree.leaf_count, {}, {}),
            private_keys={},
        )
        self.is_active = False
        self.past = []
        self.pending = {}
        self.pending_updates = {}
        self.staged = None
        self.external_psks = {}
        self.resumption_psks = {}


@dataclass(frozen=True)
class NextEpoch:
    """A fresh epoch with the secrets that only its committer needs, for the Welcome."""

    epoch: Epoch
    joiner_secret: bytes = field(repr=False)
    member_secret: bytes = field(repr=False)


def begin_epoch(
    tree: RatchetTree,
    context: GroupContext,
    own_leaf: int,
    private_keys: dict[int, bytes],
    *,
    init_secret: bytes,
    commit_secret: bytes,
    psk_secret: bytes,
) -> NextEpoch:
    """Runs the key schedule (section 8) into the epoch that `context` describes."""
    joiner = joiner_secret(tree.cs, init_secret, commit_secret, context.encoded)
    member = member_secret(tree.cs, joiner, psk_secret)
    epoch = enter_epoch(tree, context, own_leaf, private_keys, member)
    return NextEpoch(epoch, joiner, member)


def enter_epoch(
    tree: RatchetTree, context: GroupContext, own_leaf: int, private_keys: dict[int, bytes], member: bytes
) -> Epoch:
    """The epoch reached from the member secret; its confirmation tag is computed, not taken over."""
    cs = tree.cs
    keys = epoch_keys(cs, member, context.encoded)
    tag = cs.mac(keys.secrets.confirmation_key, context.confirmed_transcript_hash)
    interim = interim_transcript_hash(cs, context.confirmed_transcript_hash, tag)
    secret_tree = SecretTree.of(cs, tree.leaf_count, keys.encryption_secret)
    return Epoch(cs, context, tree, keys.secrets, secret_tree, interim, tag, own_leaf, private_keys)


def kept_private_keys(epoch: Epoch, tree: RatchetTree) -> dict[int, bytes]:
    """Our private keys whose nodes the proposals of a commit left in place."""
    return {
        node: private
        for node, private in epoch.private_keys.items()
        if node < tree.width and tree.node(node) is not None
    }
