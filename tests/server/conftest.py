"""A real server on loopback for each test, with a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from ringthrough.server.app import Limits, RunningServer, ServerConfig, start

StartServer = Callable[..., Awaitable[RunningServer]]


class Clock:
    """Unix time that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    policy: asyncio.AbstractEventLoopPolicy = uvloop.EventLoopPolicy()
    return policy


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def start_server(tmp_path: Path, clock: Clock) -> AsyncIterator[StartServer]:
    """Starts servers on `tmp_path`: `await start_server(limits=Limits(...), ...)`; all are closed at the end."""
    running: list[RunningServer] = []

    async def begin(limits: Limits | None = None, **options: object) -> RunningServer:
        config = ServerConfig(tmp_path / "data", port=0, limits=limits or Limits(), **options)  # type: ignore[arg-type]
        running.append(await start(config, clock))
        return running[-1]

    yield begin
    for server in running:
        await server.close()


@pytest.fixture
async def server(start_server: StartServer) -> RunningServer:
    return await start_server()
