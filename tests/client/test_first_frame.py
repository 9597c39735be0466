"""The first frame of a call that was placed: whose counts as the answer, and what comes of it."""

from __future__ import annotations

import asyncio

import pytest

from ringthrough.audio import payload
from ringthrough.audio.payload import Payload
from ringthrough.audio.report import Report
from ringthrough.client.client import Client
from ringthrough.client.conversation import Conversation
from ringthrough.client.first_frame import FirstFrame
from ringthrough.client.identity import Credential
from ringthrough.client.media import FRAME_BODY_BYTES, SIGNAL_KIND_DIRECT, SIGNAL_KIND_MEDIA, NullSink, SilentSource
from ringthrough.e2ee.mls import Member
from ringthrough.e2ee.sframe import SFrameSender, call_key, seal_frame
from ringthrough.protocol import calls as machine
from ringthrough.protocol.calls import EndReason, Kind

from .conftest import World, joined, soon
from .test_calls import Recorder, Tone, call_of, ended, pair, rings

CALL_ID = bytes(16)
BASE_KEY = b"k" * 32


def frame(leaf: int, epoch: int, base_key: bytes = BASE_KEY, packet: bytes = b"\x48" * 40) -> bytes:
    """Sound, sealed by a device in an epoch."""
    content = payload.encode(Payload(Report(), packet)) if packet else b""
    return SIGNAL_KIND_MEDIA + seal_frame(SFrameSender(call_key(base_key, leaf, epoch)), content, FRAME_BODY_BYTES)


def offered(client: Client, conversation: Conversation) -> int:
    """As if a call had been offered in this epoch."""
    epoch = conversation.group().epoch
    with client.context.store.transaction():
        client.context.store.add_call_key(CALL_ID, epoch, conversation.id, BASE_KEY, 2**40)
    return epoch


@pytest.mark.promise("CANNOT-FORGE")
async def test_only_a_device_of_the_other_account_is_told(world: World) -> None:
    alice, _, conversation = await pair(world)
    first = FirstFrame(conversation, CALL_ID)
    assert first.author(frame(1, conversation.group().epoch)) is None, "no call was offered yet"
    epoch = offered(alice, conversation)
    assert first.author(frame(1, epoch)) == 1
    assert first.author(frame(0, epoch)) is None, "our own leaf"
    assert first.author(frame(2, epoch)) is None, "nobody's leaf"
    assert first.author(frame(1, epoch, base_key=b"x" * 32)) is None, "another call's key"
    assert first.author(frame(1, epoch, packet=b"")) is None, "malformed"
    good = frame(1, epoch)
    for at in range(1, len(good), 11):
        damaged = bytearray(good)
        damaged[at] ^= 4
        assert first.author(bytes(damaged)) is None
    assert first.author(SIGNAL_KIND_DIRECT + good[1:]) is None
    assert first.author(b"") is None


@pytest.mark.promise("CANNOT-FORGE")
async def test_who_has_come_since_or_has_anothers_place_is_not_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, _, conversation = await pair(world)
    epoch = offered(alice, conversation)
    first = FirstFrame(conversation, CALL_ID)
    (mine, me), (his, him) = conversation.members()
    another = Credential(him.account_id, b"\x07" * 16, him.origin)
    third = Member(2, his.identity, his.signature_key)
    monkeypatch.setattr(conversation, "members", lambda: [(mine, me), (his, another)])
    assert first.author(frame(1, epoch)) is None, "another device at his place"
    monkeypatch.setattr(conversation, "members", lambda: [(mine, me), (his, him), (third, another)])
    assert first.author(frame(2, epoch)) is None, "a device that was not called"
    assert first.author(frame(1, epoch)) == 1
    stranger = Credential(b"\x07" * 16, another.device_id, him.origin)
    monkeypatch.setattr(conversation, "members", lambda: [(mine, me), (his, him), (third, stranger)])
    assert first.author(frame(1, epoch)) is None, "a third account could have sealed it"
    monkeypatch.setattr(conversation, "members", lambda: [(mine, me)])
    assert first.author(frame(1, epoch)) is None, "he was removed"


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
async def test_a_key_that_a_removed_member_knows_tells_nobody(world: World) -> None:
    alice, _, conversation = await pair(world)
    epoch = offered(alice, conversation)
    first = FirstFrame(conversation, CALL_ID)
    with alice.context.store.transaction():
        alice.context.store.add_call_key(CALL_ID, epoch + 1, conversation.id, b"n" * 32, 2**40)
    assert first.author(frame(1, epoch)) is None
    assert first.author(frame(1, epoch + 1, base_key=b"n" * 32)) == 1


