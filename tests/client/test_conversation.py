"""The outbox, the order of the log, commits that race, and death between any two steps."""

from __future__ import annotations

import asyncio

import pytest

from ringthrough.client import conversation as conversation_module
from ringthrough.client import inbox as inbox_module
from ringthrough.client.account import state_path
from ringthrough.client.client import Client, online
from ringthrough.client.connection import Subscription
from ringthrough.client.conversation import Conversation, stream_token
from ringthrough.client.errors import (
    ClientError,
    ConversationFailed,
    NotAMember,
    Refused,
    ServerUnreachable,
    TooLarge,
)
from ringthrough.client.store import PendingCommit, Store
from ringthrough.e2ee import content as mimi
from ringthrough.e2ee.content.limits import CONTENT_BYTES_MAX
from ringthrough.protocol import limits
from ringthrough.protocol.frames import Record, Right, StreamId

from .conftest import WAIT_S, World, joined, shown, shown_many, soon, texts, until


async def pair(world: World) -> tuple[Client, Client, Conversation]:
    alice, bob = await world.person("alice"), await world.person("bob")
    conversation = await alice.conversation_with("@bob")
    await soon(alice.delivered())
    await joined(bob)
    return alice, bob, conversation


async def test_a_burst_arrives_once_and_in_order(world: World) -> None:
    alice, bob, conversation = await pair(world)
    sent = [str(n) for n in range(200)]
    local = await alice.send_texts(conversation, sent)
    await soon(conversation.sent(local[-1]))
    await shown_many(bob, 200)
    assert texts(bob) == sent
    seqs = [m.seq for m in alice.messages() if m.seq is not None]
    assert seqs == sorted(set(seqs))
    assert [m.seq for m in bob.messages()] == seqs


async def test_the_largest_message_passes_and_a_larger_one_is_refused(world: World) -> None:
    alice, bob, conversation = await pair(world)
    text = "x" * (CONTENT_BYTES_MAX - 120)
    await soon(conversation.sent(await alice.send_text(conversation, text)))
    await shown(bob, [text])
    with pytest.raises(TooLarge):
        await alice.send_text(conversation, "x" * limits.RECORD_BYTES_MAX)
    assert texts(alice) == [text]


async def test_what_is_sent_offline_leaves_later(world: World) -> None:
    alice, bob, conversation = await pair(world)
    assert world.server is not None
    port = world.server.port
    await world.server.close()
    local = await alice.send_text(await soon(alice.conversation_with("@bob")), "later")  # type: ignore[arg-type]
    await world.start_server(port)
    await soon(conversation.sent(local))
    await shown(bob, ["later"])


async def test_an_answer_that_was_lost_leads_to_the_same_bytes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob, conversation = await pair(world)
    append = conversation.connection.append
    bodies: list[tuple[bytes, ...]] = []

    async def lose(stream: StreamId, records: tuple[bytes, ...], *rest: object) -> int:
        """The server takes the record; neither its answer nor the record comes back before the connection is gone."""
        bodies.append(records)
        if len(bodies) > 1:
            return await append(stream, records, *rest)  # type: ignore[arg-type]
        receive = conversation._subscription.records.put_nowait
        monkeypatch.setattr(conversation._subscription.records, "put_nowait", lambda item: None)
        await append(stream, records, *rest)  # type: ignore[arg-type]
        monkeypatch.setattr(conversation._subscription.records, "put_nowait", receive)
        # The copy that the log brings is kept back until the record has been sent again.
        conversation._wake.set()
        raise ServerUnreachable("lost")

    monkeypatch.setattr(conversation.connection, "append", lose)
    await alice.send_text(conversation, "once")
    async with asyncio.timeout(WAIT_S):
        while len(bodies) < 2:
            await asyncio.sleep(0)
    await drop_connection(conversation)
    await soon(conversation.sent(await alice.send_text(conversation, "twice")))
    await shown_many(bob, 2)
    assert bodies[0] == bodies[1]
    assert texts(bob) == ["once", "twice"]
    assert texts(alice) == ["once", "twice"]


async def drop_connection(conversation: Conversation) -> None:
    """The network cuts the connection, and it comes back."""
    connection = conversation.connection
    transport = connection._transport()
    assert transport is not None
    generation = connection.generation
    transport.abort()
    async with asyncio.timeout(WAIT_S):
        while connection.generation == generation:
            await conversation._progress.wait()
        await connection.connected.wait()


