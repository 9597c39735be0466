"""What goes into a call machine and what comes out: the words of `calls`.

The names of kinds and reasons are those of the call bodies in docs/spec/content.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

CallId = NewType("CallId", bytes)
"""16 random bytes, chosen by the caller."""
ConversationId = NewType("ConversationId", bytes)
"""Names the conversation to the shell; compared, never read."""
LeafIndex = NewType("LeafIndex", int)
"""A device's place in the conversation's group."""


class State(StrEnum):
    """Where a call stands on this device."""

    IDLE = "idle"
    CALLING = "calling"
    RINGING = "ringing"
    INCOMING = "incoming"
    IN_CALL = "in_call"
    ENDED = "ended"


class Kind(StrEnum):
    """Kinds of call events that devices send to one another."""

    OFFER = "offer"
    RINGING = "ringing"
    ANSWER = "answer"
    DECLINE = "decline"
    BUSY = "busy"
    HANGUP = "hangup"


class HangupReason(StrEnum):
    """Why a device says that a call is over."""

    HUNG_UP = "hung_up"
    UNANSWERED = "unanswered"
    DECLINED = "declined"
    BUSY = "busy"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    GLARE = "glare"
    NO_AUDIO = "no_audio"
    FAILED = "failed"


class EndReason(StrEnum):
    """Why the call ended, as the person on this device is told. Closed list."""

    HUNG_UP = "hung_up"
    REMOTE_HUNG_UP = "remote_hung_up"
    DECLINED = "declined"
    BUSY = "busy"
    MISSED = "missed"
    UNANSWERED = "unanswered"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    NO_AUDIO = "no_audio"
    FAILED = "failed"
    EXPIRED_OFFER = "expired_offer"


class Input(StrEnum):
    """Everything that may happen to a call."""

    PLACE = "place"
    ACCEPT = "accept"
    REFUSE = "refuse"
    HANG_UP = "hang_up"
    FAIL = "fail"
    OFFER = "remote offer"
    RINGING = "remote ringing"
    ANSWER = "remote answer"
    DECLINE = "remote decline"
    BUSY = "remote busy"
    HANGUP = "remote hangup"
    FRAME = "frame opened"
    AUDIO = "audio heard"
    TIMER = "timer"


@dataclass(frozen=True, slots=True)
class CallEvent:
    """A call event from another device, already authenticated.

    `leaf` is the device that sent it and `own` whether it belongs to this device's account. `sent_ms` is when an
    offer was made. `reason` goes with a hangup; `to_leaf` limits a hangup to one device, None means all.
    """

    kind: Kind
    call_id: CallId
    conversation: ConversationId
    leaf: LeafIndex
    own: bool = False
    sent_ms: int = 0
    reason: HangupReason = HangupReason.HUNG_UP
    to_leaf: LeafIndex | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Send a call event in `conversation`, as a stored, acknowledged message."""

    kind: Kind
    call_id: CallId
    conversation: ConversationId
    reason: HangupReason | None = None
    to_leaf: LeafIndex | None = None


@dataclass(frozen=True, slots=True)
class StartAudio:
    """Derive the call's keys, open the microphone, send to and play from `peer`."""

    call_id: CallId
    peer: LeafIndex


@dataclass(frozen=True, slots=True)
class StopAudio:
    """Close the microphone and forget the call's keys."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring on this device."""

    call_id: CallId


@dataclass(frozen=True, slots=True)
class StopRinging:
    """Be quiet."""


@dataclass(frozen=True, slots=True)
class ShowRinging:
    """A device of the other side has confirmed that it rings; only now may the caller be told so."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over on this device. Always the last action of a call."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class Refused:
    """The input has no place in this state and changed nothing: late, doubled, forged or impossible."""

    what: Input


Action = Send | StartAudio | StopAudio | Ring | StopRinging | ShowRinging | Ended | Refused
