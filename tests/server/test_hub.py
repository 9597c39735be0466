"""Who gets which record: retired capabilities, inboxes, the step from backlog to live, slow readers."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest

from ringthrough.protocol.frames import (
    Append,
    Appended,
    Close,
    Closed,
    Create,
    Created,
    Error,
    Open,
    Opened,
    Records,
    Right,
    Signal,
    Signalled,
    StreamKind,
)
from ringthrough.server.app import Limits, Rate, RunningServer
from ringthrough.server.outlet import Outlet
from tests.server.conftest import StartServer
from tests.server.script import ANY, Peer, Scene, body, conversation, opened, records, stream_id, token, token_hash

TALK = stream_id("talk")
FAST = Limits(
    records=Rate(1e9, 1e9), stream_records=Rate(1e9, 1e9), bytes_received=Rate(1e12, 1e12), opens=Rate(1e9, 1e9)
)


def error(request: int, code: str, detail: int = 0) -> Error:
    return Error(request, code, ANY, ANY, detail)  # type: ignore[arg-type]


async def two_members(scene: Scene) -> tuple[Peer, Peer]:
    """Alice and Bob have the conversation open at epoch 0, under handle 1."""
    alice, bob = await scene.connect("alice"), await scene.connect("bob")
    await conversation(scene, alice)
    await scene.play(bob >> Open(2, TALK, token("t0"), 1), bob << opened(2, 1, 7))
    return alice, bob


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
async def test_who_was_removed_gets_nothing_after_the_commit(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, removed = await two_members(scene)
        await scene.play(
            alice >> Append(1, 3, (body("remove"),), 0, token_hash("t1")),
            alice << Appended(3, 1),
            alice << records(1, 1, "remove"),
            removed << records(1, 1, "remove"),
            alice >> Append(1, 4, (body("secret"),)),
            alice << Appended(4, 2),
            alice << records(1, 2, "secret"),
            alice >> Signal(1, body("secret signal")),
            removed >> Append(1, 5, (body("x"),)),
            removed << error(5, "stale", 1),
            removed >> Signal(1, body("x")),
            removed << error(0, "stale", 1),
            removed >> Open(6, TALK, token("t0"), 1),
            removed << opened(6, 1, 1, epoch=1, head=2, read_to=1),
        )
        newcomer = await scene.connect("newcomer with an old token")
        await scene.play(
            newcomer >> Open(1, TALK, token("t0"), 1),
            newcomer << opened(1, 1, 1, epoch=1, head=2, read_to=1),
            newcomer << records(1, 1, "remove"),
            newcomer >> Signal(1, body("x")),
            newcomer << error(0, "stale", 1),
            newcomer >> Append(1, 2, (body("x"),)),
            newcomer << error(2, "stale", 1),
        )
        await scene.quiet()


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
async def test_a_commit_and_what_follows_in_the_same_disk_write_are_told_apart(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, removed = await two_members(scene)
        # Pipelined, so that both settle together or nearly: the second is judged by the capability of before.
        await scene.play(
            alice >> Append(1, 3, (body("before"),)),
            alice >> Append(1, 4, (body("commit"),), 0, token_hash("t1")),
            alice >> Append(1, 5, (body("after"),)),
            alice << Appended(3, 1),
        )
        await removed.receive_records(1, 2)
        await scene.quiet(removed)


async def test_a_member_goes_on_after_the_commit_without_gap_or_repeat(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await two_members(scene)
        await scene.play(
            alice >> Append(1, 3, (body("commit"),), 0, token_hash("t1")),
            alice << Appended(3, 1),
            alice << records(1, 1, "commit"),
            alice >> Append(1, 4, (body("next"),)),
            alice << Appended(4, 2),
            alice << records(1, 2, "next"),
            bob << records(1, 1, "commit"),
            bob >> Open(5, TALK, token("t1"), 1),
            bob << opened(5, 1, 7, epoch=1, head=2),
            bob << records(1, 2, "next"),
            bob >> Signal(1, body("hear")),
        )
        await scene.play(alice << Signalled(1, body("hear")))
        await scene.quiet()


async def test_the_first_commit_of_an_epoch_wins(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await two_members(scene)
        await scene.play(
            alice >> Append(1, 3, (body("hers"),), 0, token_hash("a1")),
            alice << Appended(3, 1),
            bob >> Append(1, 3, (body("his"),), 0, token_hash("b1")),
            bob >> Append(1, 4, (body("his message"),)),
            bob << records(1, 1, "hers"),
            bob << error(3, "conflict", 1),
            bob << error(4, "stale", 1),
            bob >> Open(5, TALK, token("b1"), 1),
            bob << error(5, "forbidden"),
            bob >> Open(6, TALK, token("a1"), 1),
            bob << opened(6, 1, 7, epoch=1, head=1),
            bob >> Append(1, 7, (body("his"),), 1, token_hash("t2")),
            bob << Appended(7, 2),
            bob << records(1, 2, "his"),
        )


async def test_a_commit_of_a_future_epoch_is_a_conflict(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, _ = await two_members(scene)
        await scene.play(
            alice >> Append(1, 3, (body("x"),), 7, token_hash("t1")),
            alice << error(3, "conflict", 0),
        )


@pytest.mark.promise("CANNOT-READ")
async def test_unknown_stream_and_wrong_token_look_the_same(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)
        mallory = await scene.connect("mallory")
        answers = []
        for i, (stream, shown) in enumerate([(TALK, token("no")), (stream_id("none"), token("no")), (TALK, b"")]):
            await mallory.send(Open(i, stream, shown, 1))
            answer = await mallory.receive()
            assert isinstance(answer, Error)
            answers.append((answer.code, answer.message, answer.retry_after_ms, answer.detail))
        assert set(answers) == {("forbidden", "no such stream, or not its capability", 0, 0)}


async def test_an_inbox_takes_from_anybody_and_gives_to_its_owner(server: RunningServer) -> None:
    inbox = stream_id("inbox")
    async with Scene(server) as scene:
        owner, stranger = await scene.connect("owner"), await scene.connect("stranger")
        await scene.play(
            owner >> Create(1, inbox, StreamKind.INBOX, token_hash("i")),
            owner << Created(1),
            stranger >> Open(1, inbox, b"", 1),
            stranger << Opened(1, 1, int(Right.APPEND), 0, 0, 0, 0),
            stranger >> Append(1, 2, (body("hello"),)),
            stranger << Appended(2, 0),
            stranger >> Signal(1, body("x")),
            stranger << error(0, "forbidden"),
            stranger >> Append(1, 3, (body("mine now"),), 0, token_hash("s")),
            stranger << error(3, "forbidden"),
            owner >> Open(2, inbox, token("i"), 1),
            owner << opened(2, 1, 3, head=1),
            owner << records(1, 1, "hello"),
            stranger >> Open(4, inbox, b"", 1),
            stranger << Opened(4, 1, int(Right.APPEND), 0, 0, 0, 0),
            stranger >> Append(1, 5, (body("again"),)),
            stranger << Appended(5, 0),
            owner << records(1, 2, "again"),
            owner >> Append(1, 6, (body("own"),)),
            owner << Appended(6, 3),
            owner << records(1, 3, "own"),
        )
        await scene.quiet()


async def test_an_inbox_opened_for_deposit_may_be_reopened_for_reading(server: RunningServer) -> None:
    inbox = stream_id("inbox")
    async with Scene(server) as scene:
        owner = await scene.connect("owner")
        await scene.play(
            owner >> Create(1, inbox, StreamKind.INBOX, token_hash("i")),
            owner << Created(1),
            owner >> Open(2, inbox, b"", 1),
            owner << opened(2, 1, 2),
            owner >> Append(1, 3, (body("note"),)),
            owner << Appended(3, 0),
            owner >> Open(4, inbox, token("i"), 1),
            owner << opened(4, 1, 3, head=1),
            owner << records(1, 1, "note"),
        )


@pytest.mark.promise("CANNOT-LOSE")
@pytest.mark.parametrize("seed", range(4))
async def test_backlog_and_live_meet_without_gap_or_repeat(start_server: StartServer, seed: int) -> None:
    """Readers open, re-open and commit-follow at random moments of a burst; each must see 1, 2, 3 ... once."""
    server = await start_server(FAST)
    rng = random.Random(seed)
    total = 300
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)

        async def write() -> None:
            written = 0
            while written < total:
                count = min(rng.choice((1, 1, 1, 8, 40)), total - written)
                written += count
                await alice.send(Append(1, 100 + written, tuple(body(f"{seed}", 640) for _ in range(count))))
                if rng.random() < 0.3:
                    await asyncio.sleep(0)
            await alice.receive_all(total)

        async def read(name: str) -> list[int]:
            peer = await scene.connect(name)
            await peer.send(Open(1, TALK, token("t0"), 1))
            seqs: list[int] = []
            reopen_at = {rng.randrange(1, total) for _ in range(3)}
            request = 2
            while len(seqs) < total:
                frame = await peer.receive()
                if isinstance(frame, Records):
                    seqs += [record.seq for record in frame.records]
                    if any(at <= seqs[-1] for at in reopen_at):
                        reopen_at = {at for at in reopen_at if at > seqs[-1]}
                        await peer.send(Open(request, TALK, token("t0"), 1))
                        request += 1
            return seqs

        *reads, _ = await asyncio.gather(*(read(f"reader {i}") for i in range(4)), write())
        assert reads == [list(range(1, total + 1))] * 4


@pytest.mark.promise("CANNOT-LOSE")
async def test_a_slow_reader_is_paused_and_loses_no_record(start_server: StartServer) -> None:
    server = await start_server(FAST)
    async with Scene(server) as scene:
        alice, slow = await two_members(scene)
        assert slow.socket is not None
        total, size = 400, 65536
        slow.socket._conn.protocol.pause_reading()  # type: ignore[union-attr]
        for i in range(total // 4):
            await alice.send(Append(1, 10 + i, tuple(body("bulk", size) for _ in range(4))))
            if i % 20 == 19:
                await alice.receive_all(80)
        await alice.send(Signal(1, body("late")))
        await alice.ping()
        slow.socket._conn.protocol.resume_reading()  # type: ignore[union-attr]
        seqs: list[int] = []
        while len(seqs) < total:
            frame = await slow.receive()
            if isinstance(frame, Records):
                seqs += [record.seq for record in frame.records]
        assert seqs == list(range(1, total + 1))


class Gate:
    """Holds the answer of one store method back until the test lets it through."""

    def __init__(self, server: RunningServer, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = asyncio.Event()
        self.through = asyncio.Event()
        real = getattr(server.store, method)

        async def held(*arguments: Any) -> Any:
            answer = await real(*arguments)
            self.reached.set()
            await self.through.wait()
            return answer

        monkeypatch.setattr(server.store, method, held)


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
async def test_a_commit_between_the_look_up_and_the_subscription_retires_it(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)
        mallory = await scene.connect("mallory")
        gate = Gate(server, "open_stream", monkeypatch)
        await mallory.send(Open(1, TALK, token("t0"), 1))
        await gate.reached.wait()
        await scene.play(
            alice >> Append(1, 3, (body("remove"),), 0, token_hash("t1")),
            alice << Appended(3, 1),
            alice << records(1, 1, "remove"),
        )
        gate.through.set()
        await scene.play(
            mallory << opened(1, 1, 1, epoch=1, head=1, read_to=1),
            mallory << records(1, 1, "remove"),
            alice >> Signal(1, body("secret")),
            alice >> Append(1, 4, (body("secret"),)),
            alice << Appended(4, 2),
            alice << records(1, 2, "secret"),
        )
        await scene.quiet()


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
async def test_the_same_when_the_committer_has_left_before_its_commit_settled(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has the stream open any more, but its commit is under way: it must be remembered until it settles."""
    async with Scene(server) as scene:
        alice, mallory = await scene.connect("alice"), await scene.connect("mallory")
        await conversation(scene, alice)
        writer = server.store.writer
        go = threading.Event()
        real = writer.commit

        def slow(db: Any) -> None:
            assert go.wait(10)
            real(db)

        monkeypatch.setattr(writer, "commit", slow)
        await scene.play(
            alice >> Append(1, 3, (body("remove"),), 0, token_hash("t1")), alice >> Close(4, 1), alice << Closed(4)
        )
        gate = Gate(server, "open_stream", monkeypatch)
        await mallory.send(Open(1, TALK, token("t0"), 1))
        await gate.reached.wait()  # read before the commit
        go.set()
        await scene.play(alice << Appended(3, 1))
        gate.through.set()
        await scene.play(
            mallory << opened(1, 1, 1, epoch=1, head=1, read_to=1),
            mallory << records(1, 1, "remove"),
        )


