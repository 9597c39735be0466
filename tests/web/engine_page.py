"""A bare page with the engine's worker, served by the real server, and what the tests do in it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page

WEB = Path(__file__).resolve().parents[2] / "web"
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_S = 15.0

_INDEX = '<!doctype html><meta charset="utf-8"><title>engine</title><script type="module" src="page.js"></script>'
_PAGE = """
import * as peer from "./peer/direct-peer.js"
window.peer = peer
const worker = new Worker("assets/main.js", { type: "module" })
const waiting = new Map()
let lastId = 0
window.news = []
window.errors = []
worker.onerror = (event) => window.errors.push(String(event.message))
worker.onmessage = ({ data }) => {
  if (data.kind === "news") return void window.news.push(data.event)
  const { resolve, reject } = waiting.get(data.id)
  waiting.delete(data.id)
  data.kind === "answer" ? resolve(data.value) : reject(data.fault)
}
window.call = (method, args, transfer = []) => new Promise((resolve, reject) => {
  waiting.set(++lastId, { resolve, reject })
  worker.postMessage({ kind: "call", id: lastId, method, args }, transfer)
})
window.ask = async ([method, args]) => {
  try { return { value: await window.call(method, args) } } catch (fault) { return { fault } }
}
window.sendFile = async ([conversation, name, type, size, caption]) => {
  const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7) % 251)
  return window.call("sendFile", [conversation, new File([bytes], name, { type }), caption])
}
// RFC 6716 section 3.1, of SILK alone: frames in the packet, and the length of each.
window.slots = (packet) => [1, 2, 2, packet[1] & 63][packet[0] & 3] * [0.5, 1, 2, 3][(packet[0] >> 3) & 3]
window.attach = async ([id, packet]) => {
  const [capture, playout] = [new MessageChannel(), new MessageChannel()]
  window.arrived = []
  window.lengths = {}
  window.muted = []
  playout.port1.onmessage = ({ data }) => {
    if (data.kind !== "arrived") return
    window.lengths[data.slot] = window.slots(data.packet)
    window.arrived.push(data.slot)
  }
  capture.port1.onmessage = ({ data }) => data.kind === "mute" && window.muted.push(data.muted)
  await window.call("attachAudio", [id, capture.port2, playout.port2], [capture.port2, playout.port2])
  let slot = -3
  const captured = () => ({ kind: "captured", slot: (slot += 3), packet: Uint8Array.from(packet) })
  setInterval(() => capture.port1.postMessage(captured()), 60)
}
window.direct = async (id, hides) => {
  const port = hides ? "hidden" : window.peer.openDirectPeer()
  await window.call("attachDirect", [id, port], hides ? [] : [port])
}
window.open50 = async (conversation) => {
  const began = performance.now()
  const page = await window.call("messages", [conversation, null, 50])
  return [performance.now() - began, page]
}
window.fetchFile = async (message) => {
  const blob = await window.call("fetchFile", [message])
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()))
  const sha256 = Array.from(digest, (b) => b.toString(16).padStart(2, "0")).join("")
  return { type: blob.type, size: blob.size, sha256 }
}
"""


def build_site(folder: Path) -> None:
    """The page and the worker, bundled as the product bundles it."""
    command = [
        "npx",
        "--no-install",
        "rolldown",
        "src/worker/main.ts",
        "-d",
        str(folder / "assets"),
        "--format",
        "esm",
    ]
    subprocess.run([*command, "--platform", "browser"], cwd=WEB, check=True, capture_output=True)
    peer = ["npx", "--no-install", "rolldown", "src/ui/call/direct-peer.ts", "-d", str(folder / "peer")]
    subprocess.run([*peer, "--format", "esm", "--platform", "browser"], cwd=WEB, check=True, capture_output=True)
    (folder / "index.html").write_text(_INDEX)
    (folder / "page.js").write_text(_PAGE)


class EngineFault(Exception):
    """What the engine refused."""

    def __init__(self, fault: dict[str, str]) -> None:
        super().__init__(f"{fault['code']}: {fault['what']}")
        self.code = fault["code"]
        self.fault = fault


class Tab:
    """One page with an engine."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    @classmethod
    async def open(cls, context: BrowserContext, url: str) -> Tab:
        page = await context.new_page()
        page.set_default_timeout(30_000)
        tab = cls(page, url)
        await page.goto(url)
        return tab

    async def call(self, method: str, *args: Any) -> Any:
        """One call of the engine. Raises EngineFault."""
        answer = await self.page.evaluate("window.ask", [method, list(args)])
        if "fault" in answer:
            raise EngineFault(answer["fault"])
        return answer.get("value")

    async def reload(self) -> None:
        """As a person reloads it: whatever the worker was doing ends at once."""
        await self.page.reload()

    async def news(self, kind: str) -> list[dict[str, Any]]:
        """Events of this kind since the page was loaded."""
        found: list[dict[str, Any]] = await self.page.evaluate("k => window.news.filter((e) => e.kind === k)", kind)
        return found

    async def until(self, what: str, check: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        """Ask again and again until `check` (a coroutine function) gives something true."""
        end = time.monotonic() + patience_s
        while True:
            value = await check()
            if value:
                return value
            if time.monotonic() > end:
                faults = await self.news("fault")
                errors = await self.page.evaluate("window.errors")
                raise AssertionError(f"waited {patience_s} s for {what}; faults {faults}, errors {errors}")
            await asyncio.sleep(0.05)

    async def online(self) -> None:
        """Wait for the connection."""

        async def check() -> bool:
            return bool((await self.call("connectionState"))["kind"] == "online")

        await self.until("the connection", check)

    async def messages(self, conversation: str) -> list[dict[str, Any]]:
        """The newest messages, oldest first."""
        page = await self.call("messages", conversation, None, 100)
        found: list[dict[str, Any]] = page["messages"]
        return found

    async def texts(self, conversation: str) -> list[str]:
        """The words of the messages."""
        return [m["body"].get("text", m["body"]["kind"]) for m in await self.messages(conversation)]

    async def message(self, conversation: str, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a message."""

        async def check() -> dict[str, Any] | None:
            return next((m for m in await self.messages(conversation) if matches(m)), None)

        found: dict[str, Any] = await self.until("a message", check)
        return found

    async def text(self, conversation: str, text: str) -> dict[str, Any]:
        """Wait for a message of these words."""
        return await self.message(conversation, lambda m: m["body"].get("text") == text)

    async def delivery(self, conversation: str, message: str, delivery: str) -> None:
        """Wait for a mark at a message of ours."""
        await self.message(conversation, lambda m: m["id"] == message and m["delivery"] == delivery)

    async def conversation(self, title: str, status: str = "active") -> dict[str, Any]:
        """Wait for a conversation of this title and status."""

        async def check() -> dict[str, Any] | None:
            rows = await self.call("conversations")
            return next((c for c in rows if c["title"] == title and c["status"] == status), None)

        found: dict[str, Any] = await self.until(f"a conversation {title}", check)
        return found
