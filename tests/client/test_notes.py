"""Calls that lose most of their frames become voice notes, and turn back; bad notes are refused."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import numpy as np
import pytest

from ringthrough.audio.note import note_slots
from ringthrough.audio.pcm import Pcm
from ringthrough.client.calls import Call
from ringthrough.client.client import Client
from ringthrough.client.media import NullSink, Pace, SilentSource
from ringthrough.client.messages import Message
from ringthrough.e2ee import content as mimi
from ringthrough.e2ee.content.cbor import encode_deterministic
from ringthrough.protocol import calls as machine
from ringthrough.protocol import limits
from ringthrough.protocol import notes as rule
from ringthrough.protocol.notes import Mode

from .conftest import World, soon, texts, until
from .test_calls import Recorder, Tone, call_of, pair, rings, talking

LOST_SHARE = 0.6
TONE = (8000 * np.sin(2 * np.pi * 330 * np.arange(16_000 * 2) / 16_000)).astype(np.int16)
NOTE = mimi.Note(bytes(16), 0, (b"\x58" + b"n" * 40,) * 20)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged in 2 seconds of each kind instead of 5 and more, since a test waits for them in real time."""
    monkeypatch.setattr(rule, "PERCENT_SUM", 2 * rule.PERCENT_BAD)
    monkeypatch.setattr(rule, "GOOD_SECONDS", 2)
    monkeypatch.setattr(rule, "REST_MS", 2_000)


class Speaker:
    """A microphone that hears nothing until somebody speaks into it."""

    def __init__(self) -> None:
        self._saying: list[Pcm] = []
        self._pace: Pace | None = None

    def say(self, sound: Pcm) -> None:
        self._saying += list(sound.reshape(-1, 320))

    async def read(self) -> Pcm | None:
        self._pace = self._pace or Pace()
        await self._pace.tick()
        return self._saying.pop(0) if self._saying else np.zeros(320, dtype=np.int16)


class Loss:
    """Drops frames of a call on their way in, while `share` says so."""

    def __init__(self, *calls: Call) -> None:
        self.share = 0.0
        for seed, call in enumerate(calls):
            assert call.media is not None
            call.media.lanes.on_body = self._through(call.media.lanes.on_body, random.Random(seed))

    def _through(self, take: Callable[[bytes], None], dice: random.Random) -> Callable[[bytes], None]:
        return lambda body: None if dice.random() < self.share else take(body)


class Modes:
    """What a call was told to become."""

    def __init__(self, call: Call) -> None:
        self.seen: list[Mode] = []
        self._news = asyncio.Event()
        call.on_mode = self._changed

    def _changed(self, mode: Mode) -> None:
        self.seen.append(mode)
        self._news.set()

    async def becomes(self, mode: Mode) -> None:
        async with asyncio.timeout(20):
            while not self.seen or self.seen[-1] is not mode:
                self._news.clear()
                await self._news.wait()


def notes_of(client: Client) -> list[Message]:
    """Those of others that sound."""
    return [m for m in client.messages() if m.note is not None and m.note.packets and m.status == "received"]


@pytest.mark.promise("CANNOT-LOSE")
async def test_a_call_becomes_notes_that_arrive_whole_and_turns_back(world: World, impatient: None) -> None:
    alice, bob, conversation = await pair(world)
    ringing, at_alice, at_bob, mouth = rings(bob), Recorder(), Recorder(), Speaker()
    call = alice.calls.place(conversation, mouth, at_alice)
    his = await call_of(ringing)
    his.answer(Tone(), at_bob)
    await at_alice.hears()
    loss, modes = Loss(call, his), (Modes(call), Modes(his))
    loss.share = LOST_SHARE
    await asyncio.gather(*(each.becomes(Mode.NOTES) for each in modes))

    start = len(at_bob.slots)
    mouth.say(TONE)
    assert his.media is not None
    await soon(_heard_notes(his, 1))
    loud = sum(int(np.abs(slot).max()) > 2000 for slot in at_bob.slots[start:])
    assert loud >= TONE.size // 320 - 5, "the whole of it, though most frames are lost"
    (note,) = notes_of(bob)
    assert (note.kind, note.text) == ("note", "(voice note, 3 s)")
    assert note.note is not None
    assert note.note.call_id == call.call_id
    assert 100 <= note_slots(note.note.packets) <= 150
    # Who sings without a pause is heard as well, 3 s at a time.
    await soon(_heard_notes(call, 1))

    loss.share = 0.0
    await asyncio.gather(*(each.becomes(Mode.INTERACTIVE) for each in modes))
    count = len(notes_of(bob))
    await at_alice.hears(slots=30)
    mouth.say(TONE)
    await at_bob.hears(slots=60)
    assert len(notes_of(bob)) == count, "speech goes in frames again"
    assert modes[0].seen == modes[1].seen == [Mode.NOTES, Mode.INTERACTIVE]
    assert not call.ended.done()
    call.hang_up()


async def _heard_notes(call: Call, count: int) -> None:
    assert call.media is not None
    sink = call.sink
    assert isinstance(sink, Recorder)
    while call.media.notes.heard < count:
        sink._more.clear()
        await sink._more.wait()


