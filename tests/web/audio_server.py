"""The page with a call to itself: built, served under the strict policy, and opened in Debian's Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from lab.browser.recording import Recording
from lab.speech import ALICE_SAYS, speech, write_wav
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm

WEB = Path(__file__).resolve().parents[2] / "web"
CHROMIUM = os.environ.get("RINGTHROUGH_CHROMIUM", shutil.which("chromium") or "/usr/bin/chromium")
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
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
)


def build_page(folder: Path) -> Path:
    """Bundle the page with its worklets and workers. Raises when it does not build."""
    subprocess.run(
        ["node", str(WEB / "test/audio/page/build.mjs"), str(folder)], check=True, cwd=WEB, capture_output=True
    )
    return folder


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """Serve `folder` on localhost (a secure context); gives the origin."""

    @web.middleware
    async def strict(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        if response.content_type == "text/javascript":
            response.charset = "utf-8"
        return response

    async def file(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"] or "index.html"
        if "/" in name or not (folder / name).is_file():
            raise web.HTTPNotFound
        return web.FileResponse(folder / name)

    app = web.Application(middlewares=[strict])
    app.router.add_get("/{name:[^/]*}", file)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://localhost:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def chromium(flags: Sequence[str] = (), *, allow: bool = True) -> AsyncIterator[Browser]:
    """Start the browser; `allow` answers its question for the microphone with yes."""
    answer = ("--use-fake-ui-for-media-stream",) if allow else ("--deny-permission-prompts",)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *answer, *flags])
        try:
            yield browser
        finally:
            await browser.close()


def write_microphone(path: Path, seconds_max: float) -> Pcm:
    """Save what the fake microphone says, over and over: recorded speech between pauses. Return it."""
    said = speech(ALICE_SAYS, seconds_max)
    pause = np.zeros(SAMPLE_RATE_HZ // 2, dtype=np.int16)
    write_wav(path, np.concatenate([pause, said, pause]))
    return said


async def take(page: Page, which: str, rate_hz: int) -> Recording:
    """Fetch `said` (what entered the capture worklet) or `heard` (what left the playout worklet)."""
    return Recording.of(await page.evaluate(f"harness.{which}()"), rate_hz)
