"""One call between two browsers, whatever messenger runs in them: who does what when, and what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import numpy as np
from playwright.async_api import Error, async_playwright

from lab.driver import CallResult, Heard
from lab.peers.chromium import Browser, Recording, browser
from lab.peers.microphone import HELLO_S, RING_S, NotSaid, find, write_microphone
from lab.worlds.access import World
from ringthrough.audio.pcm import SAMPLE_RATE_HZ
from ringthrough.client.audiofile import WavWriter, read_pcm

CONNECT_S_MAX = 20.0
"""A call in which nothing was heard this long after the answer is no call: ICE itself gives up after 15 s."""
HOSTS = ("alice", "bob")
RING_S_MAX = 60.0
SET_UP_S_MAX = 120.0
LOOK_S_MAX = 20.0
POLL_S = 0.5


class Messenger(Protocol):
    """What differs between messengers. A step that fails raises TimeoutError or playwright's Error."""

    @property
    def pages(self) -> Path | None:
        """See `chromium.browser`."""

    async def set_up(self, caller: Browser, callee: Browser) -> None:
        """Whatever people have before they call: both pages open, accounts, an acquaintance."""

    async def connect(self, caller: Browser, callee: Browser) -> None:
        """Make the connections by which a call can ring, in the world as it is for the call."""

    async def place(self, caller: Browser) -> None:
        """Open the microphone and call."""

    async def rings(self, callee: Browser) -> None:
        """Wait until the call rings at the callee."""

    async def answer(self, callee: Browser) -> None:
        """Take the call."""

    async def connected(self, side: Browser) -> bool:
        """Whether this side has, or once had, a connection for sound."""

    async def notes(self, side: Browser) -> Mapping[str, object]:
        """What the messenger says of the call."""

    async def hang_up(self, side: Browser) -> None:
        """End it."""


async def place_call(
    messenger: Messenger, world: World, speech_by_caller: Path, speech_by_callee: Path, seconds: float, out: Path
) -> CallResult:
    """Play one call as `lab.driver.Driver.call` asks."""
    caller_file, callee_file = out / "alice-microphone.wav", out / "bob-microphone.wav"
    period_s = write_microphone(caller_file, speech_by_caller, RING_S)
    write_microphone(callee_file, speech_by_callee, HELLO_S, 2 * seconds + CONNECT_S_MAX)
    async with AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())
        caller, callee = [
            await stack.enter_async_context(browser(playwright, world, host, file, messenger.pages, out))
            for host, file in zip(HOSTS, (caller_file, callee_file), strict=True)
        ]
        async with asyncio.timeout(SET_UP_S_MAX):
            await messenger.set_up(caller, callee)
        world.restrict()
        try:
            async with asyncio.timeout(RING_S_MAX):
                await messenger.connect(caller, callee)
                await messenger.place(caller)
                await messenger.rings(callee)
        except (TimeoutError, Error) as error:
            return CallResult(failure=f"it never rang: {_short(error)}")
        await _until_hello(await caller.microphone_opened_at(), period_s)
        talk = Talk(messenger, world, {"caller": caller, "callee": callee})
        failure = await talk.hold(seconds)
        speeches = {"caller": speech_by_caller, "callee": speech_by_callee}
        wavs = {"caller": out / "heard-by-alice.wav", "callee": out / "heard-by-bob.wav"}
        return await asyncio.to_thread(talk.result, failure, speeches, wavs)


async def _until_hello(opened_at_s: float, period_s: float) -> None:
    """Wait until HELLO_S before the caller's microphone comes to the first word, in this round of its file or a
    later one."""
    answer_at_s = opened_at_s + RING_S - HELLO_S
    while answer_at_s < time.monotonic():
        answer_at_s += period_s
    await asyncio.sleep(answer_at_s - time.monotonic())


