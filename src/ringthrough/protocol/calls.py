"""The call-signalling machine: who rings, who talks, and why a call ended. No I/O, no clock, no keys.

One `CallMachine` is one call on one device. What the person does, what other devices sent and how late it is go in;
`Action`s for the shell come out (`call_events`). The rules are the rows of `TRANSITIONS` and nothing else;
docs/spec/media.md prints that table.

Times are milliseconds of the server's clock: the shell adds its measured offset to its own clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from .call_events import (
    Action,
    CallEvent,
    CallId,
    ConversationId,
    Ended,
    EndReason,
    HangupReason,
    Input,
    Kind,
    LeafIndex,
    Refused,
    Ring,
    Send,
    ShowRinging,
    StartAudio,
    State,
    StopAudio,
    StopRinging,
)

__all__ = [
    "CALL_ID_BYTES",
    "CLOCK_SKEW_MS",
    "ENDED_IN_CALL",
    "ENDED_WHILE_RINGING",
    "GUARDS",
    "NO_AUDIO_MS",
    "OFFER_LIFETIME_MS",
    "TRANSITIONS",
    "Action",
    "CallEvent",
    "CallId",
    "CallMachine",
    "ConversationId",
    "EndReason",
    "Ended",
    "HangupReason",
    "Input",
    "Kind",
    "LeafIndex",
    "Refused",
    "Ring",
    "Row",
    "Send",
    "ShowRinging",
    "StartAudio",
    "State",
    "StopAudio",
    "StopRinging",
]

CALL_ID_BYTES: Final = 16
OFFER_LIFETIME_MS: Final = 60_000
"""How long a call rings, on both sides."""
CLOCK_SKEW_MS: Final = 10_000
"""How far two devices' ideas of the server's clock may be apart before an offer counts as expired."""
NO_AUDIO_MS: Final = 20_000
"""A call in which no authentic frame arrived for this long ends."""


ENDED_WHILE_RINGING: Final = {
    HangupReason.HUNG_UP: EndReason.MISSED,
    HangupReason.UNANSWERED: EndReason.MISSED,
    HangupReason.DECLINED: EndReason.DECLINED,
    HangupReason.BUSY: EndReason.MISSED,
    HangupReason.ANSWERED_ELSEWHERE: EndReason.ANSWERED_ELSEWHERE,
    HangupReason.GLARE: EndReason.ANSWERED_ELSEWHERE,
    HangupReason.NO_AUDIO: EndReason.MISSED,
    HangupReason.FAILED: EndReason.MISSED,
}
"""What a caller's hangup means to a device that rings."""

ENDED_IN_CALL: Final = {
    HangupReason.HUNG_UP: EndReason.REMOTE_HUNG_UP,
    HangupReason.UNANSWERED: EndReason.MISSED,
    HangupReason.DECLINED: EndReason.ANSWERED_ELSEWHERE,
    HangupReason.BUSY: EndReason.ANSWERED_ELSEWHERE,
    HangupReason.ANSWERED_ELSEWHERE: EndReason.ANSWERED_ELSEWHERE,
    HangupReason.GLARE: EndReason.REMOTE_HUNG_UP,
    HangupReason.NO_AUDIO: EndReason.NO_AUDIO,
    HangupReason.FAILED: EndReason.FAILED,
}
"""What the peer's hangup means to a device that talks. The caller's unanswered, declined and busy have crossed with
this device's answer: the caller never heard it."""


class _Facts(NamedTuple):
    """One input together with the call as it was before."""

    machine: CallMachine
    event: CallEvent | None
    now_ms: int

    @property
    def remote(self) -> CallEvent:
        assert self.event is not None, "a rule for remote events was used for another input"
        return self.event


Guard = Callable[[_Facts], bool]


def _always(facts: _Facts) -> bool:
    return True


def _this_call(facts: _Facts) -> bool:
    return facts.remote.call_id == facts.machine.call_id and facts.remote.conversation == facts.machine.conversation


def _other_side(facts: _Facts) -> bool:
    return _this_call(facts) and not facts.remote.own