async def test_notes_keep_a_call_alive_that_no_frame_reaches(
    world: World, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the 20 s is the test's own: each note moves the end away from it."""
    monkeypatch.setattr(rule, "PRESENCE_MS", 200)
    alice, _, call, his, _, _ = await talking(world)
    loss, modes = Loss(call, his), (Modes(call), Modes(his))
    loss.share = 1.0
    await asyncio.gather(*(each.becomes(Mode.NOTES) for each in modes))
    for _ in range(3):
        seen = len(alice.messages())
        world.now_s += (machine.NO_AUDIO_MS - 1_000) / 1000
        await until(lambda seen=seen: len(alice.messages()) >= seen + 4, alice)  # type: ignore[misc]
        for client in world.clients:
            client.calls.tick()
        assert not call.ended.done()
        assert not his.ended.done()
    world.now_s += machine.NO_AUDIO_MS / 1000
    alice.calls.tick()
    assert call.ended.done(), "without anything of the other side it ends"


async def test_what_was_begun_is_said_when_the_call_ends(world: World, impatient: None) -> None:
    _, bob, call, his, _, _ = await talking(world)
    loss, modes = Loss(call, his), (Modes(call), Modes(his))
    loss.share = LOST_SHARE
    await asyncio.gather(*(each.becomes(Mode.NOTES) for each in modes))
    assert call.media is not None
    while not call.media.notes._maker.speaks:
        await asyncio.sleep(0)
    call.hang_up()
    await until(lambda: bool(notes_of(bob)), bob)


@pytest.mark.promise("CANNOT-FORGE")
async def test_bad_notes_are_refused_and_never_played(world: World) -> None:
    alice, bob, conversation = await pair(world)
    ringing, at_bob = rings(bob), Recorder()
    call = alice.calls.place(conversation, SilentSource(), NullSink())
    his = await call_of(ringing)
    his.answer(SilentSource(), at_bob)
    await soon(his.answered.wait())

    def raw(*fields: object) -> mimi.MimiContent:
        body = encode_deterministic([1, call.call_id, *fields])
        part = mimi.SinglePart(mimi.NOTE_MEDIA_TYPE, body, mimi.Disposition.SESSION)
        return mimi.MimiContent(mimi.Salt(alice.context.random(16)), part)

    good = [b"\x58" + b"n" * 40] * 20
    bad = [
        raw(0, "speex", good),
        raw(0, "opus", good * 3),
        raw(0, "opus", good[:5]),
        raw(0, "opus", [*good, b"\x40garbage"]),
        raw(0, "opus", [b"\x58" + b"n" * 200] * 20),
        raw(0, "opus", "garbage"),
    ]
    inner = mimi.MultiPart(mimi.Semantics.PROCESS_ALL, (bad[1].body, mimi.SinglePart("text/plain", b"listen")))
    bad.append(mimi.MimiContent(mimi.Salt(bytes(16)), inner))
    for message in bad:  # past the own side, which would refuse to send them
        with conversation.changing() as group:
            body = group.protect(mimi.encode(message), random=alice.context.random, pad=limits.padded_size)
        await soon(conversation.connection.append(conversation.stream, (body,)))
    await alice.send_text(conversation, "done")
    await until(lambda: texts(bob) == ["done"], bob)
    assert [m.kind for m in bob.messages() if m.kind not in ("call", "text")] == []
    assert his.media is not None
    assert his.media.notes._player.pull() is None
    await conversation.send(raw(0, "opus", good))
    await until(lambda: len(notes_of(bob)) == 1, bob)


@pytest.mark.promise("CANNOT-FORGE")
async def test_only_notes_of_the_peer_in_this_call_are_played_and_followed(world: World) -> None:
    alice, bob, call, his, _, _ = await talking(world)
    assert his.media is not None
    player = his.media.notes
    other = mimi.Note(bytes(16), 0, NOTE.packets)
    mine = mimi.Note(call.call_id, 0, NOTE.packets)
    await call.conversation.send(mimi.note_message(alice.context.random(16), other))
    await until(lambda: len(notes_of(bob)) == 1, bob)
    assert not player._player._waiting, "of another call"
    assert not player.are_on
    modes = Modes(his)
    # The same device may not be heard twice by one number, such as in a note that somebody kept.
    for _ in range(2):
        await call.conversation.send(mimi.note_message(alice.context.random(16), mine))
    await until(lambda: len(notes_of(bob)) == 3, bob)
    await soon(_heard_notes(his, 1))
    assert player.heard == 1
    assert not player._player._waiting
    assert (player.are_on, modes.seen) == (True, [Mode.NOTES]), "who sends it has given speech up"
    third = await world.person("carol")
    row = bob.context.store.messages()[-1]
    stranger = type(row)(
        **{**{f: getattr(row, f) for f in row.__dataclass_fields__}, "device": third.context.identity.device_id}
    )
    bob.calls._on_note(mimi.Note(call.call_id, 9, NOTE.packets), stranger, bob.conversations()[0])
    assert not player._player._waiting, "of another device"
