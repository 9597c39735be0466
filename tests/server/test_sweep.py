"""Expiry as clients see it, with time as the test sets it."""

from __future__ import annotations

import asyncio

import pytest

from ringthrough.protocol.frames import Append, Appended, Error, Open, Opened
from ringthrough.server.app import RunningServer
from ringthrough.server.store.port import PERIOD_S
from ringthrough.server.sweep import SWEEP_ROWS, sweep
from tests.server.conftest import Clock, StartServer
from tests.server.script import ANY, Scene, body, conversation, opened, records, stream_id, token, token_hash

TALK = stream_id("talk")


async def run_sweep(server: RunningServer, now_s: float) -> int:
    context = server.context
    return await sweep(context.store, context.blobs, context.config, now_s)


async def test_records_expire_and_numbers_go_on(server: RunningServer, clock: Clock) -> None:
    lifetime_s = server.context.config.record_lifetime_s
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)
        await scene.play(
            alice >> Append(1, 3, (body("old"),), 0, token_hash("t1")),
            alice << Appended(3, 1),
            alice << records(1, 1, "old"),
        )
        clock.now_s += 100
        await scene.play(
            alice >> Append(1, 4, (body("new"),)), alice << Appended(4, 2), alice << records(1, 2, "new")
        )
        assert await run_sweep(server, clock.now_s - 100 + lifetime_s) == 0
        assert await run_sweep(server, clock.now_s - 100 + lifetime_s + 1) == 1
        bob = await scene.connect("bob")
        await scene.play(
            bob >> Open(1, TALK, token("t1"), 1),
            bob << Opened(1, 1, 7, 1, 2, 2, 0),
            bob << records(1, 2, "new"),
            bob >> Open(2, TALK, token("t0"), 1),
            bob << Error(2, "forbidden", ANY, 0, 0),  # type: ignore[arg-type]
        )
        assert await run_sweep(server, clock.now_s + lifetime_s + 1) == 1
        await scene.play(
            alice >> Append(1, 5, (body("newest"),)),
            alice << Appended(5, 3),
            alice << records(1, 3, "newest"),
            bob << records(1, 3, "newest"),
        )
        await scene.quiet()


async def test_a_long_backlog_goes_in_bounded_pieces(server: RunningServer, clock: Clock) -> None:
    total = SWEEP_ROWS * 2 + 10
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)
        for first in range(0, total, 30):
            await alice.send(Append(1, first, (body("x"),) * min(30, total - first)))
        await alice.receive_all(total)
        before = server.store.writer.commits
        assert await run_sweep(server, clock.now_s + server.context.config.record_lifetime_s + 1) == total
        assert server.store.writer.commits - before == 3


@pytest.mark.promise("CANNOT-LINK")
async def test_opening_leaves_no_time_finer_than_half_a_year(server: RunningServer, clock: Clock) -> None:
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)

        async def kept() -> int:
            row = await server.store._read(lambda db: db.execute("SELECT kept_period FROM stream").fetchone())
            return int(row[0])

        first = await kept()
        assert first == clock.now_s // PERIOD_S
        clock.now_s = (first + 1) * PERIOD_S - 1
        await scene.play(alice >> Open(3, TALK, token("t0"), 1), alice << opened(3, 1, 7))
        await scene.quiet()
        assert await kept() == first
        clock.now_s += 1
        await scene.play(alice >> Open(4, TALK, token("t0"), 1), alice << opened(4, 1, 7))
        while await kept() == first:
            await asyncio.sleep(0)
        assert await kept() == first + 1


async def test_the_server_sweeps_by_itself(start_server: StartServer, clock: Clock) -> None:
    server = await start_server(sweep_interval_s=0.01)
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)
        await scene.play(alice >> Append(1, 3, (body("x"),)), alice << Appended(3, 1), alice << records(1, 1, "x"))
        clock.now_s += server.context.config.record_lifetime_s + 1
        while (await server.store.read(1, 0, 1, 1000)).records:
            await asyncio.sleep(0.005)
