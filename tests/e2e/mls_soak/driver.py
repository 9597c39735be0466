"""Speaks with a driver of ts-mls members, wherever it runs: in Node, or in a worker of a page in a browser."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

WEB = Path(__file__).resolve().parents[3] / "web"


class DriverMissing(Exception):
    """What the driver needs is not installed."""


class DriverRefused(Exception):
    """The driver answered with an error; `kind` is its class name over there."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class Driver(ABC):
    """Holds any number of members; requests are answered one at a time."""

    place: str
    """Where the members run, as the summary names it."""
    restarts = False
    """Whether `restart` ends the program that holds the members, and starts it from what it stored."""

    def __init__(self) -> None:
        self._last_id = 0

    @abstractmethod
    def _ask(self, request: str) -> str:
        """One line of JSON to the driver, and its answer."""

    def restart(self) -> None:
        """All members go on with what a restart of the program finds."""
        raise NotImplementedError

    def call(self, op: str, **fields: object) -> Any:
        """One request and its answer; bytes become base64. Raises `DriverRefused`."""
        self._last_id += 1
        request = {"id": self._last_id, "op": op, **{name: _plain(value) for name, value in fields.items()}}
        line = self._ask(json.dumps(request))
        if not line:
            raise RuntimeError(f"the driver ended during {op}")
        answer = json.loads(line)
        if answer["id"] != self._last_id:
            raise RuntimeError("the driver answered another request")
        if "error" in answer:
            raise DriverRefused(answer["error"]["type"], answer["error"]["message"])
        return answer["ok"]

    def call_bytes(self, op: str, answer: str, **fields: object) -> bytes:
        """A call whose answer holds one bytes field."""
        return b64decode(self.call(op, **fields)[answer])


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