def _own_account(facts: _Facts) -> bool:
    return _this_call(facts) and facts.remote.own


def _peer_to_me(facts: _Facts) -> bool:
    from_peer = _this_call(facts) and facts.remote.leaf == facts.machine.peer
    return from_peer and facts.remote.to_leaf in (None, facts.machine.leaf)


def _not_peer(facts: _Facts) -> bool:
    return _this_call(facts) and facts.remote.leaf != facts.machine.peer


def _confirmation(facts: _Facts) -> bool:
    return facts.machine.is_caller and _other_side(facts) and _from_peer(facts) and not facts.machine.is_confirmed


def _crossed_before(facts: _Facts) -> bool:
    """A device's messages come in its order: an offer ahead of the answer was made before it, and lost a glare."""
    machine = facts.machine
    return machine.is_caller and not machine.is_confirmed and _from_peer(facts) and _glare_won(facts)


def _from_peer(facts: _Facts) -> bool:
    return facts.remote.leaf == facts.machine.peer


def _second_answer(facts: _Facts) -> bool:
    return facts.machine.is_caller and _other_side(facts) and facts.remote.leaf != facts.machine.peer


def _from_own_device(facts: _Facts) -> bool:
    return facts.remote.own


def _expired(facts: _Facts) -> bool:
    return facts.now_ms >= facts.remote.sent_ms + OFFER_LIFETIME_MS + CLOCK_SKEW_MS


def _crossing(facts: _Facts) -> bool:
    return (
        facts.remote.conversation == facts.machine.conversation
        and facts.remote.call_id != facts.machine.call_id
        and not facts.remote.own
        and not _expired(facts)
    )


def _glare_lost(facts: _Facts) -> bool:
    return _crossing(facts) and facts.remote.call_id < facts.machine.call_id


def _glare_won(facts: _Facts) -> bool:
    return _crossing(facts) and facts.remote.call_id > facts.machine.call_id


def _placed_again(facts: _Facts) -> bool:
    return _crossing(facts) and facts.remote.leaf == facts.machine.peer


def _other_call(facts: _Facts) -> bool:
    return facts.remote.call_id != facts.machine.call_id and not facts.remote.own and not _expired(facts)


GUARDS: Final[dict[str, Guard]] = {
    "": _always,
    "this call, from another account": _other_side,
    "this call, from an own device": _own_account,
    "this call, from the peer, to this device or all": _peer_to_me,
    "this call, not from the peer": _not_peer,
    "this call, from another account, not the peer, this device called": _second_answer,
    "this call, from the peer, whose answer is to come": _confirmation,
    "same conversation, higher call id, from the peer, whose answer is to come": _crossed_before,
    "from an own device": _from_own_device,
    "expired": _expired,
    "same conversation, lower call id": _glare_lost,
    "same conversation, higher call id": _glare_won,
    "same conversation, another call of the ringing device": _placed_again,
    "another call": _other_call,
}
"""The conditions of the table. Those about offers of another call hold only for offers that are not expired and come
from another account."""


class Row(NamedTuple):
    """In `state`, if `when` holds, `what` leads to `then` by `steps`. The first row that fits is taken."""

    state: State
    what: Input
    when: str
    then: State
    steps: tuple[str, ...] = ()


