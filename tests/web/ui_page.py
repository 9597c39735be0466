"""The page before its scripted engine: built, served with the server's own policy, opened in real Chromium."""

from __future__ import annotations

import asyncio
import fcntl
import functools
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from ringthrough.server.page_routes import PAGE_HEADERS

WEB = Path(__file__).resolve().parents[2] / "web"
BUILT = WEB / "build" / "ui-screens"
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 844}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@functools.cache
def build() -> Path:
    """Builds the page with the scripted engine, once for all processes of a test run; seconds."""
    npx = shutil.which("npx")
    assert npx is not None, "Node.js is needed to build the page"
    this_run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    with BUILT.with_suffix(".lock").open("a+") as built_for:
        # The folder is emptied first: not under the pages of another process.
        fcntl.flock(built_for, fcntl.LOCK_EX)
        built_for.seek(0)
        if not this_run or built_for.read() != this_run:
            subprocess.run([npx, "vite", "build", "--mode", "screens", "--logLevel", "error"], cwd=WEB, check=True)
            built_for.truncate(0)
            built_for.write(this_run)
    return BUILT


class _Handler(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        for name, value in PAGE_HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(folder: Path = BUILT) -> Iterator[str]:
    """Serves a folder until the end of the block; gives the origin."""
    handler = functools.partial(_Handler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    # The end is waited for: half a second, if it were looked for as seldom as is usual.
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """The system's own; none is downloaded."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(
    scene: str = "full",
    size: ViewportSize = WIDE,
    query: str = "",
    *,
    motion: bool = False,
    touch: bool = False,
    flags: tuple[str, ...] = (),
) -> AsyncIterator[Page]:
    """The page in a new browser. Whatever it throws, and whatever its policy refuses, fails the test."""
    with served() as origin:
        async with chromium(*flags) as browser:
            context = await browser.new_context(
                viewport=size, has_touch=touch, reduced_motion="no-preference" if motion else "reduce"
            )
            page = await context.new_page()
            page.set_default_timeout(10_000)
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
            await page.goto(f"{origin}/page.html?scene={scene}&{query}")
            await page.wait_for_selector("h1, h2")
            yield page
            assert wrong == []


async def open_chat(page: Page, title: str) -> None:
    await page.evaluate("title => { location.hash = '#/chat/' + fake.idOf(title) }", title)
    await page.wait_for_selector("section.chat")


async def until(page: Page, expression: str) -> None:
    """Waits until an expression of the page is true. Asked from outside: the page's policy forbids evaluation."""
    for _ in range(200):
        if await page.evaluate(expression):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never true: {expression}")


async def asked(page: Page) -> list[str]:
    """What has reached the scripted engine so far: across a message port, so perhaps not what was done just now."""
    found: list[str] = await page.evaluate("fake.asked")
    return found


async def until_asked(page: Page, expected: list[str], about: str = "") -> None:
    """Waits until the calls whose name begins with `about` are these, in this order."""
    for _ in range(200):
        calls = [call for call in await asked(page) if call.startswith(about)]
        if calls == expected:
            return
        await asyncio.sleep(0.05)
    assert calls == expected