@pytest.mark.promise("CANNOT-LOSE")
async def test_what_is_stored_while_the_backlog_is_read_is_not_missed(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(server) as scene:
        alice, bob = await scene.connect("alice"), await scene.connect("bob")
        await conversation(scene, alice)
        await scene.play(
            alice >> Append(1, 3, (body("one"),)), alice << Appended(3, 1), alice << records(1, 1, "one")
        )
        gate = Gate(server, "read", monkeypatch)
        await scene.play(bob >> Open(1, TALK, token("t0"), 1), bob << opened(1, 1, 7, head=1))
        await gate.reached.wait()
        await scene.play(
            alice >> Append(1, 4, (body("two"),)), alice << Appended(4, 2), alice << records(1, 2, "two")
        )
        gate.through.set()
        await scene.play(bob << records(1, 1, "one", "two"))
        await scene.quiet()


@pytest.mark.promise("CANNOT-LOSE")
async def test_a_record_stored_though_reported_refused_reaches_the_others_with_the_next(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(server) as scene:
        alice, bob = await two_members(scene)
        real = server.store.writer.commit

        def applied(db: Any) -> None:
            real(db)
            raise OSError("the answer was lost")

        with monkeypatch.context() as patch:
            patch.setattr(server.store.writer, "commit", applied)
            await scene.play(alice >> Append(1, 3, (body("one"),)), alice << error(3, "unavailable"))
        await scene.play(
            bob >> Append(1, 3, (body("two"),)),
            bob << Appended(3, 2),
            bob << records(1, 1, "one", "two"),
            alice << records(1, 1, "one", "two"),
        )
        await scene.quiet()


@pytest.mark.promise("CANNOT-LOSE")
async def test_a_congested_reader_is_read_to_from_the_store(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start_server(FAST)
    async with Scene(server) as scene:
        alice, slow = await two_members(scene)
        (_, subscription) = server.context.shared.hub.subscriptions(TALK)
        outlet = subscription.owner.outlet
        monkeypatch.setattr(Outlet, "congested", property(lambda self: self is outlet))
        gate = Gate(server, "read", monkeypatch)
        await scene.play(
            alice >> Append(1, 3, (body("one"),)), alice << Appended(3, 1), alice << records(1, 1, "one")
        )
        await gate.reached.wait()
        await scene.quiet()
        gate.through.set()
        await scene.play(slow << records(1, 1, "one"))


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
@pytest.mark.parametrize("seed", range(4))
async def test_in_a_burst_of_commits_each_capability_reads_up_to_its_own_end(
    start_server: StartServer, seed: int
) -> None:
    """Alice writes and commits at random; a reader for each epoch joins when it can and never shows a newer token."""
    server = await start_server(FAST)
    rng = random.Random(seed)
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice, epoch_token="0")
        readers: list[Peer] = []
        ends: list[int] = []
        seq = 0
        for epoch in range(8):
            reader = await scene.connect(f"epoch {epoch}")
            readers.append(reader)
            await reader.send(Open(1, TALK, token(str(epoch)), 1))
            pending = rng.randrange(1, 60)
            for _ in range(pending):
                await alice.send(Append(1, 9, (body("m"),)))
            await alice.send(Append(1, 9, (body("c"),), epoch, token_hash(str(epoch + 1))))
            seq += pending + 1
            ends.append(seq)
            await alice.receive_all(pending + 1)  # the next message needs the upgraded handle
        for reader, end in zip(readers, ends, strict=True):
            got = await reader.receive_all(end)
            assert [record.seq for record in got] == list(range(1, end + 1))
        await scene.quiet(*readers)


async def test_the_hub_forgets_streams_that_nobody_uses(server: RunningServer) -> None:
    hub = server.context.shared.hub
    async with Scene(server) as scene:
        alice, bob = await two_members(scene)
        await scene.play(alice >> Open(3, stream_id("none"), token("no"), 1), alice << error(3, "forbidden"))
        assert len(hub) == 1
        await scene.play(alice >> Close(4, 1), alice << Closed(4))
        assert len(hub) == 1
        assert bob.socket is not None
        await bob.socket.close()
        while len(hub):
            await asyncio.sleep(0)
