"""Calls between devices: signalling, sound, changes of the membership, failures."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import numpy as np
import pytest

from ringthrough.audio.pcm import Pcm
from ringthrough.client.calls import Call
from ringthrough.client.client import Client
from ringthrough.client.conversation import Conversation
from ringthrough.client.errors import CallFailed
from ringthrough.client.media import NullSink, PcmSource, SilentSource
from ringthrough.e2ee import content as mimi
from ringthrough.e2ee.sframe import SFrameError, SFrameReceiver, call_key, decode_header, open_frame
from ringthrough.protocol.calls import EndReason
from ringthrough.protocol.limits import PADDED_SIZES_BYTES

from .conftest import WAIT_S, World, joined, soon, until


class Recorder:
    """A loudspeaker that keeps what it plays, and can wait for it."""

    def __init__(self) -> None:
        self.slots: list[Pcm] = []
        self._more = asyncio.Event()

    def write(self, slot: Pcm) -> None:
        self.slots.append(slot)
        self._more.set()

    @property
    def loudest(self) -> int:
        return max((int(np.abs(slot).max()) for slot in self.slots), default=0)

    async def reaches(self, condition: Callable[[], bool]) -> None:
        """Wait until it is true; it is asked with every slot."""
        while not condition():
            self._more.clear()
            await self._more.wait()

    async def hears(self, amplitude: int = 2000, slots: int = 9) -> None:
        """Wait for so many loud slots from now on."""
        start = len(self.slots)
        async with asyncio.timeout(WAIT_S):
            while sum(int(np.abs(f).max()) > amplitude for f in self.slots[start:]) < slots:
                self._more.clear()
                await self._more.wait()


class Tone:
    """A microphone into which somebody sings for ever."""

    def __init__(self) -> None:
        seconds = np.arange(16_000 * 60) / 16_000
        self._source = PcmSource((8000 * np.sin(2 * np.pi * 330 * seconds)).astype(np.int16))

    async def read(self) -> Pcm | None:
        return await self._source.read()


class Broken:
    """A microphone that was pulled out."""

    async def read(self) -> Pcm | None:
        raise OSError("unplugged")


def rings(client: Client) -> asyncio.Future[Call]:
    """The next call that rings on this device."""
    ringing: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
    client.calls.ring = lambda call: None if ringing.done() else ringing.set_result(call)
    return ringing


async def pair(world: World) -> tuple[Client, Client, Conversation]:
    alice, bob = await world.person("alice"), await world.person("bob")
    conversation = await alice.conversation_with("@bob")
    await joined(bob)
    await soon(conversation.caught_up())
    return alice, bob, conversation


async def call_of(ringing: asyncio.Future[Call]) -> Call:
    async with asyncio.timeout(WAIT_S):
        return await ringing


async def ended(call: Call) -> EndReason:
    async with asyncio.timeout(WAIT_S):
        return await asyncio.shield(call.ended)


async def talking(world: World) -> tuple[Client, Client, Call, Call, Recorder, Recorder]:
    """Alice has called Bob, and each hears the other."""
    alice, bob, conversation = await pair(world)
    ringing = rings(bob)
    at_alice, at_bob = Recorder(), Recorder()
    call = alice.calls.place(conversation, Tone(), at_alice)
    his = await call_of(ringing)
    his.answer(Tone(), at_bob)
    await at_bob.hears()
    await at_alice.hears()
    return alice, bob, call, his, at_alice, at_bob


async def test_both_hear_each_other_and_either_may_hang_up(world: World) -> None:
    alice, bob, call, his, _, at_bob = await talking(world)
    assert his.caller is not None
    assert bob.name_of(his.caller.account_id) == "@alice"
    call.hang_up()
    assert await ended(call) is EndReason.HUNG_UP
    assert await ended(his) is EndReason.REMOTE_HUNG_UP
    assert his.stats.refused == 0
    assert his.stats.received > 0
    count = len(at_bob.slots)
    # And the other way round, with the same devices.
    ringing = rings(bob)
    again = alice.calls.place(call.conversation, Tone(), NullSink())
    his = await call_of(ringing)
    his.answer(Tone(), at_bob)
    await at_bob.hears()
    assert len(at_bob.slots) > count
    his.hang_up()
    assert await ended(his) is EndReason.HUNG_UP
    assert await ended(again) is EndReason.REMOTE_HUNG_UP


async def test_after_the_call_nothing_runs_and_no_key_is_left(world: World) -> None:
    alice, bob, call, his, _, _ = await talking(world)
    call.hang_up()
    await ended(call)
    await ended(his)
    await soon(alice.calls.settled())
    assert alice.calls._media is not None
    assert bob.calls._media is not None
    await soon(asyncio.gather(alice.calls._media, bob.calls._media, return_exceptions=True))
    assert not [
        t
        for t in asyncio.all_tasks()
        if t.get_name() in ("call media", "call line", "talk", "listen", "watch", "way")
    ]
    for client in (alice, bob):
        store = client.context.store
        assert store.live_calls(client.conversations()[0].id) == []
        assert client.conversations()[0].subscription.on_signal is None
        assert client.conversations()[0].on_progress == []


async def test_declined(world: World) -> None:
    alice, bob, conversation = await pair(world)
    ringing = rings(bob)
    call = alice.calls.place(conversation, SilentSource(), NullSink())
    his = await call_of(ringing)
    his.decline()
    assert await ended(call) is EndReason.DECLINED
    assert await ended(his) is EndReason.DECLINED
    assert not call.answered.is_set()


async def test_busy(world: World) -> None:
    alice, _, call, _, _, _ = await talking(world)
    carol = await world.person("carol")
    with_bob = await carol.conversation_with("@bob")
    second = carol.calls.place(with_bob, SilentSource(), NullSink())
    assert await ended(second) is EndReason.BUSY
    assert not call.ended.done()
    with pytest.raises(CallFailed):
        alice.calls.place(call.conversation, SilentSource(), NullSink())


async def test_given_up_is_missed_there(world: World) -> None:
    alice, bob, conversation = await pair(world)
    ringing, missed = rings(bob), asyncio.Event()
    bob.calls.missed = lambda call: missed.set()
    call = alice.calls.place(conversation, SilentSource(), NullSink())
    his = await call_of(ringing)
    call.hang_up()
    assert await ended(his) is EndReason.MISSED
    await soon(missed.wait())
    assert await ended(call) is EndReason.HUNG_UP


async def test_unanswered_after_a_minute(world: World) -> None:
    alice, bob, conversation = await pair(world)
    ringing = rings(bob)
    call = alice.calls.place(conversation, SilentSource(), NullSink())
    his = await call_of(ringing)
    await soon(call.rings_there.wait())
    world.now_s += 59
    alice.calls.tick()
    assert not call.ended.done()
    world.now_s += 1.5
    alice.calls.tick()
    assert await ended(call) is EndReason.UNANSWERED
    assert await ended(his) is EndReason.MISSED


async def test_an_offer_found_later_is_a_missed_call(world: World) -> None:
    alice, bob, conversation = await pair(world)
    await world.offline(bob)
    call = alice.calls.place(conversation, SilentSource(), NullSink())
    await soon(alice.calls.settled())
    world.now_s += 120
    alice.calls.tick()
    assert await ended(call) is EndReason.UNANSWERED
    bob = Client.open(world.home("bob"), clock=world.clock)
    missed: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
    bob.calls.ring = lambda call: pytest.fail("a call of long ago rings")
    bob.calls.missed = missed.set_result
    await bob.__aenter__()
    world.clients.append(bob)
    late = await call_of(missed)
    assert await ended(late) is EndReason.EXPIRED_OFFER
    assert bob.messages()[0].kind == "call"


async def test_silence_of_twenty_seconds_ends_the_call(world: World) -> None:
    alice, _, call, his, _, _ = await talking(world)
    his.conversation.subscription.on_signal = None
    call.conversation.subscription.on_signal = None
    world.now_s += 25
    alice.calls.tick()
    assert await ended(call) is EndReason.NO_AUDIO
    assert await ended(his) is EndReason.NO_AUDIO


async def test_a_broken_microphone_ends_the_call_as_failed(world: World) -> None:
    alice, bob, conversation = await pair(world)
    ringing = rings(bob)
    call = alice.calls.place(conversation, Broken(), NullSink())
    his = await call_of(ringing)
    his.answer(SilentSource(), NullSink())
    assert await ended(call) is EndReason.FAILED
    assert await ended(his) is EndReason.FAILED


async def test_a_call_ends_when_its_client_closes(world: World) -> None:
    alice, _, call, _, _, _ = await talking(world)
    await world.offline(alice)
    assert await ended(call) is EndReason.FAILED


async def group_call(world: World) -> tuple[list[Client], Call, Call, Recorder]:
    """Alice has called a group of three and Bob has answered."""
    clients = [await world.person(name) for name in ("alice", "bob", "carol")]
    alice, bob, carol = clients
    tea = await alice.create_group("tea", ["@bob", "@carol"])
    for client in (bob, carol):
        await joined(client)
    ringing, also = rings(bob), rings(carol)
    call = alice.calls.place(tea, Tone(), NullSink())
    his, hers = await call_of(ringing), await call_of(also)
    at_bob = Recorder()
    his.answer(Tone(), at_bob)
    assert await ended(hers) is EndReason.ANSWERED_ELSEWHERE
    await at_bob.hears()
    return clients, call, his, at_bob


async def test_in_a_group_the_first_answer_takes_the_call(world: World) -> None:
    _, call, his, _ = await group_call(world)
    assert not call.ended.done()
    call.hang_up()
    assert await ended(his) is EndReason.REMOTE_HUNG_UP


@pytest.mark.alone
@pytest.mark.promise("CANNOT-SNOOP-AFTER")
async def test_a_change_of_members_changes_the_key_without_a_gap(world: World) -> None:
    (alice, bob, carol), call, his, at_bob = await group_call(world)
    tea = alice.find_group("tea")
    await world.account("dave")
    hers = carol.find_group("tea")
    epoch, key_she_knew = alice.context.store.call_keys(tea.id, call.call_id)[0]
    at_carol: list[bytes] = []
    hers.subscription.on_signal = at_carol.append
    await soon(alice.remove(tea, ["@carol"]))
    assert call.media is not None
    assert call.media._sender is not None
    first_after = call.media._sender.counter_next
    await until(lambda: hers.status == "left", carol)
    at_carol.clear()
    on_wire: list[bytes] = []
    assert his.media is not None
    play = his.media.lanes.on_body

    def tap(body: bytes) -> None:
        on_wire.append(body)
        play(body)

    his.media.lanes.on_body = tap
    snoop = SFrameReceiver(call_key(key_she_knew, tea.group().own_leaf, epoch))
    epoch = tea.group().epoch
    await until(lambda: bob.find_group("tea").group().epoch == epoch, bob)
    await at_bob.hears(slots=30)
    await soon(alice.add(tea, ["@dave"]))
    await at_bob.hears(slots=30)
    assert not call.ended.done()
    mine = [key for _, key in alice.context.store.call_keys(tea.id, call.call_id)]
    theirs = [key for _, key in bob.context.store.call_keys(bob.find_group("tea").id, call.call_id)]
    assert mine == theirs
    assert len(mine) == 3
    assert at_carol == [], "the server sends her nothing"
    # What was sealed before she was removed may still have been under way.
    sealed_after = [body for body in on_wire if decode_header(body[1:]).ctr >= first_after]
    assert len(sealed_after) >= 10
    for body in sealed_after:
        with pytest.raises(SFrameError):
            open_frame(snoop, body[1:])
    assert his.stats.concealed <= 18, his.stats
    assert his.stats.refused == 0, his.stats


async def test_a_member_removed_while_talking_is_out_of_the_call(world: World) -> None:
    (alice, bob, _), _, his, _ = await group_call(world)
    await soon(alice.remove(alice.find_group("tea"), ["@bob"]))
    await until(lambda: bob.conversations()[0].status == "left", bob)
    assert await ended(his) is EndReason.FAILED


@pytest.mark.promise("CANNOT-FORGE")
async def test_who_is_given_the_place_of_the_peer_is_not_the_peer(world: World) -> None:
    """A member may remove the one somebody talks with and let another device have the leaf: the call ends."""
    (alice, bob, carol), call, _, _ = await group_call(world)
    dave = await world.person("dave")
    tea = carol.find_group("tea")
    before = {member.leaf: c.account_id for member, c in tea.members()}
    await soon(carol.remove(tea, ["@bob"]))
    assert await ended(call) is EndReason.FAILED
    await soon(carol.add(tea, ["@dave"]))
    await joined(dave)
    (leaf,) = [leaf for leaf, account in before.items() if account == bob.context.identity.account_id]
    assert leaf in {member.leaf for member, _ in tea.members()}, "the place was given away"
    assert alice.calls._machine is None


async def test_a_short_loss_of_the_connection_is_survived(world: World) -> None:
    alice, bob, call, his, at_alice, at_bob = await talking(world)
    generation = alice.context.connection(world.url).generation
    await world.restart_server()
    await at_bob.hears(slots=30)
    await at_alice.hears(slots=30)
    assert alice.context.connection(world.url).generation > generation
    assert not call.ended.done()
    call.hang_up()
    assert await ended(his) is EndReason.REMOTE_HUNG_UP
    assert bob.calls._machine is None


async def test_an_offer_with_the_id_of_a_call_elsewhere_changes_no_key(world: World) -> None:
    """Otherwise a member of one conversation could have another one's voices sealed for itself."""
    alice, bob, call, his, _, at_bob = await talking(world)
    mallory = await world.person("mallory")
    with_alice = await mallory.conversation_with("@alice")
    await until(lambda: len(alice.conversations()) == 2, alice)
    now_ms = int(world.now_s * 1000)
    offer = mimi.Offer(bytes(call.call_id), now_ms, now_ms + 60_000)
    before = alice.context.store.call_keys(call.conversation.id, call.call_id)
    await soon(with_alice.sent(await with_alice.send(mimi.call_message(bytes(16), offer))))
    await until(lambda: len(alice.messages(alice.conversations()[1])) == 1, alice)
    assert alice.context.store.call_keys(call.conversation.id, call.call_id) == before
    await at_bob.hears()
    assert not his.ended.done()
    assert bob.calls._call is his


