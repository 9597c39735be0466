"""Call machines and an ordered log between them that delivers as late as it likes, while frames overtake it: all
always end, and agree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.protocol import calls
from ringthrough.protocol.calls import (
    CallEvent,
    CallId,
    CallMachine,
    ConversationId,
    EndReason,
    Kind,
    LeafIndex,
    State,
)

ROOM = ConversationId(b"room")


@dataclass
class Device:
    machine: CallMachine
    read: int = 0
    audio_on: bool = False
    ringing: bool = False
    ended_ms: int | None = None
    heard_ms: int = 0


@dataclass
class World:
    """A log in one order; each device reads it at its own pace. Audio arrives while both talk in the same call, and a
    frame that was sent at some time arrives whenever it likes. The first device is an account, the others are one."""

    now_ms: int = 1_000_000
    log: list[CallEvent] = field(default_factory=list)
    frames: list[tuple[CallId, LeafIndex]] = field(default_factory=list)
    devices: list[Device] = field(default_factory=lambda: [Device(CallMachine(LeafIndex(leaf))) for leaf in (0, 1)])

    @classmethod
    def of_two_answerers(cls) -> World:
        """The account that is called has two devices."""
        return cls(devices=[Device(CallMachine(LeafIndex(leaf))) for leaf in (0, 1, 2)])

    def act(self, index: int, actions: list[calls.Action]) -> None:
        device = self.devices[index]
        assert device.ended_ms is None or all(isinstance(action, calls.Refused) for action in actions)
        for action in actions:
            match action:
                case calls.Send(kind, call_id, conversation, reason, to_leaf):
                    said = reason or calls.HangupReason.HUNG_UP
                    leaf = device.machine.leaf
                    self.log.append(CallEvent(kind, call_id, conversation, leaf, False, self.now_ms, said, to_leaf))
                case calls.StartAudio(call_id):
                    assert not device.audio_on
                    device.audio_on, device.heard_ms = True, self.now_ms
                    self.frames.append((call_id, device.machine.leaf))
                case calls.StopAudio():
                    assert device.audio_on
                    device.audio_on = False
                case calls.Ring():
                    assert not device.ringing
                    device.ringing = True
                case calls.StopRinging():
                    assert device.ringing
                    device.ringing = False
                case calls.Ended():
                    device.ended_ms = self.now_ms
        assert device.audio_on == (device.machine.state is State.IN_CALL)
        assert device.ringing == (device.machine.state is State.INCOMING)

    def deliver(self, index: int) -> bool:
        device = self.devices[index]
        while device.read < len(self.log):
            event = self.log[device.read]
            device.read += 1
            if event.leaf != device.machine.leaf:
                own = index > 0 and event.leaf > 0
                self.act(index, device.machine.remote(replace(event, own=own), self.now_ms))
                return True
        return False

    def frame(self, number: int, index: int) -> None:
        """A frame that was sent once arrives; a device has the keys of its own call, and of nobody's account but the
        other one. While it talks it hears its peer alone."""
        if not self.frames:
            return
        call_id, leaf = self.frames[number % len(self.frames)]
        device = self.devices[index]
        machine = device.machine
        if call_id != machine.call_id or (leaf > 0) == (index > 0):
            return
        if not device.audio_on:
            self.act(index, machine.frame_opened(leaf, self.now_ms))
        elif leaf == machine.peer:
            device.heard_ms = self.now_ms
            self.act(index, machine.audio_heard(self.now_ms))

    def person(self, index: int, what: str, call_id: CallId) -> None:
        machine = self.devices[index].machine
        if what == "place":
            self.act(index, machine.place(call_id, ROOM, self.now_ms))
        else:
            actions: list[calls.Action] = getattr(machine, what)(self.now_ms)
            self.act(index, actions)

    def audio(self) -> None:
        one, two, *_ = self.devices
        if one.audio_on and two.audio_on and one.machine.call_id == two.machine.call_id:
            for index, device in enumerate((one, two)):
                device.heard_ms = self.now_ms
                self.act(index, device.machine.audio_heard(self.now_ms))

    def pass_time(self, span_ms: int) -> None:
        """Jump from deadline to deadline, as a shell with a timer does."""
        end = self.now_ms + span_ms
        while True:
            deadlines = [d.machine.deadline_ms for d in self.devices if d.machine.deadline_ms is not None]
            self.now_ms = max(self.now_ms, min([end, *deadlines]))
            for index, device in enumerate(self.devices):
                self.act(index, device.machine.tick(self.now_ms))
                assert not device.audio_on or self.now_ms < device.heard_ms + calls.NO_AUDIO_MS
            if self.now_ms >= end:
                return


STEP = st.one_of(
    st.tuples(
        st.just("person"), st.integers(0, 1), st.sampled_from(["place", "answer", "decline", "hang_up", "fail"])
    ),
    st.tuples(st.just("person"), st.integers(0, 1), st.sampled_from(["place", "answer"])),
    st.tuples(st.just("deliver"), st.integers(0, 1), st.just("")),
    st.tuples(st.just("deliver"), st.integers(0, 1), st.just("")),
    st.tuples(st.just("pass"), st.sampled_from([10, 900, 5_000, 19_000, 61_000]), st.just("")),
    st.tuples(st.just("audio"), st.just(0), st.just("")),
    st.tuples(st.just("frame"), st.integers(0, 1), st.just("")),
    st.tuples(st.just("frame"), st.integers(0, 1), st.just("")),
)

R = EndReason
AGREE: dict[EndReason, set[EndReason]] = {
    # What the callee may say, by what the caller says, about the same call.
    R.HUNG_UP: {R.MISSED, R.REMOTE_HUNG_UP, R.EXPIRED_OFFER, R.DECLINED, R.HUNG_UP, R.NO_AUDIO, R.FAILED},
    R.UNANSWERED: {R.MISSED, R.EXPIRED_OFFER, R.DECLINED, R.HUNG_UP, R.NO_AUDIO, R.FAILED},
    R.FAILED: {R.MISSED, R.EXPIRED_OFFER, R.DECLINED, R.HUNG_UP, R.NO_AUDIO, R.FAILED},
    R.DECLINED: {R.DECLINED},
    R.REMOTE_HUNG_UP: {R.HUNG_UP},
    R.NO_AUDIO: {R.NO_AUDIO, R.HUNG_UP, R.FAILED},
}


@settings(max_examples=400, deadline=None)
@given(steps=st.lists(STEP, max_size=40), lower_first=st.booleans())
def test_both_always_end_and_agree(steps: list[tuple[str, int, str]], lower_first: bool) -> None:
    world = World()
    ids = [CallId(bytes(16)), CallId(b"\xff" * 16)]
    if not lower_first:
        ids.reverse()
    for what, number, word in steps:
        match what:
            case "person":
                world.person(number, word, ids[number])
            case "deliver":
                world.deliver(number)
            case "pass":
                world.pass_time(number)
            case "audio":
                world.audio()
            case "frame":
                for sent in range(len(world.frames)):
                    world.frame(sent, number)
    for _ in range(6):
        while any([world.deliver(0), world.deliver(1)]):
            pass
        world.pass_time(calls.OFFER_LIFETIME_MS + calls.CLOCK_SKEW_MS)
    one, two = (device.machine for device in world.devices)
    for machine in (one, two):
        assert machine.state in (State.IDLE, State.ENDED)
        assert (machine.state is State.ENDED) == (machine.end_reason is not None)
    if one.call_id == two.call_id and one.end_reason and two.end_reason:
        caller, callee = (one, two) if one.is_caller else (two, one)
        assert caller.is_caller != callee.is_caller
        assert caller.end_reason is not None
        assert callee.end_reason in AGREE[caller.end_reason], (caller.end_reason, callee.end_reason)


@given(st.permutations(["0", "1"]), st.booleans(), st.booleans())
def test_a_glare_leads_both_into_the_lower_call(order: list[str], confirm: bool, overtaken: bool) -> None:
    world = World()
    ids = [CallId(b"\x01" * 16), CallId(b"\x02" * 16)]
    for index in (0, 1):
        world.person(index, "place", ids[index])
    for index in map(int, order * 3):
        world.deliver(index)
        if overtaken:
            world.frame(0, 0)
        if confirm:
            world.audio()
    assert [device.machine.state for device in world.devices] == [State.IN_CALL] * 2
    assert {device.machine.call_id for device in world.devices} == {ids[0]}
    assert [device.machine.peer for device in world.devices] == [1, 0]
    kinds = [(event.leaf, event.kind) for event in world.log]
    assert kinds == [(0, Kind.OFFER), (1, Kind.OFFER), (1, Kind.HANGUP), (1, Kind.ANSWER)]


@given(
    st.lists(st.sampled_from(["deliver 0", "deliver 1", "deliver 2", "frame 0", "frame 1"]), max_size=20),
    st.integers(0, 5),
)
def test_of_two_devices_that_answer_at_once_one_has_the_call(steps: list[str], answered_after: int) -> None:
    world = World.of_two_answerers()
    world.person(0, "place", CallId(bytes(16)))
    for index in (1, 2):
        world.deliver(index)
    for number, step in enumerate(["", *steps]):
        if number == min(answered_after, len(steps)):
            world.person(2, "answer", CallId(b""))
        if number == 0:
            world.person(1, "answer", CallId(b""))
        match step.split():
            case ["deliver", which]:
                world.deliver(int(which))
            case ["frame", which]:
                world.frame(int(which), 0)
    while any(world.deliver(index) for index in (0, 1, 2)):
        pass
    caller, *others = [device.machine for device in world.devices]
    talking = [machine for machine in others if machine.state is State.IN_CALL]
    assert caller.state is State.IN_CALL
    assert caller.is_confirmed
    assert [machine.leaf for machine in talking] == [caller.peer]
    assert {machine.end_reason for machine in others if machine not in talking} == {EndReason.ANSWERED_ELSEWHERE}
