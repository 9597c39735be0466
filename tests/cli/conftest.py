"""The terminal on a real server that runs in a thread."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ringthrough.cli.main import main
from ringthrough.client import account
from ringthrough.server.app import RunningServer, ServerConfig, start

Run = Callable[..., "Outcome"]


class Outcome:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class ServerThread:
    """A server with a loop of its own, since each command runs one too."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.server: RunningServer = self.run(start(ServerConfig(folder, port=0)))
        self.url = self.server.url

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def close(self) -> None:
        self.run(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    running = ServerThread(tmp_path / "server")
    yield running
    running.close()


@pytest.fixture
def ringthrough(
    server: ServerThread, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """`ringthrough("alice", "send", "@bob", "hello")`: a command of Alice, with --json."""
    monkeypatch.setattr(account, "STOCK", 4)
    monkeypatch.setattr(account, "STOCK_LOW", 2)

    def run(person: str, *arguments: str, as_json: bool = True) -> Outcome:
        capsys.readouterr()
        code = main(["--home", str(tmp_path / person), *(["--json"] if as_json else []), *arguments])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture
def people(ringthrough: Run, server: ServerThread) -> Run:
    """Alice and Bob have accounts."""
    for name in ("alice", "bob"):
        assert ringthrough(name, "account", "create", name, "--server", server.url).code == 0
    return ringthrough
