"""Chromium without Playwright, which keeps every page visible: here a tab behind another one is really hidden."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.web.audio_server import CHROMIUM, FLAGS


class Tab:
    """One tab, driven over the DevTools protocol; one command at a time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._session = ""

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the browser's result. Raises `RuntimeError` for its error."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session and not method.startswith("Target."):
            message["sessionId"] = self._session
        await self._socket.send_json(message)
        while True:
            answer = await self._socket.receive_json(timeout=60)
            if answer.get("id") == number:
                break
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def attach(self) -> None:
        """Find the page."""
        targets = (await self.command("Target.getTargets"))["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = await self.command("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]

    async def evaluate(self, expression: str) -> Any:
        """Return the value of `expression` in the page, awaited. Raises `RuntimeError` for what it throws."""
        answer = await self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    async def until(self, expression: str, seconds_max: float = 20) -> None:
        """Wait until `expression` is true, also while the page is still being opened. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds_max):
            while True:
                try:
                    if await self.evaluate(expression):
                        return
                except RuntimeError:
                    pass  # The page before this one went away under the question.
                await asyncio.sleep(0.05)

    async def hide(self) -> None:
        """Open another tab in front of this one."""
        created = await self.command("Target.createTarget", url="about:blank")
        await self.command("Target.activateTarget", targetId=created["targetId"])


@asynccontextmanager
async def tab(url: str, flags: Sequence[str]) -> AsyncIterator[Tab]:
    """Start a browser with one tab at `url`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        switches = [*FLAGS, *flags, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
        process = await asyncio.create_subprocess_exec(
            CHROMIUM, "--headless=new", *switches, url,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        try:
            async with asyncio.timeout(30):
                endpoint = ""
                while not endpoint:
                    line = (await process.stderr.readline()).decode()
                    assert line or process.returncode is None, "the browser did not start"
                    endpoint = line.split()[-1] if "DevTools listening on" in line else ""
            draining = asyncio.create_task(process.stderr.read())
            async with aiohttp.ClientSession() as session, session.ws_connect(endpoint, max_msg_size=0) as socket:
                opened = Tab(socket)
                await opened.attach()
                yield opened
            draining.cancel()
        finally:
            process.terminate()
            await process.wait()
