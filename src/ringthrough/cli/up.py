"""`ringthrough up`: a server with a resident @echo on this machine, to try everything with."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from .common import emit

SPEECH = Path("/usr/share/asterisk/sounds/en_US_f_Allison/demo-echotest.g722")
DEFAULT_PORT = 8440
ENDING_S = 10


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    up = commands.add_parser("up", help="run a server with @echo on this machine and say what to try")
    up.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of the server and of @echo (default: data)"
    )
    up.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"default: {DEFAULT_PORT}")
    up.set_defaults(run=_up)


async def _up(args: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    tool = [sys.executable, "-m", "ringthrough"]
    url = f"http://localhost:{args.port}"
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            _child([*tool, "serve", "--data", str(args.data / "server"), "--port", str(args.port)])
        )
        echo = await stack.enter_async_context(
            _child([*tool, "--home", str(args.data / "echo"), "echo", "--server", url])
        )
        emit(args, _what_to_try(url), event="ready", server=url)
        ends = [asyncio.create_task(wait) for wait in (stop.wait(), server.wait(), echo.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
    if not stop.is_set():
        print("ringthrough: the server or @echo ended; its last lines are above", file=sys.stderr)
        return 1
    return 0


@contextlib.asynccontextmanager
async def _child(command: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child that has said it is ready; ended with the block."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise ValueError(f"`{' '.join(command[3:])}` did not start; its last lines are above")
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(ENDING_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def _what_to_try(url: str) -> str:
    tool = Path(sys.argv[0])
    with contextlib.suppress(ValueError):
        tool = tool.resolve().relative_to(Path.cwd())
    speak = f" --in {SPEECH} --out heard.wav --seconds 12" if SPEECH.exists() else " --in FILE.wav --out heard.wav"
    return f"""
Ringthrough runs on {url}. The cryptography is unaudited. Ctrl-C ends it.

Open {url} in a browser, or in another terminal:
  {tool} account create alice            # keys go to ~/.ringthrough
  {tool} send @echo "Hello?"
  {tool} read                            # @echo has repeated it
  {tool} call @echo{speak}
  {tool} call @echo                      # with microphone and loudspeaker

A second person on this machine:
  {tool} --home ~/.ringthrough-bob account create bob
  {tool} --home ~/.ringthrough-bob read --follow
"""