class Talk:
    """From the answer to the end."""

    def __init__(self, messenger: Messenger, world: World, sides: dict[str, Browser]) -> None:
        self._messenger = messenger
        self._world = world
        self._sides = sides
        self._answered_at_s = 0.0
        self._recordings: dict[str, Recording | None] = {}
        self._notes: dict[str, object] = {}

    async def hold(self, seconds: float) -> str | None:
        """Answer, talk, look, hang up. Returns why there was no call."""
        self._world.call_begins()
        cpu_before_s = {name: side.cpu_seconds() for name, side in self._sides.items()}
        self._answered_at_s = time.monotonic()
        failure = None
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                await self._messenger.answer(self._sides["callee"])
        except (TimeoutError, Error) as error:
            failure = f"it could not be answered: {_short(error)}"
        else:
            if not await self._come_to_be(max(seconds, CONNECT_S_MAX)):
                failure = f"no connection for sound within {max(seconds, CONNECT_S_MAX):g} s"
            await asyncio.sleep(max(0.0, self._answered_at_s + seconds - time.monotonic()))
        talked_s = time.monotonic() - self._answered_at_s
        self._notes["cpu_share"] = {
            name: round((side.cpu_seconds() - cpu_before_s[name]) / talked_s, 4) for name, side in self._sides.items()
        }
        self._world.call_ends()
        await self._look()
        return failure

    async def _come_to_be(self, seconds_max: float) -> bool:
        """Whether sound could pass at least once: a call that breaks off later was a call."""
        while not await self._connected():
            if time.monotonic() > self._answered_at_s + seconds_max:
                return False
            await asyncio.sleep(POLL_S)
        return True

    async def _connected(self) -> bool:
        try:
            async with asyncio.timeout(5):
                return all([await self._messenger.connected(side) for side in self._sides.values()])
        except (TimeoutError, Error):
            return False

    async def _look(self) -> None:
        for name, side in self._sides.items():
            try:
                async with asyncio.timeout(LOOK_S_MAX):
                    self._recordings[name] = await side.recording()
                    self._notes[name] = await self._messenger.notes(side)
                    await self._messenger.hang_up(side)
            except (TimeoutError, Error) as error:
                self._notes[f"trouble of the {name}"] = _short(error)

    def result(self, failure: str | None, speeches: dict[str, Path], wavs: dict[str, Path]) -> CallResult:
        """What was measured. Reads and writes files."""
        heard: dict[str, Heard | None] = {}
        for listener, speaker in (("callee", "caller"), ("caller", "callee")):
            try:
                heard[listener] = self._heard(listener, speaker, speeches[speaker], wavs[listener])
            except NotSaid as error:
                failure = failure or f"{speaker}: {error}"
        first_ms = _first_sound_ms(self._recordings.get("callee"), self._answered_at_s)
        return CallResult(heard.get("callee"), heard.get("caller"), first_ms, failure, self._notes)

    def _heard(self, listener: str, speaker: str, speech: Path, wav: Path) -> Heard:
        mouth, ear = self._recordings.get(speaker), self._recordings.get(listener)
        if mouth is None or ear is None:
            raise NotSaid("a browser recorded nothing")
        said = read_pcm(speech)
        # A second before the answer is early enough, and the round of the file before is not in it.
        first = max(0, int(mouth.position(self._answered_at_s - 1.0) * mouth.rate_hz))
        last = first + int((said.size / SAMPLE_RATE_HZ + 4.0) * mouth.rate_hz)
        place_s, share = find(said, mouth.said[first:last], mouth.rate_hz)
        self._notes[f"microphone of the {speaker}"] = round(share, 3)
        with WavWriter(wav, ear.rate_hz) as file:
            file.write(ear.heard)
        return Heard(wav, mouth.at(first / mouth.rate_hz + place_s), ear.axis)


def _first_sound_ms(listener: Recording | None, answered_at_s: float) -> float | None:
    """From the answer to the first sample that is not silence."""
    if listener is None:
        return None
    first = max(0, int(listener.position(answered_at_s) * listener.rate_hz))
    sounding = np.flatnonzero(listener.heard[first:])
    if sounding.size == 0:
        return None
    return (listener.at((first + int(sounding[0])) / listener.rate_hz) - answered_at_s) * 1000


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