def _while_calling(state: State) -> tuple[Row, ...]:
    """A caller waits in the same way whether or not a device has confirmed that it rings."""
    confirmed = () if state is State.RINGING else ("show ringing",)
    return (
        Row(state, Input.RINGING, "this call, from another account", State.RINGING, confirmed),
        Row(
            state,
            Input.ANSWER,
            "this call, from another account",
            State.IN_CALL,
            ("take peer", "note answer", "start audio"),
        ),
        # A device that answers has rung.
        Row(
            state,
            Input.FRAME,
            "this call, from another account",
            State.IN_CALL,
            (*confirmed, "take peer", "start audio"),
        ),
        Row(
            state,
            Input.DECLINE,
            "this call, from another account",
            State.ENDED,
            ("send hangup declined", "end declined"),
        ),
        Row(state, Input.BUSY, "this call, from another account", State.ENDED, ("send hangup busy", "end busy")),
        Row(
            state,
            Input.OFFER,
            "same conversation, lower call id",
            State.IN_CALL,
            ("send hangup glare", "take call", "send answer", "start audio"),
        ),
        Row(state, Input.OFFER, "same conversation, higher call id", state),
        Row(state, Input.OFFER, "another call", state, ("send busy",)),
        Row(state, Input.HANG_UP, "", State.ENDED, ("send hangup hung_up", "end hung_up")),
        Row(state, Input.FAIL, "", State.ENDED, ("send hangup failed", "end failed")),
        Row(state, Input.TIMER, "", State.ENDED, ("send hangup unanswered", "end unanswered")),
    )


TRANSITIONS: Final[tuple[Row, ...]] = (
    Row(State.IDLE, Input.PLACE, "", State.CALLING, ("send offer", "time offer")),
    Row(State.IDLE, Input.OFFER, "from an own device", State.IDLE),
    Row(State.IDLE, Input.OFFER, "expired", State.ENDED, ("take call", "end expired_offer")),
    Row(State.IDLE, Input.OFFER, "", State.INCOMING, ("take call", "send ringing", "ring", "time ringing")),
    *_while_calling(State.CALLING),
    *_while_calling(State.RINGING),
    Row(State.INCOMING, Input.ACCEPT, "", State.IN_CALL, ("stop ringing", "send answer", "start audio")),
    Row(State.INCOMING, Input.REFUSE, "", State.ENDED, ("stop ringing", "send decline", "end declined")),
    Row(State.INCOMING, Input.HANG_UP, "", State.ENDED, ("stop ringing", "send decline", "end declined")),
    Row(State.INCOMING, Input.FAIL, "", State.ENDED, ("stop ringing", "end failed")),
    Row(
        State.INCOMING,
        Input.HANGUP,
        "this call, from the peer, to this device or all",
        State.ENDED,
        ("stop ringing", "end as told while ringing"),
    ),
    Row(
        State.INCOMING,
        Input.ANSWER,
        "this call, not from the peer",
        State.ENDED,
        ("stop ringing", "end answered_elsewhere"),
    ),
    Row(
        State.INCOMING, Input.DECLINE, "this call, from an own device", State.ENDED, ("stop ringing", "end declined")
    ),
    Row(
        State.INCOMING,
        Input.OFFER,
        "same conversation, another call of the ringing device",
        State.INCOMING,
        ("take call", "send ringing", "time ringing"),
    ),
    Row(State.INCOMING, Input.OFFER, "another call", State.INCOMING, ("send busy",)),
    Row(State.INCOMING, Input.TIMER, "", State.ENDED, ("stop ringing", "end missed")),
    Row(State.IN_CALL, Input.HANG_UP, "", State.ENDED, ("stop audio", "send hangup hung_up", "end hung_up")),
    Row(State.IN_CALL, Input.FAIL, "", State.ENDED, ("stop audio", "send hangup failed", "end failed")),
    Row(
        State.IN_CALL,
        Input.HANGUP,
        "this call, from the peer, to this device or all",
        State.ENDED,
        ("stop audio", "end as told in call"),
    ),
    Row(
        State.IN_CALL,
        Input.ANSWER,
        "this call, from the peer, whose answer is to come",
        State.IN_CALL,
        ("note answer",),
    ),
    Row(
        State.IN_CALL,
        Input.ANSWER,
        "this call, from another account, not the peer, this device called",
        State.IN_CALL,
        ("send hangup answered_elsewhere to it",),
    ),
    Row(
        State.IN_CALL,
        Input.OFFER,
        "same conversation, higher call id, from the peer, whose answer is to come",
        State.IN_CALL,
    ),
    Row(State.IN_CALL, Input.OFFER, "another call", State.IN_CALL, ("send busy",)),
    Row(State.IN_CALL, Input.AUDIO, "", State.IN_CALL, ("time audio",)),
    Row(State.IN_CALL, Input.TIMER, "", State.ENDED, ("stop audio", "send hangup no_audio", "end no_audio")),
)
"""Every transition there is. An input without a fitting row is refused and changes nothing."""

