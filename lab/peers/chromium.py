"""Chromium on a host of a world, with a speech file as its microphone and its sound recorded.

What is recorded, and on which clock: `tap.js`. The browser's processing of the microphone (echo cancellation, noise
suppression, gain) is off, everything else is as a person's browser has it.
"""

from __future__ import annotations

import base64
import mimetypes
import shlex
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from playwright.async_api import Page, Playwright, Route

from lab.peers.clocks import axis_of, wall_offset_s
from lab.peers.cpu import cpu_seconds
from lab.worlds.access import World
from ringthrough.audio.pcm import Pcm

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
TAP = Path(__file__).with_name("tap.js")
PATIENCE_MS = 60_000
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",
    # Sound without a click, a microphone that is a file, and leave to use it.
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@dataclass(frozen=True, slots=True)
class Recording:
    """What one browser's microphone said and what it played, from the same instant on."""

    rate_hz: int
    said: Pcm
    heard: Pcm
    axis: tuple[tuple[float, float], ...]
    """(position in s, CLOCK_MONOTONIC in s): between the pairs both run at their nominal rate."""

    def at(self, position_s: float) -> float:
        """When a position of the recording was, CLOCK_MONOTONIC in s."""
        position, at = max((pair for pair in self.axis if pair[0] <= position_s), default=self.axis[0])
        return at + position_s - position

    def position(self, at_s: float) -> float:
        """Where in the recording an instant is, in s; before 0 for one before it began."""
        position, at = max((pair for pair in self.axis if pair[1] <= at_s), default=self.axis[0])
        return position + at_s - at


class Browser:
    """One person's browser with one page."""

    def __init__(self, page: Page, pid_file: Path) -> None:
        self.page = page
        self._pid = int(pid_file.read_text())

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far."""
        return cpu_seconds(self._pid)

    async def microphone_opened_at(self) -> float:
        """When the microphone's file began, CLOCK_MONOTONIC in s, to some hundredths."""
        before_ms, after_ms = await self.page.evaluate("lab.microphoneMs")
        return float(before_ms + after_ms) / 2000 + wall_offset_s()

    async def recording(self) -> Recording | None:
        """All since the sound of the call began; None if it never did."""
        taken: list[dict[str, Any]] = await self.page.evaluate("lab.take()")
        if not taken:
            return None
        longest = max(taken, key=lambda one: len(one["marks"]))
        said, heard = (np.frombuffer(base64.b64decode(longest[key]), dtype=np.int16) for key in ("said", "heard"))
        marks = [(int(frames), float(wall_ms)) for frames, wall_ms in longest["marks"]]
        rate_hz = int(longest["rateHz"])
        return Recording(rate_hz, said, heard, axis_of(marks, rate_hz, wall_offset_s()))


@asynccontextmanager
async def browser(
    playwright: Playwright, world: World, host: str, microphone: Path, pages: Path | None, out: Path
) -> AsyncIterator[Browser]:
    """A browser on `host` for pages of the world's server.

    Files in the folder `pages` come from there instead: for a page without a service worker, as for somebody who has
    opened it before.
    """
    pid_file, wrapper = out / f"{host}.pid", out / f"{host}-chromium"
    command = shlex.join(world.inside(host, [CHROMIUM]))
    wrapper.write_text(f'#!/bin/sh\necho $$ > {shlex.quote(str(pid_file))}\nexec {command} "$@"\n')
    wrapper.chmod(0o755)
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={microphone}"]
    launched = await playwright.chromium.launch(executable_path=wrapper, args=flags)
    try:
        context = await launched.new_context(ignore_https_errors=True, bypass_csp=True)
        # With the microphone goes leave to know the addresses of this host, which ICE needs. A page that comes from
        # the disk counts as public, and the lab's addresses as a local network.
        await context.grant_permissions(["microphone", "local-network-access"])
        await context.add_init_script(path=TAP)
        if pages is not None:
            await context.route(lambda url: _file(pages, url) is not None, lambda route: _from_disk(route, pages))
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield Browser(page, pid_file)
    finally:
        await launched.close()


def _file(pages: Path, url: str) -> Path | None:
    path = pages / (urlsplit(url).path.lstrip("/") or "index.html")
    return path if path.is_file() else None


async def _from_disk(route: Route, pages: Path) -> None:
    path = _file(pages, route.request.url)
    assert path is not None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    await route.fulfill(body=path.read_bytes(), content_type=kind)
