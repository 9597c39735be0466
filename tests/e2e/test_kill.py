"""kill -9 at random points of a burst: what was acknowledged arrives, once, in order (CANNOT-LOSE)."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.processes import Running, ringthrough
from ringthrough.client.account import state_path
from ringthrough.client.messages import read_message
from ringthrough.client.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.promise("CANNOT-LOSE")]

KILLS = 250 if os.environ.get("RINGTHROUGH_SOAK") else 8
"""Points in the burst at which the server dies, and as many at which a client does, sender and receiver in turn."""
LINES_BETWEEN_MAX = 4
SEED = int(os.environ.get("RINGTHROUGH_SEED", "1"))


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Stage:
    """A server, a sender and a receiver as processes that can be killed and started again."""

    folder: Path
    port: int = field(default_factory=free_port)
    acked: int = -1

    def __post_init__(self) -> None:
        self.server = self._start_server()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, home: str, *arguments: str) -> str:
        """A command of one of the two, to its end."""
        command = ringthrough("--home", str(self.folder / home), "--json", *arguments)
        with Running(command, self.folder / f"{home}.log") as running:
            return running.wait(60)

    def sender(self, total: int) -> Running:
        """Start counting, or go on."""
        script = str(Path(__file__).with_name("burst.py"))
        arguments = [sys.executable, script, str(self.folder / "alice"), "@bob", str(total)]
        return Running(arguments, self.folder / "alice.log")

    def receiver(self) -> Running:
        """Read and store what comes."""
        command = ringthrough("--home", str(self.folder / "bob"), "--json", "read", "--follow")
        return Running(command, self.folder / "bob.log")

    def restart_server(self) -> None:
        """kill -9, then start on the same folder and port."""
        self.server.stop(signal.SIGKILL)
        self.server = self._start_server()

    def numbers(self, home: str) -> list[int]:
        """The numbers in a person's store, in the order of the log."""
        with Store(state_path(self.folder / home)) as store:
            rows = [row for row in store.messages() if row.seq is not None]
            messages = [read_message(row) for row in sorted(rows, key=lambda row: row.seq or 0)]
        return [int(m.text) for m in messages if m.kind == "text" and m.text.isdigit()]

    def _start_server(self) -> Running:
        command = ringthrough("serve", "--data", str(self.folder / "server"), "--port", str(self.port))
        server = Running(command, self.folder / "server.log")
        server.line()
        return server


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    for person in ("alice", "bob"):
        stage.run(person, "account", "create", person, "--server", stage.url)
    yield stage
    stage.server.stop()


def note_acks(stage: Stage, sender: Running, lines: int) -> None:
    """Read so many lines of the sender."""
    for _ in range(lines):
        stage.acked = max(stage.acked, int(sender.line().split()[1]))


@pytest.mark.timeout(3600)
def test_kills_at_random_points_lose_and_repeat_nothing(stage: Stage) -> None:
    chance = random.Random(SEED)
    total = 1_000_000
    sender, receiver = stage.sender(total), stage.receiver()
    try:
        for number in range(2 * KILLS):
            note_acks(stage, sender, chance.randint(1, LINES_BETWEEN_MAX))
            victim = ("server", "sender", "server", "receiver")[number % 4]
            if victim == "server":
                stage.restart_server()
            elif victim == "sender":
                sender.stop(signal.SIGKILL)
                sender = stage.sender(total)
            else:
                receiver.stop(signal.SIGKILL)
                receiver = stage.receiver()
        note_acks(stage, sender, 2)
    finally:
        sender.stop(signal.SIGKILL)
        receiver.stop(signal.SIGKILL)
    end = flush(stage)
    expected = list(range(end + 1))
    assert stage.acked <= end
    assert stage.numbers("alice") == expected, "the sender's own history has gaps or repeats"
    assert stage.numbers("bob") == expected, "the receiver's history has gaps or repeats"


def flush(stage: Stage) -> int:
    """Let the sender finish what it had queued, then let the receiver read to the end; the last number."""
    with Store(state_path(stage.folder / "alice")) as store:
        queued = [int(m.text) for m in map(read_message, store.messages()) if m.kind == "text"]
    end = max(queued) + 1
    with stage.sender(end + 1) as sender:
        sender.wait(60)
    with stage.receiver() as receiver:
        while end not in stage.numbers("bob"):
            # Thousands may be on their way, and to look into the store after each takes minutes.
            while json.loads(receiver.line()).get("text") != str(end):
                pass
    return end