async def test_the_connection_drops_in_a_burst(world: World) -> None:
    alice, bob, conversation = await pair(world)
    sent = [str(n) for n in range(300)]
    local = await alice.send_texts(conversation, sent)
    for waited in (40, 150):
        await shown_many(bob, waited)
        await drop_connection(conversation)
        await drop_connection(bob.conversations()[0])
    await soon(conversation.sent(local[-1]))
    await shown_many(bob, 300)
    assert texts(bob) == sent


async def test_the_server_restarts_in_a_burst(world: World) -> None:
    alice, bob, conversation = await pair(world)
    sent = [str(n) for n in range(200)]
    local = await alice.send_texts(conversation, sent)
    await shown_many(bob, 30)
    await world.restart_server()
    await soon(conversation.sent(local[-1]))
    await shown_many(bob, 200)
    assert texts(bob) == sent


async def three(world: World) -> tuple[Client, Client, Client]:
    alice, bob, carol = [await world.person(name) for name in ("alice", "bob", "carol")]
    await soon(alice.create_group("tea", ["@bob", "@carol"]))
    for client in (bob, carol):
        await joined(client)
    return alice, bob, carol


@pytest.mark.promise("CANNOT-FORGE")
async def test_two_commits_at_once_both_come_true(world: World) -> None:
    alice, bob, carol = await three(world)
    for name in ("dave", "erin"):
        await world.account(name)
    tea = [client.find_group("tea") for client in (alice, bob)]
    await soon(asyncio.gather(alice.add(tea[0], ["@dave"]), bob.add(tea[1], ["@erin"])))
    await soon(tea[0].caught_up())
    await until(lambda: len(carol.find_group("tea").members()) == 5, carol)
    epochs = {client.find_group("tea").group().epoch for client in (alice, bob, carol)}
    assert epochs == {3}
    for client in (alice, bob):
        await soon(client.delivered())
    late = await world.online("dave")
    await joined(late)
    await soon(alice.find_group("tea").sent(await alice.send_text(tea[0], "welcome")))
    await until(lambda: "welcome" in texts(late), late)


async def test_messages_of_many_cross_with_commits(world: World) -> None:
    alice, bob, carol = await three(world)
    await world.account("dave")
    for client, name in ((alice, "a"), (bob, "b"), (carol, "c")):
        await client.send_texts(client.find_group("tea"), [f"{name}{n}" for n in range(60)])
    await soon(alice.add(alice.find_group("tea"), ["@dave"]))
    await soon(bob.remove(bob.find_group("tea"), ["@dave"]))
    for client in (alice, bob, carol):
        await shown_many(client, 180)
        await soon(client.find_group("tea").sent(client.messages()[-1].id))
    in_log_order = [
        [m.text for m in sorted(client.messages(), key=lambda m: m.seq or 0)] for client in (alice, bob, carol)
    ]
    assert in_log_order[0] == in_log_order[1] == in_log_order[2]
    for name in "abc":
        assert [t for t in in_log_order[0] if t.startswith(name)] == [f"{name}{n}" for n in range(60)]


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
async def test_a_removed_member_reads_nothing_more(world: World) -> None:
    alice, bob, carol = await three(world)
    tea, his = alice.find_group("tea"), bob.find_group("tea")
    old_token = stream_token(his.group())
    await soon(alice.remove(tea, ["@bob"]))
    await soon(tea.sent(await alice.send_text(tea, "he is gone")))
    await shown(carol, ["he is gone"])
    await until(lambda: his.status == "left", bob)
    assert texts(bob) == []
    with pytest.raises(NotAMember):
        await bob.send_text(his, "still here?")
    with pytest.raises(NotAMember):
        await soon(his.commit())
    # Nor does the server give him the records for the capability he has kept.
    thief = await world.person("thief")
    await online(thief)
    subscription = Subscription(his.stream, lambda: (old_token, 0))
    await thief.context.connection(world.url).subscribe(subscription)
    assert subscription.opened is not None
    assert subscription.opened.rights == Right.READ
    assert subscription.opened.read_to < subscription.opened.head
    thief.context.connection(world.url).unsubscribe(his.stream)


async def test_a_message_that_waits_when_we_are_removed_is_refused(world: World) -> None:
    alice, bob, _ = await three(world)
    his = bob.find_group("tea")
    await world.offline(bob)
    await soon(alice.remove(alice.find_group("tea"), ["@bob"]))
    store = Store(state_path(world.home("bob")))
    own = bob.context.identity
    with store.transaction():
        content = mimi.encode(mimi.text_message(bytes(16), "too late"))
        local = store.queue_message(his.id, own.account_id, own.device_id, content, bytes(32))
    store.close()
    bob = await world.online("bob")
    with pytest.raises(NotAMember):
        await soon(bob.conversation(his.id).sent(local))


