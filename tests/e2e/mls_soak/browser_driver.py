"""Holds ts-mls members where people's browsers hold them: in a worker of a page in Chromium, built as the page is."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from playwright.sync_api import Page, sync_playwright

from tests.web.ui_page import FLAGS, served

from .driver import WEB, Driver, DriverMissing

BUILT = WEB / "build" / "soak"


def build() -> None:
    """Builds the page with the product's own Vite configuration; a second or two."""
    npx = shutil.which("npx")
    if npx is None or not (WEB / "node_modules").exists():
        raise DriverMissing("Node, or what `npm ci` installs in web/, is missing")
    subprocess.run([npx, "vite", "build", "--mode", "soak", "--logLevel", "error"], cwd=WEB, check=True)


class BrowserDriver(Driver):
    """One page under the server's own policy. Use as a context manager."""

    place = "Chromium"
    restarts = True

    def __init__(self) -> None:
        super().__init__()
        self._chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        if self._chromium is None:
            raise DriverMissing("Chromium is not installed (apt install chromium)")
        build()
        self._open = ExitStack()
        self._page: Page | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            origin = stack.enter_context(served(BUILT))
            playwright = stack.enter_context(sync_playwright())
            browser = playwright.chromium.launch(executable_path=self._chromium, args=list(FLAGS))
            stack.callback(browser.close)
            self._page = browser.new_page()
            self._page.goto(f"{origin}/page.html")
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _ask(self, request: str) -> str:
        answer: str = self._in_page().evaluate("request => window.ask(request)", request)
        return answer

    def restart(self) -> None:
        """Stores all members sealed in IndexedDB and loads the page anew: nothing in memory is left."""
        self.call("store")
        self._in_page().reload()

    def _in_page(self) -> Page:
        if self._page is None:
            raise RuntimeError("the driver has no page")
        return self._page
