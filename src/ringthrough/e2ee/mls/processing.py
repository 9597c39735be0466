"""Taking a message in (RFC 9420 sections 6 and 12.4.2). Every check comes before the first change of state."""

from __future__ import annotations

from collections.abc import Callable

from .commits import Commit
from .credentials import CredentialCheck, Member
from .errors import (
    InvalidMessage,
    InvalidTree,
    LimitExceeded,
    OwnMessage,
    Replayed,
    Unsupported,
    WrongEpoch,
    WrongGroup,
)
from .events import ApplicationMessage, Processed, ProposalStored
from .framing import (
    AuthenticatedContent,
    ContentType,
    PrivateMessage,
    PublicMessage,
    SenderType,
    decode_padded_mls_message,
)
from .limits import PENDING_PROPOSALS_MAX
from .message_protection import OpenedMessage, check_membership_tag, open_private, open_sender_data
from .processing_commit import process_commit
from .proposal_list import Judge, SentProposal, check_proposal
from .state import GroupState


def process(state: GroupState, data: bytes, *, check: CredentialCheck, now_s: float | None) -> Processed:
    """Processes one MLSMessage, zero bytes behind it ignored."""
    state.require_active()
    body, size = decode_padded_mls_message(data)
    if state.staged is not None and data[:size] == state.staged.commit:
        raise OwnMessage("this is our own staged commit", is_staged_commit=True)
    match body:
        case PrivateMessage():
            return _process_private(state, body, check, now_s)
        case PublicMessage():
            return _process_public(state, body, check, now_s)
        case _:
            raise InvalidMessage("a message of this kind is not for the members of a group")


def _require_group(state: GroupState, group_id: bytes) -> None:
    if group_id != state.epoch.context.group_id:
        raise WrongGroup("the message belongs to another group")


def _process_private(
    state: GroupState, message: PrivateMessage, check: CredentialCheck, now_s: float | None
) -> Processed:
    _require_group(state, message.group_id)
    if message.epoch != state.epoch.number:
        if message.content_type is not ContentType.APPLICATION:
            raise WrongEpoch(f"a handshake of epoch {message.epoch}", message.epoch)
        return _process_late(state, message)
    epoch = state.epoch
    sender = open_sender_data(state.cs, message, epoch.secrets.sender_data_secret)
    if sender.leaf == epoch.own_leaf:
        raise OwnMessage("this is a message of our own")
    member = _known(lambda: epoch.tree.member(sender.leaf))
    opened = open_private(state.cs, message, sender, epoch.secret_tree, state.retention.window)
    opened.content.verify_signature(state.cs, member.signature_key, epoch.context)
    framed = opened.content.framed

    def consume() -> None:
        epoch.secret_tree.consume(opened.used, state.retention.window)

    if isinstance(framed.content, bytes):
        consume()
        return ApplicationMessage(member, framed.epoch, framed.content, framed.authenticated_data)
    return _process_handshake(state, opened.content, check, now_s, consume)


def _process_late(state: GroupState, message: PrivateMessage) -> ApplicationMessage:
    """An application message of a past epoch whose keys are still kept."""
    place, past = state.past_epoch(message.epoch)
    sender = open_sender_data(state.cs, message, past.sender_data_secret)
    if sender.leaf == state.epoch.own_leaf:
        raise OwnMessage("this is a message of our own")
    member = _known(lambda: state.past_member(place, sender.leaf))
    opened: OpenedMessage = open_private(state.cs, message, sender, past.secret_tree, state.retention.window)
    opened.content.verify_signature(state.cs, member.signature_key, past.context)
    framed = opened.content.framed
    if not isinstance(framed.content, bytes):
        raise InvalidMessage("a handshake of a past epoch")
    past.secret_tree.consume(opened.used, state.retention.window)
    return ApplicationMessage(member, framed.epoch, framed.content, framed.authenticated_data)


def _known(lookup: Callable[[], Member]) -> Member:
    try:
        return lookup()
    except InvalidTree as error:
        raise InvalidMessage("the sender is not a member") from error


def _process_public(
    state: GroupState, message: PublicMessage, check: CredentialCheck, now_s: float | None
) -> Processed:
    framed = message.content.framed
    _require_group(state, framed.group_id)
    epoch = state.epoch
    if framed.epoch != epoch.number:
        raise WrongEpoch(f"a handshake of epoch {framed.epoch}", framed.epoch)
    check_membership_tag(state.cs, message, epoch.context, epoch.secrets.membership_key)
    match framed.sender.type:
        case SenderType.MEMBER:
            if framed.sender.index == epoch.own_leaf:
                raise OwnMessage("this is a message of our own")
            member = _known(lambda: epoch.tree.member(framed.sender.index))
            message.content.verify_signature(state.cs, member.signature_key, epoch.context)
        case SenderType.NEW_MEMBER_COMMIT:
            if not isinstance(framed.content, Commit) or framed.content.path is None:
                raise InvalidMessage("an external joiner sends nothing but commits with a path")
            joiner = framed.content.path.leaf_node
            message.content.verify_signature(state.cs, joiner.signature_key, epoch.context)
        case _:
            raise Unsupported("proposals from outside of the group are not supported")
    return _process_handshake(state, message.content, check, now_s, lambda: None)


def _process_handshake(
    state: GroupState,
    content: AuthenticatedContent,
    check: CredentialCheck,
    now_s: float | None,
    consume: Callable[[], None],
) -> Processed:
    """A proposal or a commit whose signature was verified; `consume` uses its message key up."""
    body = content.framed.content
    judge = Judge(state.cs, state.epoch.context, state.epoch.tree, check, now_s)
    if isinstance(body, Commit):
        successor, applied = process_commit(state, judge, content, body)
        consume()
        if successor is None:
            state.leave()
        else:
            state.advance(successor)
        return applied
    if isinstance(body, bytes):
        raise InvalidMessage("application data among handshakes")
    sender = content.framed.sender.index
    reference = content.proposal_ref(state.cs)
    if reference in state.pending:
        raise Replayed("this proposal was received already")
    if len(state.pending) >= PENDING_PROPOSALS_MAX:
        raise LimitExceeded(f"more than {PENDING_PROPOSALS_MAX} proposals in an epoch")
    check_proposal(judge, body, sender)
    consume()
    state.pending[reference] = SentProposal(body, sender)
    return ProposalStored(reference, state.epoch.tree.member(sender))