async def test_a_removed_member_can_be_invited_again(world: World) -> None:
    alice, bob, carol = await three(world)
    tea, his = alice.find_group("tea"), bob.find_group("tea")
    await soon(tea.sent(await alice.send_text(tea, "before")))
    await shown(bob, ["before"])
    await soon(alice.remove(tea, ["@bob"]))
    await until(lambda: his.status == "left", bob)
    await soon(tea.sent(await alice.send_text(tea, "without him")))
    await soon(alice.add(tea, ["@bob"]))
    await until(lambda: his.status == "active", bob)
    await soon(tea.sent(await alice.send_text(tea, "after")))
    await until(lambda: "after" in texts(bob), bob)
    assert texts(bob) == ["before", "after"]
    await soon(his.sent(await bob.send_text(his, "thanks")))
    await until(lambda: "thanks" in texts(carol), carol)


async def test_removed_and_invited_again_while_away(world: World) -> None:
    """The invitation is found in the inbox before the removal has been read in the log."""
    alice, bob, _ = await three(world)
    tea, number = alice.find_group("tea"), bob.find_group("tea").id
    await world.offline(bob)
    await soon(alice.remove(tea, ["@bob"]))
    await soon(alice.add(tea, ["@bob"]))
    await soon(alice.delivered())
    await soon(tea.sent(await alice.send_text(tea, "after")))
    bob = await world.online("bob")
    await shown(bob, ["after"])
    his = bob.conversation(number)
    await soon(his.sent(await bob.send_text(his, "back")))
    await until(lambda: "back" in texts(alice), alice)


@pytest.mark.promise("CANNOT-LOSE")
async def test_away_for_thirty_days_while_the_group_goes_on(world: World) -> None:
    """Everything the server still has is read, in order, across every change of keys; so is an invitation."""
    alice, bob, _ = await three(world)
    tea = alice.find_group("tea")
    await world.account("dora")
    await world.offline(bob)
    said: list[str] = []
    for round_ in range(8):
        for n in range(5):
            said.append(f"{round_}, {n}")
            await soon(tea.sent(await alice.send_text(tea, said[-1])))
        await soon(alice.remove(tea, ["@dora"]) if round_ % 2 else alice.add(tea, ["@dora"]))
    await soon(alice.create_group("cake", ["@bob"]))
    await soon(alice.delivered())
    said.append("and cake")
    cake = alice.find_group("cake")
    await soon(cake.sent(await alice.send_text(cake, said[-1])))
    world.now_s += limits.RECORD_LIFETIME_S - 60
    bob = await world.online("bob")
    await until(lambda: len(texts(bob)) >= len(said), bob)
    assert sorted(texts(bob)) == sorted(said)
    assert [text for text in texts(bob) if text != "and cake"] == said[:-1]
    his = bob.find_group("tea")
    await soon(his.sent(await bob.send_text(his, "back")))
    await until(lambda: "back" in texts(alice), alice)


async def test_garbage_in_the_log_is_skipped(world: World) -> None:
    """Whoever holds the capability can append what is no message at all; the server cannot tell."""
    alice, bob, conversation = await pair(world)
    junk = [bytes([n]) * 160 for n in range(5)]
    await soon(conversation.connection.append(conversation.stream, tuple(junk)))
    real = conversation.group()
    forged = bytearray(real.protect(b"x", random=alice.context.random, pad=limits.padded_size))
    forged[-40] ^= 1
    await soon(conversation.connection.append(conversation.stream, (bytes(forged),)))
    conversation._cached = None
    await soon(conversation.sent(await alice.send_text(conversation, "real")))
    await until(lambda: bool(texts(bob)), bob)
    assert [m.text for m in bob.messages()] == ["real"]


@pytest.mark.promise("CANNOT-FORGE")
async def test_a_record_repeated_by_the_server_is_shown_once(world: World) -> None:
    alice, bob, conversation = await pair(world)
    await soon(conversation.sent(await alice.send_text(conversation, "once")))
    await until(lambda: bool(texts(bob)), bob)
    assert world.server is not None
    bodies: list[bytes] = []
    probe = Subscription(conversation.stream, lambda: (stream_token(conversation.group()), 0))
    other = await world.person("other")  # a connection of its own
    await online(other)
    await other.context.connection(world.url).subscribe(probe)
    records = await soon(probe.records.get())
    bodies = [record.body for record in records]  # type: ignore[attr-defined]
    await soon(conversation.connection.append(conversation.stream, tuple(bodies)))
    await soon(conversation.sent(await alice.send_text(conversation, "end")))
    await until(lambda: "end" in texts(bob), bob)
    assert texts(bob) == ["once", "end"]
    assert texts(alice) == ["once", "end"]