ATTACK_FRAMES, AT_A_TIME = 10_000, 20


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.promise("CANNOT-FORGE")
async def test_ten_thousand_bad_frames_during_a_call_are_refused_and_not_heard(world: World) -> None:
    """Replays, damaged, cut and invented frames, from somebody who may send to the stream, beside the true ones."""
    _, _, call, his, _, at_bob = await talking(world)
    assert call.media is not None
    true_frames: list[bytes] = []
    line, dice = call.media.lanes, random.Random(5)
    send = line.send

    def kept(body: bytes) -> bool:
        true_frames.append(body)
        return send(body)

    line.send = kept  # type: ignore[method-assign]
    await at_bob.hears(slots=60)

    def bad() -> bytes:
        frame = bytearray(dice.choice(true_frames[:-3]))
        kind = dice.randrange(4)
        if kind == 1:
            frame[dice.randrange(1, len(frame))] ^= 1 << dice.randrange(8)
        elif kind == 2:
            frame[dice.randrange(1, len(frame)) :] = bytes(1)
            frame += bytes(PADDED_SIZES_BYTES[0] - len(frame))
        elif kind == 3:
            frame[1:] = dice.randbytes(len(frame) - 1)
        return bytes(frame)

    before, concealed, slots = his.stats.received, his.stats.concealed, len(at_bob.slots)
    refused = his.stats.refused
    connection, stream = call.conversation.connection, call.conversation.stream
    async with asyncio.timeout(2 * WAIT_S):
        # The server drops what a connection cannot take in time, so those that came are counted.
        while his.stats.refused - refused < ATTACK_FRAMES:
            for _ in range(AT_A_TIME):
                connection.signal(stream, bad())
            await at_bob.hears(slots=1)
    assert his.stats.received - before <= len(true_frames), "nothing but what was said"
    # A shared machine stalls by itself; an attack that is heard takes far more.
    assert his.stats.concealed - concealed <= 0.02 * (len(at_bob.slots) - slots)
    assert all(int(np.abs(slot).max()) > 2000 for slot in at_bob.slots[slots:]), "the tone goes on"
