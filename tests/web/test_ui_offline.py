"""The shipped page, not the scripted one: it starts under the server's policy, and opens again without a network."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.web.ui_page import WEB, chromium, served, until

pytestmark = pytest.mark.slow

FIRST_LOAD_BYTES_MAX = 300_000
"""Compressed, without the audio part."""

FOR_CALLS = ("codec-worker", "playout-worklet", "capture-worklet", "note-player")
KEPT = (
    "caches.keys().then(async names => (await Promise.all(names.map(async name =>"
    " (await (await caches.open(name)).keys()).map(r => new URL(r.url).pathname)))).flat())"
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    npx = shutil.which("npx")
    assert npx is not None, "Node.js is needed to build the page"
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [npx, "vite", "build", "--logLevel", "error", "--outDir", str(folder), "--emptyOutDir"], cwd=WEB, check=True
    )
    return folder


async def test_it_opens_without_a_network(shipped: Path) -> None:
    async with chromium() as browser:
        context = await browser.new_context()
        page = await context.new_page()
        page.set_default_timeout(15_000)
        refused: list[str] = []
        page.on(
            "console", lambda message: refused.append(message.text) if "Content Security" in message.text else None
        )
        with served(shipped) as origin:
            await page.goto(origin)
            await expect(page.get_by_role("button", name="Create account")).to_be_visible()
            await until(page, "navigator.serviceWorker.controller !== null")
            for file in FOR_CALLS:
                await until(page, f"{KEPT}.then(paths => paths.some(path => path.includes('{file}')))")
        await page.reload()
        await expect(page.get_by_role("button", name="Create account")).to_be_visible()
        kept: list[str] = await page.evaluate(KEPT)
        assert "/" in kept
        assert not [path for path in kept if path.startswith("/v1/")]
        for path in kept:
            if path.startswith(tuple(f"/assets/{file}" for file in FOR_CALLS)):
                size = await page.evaluate(
                    "path => fetch(path).then(answer => answer.arrayBuffer()).then(bytes => bytes.byteLength)", path
                )
                assert size == (shipped / path.removeprefix("/")).stat().st_size
        assert refused == []


async def test_a_click_on_a_notice_of_the_service_worker_is_told_to_the_page(shipped: Path) -> None:
    async with chromium() as browser:
        context = await browser.new_context(permissions=["notifications"])
        page = await context.new_page()
        with served(shipped) as origin:
            await page.goto(origin)
            await until(page, "navigator.serviceWorker.controller !== null")
            await page.evaluate(
                "navigator.serviceWorker.addEventListener('message', ({ data }) => { window.clicked = data.clicked })"
            )
            await page.evaluate(
                "navigator.serviceWorker.ready.then(worker => worker.showNotification('A call', { tag: 'call-7' }))"
            )
            # As a person's click, but for the leave to come to the front, which only a person's click gives.
            await context.service_workers[0].evaluate(
                "self.registration.getNotifications().then(([notification]) =>"
                " self.dispatchEvent(new NotificationEvent('notificationclick', { notification })))"
            )
            await until(page, "window.clicked === 'call-7'")
            await until(
                page,
                "navigator.serviceWorker.ready.then(worker => worker.getNotifications())"
                ".then(notices => notices.length === 0)",
            )


def test_the_first_load_is_small(shipped: Path) -> None:
    audio = (*FOR_CALLS, "call-audio")
    files = [path for path in shipped.rglob("*") if path.is_file() and not path.name.startswith(audio)]
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in files if path.suffix != ".wasm"}
    assert sum(sizes.values()) < FIRST_LOAD_BYTES_MAX, sizes
    print(sum(sizes.values()))


def test_nothing_in_the_page_is_inline_or_foreign(shipped: Path) -> None:
    page = (shipped / "index.html").read_text()
    assert "<style" not in page
    assert " style=" not in page
    assert re.search(r"\son\w+=", page) is None
    assert page.count("<script") == page.count("<script src=") + page.count('<script type="module" crossorigin src=')
    assert "://" not in page
    for style in shipped.rglob("*.css"):
        assert "url(" not in style.read_text()
