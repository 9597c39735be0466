"""Clients on a real server in this process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from ringthrough.client import account
from ringthrough.client.client import Client
from ringthrough.server.app import Limits, RunningServer, ServerConfig, start

WAIT_S = 15


class World:
    """One server and the devices of some people; `clock` is Unix time that the test may move."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = 1_800_000_000.0
        self.server: RunningServer | None = None
        self.clients: list[Client] = []

    def clock(self) -> float:
        return self.now_s

    async def start_server(self, port: int = 0, **limits: object) -> RunningServer:
        config = ServerConfig(self.folder / "server", port=port, limits=Limits(**limits))  # type: ignore[arg-type]
        self.server = await start(config, self.clock)
        return self.server

    async def restart_server(self) -> None:
        assert self.server is not None
        port = self.server.port
        await self.server.close()
        await self.start_server(port)

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    def home(self, name: str) -> Path:
        return self.folder / name

    async def account(self, name: str) -> None:
        """An account that is offline."""
        client = await Client.create_account(self.home(name), self.url, name, clock=self.clock)
        await client.context.close()

    async def online(self, name: str) -> Client:
        """The device of this person, running until the end of the test or `offline`."""
        client = Client.open(self.home(name), clock=self.clock)
        await client.__aenter__()
        self.clients.append(client)
        return client

    async def person(self, name: str) -> Client:
        await self.account(name)
        return await self.online(name)

    async def offline(self, client: Client) -> None:
        self.clients.remove(client)
        await client.__aexit__(None, None, None)

    async def crash(self, client: Client) -> None:
        """As by kill -9: nothing more is done, what the store has committed stays."""
        self.clients.remove(client)
        tasks = list(client._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.context.close()


@pytest.fixture
def small_stock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few key packages, since making them takes most of the time of a small test."""
    monkeypatch.setattr(account, "STOCK", 4)
    monkeypatch.setattr(account, "STOCK_LOW", 2)


@pytest.fixture
async def world(tmp_path: Path, small_stock: None) -> AsyncIterator[World]:
    world = World(tmp_path)
    await world.start_server()
    yield world
    for client in list(world.clients):
        await world.offline(client)
    assert world.server is not None
    await world.server.close()


async def until(condition: Callable[[], bool], client: Client, timeout_s: float = WAIT_S) -> None:
    """Wait for the store of a client to make it true."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            changed = client.context.changed
            client._raise_failure()
            await changed.wait()


async def soon(work: Awaitable[object], timeout_s: float = WAIT_S) -> object:
    """The result, or a failure rather than a test that hangs."""
    async with asyncio.timeout(timeout_s):
        return await work


def texts(client: Client) -> list[str]:
    """What a device shows, in its order."""
    return [m.text for m in client.messages() if m.kind == "text"]


async def shown(client: Client, expected: list[str]) -> None:
    """Wait until a device shows exactly these texts."""
    await until(lambda: len(texts(client)) >= len(expected), client)
    assert texts(client) == expected


async def shown_many(client: Client, count: int) -> None:
    """Wait until a device shows so many texts."""
    await until(lambda: len(texts(client)) >= count, client)


async def joined(client: Client) -> None:
    """Wait until a device is in a conversation."""
    await until(lambda: bool(client.conversations()), client)
