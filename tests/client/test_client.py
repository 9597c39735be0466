"""The front door: people, groups, failures, and two processes with one home."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import pytest

from ringthrough.client import account
from ringthrough.client.client import Client
from ringthrough.client.errors import (
    AccountExists,
    ClientError,
    CommitRefused,
    NoAccount,
    ServerUnreachable,
    UnknownConversation,
    UnknownHandle,
)
from ringthrough.client.membership import invitees_of

from .conftest import World, joined, shown, soon, texts, until


async def test_a_folder_holds_one_account(world: World) -> None:
    with pytest.raises(NoAccount, match="account create"):
        Client.open(world.home("alice"))
    await world.account("alice")
    with pytest.raises(AccountExists, match="@alice"):
        await world.account("alice")


async def test_an_account_is_not_made_without_server(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "CONNECT_TIMEOUT_S", 0.05)
    with pytest.raises(ServerUnreachable):
        await Client.create_account(world.home("x"), "http://127.0.0.1:1", "alice", clock=world.clock)
    with pytest.raises(NoAccount):
        Client.open(world.home("x"))
    monkeypatch.undo()
    made = await Client.create_account(world.home("x"), world.url, "alice", clock=world.clock)
    await made.context.close()


async def test_one_conversation_with_one_person(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    first = await soon(alice.conversation_with("@bob"))
    await joined(bob)
    assert await soon(alice.conversation_with("bob")) is first
    assert await soon(bob.conversation_with("@alice")) is bob.conversations()[0]
    with pytest.raises(UnknownHandle):
        await soon(alice.conversation_with("@nobody"))


async def test_a_group_of_the_same_title_does_not_take_ours(world: World) -> None:
    """Anybody can invite us to a group called like the one we write to."""
    alice, mallory = await world.person("alice"), await world.person("mallory")
    ours = await soon(alice.create_group("family", []))
    await soon(mallory.create_group("family", ["@alice"]))
    await until(lambda: len(alice.conversations()) == 2, alice)
    with pytest.raises(UnknownConversation, match="several") as several:
        alice.find_group("family")
    name = "#" + ours.stream.hex()[:8]  # type: ignore[attr-defined]
    assert name in str(several.value)
    assert alice.find_group(name) is ours
    with pytest.raises(UnknownConversation, match="no group"):
        alice.find_group("friends")


@pytest.mark.parametrize("title", ["", "x" * 129])
async def test_a_title_that_no_invitation_could_carry(world: World, title: str) -> None:
    alice = await world.person("alice")
    with pytest.raises(ClientError, match="title"):
        await alice.create_group(title, [])


async def test_removing_somebody_who_is_not_there(world: World) -> None:
    alice = await world.person("alice")
    await world.account("bob")
    tea = await soon(alice.create_group("tea", []))
    with pytest.raises(ClientError, match="nobody"):
        await soon(alice.remove(tea, ["@bob"]))  # type: ignore[arg-type]
    await soon(alice.add(tea, ["@bob"]))  # type: ignore[arg-type]
    epoch = tea.group().epoch  # type: ignore[attr-defined]
    await soon(alice.add(tea, ["@bob"]))  # type: ignore[arg-type]
    assert tea.group().epoch == epoch, "adding a member again changes nothing"  # type: ignore[attr-defined]


async def test_a_change_that_mls_refuses_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = await world.person("alice")
    await world.account("bob")
    tea = await soon(alice.create_group("tea", []))
    world.now_s += 60
    person = await alice.find_person("@bob")
    (invitee,) = await invitees_of(alice.context, person)
    world.now_s += 400 * 24 * 3600
    with pytest.raises(CommitRefused):
        await soon(tea.commit(add=[invitee]))  # type: ignore[attr-defined]
    assert alice.context.store.pending_commit(tea.id) is None  # type: ignore[attr-defined]


async def test_a_failing_task_is_told_to_whoever_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = await world.person("alice")
    alice._spawn(_fail(), "doomed")
    with pytest.raises(ZeroDivisionError):
        await soon(anext(aiter(alice.received())))
    world.clients.remove(alice)
    with pytest.raises(ZeroDivisionError):
        await alice.__aexit__(None, None, None)


async def _fail() -> None:
    raise ZeroDivisionError


async def test_received_begins_where_it_is_told(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    conversation = await alice.conversation_with("@bob")
    await joined(bob)
    await alice.send_texts(conversation, ["one", "two"])
    await shown(bob, ["one", "two"])
    seen = []
    async with asyncio.timeout(5):
        async for message in bob.received(after=bob.messages()[0].id):
            seen.append(message.text)
            break
    assert seen == ["two"]


async def test_another_process_of_ours_is_noticed(world: World) -> None:
    """Two clients on one home, as two programs would be."""
    alice, bob = await world.person("alice"), await world.person("bob")
    again = await world.online("alice")
    conversation = await soon(again.conversation_with("@bob"))
    await soon(conversation.sent(await again.send_text(conversation, "hello")))  # type: ignore[attr-defined, arg-type]
    await joined(bob)
    await joined(alice)
    await world.offline(again)
    his = bob.conversations()[0]
    await soon(his.sent(await bob.send_text(his, "answer")))
    await until(lambda: "answer" in texts(alice), alice)


async def test_both_processes_write_and_change_the_members(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    again = await world.online("alice")
    for name in ("carol", "dave"):
        await world.account(name)
    first = await soon(alice.create_group("tea", ["@bob"]))
    await joined(bob)
    await joined(again)
    second = again.find_group("tea")
    for n in range(5):
        await alice.send_text(first, f"a{n}")  # type: ignore[arg-type]
        await again.send_text(second, f"b{n}")
    await soon(asyncio.gather(alice.add(first, ["@carol"]), again.add(second, ["@dave"])))  # type: ignore[arg-type]
    last = await again.send_text(second, "end")
    await soon(second.sent(last))
    await until(lambda: "end" in texts(bob), bob)
    assert sorted(texts(bob)) == sorted([f"{p}{n}" for p in "ab" for n in range(5)] + ["end"])
    assert len(bob.find_group("tea").members()) == 4
    await soon(first.sent(await alice.send_text(first, "and on")))  # type: ignore[attr-defined, arg-type]
    await until(lambda: "and on" in texts(bob), bob)


@pytest.mark.slow
async def test_following_in_one_program_while_another_sends(world: World) -> None:
    """`read --follow` and `send` on one home, both ways, with real processes: nothing lost, nothing twice."""
    count = 50
    world.now_s = time.time()  # the programs have no other clock
    for name in ("alice", "bob"):
        await world.account(name)

    async def program(name: str, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ringthrough",
            "--home",
            str(world.home(name)),
            "--json",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )

    following = {name: await program(name, "read", "--follow") for name in ("alice", "bob")}
    first = await program("alice", "send", "@bob", "0")
    assert await first.wait() == 0

    async def follow(name: str, expected: int) -> list[str]:
        stdout = following[name].stdout
        assert stdout is not None
        return [json.loads(await stdout.readline())["text"] for _ in range(expected)]

    async with asyncio.timeout(60):
        assert await follow("bob", 1) == ["0"]

        async def send(name: str, to: str, numbers: range) -> None:
            sender = await program(name, "send", to, "-")
            out, _ = await sender.communicate("".join(f"{n}\n" for n in numbers).encode())
            assert sender.returncode == 0, out

        sends = [send("alice", "@bob", range(1, 26)), send("alice", "@bob", range(26, count))]
        sends += [send("bob", "@alice", range(25)), send("bob", "@alice", range(25, count))]
        await asyncio.gather(*sends)
        at_bob, at_alice = await asyncio.gather(follow("bob", count - 1), follow("alice", count))
    for process in following.values():
        process.terminate()
        await process.wait()
    assert sorted(map(int, at_bob)) == list(range(1, count))
    assert sorted(map(int, at_alice)) == list(range(count))
    for numbers in (at_bob, at_alice):
        for part in (range(1, 25), range(26, count)):
            mine = [n for n in map(int, numbers) if n in part]
            assert mine == sorted(mine), "each sender's order is kept"
