"""kill -9 at random points of a burst: what was acknowledged is there, once and in order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from ringthrough.protocol.frames import (
    Append,
    Appended,
    Create,
    Error,
    Hello,
    Open,
    Opened,
    Records,
    StreamKind,
)
from tests.server.script import Peer, body, stream_id, token, token_hash

ROUNDS = 50 if os.environ.get("RINGTHROUGH_SOAK") else 5
TALK = stream_id("talk")


async def launch(folder: Path) -> tuple[asyncio.subprocess.Process, str]:
    """A real server process, and its address once it accepts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringthrough.cli.serve", "--data", str(folder), "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
    assert line.startswith("listening on http://"), line
    return process, line.split()[-1]


async def connect(session: aiohttp.ClientSession, url: str) -> Peer:
    peer = Peer("writer")
    peer.socket = await session.ws_connect(f"{url}/v1/connect", max_msg_size=0)
    await peer.send(Hello(1, 1))
    await peer.receive()
    return peer


async def burst(peer: Peer, process: asyncio.subprocess.Process, rng: random.Random, first: int) -> dict[int, bytes]:
    """Append as fast as 64 requests in flight allow until the server dies. Returns what it acknowledged, by seq."""
    acknowledged: dict[int, bytes] = {}
    waiting: dict[int, bytes] = {}
    kill_after = rng.randrange(1, 400)
    request = first
    try:
        while True:
            while len(waiting) < 64:
                waiting[request] = body(f"message {request}", rng.choice((160, 1280, 20480)))
                await peer.send(Append(1, request, (waiting[request],)))
                request += 1
            frame = await peer.receive()
            if isinstance(frame, Appended):
                acknowledged[frame.first_seq] = waiting.pop(frame.request)
                if len(acknowledged) == kill_after:
                    process.send_signal(signal.SIGKILL)
            assert not isinstance(frame, Error), frame
    except (ConnectionError, aiohttp.ClientError):
        return acknowledged
    except AssertionError as e:
        if "CLOSE" not in str(e):
            raise
        return acknowledged


async def read_all(peer: Peer) -> dict[int, bytes]:
    await peer.send(Open(2, TALK, token("t0"), 1))
    opened = await peer.receive()
    assert isinstance(opened, Opened)
    stored: dict[int, bytes] = {}
    while len(stored) < opened.head:
        frame = await peer.receive()
        assert isinstance(frame, Records)
        for record in frame.records:
            assert record.seq == len(stored) + 1
            stored[record.seq] = record.body
    return stored


@pytest.mark.promise("CANNOT-LOSE")
async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    rng = random.Random(20)
    acknowledged: dict[int, bytes] = {}
    request = 1000
    for _ in range(ROUNDS):
        process, url = await launch(tmp_path)
        try:
            async with aiohttp.ClientSession() as session:
                peer = await connect(session, url)
                await peer.send(Create(1, TALK, StreamKind.CONVERSATION, token_hash("t0")))
                await peer.receive()
                stored = await read_all(peer)
                assert {seq: stored.get(seq) for seq in acknowledged} == acknowledged
                assert len(set(stored.values())) == len(stored)
                acknowledged |= await burst(peer, process, rng, request)
                request += 100_000
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
    assert len(acknowledged) >= ROUNDS


async def test_sigterm_stops_cleanly(tmp_path: Path) -> None:
    process, url = await launch(tmp_path)
    async with aiohttp.ClientSession() as session:
        peer = await connect(session, url)
        process.send_signal(signal.SIGTERM)
        assert peer.socket is not None
        message = await peer.socket.receive(timeout=10)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    assert await asyncio.wait_for(process.wait(), 10) == 0