@pytest.mark.promise("CANNOT-FORGE")
async def test_in_a_group_no_frame_tells_who_answered(world: World) -> None:
    clients = [await world.person(name) for name in ("alice", "bob", "carol")]
    tea = await clients[0].create_group("tea", ["@bob", "@carol"])
    for client in clients[1:]:
        await joined(client)
    epoch = offered(clients[0], tea)
    first = FirstFrame(tea, CALL_ID)
    assert [first.author(frame(leaf, epoch)) for leaf in (0, 1, 2)] == [None, None, None]


def held_answer(client: Client) -> asyncio.Future[machine.Action]:
    """The answer that this device does not send; it talks all the same."""
    held: asyncio.Future[machine.Action] = asyncio.get_running_loop().create_future()
    carry_out = client.calls._carry_out

    def holding(action: machine.Action, call: object) -> None:
        if isinstance(action, machine.Send) and action.kind is Kind.ANSWER:
            held.set_result(action)
        else:
            carry_out(action, call)  # type: ignore[arg-type]

    client.calls._carry_out = holding  # type: ignore[method-assign]
    return held


def is_confirmed(client: Client) -> bool:
    assert client.calls._machine is not None
    return client.calls._machine.is_confirmed


async def test_sound_answers_and_the_message_confirms(world: World) -> None:
    alice, bob, conversation = await pair(world)
    held, ringing = held_answer(bob), rings(bob)
    at_alice, at_bob = Recorder(), Recorder()
    call = alice.calls.place(conversation, Tone(), at_alice)
    his = await call_of(ringing)
    assert not call.answered.is_set()
    his.answer(Tone(), at_bob)
    await at_alice.hears()
    await at_bob.hears()
    assert call.rings_there.is_set()
    assert call.stats.refused == 0, "the first frame was heard as well"
    assert not is_confirmed(alice)
    answer = await soon(held)
    assert isinstance(answer, machine.Send)
    bob.calls._outgoing.put_nowait((his.conversation, answer))
    async with asyncio.timeout(10):
        while not is_confirmed(alice):
            await alice.context.changed.wait()
    await at_alice.hears()
    his.hang_up()
    assert await ended(call) is EndReason.REMOTE_HUNG_UP


async def test_who_hung_up_meanwhile_hears_nobody(world: World) -> None:
    alice, bob, conversation = await pair(world)
    held, ringing = held_answer(bob), rings(bob)
    call = alice.calls.place(conversation, SilentSource(), NullSink())
    his = await call_of(ringing)
    call.hang_up()
    his.answer(SilentSource(), NullSink())
    await soon(held)
    assert await ended(call) is EndReason.HUNG_UP
    assert await ended(his) is EndReason.REMOTE_HUNG_UP
    assert not call.answered.is_set()
    assert call.media is None


async def test_somebody_is_there_before_the_microphone_is(world: World) -> None:
    """Silence in its place in time until the source speaks, so that nothing has to be made up for."""

    class Slow(Tone):
        opened = asyncio.Event()

        async def read(self):  # type: ignore[no-untyped-def]
            await self.opened.wait()
            return await super().read()

    alice, bob, conversation = await pair(world)
    ringing, at_alice = rings(bob), Recorder()
    call = alice.calls.place(conversation, Tone(), at_alice)
    his = await call_of(ringing)
    microphone, at_bob = Slow(), Recorder()
    his.answer(microphone, at_bob)
    await at_bob.hears(slots=30)
    assert at_alice.loudest < 100
    assert call.stats.received > 3
    microphone.opened.set()
    await at_alice.hears()
    assert call.stats.refused == 0
    assert call.stats.concealed < 15, "or the half second is a hole"
