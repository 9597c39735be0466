"""Group: one member's end of an MLS group (RFC 9420 sections 11 and 12).

Every method either succeeds or raises with the group unchanged. Store `to_bytes()` before sending what
`protect`, `commit` or a `propose_*` method returned: they use message keys up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .committing import CommitOptions, create_commit, sign_group_info
from .credentials import CredentialCheck, Member
from .epoch import Epoch
from .errors import InvalidKeyPackage, InvalidProposal, LimitExceeded, NothingStaged
from .events import Processed
from .extensions import Extensions
from .framing import FramedContent, Sender, SenderType, WireFormat, encode_mls_message
from .group_context import GroupContext, interim_transcript_hash
from .joining import join_epoch, parse_welcome
from .joining_external import join_by_external_commit, parse_group_info
from .key_package import KeyPackageBundle, parse_key_package
from .key_schedule import epoch_keys_from
from .limits import APPLICATION_DATA_BYTES_MAX, AUTHENTICATED_DATA_BYTES_MAX, GROUP_ID_BYTES_MAX
from .message_protection import Pad, protect_private, sign
from .processing import process
from .proposals import AddProposal, Proposal, RemoveProposal
from .proposing import propose, propose_update
from .psk import PreSharedKeyId, PskType
from .ratchet_tree import RatchetTree
from .secret_tree import SecretTree
from .signatures import Random, SignatureKeyPair
from .state import RETENTION_DEFAULT, GroupState, Retention, StagedCommit
from .state_codec import decode_state, encode_state
from .suites import CipherSuite


class ExternalJoin(NamedTuple):
    """A group joined by an external commit: drop `group` unless the others accept `commit`."""

    group: Group
    commit: bytes


class Group:
    """One member's end of a group; made by `create`, `join`, `join_external` or `from_bytes`."""

    def __init__(self, state: GroupState) -> None:
        self._state = state

    def __repr__(self) -> str:
        return f"Group({self.group_id.hex()}, epoch {self.epoch}, leaf {self.own_leaf})"

    # --- beginnings ------------------------------------------------------------------------------------------

    @staticmethod
    def create(
        cs: CipherSuite,
        group_id: bytes,
        bundle: KeyPackageBundle,
        *,
        random: Random,
        extensions: Extensions = (),
        retention: Retention = RETENTION_DEFAULT,
    ) -> Group:
        """A group with one member (section 11)."""
        leaf = bundle.package.leaf_node
        if bundle.package.cipher_suite != cs.id:
            raise InvalidKeyPackage("the key package is of another cipher suite")
        if len(group_id) > GROUP_ID_BYTES_MAX:
            raise LimitExceeded(f"a group id has at most {GROUP_ID_BYTES_MAX} bytes")
        leaf.check_capabilities(cs, extensions)
        tree = RatchetTree.of_one(cs, leaf)
        context = GroupContext(cs.id, group_id, 0, tree.tree_hash(), b"", extensions)
        keys = epoch_keys_from(cs, random(cs.hash_bytes))
        tag = cs.mac(keys.secrets.confirmation_key, b"")
        epoch = Epoch(
            cs,
            context,
            tree,
            keys.secrets,
            SecretTree.of(cs, 1, keys.encryption_secret),
            interim_transcript_hash(cs, b"", tag),
            tag,
            0,
            {0: bundle.encryption_private},
        )
        return Group(GroupState(epoch, bundle.signature_private, retention))

    @staticmethod
    def join(
        welcome: bytes,
        bundles: Sequence[KeyPackageBundle],
        *,
        check: CredentialCheck,
        now_s: float | None,
        ratchet_tree: bytes | None = None,
        psks: Mapping[bytes, bytes] | None = None,
        retention: Retention = RETENTION_DEFAULT,
    ) -> Group:
        """Joins by a Welcome (an MLSMessage; zero bytes behind it are ignored).

        `bundles` are our unused key packages, `psks` external pre-shared keys by id. `check` sees every leaf.
        `now_s` None leaves the lifetime of our key package unchecked.
        """
        known = dict(psks or {})
        epoch, bundle = join_epoch(
            parse_welcome(welcome), bundles, check=check, now_s=now_s, ratchet_tree=ratchet_tree, psks=known
        )
        return Group(GroupState(epoch, bundle.signature_private, retention, external_psks=known))

    @staticmethod
    def join_external(
        group_info: bytes,
        *,
        identity: bytes,
        signature_key: SignatureKeyPair,
        random: Random,
        check: CredentialCheck,
        ratchet_tree: bytes | None = None,
        psks: Sequence[tuple[PreSharedKeyId, bytes]] = (),
        replace_own_leaf: bool = False,
        aad: bytes = b"",
        retention: Retention = RETENTION_DEFAULT,
    ) -> ExternalJoin:
        """Joins by an external commit on a GroupInfo (an MLSMessage) that offers a key for it."""
        epoch, commit = join_by_external_commit(
            parse_group_info(group_info),
            identity,
            signature_key,
            random=random,
            check=check,
            ratchet_tree=ratchet_tree,
            psks=psks,
            replace_own_leaf=replace_own_leaf,
            aad=aad,
        )
        known = {psk.psk_id: value for psk, value in psks if psk.type is PskType.EXTERNAL}
        state = GroupState(epoch, signature_key.private, retention, external_psks=known)
        return ExternalJoin(Group(state), commit)

    @staticmethod
    def from_bytes(data: bytes) -> Group:
        """The reverse of `to_bytes`."""
        return Group(decode_state(data))

    def to_bytes(self) -> bytes:
        """Everything, secrets included, for encrypted storage; never restore an older copy."""
        return encode_state(self._state)

    # --- facts -----------------------------------------------------------------------------------------------

    @property
    def cipher_suite(self) -> CipherSuite:
        return self._state.cs

    @property
    def group_id(self) -> bytes:
        return self._state.epoch.context.group_id

    @property
    def epoch(self) -> int:
        return self._state.epoch.number

    @property
    def own_leaf(self) -> int:
        """Our leaf index."""
        return self._state.epoch.own_leaf

    @property
    def members(self) -> list[Member]:
        """All members of the current epoch, by leaf index."""
        return self._state.epoch.tree.members()

    @property
    def extensions(self) -> Extensions:
        """The extensions of the group context."""
        return self._state.epoch.context.extensions

    @property
    def epoch_authenticator(self) -> bytes:
        """Equal for all members of an epoch and for nobody else (section 8.7)."""
        return self._state.epoch.secrets.epoch_authenticator

    @property
    def tree_hash(self) -> bytes:
        return self._state.epoch.context.tree_hash

    @property
    def is_active(self) -> bool:
        """False once this member was removed."""
        return self._state.is_active

    @property
    def pending_proposals(self) -> list[Proposal]:
        """Proposals by reference that wait for a commit."""
        return [sent.proposal for sent in self._state.pending.values()]

    def ratchet_tree(self) -> bytes:
        """The public tree, for joiners whose Welcome does not hold it (section 12.4.3.3)."""
        return self._state.epoch.tree.encode()

    def group_info(self, *, include_tree: bool = True, external: bool = True) -> bytes:
        """A signed GroupInfo (an MLSMessage); `external` lets its readers join by themselves."""
        self._state.require_active()
        info = sign_group_info(
            self._state.epoch, self._state.signature_private, include_tree=include_tree, external=external
        )
        return encode_mls_message(info)

    def export(self, label: str, context: bytes, length: int) -> bytes:
        """MLS-Exporter of the current epoch (section 8.5)."""
        self._state.require_active()
        return self._state.epoch.secrets.export(self._state.cs, label, context, length)

    # --- commits ---------------------------------------------------------------------------------------------

    @property
    def staged(self) -> StagedCommit | None:
        """Our commit that waits for acceptance."""
        return self._state.staged

    def commit(
        self,
        *,
        add: Sequence[bytes] = (),
        remove: Sequence[int] = (),
        proposals: Sequence[Proposal] = (),
        random: Random,
        check: CredentialCheck,
        now_s: float | None,
        pad: Pad | None = None,
        force_path: bool = True,
        aad: bytes = b"",
        include_tree: bool = True,
        with_pending: bool = True,
        wire_format: WireFormat = WireFormat.PRIVATE_MESSAGE,
    ) -> StagedCommit:
        """Stages a commit that adds key packages, removes leaves, and takes in all pending proposals.

        The group stays in its epoch until `merge_staged`. Without `force_path` a commit that only adds, or
        only brings pre-shared keys, carries no path. Raises `CommitStaged` if one is staged already.
        """
        removals: list[Proposal] = [RemoveProposal(leaf) for leaf in remove]
        additions: list[Proposal] = [AddProposal(parse_key_package(package)) for package in add]
        options = CommitOptions(force_path, include_tree, with_pending, wire_format, aad, pad)
        return create_commit(
            self._state,
            [*removals, *additions, *proposals],
            options,
            random=random,
            check=check,
            now_s=now_s,
        )

    def merge_staged(self) -> None:
        """Enters the staged commit's epoch, once it was accepted."""
        staged = self._state.staged
        if staged is None:
            raise NothingStaged("there is no staged commit")
        self._state.advance(staged.next_epoch)

    def discard_staged(self) -> None:
        """Drops the staged commit, because another one was accepted or nothing shall change."""
        if self._state.staged is None:
            raise NothingStaged("there is no staged commit")
        self._state.staged = None

    # --- proposals by reference --------------------------------------------------------------------------------

    def propose(
        self,
        proposal: Proposal,
        *,
        random: Random,
        check: CredentialCheck,
        now_s: float | None,
        pad: Pad | None = None,
        wire_format: WireFormat = WireFormat.PRIVATE_MESSAGE,
    ) -> bytes:
        """Proposes something for somebody to commit; gives the MLSMessage to send."""
        return propose(self._state, proposal, random, check, now_s, pad, wire_format)

    def propose_add(
        self, key_package: bytes, *, random: Random, check: CredentialCheck, now_s: float | None
    ) -> bytes:
        """Proposes a new member."""
        proposal = AddProposal(parse_key_package(key_package))
        return self.propose(proposal, random=random, check=check, now_s=now_s)

    def propose_remove(self, leaf: int, *, random: Random, check: CredentialCheck, now_s: float | None) -> bytes:
        """Proposes a removal; proposing one's own is the way to leave."""
        return self.propose(RemoveProposal(leaf), random=random, check=check, now_s=now_s)

    def propose_update(self, *, random: Random, check: CredentialCheck, now_s: float | None) -> bytes:
        """Proposes fresh keys for our own leaf."""
        return propose_update(self._state, random, check, now_s)

    # --- pre-shared keys ---------------------------------------------------------------------------------------

    def add_psk(self, psk_id: bytes, psk: bytes) -> None:
        """Makes an external pre-shared key known, for commits that name it."""
        self._state.external_psks[psk_id] = psk

    def psk_id(self, psk_id: bytes, *, random: Random) -> PreSharedKeyId:
        """The name of an external pre-shared key with a fresh nonce, for a `PskProposal`."""
        if psk_id not in self._state.external_psks:
            raise InvalidProposal("this pre-shared key is not known here")
        return PreSharedKeyId(PskType.EXTERNAL, random(self._state.cs.hash_bytes), psk_id)

    # --- messages ----------------------------------------------------------------------------------------------

    def protect(self, data: bytes, *, aad: bytes = b"", random: Random, pad: Pad | None = None) -> bytes:
        """Encrypts application data; gives an MLSMessage. `aad` is authenticated but readable by anybody.

        `pad` maps the message's length to a wished one; where the encoding cannot reach it exactly, the next
        length it can reach is taken.
        """
        state = self._state
        state.require_active()
        if len(data) > APPLICATION_DATA_BYTES_MAX or len(aad) > AUTHENTICATED_DATA_BYTES_MAX:
            raise LimitExceeded("the application data is too large for one message")
        epoch = state.epoch
        framed = FramedContent(
            epoch.context.group_id, epoch.number, Sender(SenderType.MEMBER, epoch.own_leaf), aad, data
        )
        content = sign(state.cs, WireFormat.PRIVATE_MESSAGE, framed, epoch.context, state.signature_private)
        message = protect_private(state.cs, content, epoch.secrets.sender_data_secret, epoch.secret_tree, random, pad)
        return encode_mls_message(message)

    def process(self, message: bytes, *, check: CredentialCheck, now_s: float | None) -> Processed:
        """Takes one MLSMessage in; zero bytes behind it are ignored.

        `now_s` is compared with the lifetime of key packages that the message adds: pass the moment the
        message was accepted rather than the moment it is read, or None to leave lifetimes out.
        """
        return process(self._state, message, check=check, now_s=now_s)
