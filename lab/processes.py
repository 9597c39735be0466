"""`ringthrough` commands as child processes that speak JSON lines; all are ended with the lab."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

ENDING_S = 10


class CommandFailed(Exception):
    """A command ended with an error; the message holds what it printed."""


class Running:
    """A command in the background. Use as a context manager."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log.open("ab")
        self.command = list(command)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        self.log = log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def line(self) -> str:
        """The next line it prints. Raises CommandFailed when it ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise CommandFailed(f"{' '.join(self.command)} ended ({self.process.wait()}): {self.errors()}")
        return line

    def event(self, name: str) -> dict[str, Any]:
        """The next JSON line whose `event` is `name`; others are skipped."""
        while True:
            fields: dict[str, Any] = json.loads(self.line())
            if fields.get("event") == name:
                return fields

    def wait(self, timeout_s: float) -> str:
        """Wait for its end; the rest of its output. Raises CommandFailed for an exit status other than 0."""
        output, _ = self.process.communicate(timeout=timeout_s)
        if self.process.returncode:
            raise CommandFailed(f"{' '.join(self.command)} failed: {self.errors()}")
        return output

    def errors(self) -> str:
        """The end of what it wrote to standard error."""
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()


def ringthrough(*arguments: str) -> list[str]:
    """The command line of the tool in this environment."""
    return [sys.executable, "-m", "ringthrough", *arguments]