_BY_STATE: Final[dict[tuple[State, Input], tuple[Row, ...]]] = {
    key: tuple(row for row in TRANSITIONS if (row.state, row.what) == key)
    for key in {(row.state, row.what) for row in TRANSITIONS}
}
_REMOTE: Final = {
    Kind.OFFER: Input.OFFER,
    Kind.RINGING: Input.RINGING,
    Kind.ANSWER: Input.ANSWER,
    Kind.DECLINE: Input.DECLINE,
    Kind.BUSY: Input.BUSY,
    Kind.HANGUP: Input.HANGUP,
}


class CallMachine:
    """One call on one device. Use a new machine for the next call, once this one has ended.

    Make it when the person calls or the first offer arrives, for that conversation. While it lives, hand it every
    call event of every conversation: it answers other callers with "busy" by itself. After each input, wake it with
    `tick` at `deadline_ms`.
    """

    def __init__(self, leaf: LeafIndex) -> None:
        """`leaf` is this device's own place in the conversation's group."""
        self.leaf = leaf
        self.state = State.IDLE
        self.call_id = CallId(b"")
        self.conversation = ConversationId(b"")
        self.peer: LeafIndex | None = None
        self.is_caller = False
        self.is_confirmed = False
        """Whether the peer's signed answer to our call has been read; a frame may have come before it."""
        self.end_reason: EndReason | None = None
        self.deadline_ms: int | None = None

    def place(self, call_id: CallId, conversation: ConversationId, now_ms: int) -> list[Action]:
        """The person calls. `call_id` is 16 fresh random bytes.

        Raises:
            ValueError: a call id of another length.
        """
        if len(call_id) != CALL_ID_BYTES:
            raise ValueError(f"a call id has {CALL_ID_BYTES} bytes")
        if self.state is State.IDLE:
            self.call_id, self.conversation, self.is_caller = call_id, conversation, True
        return self._step(Input.PLACE, None, now_ms)

    def answer(self, now_ms: int) -> list[Action]:
        """The person takes the call."""
        return self._step(Input.ACCEPT, None, now_ms)

    def decline(self, now_ms: int) -> list[Action]:
        """The person does not want the call."""
        return self._step(Input.REFUSE, None, now_ms)

    def hang_up(self, now_ms: int) -> list[Action]:
        """The person ends the call, or gives up calling."""
        return self._step(Input.HANG_UP, None, now_ms)

    def fail(self, now_ms: int) -> list[Action]:
        """The shell cannot go on: no microphone, no keys, no connection."""
        return self._step(Input.FAIL, None, now_ms)

    def remote(self, event: CallEvent, now_ms: int) -> list[Action]:
        """Another device sent a call event."""
        if len(event.call_id) != CALL_ID_BYTES or (event.leaf == self.leaf and event.own):
            return [Refused(_REMOTE[event.kind])]
        return self._step(_REMOTE[event.kind], event, now_ms)

    def frame_opened(self, leaf: LeafIndex, now_ms: int, *, own: bool = False) -> list[Action]:
        """While we call, an authentic frame of this call arrived, sealed as `leaf`: whoever sends sound has answered.

        Hand in none of a device that the offer was not made to, and none where others than the two accounts hold the
        keys: a frame is not signed (docs/spec/media.md section 11).
        """
        event = CallEvent(Kind.ANSWER, self.call_id, self.conversation, leaf, own)
        return self._step(Input.FRAME, event, now_ms)

    def audio_heard(self, now_ms: int) -> list[Action]:
        """An authentic frame of the peer arrived. Calling it once a second is enough."""
        return self._step(Input.AUDIO, None, now_ms)

    def tick(self, now_ms: int) -> list[Action]:
        """Time has passed; does nothing before `deadline_ms`."""
        if self.deadline_ms is None or now_ms < self.deadline_ms:
            return []
        return self._step(Input.TIMER, None, now_ms)

    def _step(self, what: Input, event: CallEvent | None, now_ms: int) -> list[Action]:
        facts = _Facts(self, event, now_ms)
        for row in _BY_STATE.get((self.state, what), ()):
            if GUARDS[row.when](facts):
                break
        else:
            return [Refused(what)]
        self.state = row.then
        actions: list[Action] = []
        for step in row.steps:
            action = _STEPS[step](facts)
            if action is not None:
                actions.append(action)
        return actions


