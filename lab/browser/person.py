"""One person in the shipped page: what they do is done with the page's own buttons."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from .recording import Recording

CHROMIUM = os.environ.get("RINGTHROUGH_CHROMIUM", shutil.which("chromium") or "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
TAP = (Path(__file__).parent / "tap.js").read_text()
PATIENCE_MS = 20_000


def speaking(microphone: Path) -> str:
    """The switch for a browser whose microphone plays this WAV, over and over from the moment it is opened."""
    return f"--use-file-for-fake-audio-capture={microphone}"


@asynccontextmanager
async def chromium(*switches: str) -> AsyncIterator[Browser]:
    """A browser whose microphone needs no permission."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *switches])
        try:
            yield browser
        finally:
            await browser.close()


class Person:
    """The page of one account."""

    def __init__(self, context: BrowserContext, page: Page, handle: str) -> None:
        self.context = context
        self.page = page
        self.handle = handle

    @classmethod
    async def arrive(
        cls,
        browser: Browser,
        url: str,
        handle: str,
        *,
        raw: bool = False,
        scripts: Sequence[str] = (),
        **options: Any,
    ) -> Self:
        """A new profile with a new account. `raw` leaves the browser's sound processing out; `scripts` run before the
        page's own."""
        context = await browser.new_context(reduced_motion="reduce", service_workers="block", **options)
        for script in (TAP, *scripts):
            await context.add_init_script(script)
        if raw:
            await context.add_init_script("tap.state.raw = true")
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(url)
        await page.get_by_role("textbox", name="Handle").fill(handle)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name=f"You are @{handle}")).to_be_visible(timeout=PATIENCE_MS)
        await page.evaluate("tap.watch()")
        return cls(context, page, handle)

    async def leave(self) -> None:
        """Close the profile."""
        await self.context.close()

    async def write(self, address: str, text: str) -> None:
        """The first message to somebody."""
        await self.page.evaluate("address => { location.hash = '#/' + address }", address)
        start = self.page.get_by_role("button", name=f"Write to {address}")
        dialog = self.page.get_by_role("dialog")
        await expect(start.or_(dialog).first).to_be_visible(timeout=PATIENCE_MS)
        if await dialog.count():
            await self.page.keyboard.press("Enter")
        else:
            await start.click()
        await self.say(address, text)

    async def say(self, address: str, text: str) -> None:
        """A message in the open chat."""
        box = self.page.get_by_role("textbox", name=f"Message to {address}")
        await box.fill(text)
        await box.press("Enter")
        await self.sees(text)

    async def sees(self, text: str) -> None:
        """Wait for a message in the open chat."""
        await expect(self.page.get_by_role("article").filter(has_text=text)).to_be_visible(timeout=PATIENCE_MS)

    async def accept(self, address: str) -> None:
        """Let somebody in who has written for the first time."""
        await self.page.evaluate("location.hash = '#/'")
        await self.page.get_by_role("link", name=address).first.click()
        await self.page.get_by_role("button", name="Accept").click()
        await expect(self.page.get_by_role("button", name="Call", exact=True)).to_be_visible(timeout=PATIENCE_MS)

    async def call(self) -> None:
        """Call the one whose chat is open."""
        await self.page.get_by_role("button", name="Call", exact=True).click()

    async def rings(self) -> None:
        """Wait for a call to come in."""
        await expect(self.page.get_by_role("button", name="Answer")).to_be_visible(timeout=PATIENCE_MS)

    async def answer(self) -> None:
        """Take the call that rings, or will."""
        await self.page.get_by_role("button", name="Answer").click()

    async def hang_up(self) -> None:
        """End the call."""
        await self.page.get_by_role("button", name="Hang up").first.click()

    async def talks(self) -> None:
        """Wait until the page says that the call goes on: the other side was heard."""
        await expect(self.page.get_by_role("timer")).to_be_visible(timeout=PATIENCE_MS)

    async def told(self, words: str) -> None:
        """Wait until the page says this."""
        await expect(self.page.get_by_text(words).first).to_be_visible(timeout=PATIENCE_MS)

    # -- the sound -------------------------------------------------------------------------------------------------

    async def said(self) -> Recording:
        """What entered the capture worklet, after the browser's own processing."""
        return Recording.of(await self.page.evaluate("tap.said()"))

    async def heard(self) -> Recording:
        """What left the playout worklet."""
        return Recording.of(await self.page.evaluate("tap.heard()"))

    async def state(self) -> dict[str, Any]:
        """`report` of the playout, `stalls` of the machine, `answeredMs`."""
        found: dict[str, Any] = await self.page.evaluate("tap.state")
        return found

    async def asked(self) -> list[dict[str, Any]]:
        """What the page asked of the microphone, each time."""
        found: list[dict[str, Any]] = await self.page.evaluate("tap.asked")
        return found