@pytest.mark.parametrize("code", ["conflict", "stale", "rate_limited", "unavailable", "too_many"])
async def test_a_refused_append_is_made_again(world: World, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(conversation_module, "RETRY_S", 0.01)
    alice, bob, conversation = await pair(world)
    append = conversation.connection.append
    refused: list[object] = []

    async def refuse_twice(*arguments: object) -> int:
        if len(refused) < 2:
            refused.append(arguments)
            raise Refused(code, "not now")
        return await append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(conversation.connection, "append", refuse_twice)
    await soon(conversation.sent(await alice.send_text(conversation, "one")))
    await soon(conversation.sent(await alice.send_text(conversation, "two")))
    await shown_many(bob, 2)
    assert texts(bob) == ["one", "two"]
    assert len(refused) == 2


async def test_whoever_waits_learns_that_the_conversation_has_died(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, _, conversation = await pair(world)

    def defect() -> tuple[bytes, ...]:
        raise KeyError("a defect")

    monkeypatch.setattr(conversation, "_seal_batch", defect)
    local = await alice.send_text(conversation, "never")
    with pytest.raises(ConversationFailed, match="a defect"):
        await soon(conversation.sent(local))
    with pytest.raises(ConversationFailed):
        await soon(conversation.caught_up())
    world.clients.remove(alice)
    with pytest.raises(ConversationFailed):
        await alice.__aexit__(None, None, None)


async def test_whoever_waits_learns_that_the_client_was_closed(world: World) -> None:
    alice, _, conversation = await pair(world)
    assert world.server is not None
    await world.server.close()
    waiter = asyncio.create_task(conversation.sent(await alice.send_text(conversation, "never")))
    await asyncio.sleep(0)
    await world.offline(alice)
    with pytest.raises(ClientError, match="closed"):
        await soon(waiter)


async def test_renewed_keys_make_an_old_state_worthless(world: World) -> None:
    _, bob, conversation = await pair(world)
    before = conversation.group().epoch
    await soon(conversation.renew_keys())
    assert conversation.group().epoch == before + 1
    his = bob.conversations()[0]
    await until(lambda: his.group().epoch == before + 1, bob)


@pytest.mark.promise("CANNOT-LOSE")
@pytest.mark.parametrize("step", ["sealed", "sent"])
async def test_death_while_sending(world: World, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    alice, bob, conversation = await pair(world)
    reached, never = asyncio.Event(), asyncio.Event()
    append = conversation.connection.append

    async def die(*arguments: object) -> int:
        if step == "sent":
            # The record that comes back is not read any more either.
            monkeypatch.setattr(conversation, "_take", hang)
            await append(*arguments)  # type: ignore[arg-type]
        reached.set()
        await never.wait()
        raise AssertionError

    async def hang(_: object) -> bool:
        await never.wait()
        raise AssertionError

    monkeypatch.setattr(conversation.connection, "append", die)
    first = await alice.send_text(conversation, "first")
    second = await alice.send_text(conversation, "second")
    await soon(reached.wait())
    assert alice.context.store.message(first).status == "sealed"
    await world.crash(alice)
    alice = await world.online("alice")
    await soon(alice.conversation(conversation.id).sent(second))
    await shown_many(bob, 2)
    assert texts(bob) == ["first", "second"]
    assert texts(alice) == ["first", "second"]


@pytest.mark.promise("CANNOT-LOSE")
@pytest.mark.parametrize("step", ["staged", "sent", "merged"])
async def test_death_while_committing(world: World, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    alice, bob, carol = await three(world)
    await world.account("dave")
    tea = alice.find_group("tea")
    reached, never = asyncio.Event(), asyncio.Event()
    append = tea.connection.append

    async def stop(*_: object) -> bool:
        reached.set()
        await never.wait()
        raise AssertionError

    async def die(*arguments: object) -> int:
        if step == "sent":
            monkeypatch.setattr(tea, "_take", stop)
            await append(*arguments)  # type: ignore[arg-type]
        return int(await stop())

    if step == "merged":
        monkeypatch.setattr(tea.connection, "deposit", stop)
    else:
        monkeypatch.setattr(tea.connection, "append", die)
    adding = asyncio.create_task(alice.add(tea, ["@dave"]))
    await soon(reached.wait())
    store = alice.context.store
    assert (store.pending_commit(tea.id) is None) == (step == "merged")
    if step == "merged":
        await soon(adding)
        assert store.deposits()
    adding.cancel()
    await world.crash(alice)
    await asyncio.gather(adding, return_exceptions=True)
    alice = await world.online("alice")
    tea = alice.find_group("tea")
    await world.account("erin")
    await soon(alice.add(tea, ["@dave", "@erin"]))
    await soon(alice.delivered())
    dave = await world.online("dave")
    await joined(dave)
    await soon(tea.sent(await alice.send_text(tea, "hello all")))
    for client in (bob, carol, dave):
        await shown(client, ["hello all"])
        assert len(client.find_group("tea").members()) == 5


async def test_a_new_commit_never_takes_the_place_of_one_that_may_have_been_accepted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server takes the commit after the reconnect that showed a log without it."""
    alice, bob, _ = await three(world)
    for name in ("dave", "erin"):
        await world.account(name)
    tea = alice.find_group("tea")
    append, held = tea.connection.append, asyncio.Event()
    calls: list[tuple[object, ...]] = []

    async def slow(*arguments: object) -> int:
        calls.append(arguments)
        if len(calls) == 1:
            raise ServerUnreachable("lost")
        await held.wait()
        return await append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(tea.connection, "append", slow)
    adding = asyncio.create_task(alice.add(tea, ["@dave"]))
    async with asyncio.timeout(WAIT_S):
        while not calls:
            await asyncio.sleep(0)
    adding.cancel()
    await asyncio.gather(adding, return_exceptions=True)
    pending = alice.context.store.pending_commit(tea.id)
    again = asyncio.create_task(alice.add(tea, ["@erin"]))
    for _ in range(50):
        await asyncio.sleep(0)
    assert alice.context.store.pending_commit(tea.id) == pending
    held.set()
    tea._wake.set()
    await soon(again)
    await until(lambda: len(bob.find_group("tea").members()) == 5, bob)


async def test_a_commit_of_another_process_is_not_replaced(world: World) -> None:
    alice, _, _ = await three(world)
    tea = alice.find_group("tea")
    pending = PendingCommit(tea.id, b"commit", tea.group().epoch, bytes(32), None, b"\x90")
    with alice.context.store.transaction():
        alice.context.store.set_pending_commit(pending)
    assert tea._stage([], lambda member: True, lambda *_: None, always=True)
    assert alice.context.store.pending_commit(tea.id) == pending
    with alice.context.store.transaction():
        alice.context.store.drop_pending_commit(tea.id)


async def test_the_invitation_is_read_before_the_removal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "RETRY_S", 0.01)
    alice, bob, _ = await three(world)
    tea, number = alice.find_group("tea"), bob.find_group("tea").id
    await world.offline(bob)
    await soon(alice.remove(tea, ["@bob"]))
    await soon(alice.add(tea, ["@bob"]))
    await soon(alice.delivered())
    take, waited = Conversation._take, asyncio.Event()

    async def late(self: Conversation, records: tuple[Record, ...]) -> bool:
        await waited.wait()
        return await take(self, records)

    monkeypatch.setattr(Conversation, "_take", late)
    bob = await world.online("bob")
    await until(lambda: bool(bob.context.store.waiting_invitations(0)), bob)
    assert bob.conversation(number).status == "active"
    waited.set()
    await until(lambda: not bob.context.store.waiting_invitations(0), bob)
    await soon(tea.sent(await alice.send_text(tea, "after")))
    await shown(bob, ["after"])


async def test_who_has_lost_the_thread_is_told_and_can_be_invited_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that cannot accept a commit stays behind in an epoch that the server has closed."""
    monkeypatch.setattr(inbox_module, "RETRY_S", 0.01)
    alice, bob, _ = await three(world)
    await world.account("dave")
    tea, his = alice.find_group("tea"), bob.find_group("tea")
    apply = his._apply
    monkeypatch.setattr(his, "_apply", lambda group, record, check: None)
    await soon(alice.add(tea, ["@dave"]))
    await until(lambda: bob.context.store.conversation(his.id).next_seq == tea_next(alice, tea), bob)
    monkeypatch.setattr(his, "_apply", apply)
    await drop_connection(his)
    with pytest.raises(NotAMember, match="ask to be added again"):
        await soon(his.caught_up())
    await soon(alice.remove(tea, ["@bob"]))
    await soon(alice.add(tea, ["@bob"]))
    await until(lambda: his.group().epoch == tea.group().epoch, bob)
    await soon(his.sent(await bob.send_text(his, "back")))
    await until(lambda: "back" in texts(alice), alice)


def tea_next(client: Client, conversation: Conversation) -> int:
    return client.context.store.conversation(conversation.id).next_seq
