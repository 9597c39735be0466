"""The real server with the engine's bare page, real Chromium, and an SDK client, all in one event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from ringthrough.client.client import Client
from ringthrough.server.app import RunningServer, ServerConfig, start
from tests.web.engine_page import CHROMIUM, CHROMIUM_FLAGS, Tab, build_site
from tests.web.hostile_proxy import HostileProxy


@pytest.fixture(scope="session")
def engine_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built page."""
    folder = tmp_path_factory.mktemp("site")
    build_site(folder)
    return folder


class Site:
    """A server that can be stopped and started again at the same address."""

    def __init__(self, data: Path, pages: Path) -> None:
        self._data = data
        self._pages = pages
        self._port = 0
        self._server: RunningServer | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self._port}"

    async def start(self, origins: tuple[str, ...] = ()) -> None:
        config = ServerConfig(self._data, port=self._port, page_dir=self._pages, public_origins=origins)
        self._server = await start(config)
        self._port = self._server.port

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None


@pytest.fixture
async def site(tmp_path: Path, engine_site: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path / "server", engine_site)
    await site.start()
    yield site
    await site.stop()


@pytest.fixture
async def engine_browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def profile(engine_browser: Browser, site: Site) -> AsyncIterator[Callable[[str], Awaitable[Tab]]]:
    """`await profile("alice")`: a new browser profile with an account of this name."""
    async with AsyncExitStack() as stack:

        async def make(handle: str) -> Tab:
            context = await engine_browser.new_context()
            stack.push_async_callback(context.close)
            tab = await Tab.open(context, site.url)
            await tab.call("createAccount", handle)
            return tab

        yield make


@pytest.fixture
async def sdk(site: Site, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """`await sdk("bob")`: a running SDK client with an account of this name."""
    async with AsyncExitStack() as stack:

        async def make(handle: str, server: str = "") -> Client:
            client = await Client.create_account(tmp_path / handle, server or site.url, handle)
            return await stack.enter_async_context(client)

        yield make


@pytest.fixture
async def proxy(site: Site) -> AsyncIterator[HostileProxy]:
    hostile = HostileProxy()
    await hostile.start(site.url)
    yield hostile
    await hostile.stop()


@pytest.fixture
async def watched(engine_browser: Browser, proxy: HostileProxy, site: Site) -> AsyncIterator[Tab]:
    """A page whose server is the hostile one; the sign-in is let through under the proxy's name."""
    await site.stop()
    await site.start(origins=(proxy.url, site.url))
    context = await engine_browser.new_context()
    tab = await Tab.open(context, proxy.url)
    await tab.call("createAccount", "alice")
    yield tab
    await context.close()
