"""@echo answers what people write and say, and never another echo's answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from ringthrough.audio.pcm import SLOT_MS, SLOT_SAMPLES, Pcm
from ringthrough.client import account
from ringthrough.client.client import Client
from ringthrough.client.media import PcmSource
from ringthrough.protocol.calls import EndReason
from ringthrough.server.app import RunningServer, ServerConfig, start
from ringthrough.services.echo import ECHO_DELAY_MS, GREETING, READER, Echo, run_echo

WAIT_S = 15


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningServer]:
    monkeypatch.setattr(account, "STOCK", 4)
    monkeypatch.setattr(account, "STOCK_LOW", 2)
    server = await start(ServerConfig(tmp_path / "server", port=0))
    yield server
    await server.close()


async def texts(client: Client, count: int) -> list[str]:
    """The next texts of others."""
    found: list[str] = []
    async with asyncio.timeout(WAIT_S):
        async for message in client.received(after=0):
            if message.kind == "text":
                found.append(message.text)
            if len(found) == count:
                break
    return found


async def test_it_answers_words_files_and_calls(server: RunningServer, tmp_path: Path) -> None:
    async with (
        await Client.create_account(tmp_path / "echo", server.url, "echo") as echo,
        await Client.create_account(tmp_path / "alice", server.url, "alice") as alice,
    ):
        service = asyncio.create_task(run_echo(echo))
        conversation = await alice.conversation_with("@echo")
        await alice.send_text(conversation, "hello")
        assert await texts(alice, 1) == ["hello"]
        answer = alice.messages()[-1]
        assert answer.in_reply_to == alice.messages()[0].message_id
        (tmp_path / "x").write_bytes(b"x")
        await alice.send_file(conversation, tmp_path / "x")
        assert await texts(alice, 2) == ["hello", GREETING]
        heard = Heard()
        tone = (9000 * np.sin(2 * np.pi * 440 * np.arange(16_000 * 20) / 16_000)).astype(np.int16)
        call = alice.calls.place(conversation, PcmSource(tone), heard)
        async with asyncio.timeout(WAIT_S):
            await heard.loud.wait()
        call.hang_up()
        assert await call.ended is EndReason.HUNG_UP
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)
        assert echo.context.store.read_mark(READER) > 0


async def test_two_of_them_do_not_talk_for_ever(server: RunningServer, tmp_path: Path) -> None:
    async with (
        await Client.create_account(tmp_path / "echo", server.url, "echo") as one,
        await Client.create_account(tmp_path / "echo2", server.url, "echo2") as two,
        await Client.create_account(tmp_path / "alice", server.url, "alice") as alice,
    ):
        services = [asyncio.create_task(run_echo(client)) for client in (one, two)]
        group = await alice.create_group("tea", ["@echo", "@echo2"])
        await alice.send_text(group, "hello")
        assert await texts(alice, 2) == ["hello", "hello"]
        await alice.send_text(group, "end")
        assert await texts(alice, 4) == ["hello", "hello", "end", "end"]
        for service in services:
            service.cancel()
        await asyncio.gather(*services, return_exceptions=True)


async def test_it_goes_on_where_it_stopped(server: RunningServer, tmp_path: Path) -> None:
    """What came while it was away is answered once it is back, and nothing twice."""
    echo = await Client.create_account(tmp_path / "echo", server.url, "echo")
    await echo.context.close()
    async with await Client.create_account(tmp_path / "alice", server.url, "alice") as alice:
        conversation = await alice.conversation_with("@echo")
        for n in range(3):
            await conversation.sent(await alice.send_text(conversation, f"{n}"))
            async with Client.open(tmp_path / "echo") as echo:
                service = asyncio.create_task(run_echo(echo))
                assert await texts(alice, n + 1) == [f"{i}" for i in range(n + 1)]
                async with asyncio.timeout(WAIT_S):
                    while echo.context.store.read_mark(READER) < echo.messages()[-1].id - 1:
                        await asyncio.sleep(0)
                service.cancel()
                await asyncio.gather(service, return_exceptions=True)


class Heard:
    """Waits for something loud."""

    def __init__(self) -> None:
        self.loud = asyncio.Event()

    def write(self, frame: Pcm) -> None:
        if np.abs(frame).max() > 4000:
            self.loud.set()


async def test_the_echo_is_a_delay_that_does_not_grow() -> None:
    echo = Echo()
    delay = ECHO_DELAY_MS // SLOT_MS
    for n in range(5 * delay):
        echo.write(np.full(SLOT_SAMPLES, n, dtype=np.int16))
    assert len(echo._slots) == 2 * delay
    first = await echo.read()
    assert first is not None
    assert first[0] == 3 * delay
