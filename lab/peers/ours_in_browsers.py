"""Calls of ours between two browsers: the built page, our server over TLS, everything clicked as people click it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.driver import CallResult
from lab.peers.browser_call import place_call
from lab.peers.chromium import Browser
from lab.peers.clocks import wall_offset_s
from lab.processes import Running, ringthrough
from lab.verdicts import NOTE, headed
from lab.worlds.access import SERVER, World
from ringthrough.protocol.verdicts import WORDS

PORT = 443
VERDICTS = {words.matter: verdict.value for verdict, words in WORDS.items()}
"""By the words that people are told."""
WATCH = """() => {
  lab.headings = [[Date.now(), null]]
  const look = () => {
    const words = document.querySelector(".why li strong")?.textContent ?? null
    if (words !== lab.headings.at(-1)[1]) lab.headings.push([Date.now(), words])
  }
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true })
}"""
"""Keeps in the page what heads its list of what is in the way, and since when (wall clock, ms)."""


class OursInBrowsers:
    """`lab.driver.Driver`; the page must be built (`make setup-run`)."""

    name = "ours in browsers"

    async def call(
        self, world: World, speech_by_caller: Path, speech_by_callee: Path, seconds: float, out: Path
    ) -> CallResult:
        """One call; see `Driver.call`."""
        await asyncio.to_thread(out.mkdir, parents=True, exist_ok=True)
        address, (certificate, key) = world.addresses[SERVER], world.certificates[SERVER]
        origin = f"https://{address}"
        serve = ["serve", "--data", str(out / "server-data"), "--host", address, "--port", str(PORT)]
        serve += ["--tls-cert", str(certificate), "--tls-key", str(key), "--origin", origin]
        with Running(world.inside(SERVER, ringthrough(*serve)), out / "server.log") as server:
            await asyncio.to_thread(server.line)
            page = _Page(origin)
            result = await place_call(page, world, speech_by_caller, speech_by_callee, seconds, out)
            return replace(result, notes={**result.notes, **page.verdicts})


class _Page:
    """The page as its users see it, for `browser_call.Messenger`."""

    pages = None

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._chat = ""
        self._answered_at_s = 0.0
        self.verdicts: dict[str, Any] = {}
        """What the caller was told, as it is noted; nothing until the call was looked at."""

    async def set_up(self, caller: Browser, callee: Browser) -> None:
        for browser, handle in ((caller, "alice"), (callee, "bob")):
            page = browser.page
            await page.goto(self._origin)
            # From now on the page comes from the browser: its service worker has all of it.
            await page.evaluate("navigator.serviceWorker.ready.then(() => null)")
            await page.get_by_label("Handle").fill(handle)
            await page.get_by_role("button", name="Create account").click()
            await page.get_by_role("button", name="Later").click()
        await caller.page.goto(f"{self._origin}/#/@bob")
        await caller.page.get_by_role("button", name="Start chat").click()
        await caller.page.wait_for_url("**/#/chat/*")
        self._chat = caller.page.url
        await caller.page.get_by_role("textbox", name="Message").fill("May I call you?")
        await caller.page.keyboard.press("Enter")
        await self._to_chat(callee)
        await callee.page.get_by_role("button", name="Accept").click()
        await callee.page.get_by_text("May I call you?").first.wait_for()

    async def _to_chat(self, browser: Browser) -> None:
        await browser.page.goto(self._chat)

    async def connect(self, caller: Browser, callee: Browser) -> None:
        for browser in (caller, callee):
            await browser.page.reload()
        await caller.page.get_by_role("button", name="Call", exact=True).wait_for()

    async def place(self, caller: Browser) -> None:
        await caller.page.evaluate(WATCH)
        await caller.page.get_by_role("button", name="Call", exact=True).click()
        await caller.page.wait_for_function("lab.microphoneMs !== null")

    async def rings(self, callee: Browser) -> None:
        await callee.page.get_by_role("button", name="Answer").wait_for()

    async def answer(self, callee: Browser) -> None:
        self._answered_at_s = time.monotonic()
        await callee.page.get_by_role("button", name="Answer").click()

    async def connected(self, side: Browser) -> bool:
        return await side.page.get_by_role("timer").count() > 0

    async def notes(self, side: Browser) -> Mapping[str, object]:
        headings = await side.page.evaluate("lab.headings ?? null")
        if headings is not None:
            self.verdicts = {NOTE: self._headed(headings)}
        states = await side.page.locator("section.call").all_inner_texts()
        return {"says": " / ".join(states).split("\n")}

    def _headed(self, headings: list[tuple[float, str | None]]) -> dict[str, Any]:
        zero_s = wall_offset_s() - self._answered_at_s
        told = [(at_ms / 1000 + zero_s, words and VERDICTS.get(words, words)) for at_ms, words in headings]
        return headed(told, time.monotonic() - self._answered_at_s)

    async def hang_up(self, side: Browser) -> None:
        button = side.page.get_by_role("button", name="Hang up")
        if await button.count():
            await button.first.click()
