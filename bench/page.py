"""The page in real Chromium: when a first visitor can type, and a conversation of 10,000 messages.

Beside a page without a framework that loads as many bytes over the same line, and beside all the same rows at once in
a page of plain HTML. The processor is slowed down by Chromium, and only the thread that people feel.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

from bench.narrow_line import narrow_line
from bench.processes import our_server
from bench.report import ROOT, Goal, Result, compare, finish, options
from tests.web.ui_page import BUILT, NARROW, build, chromium, served

SLOWER, BITS_PER_S, RTT_S = 4, 1_600_000, 0.15
FRAMES, STEP_PX = 400, 900
PLAIN_PAGE, PLAIN_LIST = "a bare page of as many bytes", "the same rows, all at once, plain HTML"

_OPEN = """() => new Promise(resolve => {
  const began = performance.now()
  location.hash = '#/chat/' + fake.idOf('@jun')
  const look = () => document.querySelectorAll('[data-message]').length > 8
    ? requestAnimationFrame(() => resolve(performance.now() - began)) : requestAnimationFrame(look)
  look()
})"""
_SCROLL = """async ([frames, step]) => {
  const scroller = document.querySelector('.scroller')
  for (let frame = 0; frame < frames; frame++) {
    scroller.scrollTop -= step
    await new Promise(requestAnimationFrame)
  }
}"""
_PLAIN_CSS = ".scroller { display: flex; flex-direction: column-reverse; height: 100vh; overflow-y: auto }"
_ROWS = """() => [
  [...document.querySelectorAll("[data-row]")].map(row => row.outerHTML),
  [...document.styleSheets].map(sheet => sheet.href)]"""


async def interactive_ms(browser: Browser, port: int, path: str, ready: str) -> tuple[float, int]:
    """From asking for the page until `ready` can be used; and the bytes that came."""
    context = await browser.new_context(viewport=NARROW)
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    async with narrow_line(port, BITS_PER_S, RTT_S) as narrow:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await page.goto(f"http://localhost:{narrow}{path}", wait_until="commit")
        await page.wait_for_selector(ready, timeout=60_000)
        await page.evaluate("new Promise(requestAnimationFrame)")
        took_ms = (loop.time() - began_s) * 1000
        sizes = "performance.getEntries().reduce((sum, entry) => sum + (entry.transferSize ?? 0), 0)"
        loaded = int(await page.evaluate(sizes))
        await context.close()
    return took_ms, loaded


def plain_page(folder: Path, size_bytes: int) -> None:
    """A page whose one script is as long as all that ours loads, and says so when it has run."""
    body = "document.body.append(Object.assign(document.createElement('input'), { id: 'ready' }))"
    (folder / "plain.html").write_text("<!doctype html><title>plain</title><body><script src='plain.js'></script>")
    (folder / "plain.js").write_text(f"/*{os.urandom(size_bytes).hex()[:size_bytes]}*/\n{body}\n")


async def longest_task_ms(page: Page, work: Callable[[], Any]) -> float:
    """Processor time of the longest task of the page's main thread during `work`: what others use does not count."""
    browser = page.context.browser
    assert browser is not None
    await browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    await work()
    events = json.loads(await browser.stop_tracing())["traceEvents"]
    mains = {
        (e["pid"], e["tid"]) for e in events if e["name"] == "thread_name" and "RendererMain" in e["args"]["name"]
    }
    tasks = (e for e in events if e.get("ph") == "X" and e["name"].endswith("RunTask"))
    return float(max(e.get("tdur", 0) for e in tasks if (e["pid"], e["tid"]) in mains) / 1000)


async def long_chat(browser: Browser, origin: str) -> tuple[float, float, str]:
    """Opening and scrolling in ms, and its rows as plain HTML."""
    page = await (await browser.new_context(viewport=NARROW)).new_page()
    await page.goto(f"{origin}/page.html?scene=long")
    await page.wait_for_selector("h1, h2")
    opened_ms = float(await page.evaluate(_OPEN))
    rows, sheets = await page.evaluate(_ROWS)
    longest_ms = await longest_task_ms(page, lambda: page.evaluate(_SCROLL, [FRAMES, STEP_PX]))
    await page.context.close()
    links = "".join(f"<link rel=stylesheet href='{sheet}'>" for sheet in (*sheets, "plain-list.css") if sheet)
    body = "".join(re.sub(r"data-(row|message)=\"\w+\"", "", rows[row % len(rows)]) for row in range(10_000))
    return opened_ms, longest_ms, f"<!doctype html>{links}<div class=scroller><div>{body}</div></div>"


async def plain_list(browser: Browser, origin: str, html: str) -> tuple[float, float]:
    """Opening and scrolling in ms of all rows at once."""
    (BUILT / "plain-list.html").write_text(html)
    (BUILT / "plain-list.css").write_text(_PLAIN_CSS)
    page = await (await browser.new_context(viewport=NARROW)).new_page()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await page.goto(f"{origin}/plain-list.html", timeout=120_000)
    await page.evaluate("new Promise(requestAnimationFrame)")
    opened_ms = (loop.time() - began_s) * 1000
    longest_ms = await longest_task_ms(page, lambda: page.evaluate(_SCROLL, [FRAMES, STEP_PX]))
    await page.context.close()
    return opened_ms, longest_ms


async def measure(runs: int) -> dict[str, list[tuple[float, ...]]]:
    """All runs, ours and the reference in turn."""
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in ("first", "plain", "chat", "list")}
    with our_server() as server, served() as origin, tempfile.TemporaryDirectory() as folder:
        for _ in range(runs):
            async with chromium() as browser:
                field = "input:enabled, #ready"
                took_ms, loaded = await interactive_ms(browser, server.port, "/", field)
                found["first"].append((took_ms, loaded))
                plain_page(Path(folder), loaded)
                with served(Path(folder)) as plain:
                    port = int(plain.rsplit(":", 1)[1])
                    found["plain"].append(await interactive_ms(browser, port, "/plain.html", field))
                opened_ms, longest_ms, html = await long_chat(browser, origin)
                found["chat"].append((opened_ms, longest_ms))
                found["list"].append(await plain_list(browser, origin, html))
    return found


def run(*, quick: bool = False) -> Result:
    """All runs. Raises ProcessFailed, RuntimeError."""
    runs = 1 if quick else 5
    build()
    subprocess.run(
        ["npm", "run", "--silent", "build:page", "--", "--logLevel", "error"], cwd=ROOT / "web", check=True
    )
    found = asyncio.run(measure(runs))

    def column(name: str, index: int) -> list[float]:
        return [values[index] for values in found[name]]

    line = f"first visit, {SLOWER}x slower, {BITS_PER_S / 1e6:g} Mbit/s"
    chat = "a conversation of 10,000"
    limit = Goal(ours_max=4000)
    rows = [
        compare(line, "until one can type", "ms", column("first", 0), column("plain", 0), PLAIN_PAGE, goal=limit),
        compare(chat, "opens", "ms", column("chat", 0), column("list", 0), PLAIN_LIST, goal=Goal(ours_max=300)),
        compare(chat, "longest task", "ms", column("chat", 1), column("list", 1), PLAIN_LIST, goal=Goal(ours_max=50)),
    ]
    scrolled = f"{FRAMES} frames of {STEP_PX} px each; a task is counted in CPU time"
    notes: dict[str, object] = {"loaded_bytes": column("first", 1), "longest task": scrolled}
    return Result("page", runs, quick, rows, notes)


if __name__ == "__main__":
    sys.exit(finish(run, quick=options(__doc__).quick))
