"""Voice notes from the SDK to the page's engine: which are kept, and which are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ringthrough.client.client import Client
from ringthrough.e2ee import content as mimi
from ringthrough.protocol import limits
from tests.web.engine_calls import called, phase
from tests.web.engine_page import EngineFault, Tab

pytestmark = pytest.mark.slow

GOOD: tuple[bytes, ...] = (b"\x58" + b"n" * 40,) * 20


@pytest.mark.promise("CANNOT-FORGE")
async def test_notes_are_kept_to_be_heard_and_what_is_none_is_refused(
    profile: Callable[[str], Awaitable[Tab]], sdk: Callable[..., Awaitable[Client]]
) -> None:
    bob, alice = await sdk("bob"), await profile("alice")
    chat = await alice.call("conversationWith", "@bob")
    async with asyncio.timeout(10):
        while not bob.conversations():
            await asyncio.sleep(0.05)
    (here,) = bob.conversations()
    await here.caught_up()
    for packets in (GOOD * 3, GOOD[:5], (*GOOD, b"\x40garbage"), (*GOOD, b"\x58" + b"n" * 128)):
        message = mimi.note_message(bob.context.random(16), mimi.Note(bytes(16), 0, packets))
        with here.changing() as group:  # past the own side, which would not make such a one
            body = group.protect(mimi.encode(message), random=bob.context.random, pad=limits.padded_size)
        await here.connection.append(here.stream, (body,))
    for kept in (GOOD, ()):
        await here.send(mimi.note_message(bob.context.random(16), mimi.Note(bytes(16), 0, kept)))
    await bob.send_text(here, "done")
    await alice.text(chat, "done")
    note, text = await alice.messages(chat)
    assert note["body"] == {"kind": "note", "seconds": 1}
    found = await alice.page.evaluate(
        "id => window.call('fetchNote', [id]).then((packets) => packets.map((packet) => Array.from(packet)))",
        note["id"],
    )
    assert found == [list(packet) for packet in GOOD]
    with pytest.raises(EngineFault) as refused:
        await alice.call("fetchNote", text["id"])
    assert refused.value.code == "unknown_message"
    assert (await alice.conversation("@bob"))["unread"] == 2


async def test_notes_that_still_wait_when_one_hangs_up_are_unread(
    profile: Callable[[str], Awaitable[Tab]], sdk: Callable[..., Awaitable[Client]]
) -> None:
    """The page plays none of them: it is told of a loudspeaker that is slow."""
    bob, alice = await sdk("bob"), await profile("alice")
    call, other = await called(alice, bob)
    chat = await alice.call("conversationWith", "@bob")
    (here,) = bob.conversations()
    for number in range(2):
        note = mimi.Note(other.call_id, number, GOOD)
        await here.send(mimi.note_message(bob.context.random(16), note))
    other.hang_up()
    await here.send(mimi.note_message(bob.context.random(16), mimi.Note(other.call_id, 2, GOOD)))
    await phase(alice, call, "ended")

    async def all_three() -> bool:
        return bool((await alice.conversation("@bob"))["unread"] == 3)

    await alice.until("the notes", all_three)
    assert sorted(m["body"]["kind"] for m in await alice.messages(chat)) == ["call", "note", "note", "note"]
    await alice.reload()
    assert (await alice.conversation("@bob"))["unread"] == 3
