"""The peer that everybody has: a call of Chromium's own WebRTC, direct or through coturn.

Ordinary in everything: Opus and NetEQ as Chromium sets them, encryption by DTLS-SRTP, trickled candidates, an ICE
restart when the network changes or the path is lost. Direct means host candidates alone, without a STUN server: in
this lab everybody has an address that the other one reaches. Through a relay: `iceTransportPolicy: "relay"`. Both
open their microphone before they say so to the other side; on the callee's side ICE begins with the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lab.driver import CallResult
from lab.peers.browser_call import place_call
from lab.peers.chromium import Browser
from lab.peers.turn import relay
from lab.processes import Running
from lab.worlds.access import SERVER, World

PORT = 443
PAGES = Path(__file__).parent / "pages"
POLL_S = 0.02


class WebRtc:
    """`lab.driver.Driver`; through a relay over this transport, or direct."""

    def __init__(self, turn: Literal["udp", "tcp", "tls"] | None = None) -> None:
        self.name = "webrtc" if turn is None else f"webrtc turn/{turn}"
        self._turn = turn

    async def call(
        self, world: World, speech_by_caller: Path, speech_by_callee: Path, seconds: float, out: Path
    ) -> CallResult:
        """One call; see `Driver.call`."""
        await asyncio.to_thread(out.mkdir, parents=True, exist_ok=True)
        address = world.addresses[SERVER]
        certificate, key = world.certificates[SERVER]
        line = [sys.executable, "-m", "lab.peers.signalling", "--host", address, "--port", str(PORT)]
        line += ["--certificate", str(certificate), "--key", str(key)]
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(Running(world.inside(SERVER, line), out / "signalling.log"))
            await asyncio.to_thread(server.line)
            configuration: dict[str, object] = {"iceServers": []}
            if self._turn is not None:
                found = stack.enter_context(relay(world, out))
                configuration = {"iceServers": found.servers(self._turn), "iceTransportPolicy": "relay"}
            messenger = _Page(f"https://{address}/call.html", configuration)
            return await place_call(messenger, world, speech_by_caller, speech_by_callee, seconds, out)


class _Page:
    """The page `pages/call.html`, for `browser_call.Messenger`."""

    pages = PAGES

    def __init__(self, url: str, configuration: Mapping[str, object]) -> None:
        self._url = url
        self._configuration = configuration

    async def set_up(self, caller: Browser, callee: Browser) -> None:
        for browser in (caller, callee):
            await browser.page.goto(self._url)

    async def connect(self, caller: Browser, callee: Browser) -> None:
        for browser, side in ((caller, "caller"), (callee, "callee")):
            start = "([side, configuration]) => { window.call = new Call(side, configuration) }"
            await browser.page.evaluate(start, [side, self._configuration])
            await self._until(browser, "call.ready")

    async def place(self, caller: Browser) -> None:
        await caller.page.evaluate("call.place()")

    async def rings(self, callee: Browser) -> None:
        await self._until(callee, "call.ringing")

    async def answer(self, callee: Browser) -> None:
        await callee.page.evaluate("call.answer()")

    async def connected(self, side: Browser) -> bool:
        return "connected" in await side.page.evaluate("call.states")

    async def notes(self, side: Browser) -> Mapping[str, object]:
        stats: list[dict[str, Any]] = await side.page.evaluate("call.stats()")
        states, restarts = await side.page.evaluate("[call.states, call.restarts]")
        return {"states": states, "restarts": restarts, **_summary(stats)}

    async def hang_up(self, side: Browser) -> None:
        await side.page.evaluate("call.hangUp()")

    async def _until(self, browser: Browser, expression: str) -> None:
        await browser.page.wait_for_function(expression, polling=POLL_S * 1000)


def _summary(stats: list[dict[str, Any]]) -> dict[str, object]:
    """What matters of getStats (W3C webrtc-stats)."""
    by_id = {entry["id"]: entry for entry in stats}
    kinds = {entry["type"]: entry for entry in stats if entry.get("kind", "audio") == "audio"}
    transport, received = kinds.get("transport", {}), kinds.get("inbound-rtp", {})
    pair = by_id.get(transport.get("selectedCandidatePairId", ""), {})
    local = by_id.get(pair.get("localCandidateId", ""), {})
    codec = by_id.get(received.get("codecId", ""), {})
    emitted = received.get("jitterBufferEmittedCount", 0)
    return {
        "candidate": local.get("candidateType"),
        "protocol": local.get("relayProtocol") or local.get("protocol"),
        "round_trip_ms": _ms(pair.get("currentRoundTripTime")),
        "codec": f"{codec.get('mimeType')} {codec.get('sdpFmtpLine')}",
        "packets_lost": received.get("packetsLost"),
        "concealed_share": _share(received.get("concealedSamples"), received.get("totalSamplesReceived")),
        "jitter_buffer_ms": _ms(received.get("jitterBufferDelay", 0) / emitted) if emitted else None,
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _share(part: float | None, whole: float | None) -> float | None:
    return round(part / whole, 4) if part is not None and whole else None