def _send(kind: Kind, reason: HangupReason | None = None) -> Step:
    def step(facts: _Facts) -> Action:
        machine = facts.machine
        return Send(kind, machine.call_id, machine.conversation, reason)

    return step


def _send_busy(facts: _Facts) -> Action:
    return Send(Kind.BUSY, facts.remote.call_id, facts.remote.conversation)


def _send_answered_elsewhere(facts: _Facts) -> Action:
    machine = facts.machine
    reason = HangupReason.ANSWERED_ELSEWHERE
    return Send(Kind.HANGUP, machine.call_id, machine.conversation, reason, facts.remote.leaf)


def _take_peer(facts: _Facts) -> None:
    facts.machine.peer = facts.remote.leaf


def _note_answer(facts: _Facts) -> None:
    facts.machine.is_confirmed = True


def _take_call(facts: _Facts) -> None:
    machine, offer = facts.machine, facts.remote
    machine.call_id, machine.conversation, machine.peer = offer.call_id, offer.conversation, offer.leaf
    machine.is_caller = False


def _time_offer(facts: _Facts) -> None:
    facts.machine.deadline_ms = facts.now_ms + OFFER_LIFETIME_MS


def _time_ringing(facts: _Facts) -> None:
    # An offer from a device whose clock is ahead must not ring for longer than any other.
    latest = facts.now_ms + OFFER_LIFETIME_MS
    facts.machine.deadline_ms = min(facts.remote.sent_ms + OFFER_LIFETIME_MS + CLOCK_SKEW_MS, latest)


def _time_audio(facts: _Facts) -> None:
    facts.machine.deadline_ms = facts.now_ms + NO_AUDIO_MS


def _start_audio(facts: _Facts) -> Action:
    machine = facts.machine
    assert machine.peer is not None, "audio starts after a peer was taken"
    _time_audio(facts)
    return StartAudio(machine.call_id, machine.peer)


def _end(reason: EndReason) -> Step:
    def step(facts: _Facts) -> Action:
        facts.machine.end_reason = reason
        facts.machine.deadline_ms = None
        return Ended(reason)

    return step


def _end_as_told(meaning: dict[HangupReason, EndReason]) -> Step:
    return lambda facts: _end(meaning[facts.remote.reason])(facts)


Step = Callable[[_Facts], Action | None]

_STEPS: Final[dict[str, Step]] = {
    "take call": _take_call,
    "take peer": _take_peer,
    "note answer": _note_answer,
    "time offer": _time_offer,
    "time ringing": _time_ringing,
    "time audio": _time_audio,
    "ring": lambda facts: Ring(facts.machine.call_id),
    "stop ringing": lambda facts: StopRinging(),
    "show ringing": lambda facts: ShowRinging(),
    "start audio": _start_audio,
    "stop audio": lambda facts: StopAudio(),
    "send busy": _send_busy,
    "send hangup answered_elsewhere to it": _send_answered_elsewhere,
    "end as told while ringing": _end_as_told(ENDED_WHILE_RINGING),
    "end as told in call": _end_as_told(ENDED_IN_CALL),
    **{f"send {kind}": _send(kind) for kind in (Kind.OFFER, Kind.RINGING, Kind.ANSWER, Kind.DECLINE)},
    **{f"send hangup {reason}": _send(Kind.HANGUP, reason) for reason in HangupReason},
    **{f"end {reason}": _end(reason) for reason in EndReason},
}
