"""Our call between two shipped pages beside an ordinary WebRTC audio call between the same two pages, in turn.

"Answer" is the moment at which the one called accepts: the click on the button here, the same instant of the script
there. Both ends open their microphone as people do, the caller before it rings, the other on answering. The first
sound and the delay from mouth to ear are taken in the page: behind the browser's microphone, and behind our playout
or the browser's jitter buffer. The browser's sound processing, the same for both, is left out, as it would take the
markers for noise. Times of the two pages are compared by the machine's clock. Nobody answers at the moment of the
first ring: in both calls it rings for as long as a hand takes to the button.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from aiohttp import WSMsgType, web
from playwright.async_api import Error as PageError

from bench.call_markers import delays_ms, find_chirps, marked_sound
from bench.processes import ProcessFailed, cpu_s_of, data_folder, descendants
from bench.report import Goal, Result, Row, compare, finish, options
from bench.stats import RATIO_OF_SIZES, RATIO_OF_TIMES, median
from lab.browser import site
from lab.browser.person import Person, chromium, speaking
from lab.browser.recording import Recording
from lab.speech import write_wav
from ringthrough.audio.pcm import SAMPLE_RATE_HZ

REFERENCE = "a WebRTC call in the same pages"
CALL_JS = (Path(__file__).parent / "webrtc_call.js").read_text()
MICROPHONE_S = 60.0
RINGS_S = 1.0
SETTLE_S = 2.0
"""Playout takes so long to come down to the shorter way."""
START_S_MAX, CALL_S_MAX = 60.0, 30.0
HUM_HZ, HUM_LEVEL = 220.0, 130.0
"""Always said, so that the first sound is seen at once; as quiet as a room, so that playout may shorten it."""
AUDIBLE = 40
FIRST_SOUND_GOAL = Goal(ratio_min=2.0)
DIRECT_GOAL = Goal(ratio_min=round(1 / 1.1, 4))
MOUTH_TO_EAR_GOAL = Goal(ratio_min=round(1 / 2.6, 4))
CPU_GOAL = Goal(ratio_min=round(1 / 1.5, 4))


@dataclass(frozen=True)
class Heard:
    """One call, in ms."""

    answer_to_audio_ms: float
    answer_to_audio_caller_ms: float
    mouth_to_ear_ms: list[float]
    cores: float
    """What both pages and the browser around them take while the call goes on."""
    direct_mouth_to_ear_ms: list[float] = field(default_factory=list)
    """Once the page says that the call goes directly; empty where it did not."""
    direct_cores: float = 0.0

    @property
    def was_direct(self) -> bool:
        """Whether it went directly in the end."""
        return bool(self.direct_mouth_to_ear_ms)


@contextlib.asynccontextmanager
async def signalling() -> AsyncIterator[str]:
    """A WebSocket that hands each message to the other one; its address."""
    ends: list[web.WebSocketResponse] = []

    async def connect(request: web.Request) -> web.WebSocketResponse:
        own = web.WebSocketResponse()
        await own.prepare(request)
        ends.append(own)
        async for message in own:
            if message.type is WSMsgType.TEXT:
                for other in ends:
                    if other is not own:
                        await other.send_str(message.data)
        return own

    app = web.Application()
    app.router.add_get("/", connect)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def microphone(path: Path) -> Path:
    """Markers over a hum."""
    sound, _ = marked_sound(MICROPHONE_S)
    hum = HUM_LEVEL * np.sin(2 * np.pi * HUM_HZ * np.arange(sound.size) / SAMPLE_RATE_HZ)
    return write_wav(path, (sound + hum).astype(np.int16))


def _chirps_s(recording: Recording) -> list[float]:
    return [recording.start_wall_ms / 1000 + at / SAMPLE_RATE_HZ for at in find_chirps(recording.speech())]


def first_ms(heard: Recording) -> float:
    """When something was first heard, as a time of day. Raises ProcessFailed for silence."""
    loud = np.flatnonzero(np.abs(heard.pcm.astype(np.int32)) > AUDIBLE)
    if loud.size == 0:
        raise ProcessFailed("a call without sound")
    return heard.start_wall_ms + float(loud[0]) * 1000 / heard.rate_hz


async def browser_cores(seconds: float) -> float:
    """What the browser takes for so long, all its processes together."""
    pids = descendants(os.getpid(), "chrom")
    if not pids:
        raise ProcessFailed("no process of the browser was found")
    before_s, began_s = {pid: cpu_s_of(pid) for pid in pids}, time.monotonic()
    await asyncio.sleep(seconds)
    # One that ended meanwhile, such as a spare for another page, is left out.
    after_s = {pid: cpu_s_of(pid) for pid in descendants(os.getpid(), "chrom") if pid in before_s}
    return sum(after_s[pid] - before_s[pid] for pid in after_s) / (time.monotonic() - began_s)


async def taken(caller: Person, callee: Person, seconds: float) -> Heard:
    """What the taps tell once the call has lasted."""
    await asyncio.sleep(SETTLE_S)
    cores = await browser_cores(seconds - SETTLE_S)
    answered_ms = (await callee.state())["answeredMs"]
    said = [await person.said() for person in (caller, callee)]
    heard = [await person.heard() for person in (caller, callee)]
    delays = delays_ms(_chirps_s(said[0]), _chirps_s(heard[1])) + delays_ms(_chirps_s(said[1]), _chirps_s(heard[0]))
    if not delays:
        raise ProcessFailed("no marker was found in what was heard")
    return Heard(first_ms(heard[1]) - answered_ms, first_ms(heard[0]) - answered_ms, delays, cores)


async def directly(caller: Person, callee: Person, seconds: float) -> tuple[list[float], float] | None:
    """The delays, in ms, and the cores taken, once both pages say that their call goes directly; None where they do
    not: a busy machine can look like a line without room for a second way."""
    try:
        for person in (caller, callee):
            await person.told("Directly between the two devices.")
    except AssertionError:
        return None
    since_s = time.time() + SETTLE_S
    await asyncio.sleep(SETTLE_S)
    cores = await browser_cores(seconds)
    found: list[float] = []
    for mouth, ear in ((caller, callee), (callee, caller)):
        heard_s = [at_s for at_s in _chirps_s(await ear.heard()) if at_s >= since_s]
        found += delays_ms(_chirps_s(await mouth.said()), heard_s)
    return found, cores


async def ours(caller: Person, callee: Person, seconds: float) -> tuple[Heard, list[int]]:
    """A call as a person makes it, and the slots of 20 ms concealed at both ends."""
    await caller.call()
    await callee.rings()
    await asyncio.sleep(RINGS_S)
    await callee.answer()
    await asyncio.gather(caller.talks(), callee.talks())
    heard = await taken(caller, callee, seconds)
    direct = await directly(caller, callee, seconds)
    if direct is not None:
        heard = replace(heard, direct_mouth_to_ear_ms=direct[0], direct_cores=direct[1])
    concealed = [int((await person.state())["report"]["concealedSlots"]) for person in (caller, callee)]
    await caller.hang_up()
    await callee.told("The other side hung up.")
    for person in (caller, callee):
        await person.page.get_by_role("button", name="Write a message").click()
    return heard, concealed


async def ordinary(caller: Person, callee: Person, seconds: float) -> Heard:
    """The same as a WebRTC call."""
    await caller.page.evaluate("rtc.call()")
    async with asyncio.timeout(20):
        while not await callee.page.evaluate("tap.state.rings"):
            await asyncio.sleep(0.05)
    await asyncio.sleep(RINGS_S)
    await callee.page.evaluate("rtc.accept()")
    heard = await taken(caller, callee, seconds)
    for person in (caller, callee):
        await person.page.evaluate("rtc.hangUp()")
    return heard


async def _measure(folder: Path, runs: int, seconds: float) -> Result:
    pages = await asyncio.to_thread(site.build, folder / "page")
    server, url = site.serving(folder / "server", pages)
    calls: list[Heard] = []
    references: list[Heard] = []
    concealed: list[int] = []
    with server:
        async with signalling() as line, chromium(speaking(microphone(folder / "microphone.wav"))) as browser:
            # The page's policy forbids connections to other hosts, such as that of the signalling.
            alice, bob = [
                await Person.arrive(browser, url, handle, raw=True, scripts=[CALL_JS], bypass_csp=True)
                for handle in ("alice", "bob")
            ]
            await alice.write("@bob", "I will call")
            await bob.accept("@alice")
            for person in (alice, bob):
                await person.page.evaluate("url => rtc.ready(url)", line)
            idle_cores = await browser_cores(seconds)
            for _ in range(runs):
                heard, lost = await ours(alice, bob, seconds)
                calls.append(heard)
                concealed += lost
                for person in (alice, bob):
                    await person.page.evaluate("tap.forget()")
                references.append(await ordinary(alice, bob, seconds))
                for person in (alice, bob):
                    await person.page.evaluate("tap.forget()")
    notes: dict[str, object] = {
        "markers": sum(len(heard.mouth_to_ear_ms) for heard in calls),
        "reference_markers": sum(len(heard.mouth_to_ear_ms) for heard in references),
        "concealed_slots": concealed,
        "not_direct": sum(not heard.was_direct for heard in calls),
        "frame_ms": "60, and 20 where direct",
        "idle_cores": round(idle_cores, 3),
    }
    return Result("webrtc", runs, runs == 1, _rows(calls, references), notes)


def _rows(calls: list[Heard], references: list[Heard]) -> list[Row]:
    direct = [heard for heard in calls if heard.was_direct]

    def row(
        metric: str,
        value: Callable[[Heard], float],
        goal: Goal | None = None,
        *,
        unit: str = "ms",
        ours: Sequence[Heard] = calls,
        theirs: Callable[[Heard], float] | None = None,
    ) -> Row:
        mine, others = [*map(value, ours)], [*map(theirs or value, references)]
        means = RATIO_OF_TIMES if unit == "ms" else RATIO_OF_SIZES
        return compare("call between two pages", metric, unit, mine, others, REFERENCE, ratio_means=means, goal=goal)

    rows = [
        row("answer to first audio, at the one who answers", lambda h: h.answer_to_audio_ms, FIRST_SOUND_GOAL),
        row("answer to first audio, at the caller", lambda h: h.answer_to_audio_caller_ms, FIRST_SOUND_GOAL),
        row("mouth to ear", lambda h: median(h.mouth_to_ear_ms), MOUTH_TO_EAR_GOAL),
        row("mouth to ear, worst marker of a call", lambda h: max(h.mouth_to_ear_ms)),
        row("CPU of the browser with both pages", lambda h: h.cores, CPU_GOAL, unit="cores"),
    ]
    if direct:
        rows += [
            row(
                "mouth to ear, direct",
                lambda h: median(h.direct_mouth_to_ear_ms),
                DIRECT_GOAL,
                ours=direct,
                theirs=lambda h: median(h.mouth_to_ear_ms),
            ),
            row(
                "CPU of the browser with both pages, direct",
                lambda h: h.direct_cores,
                CPU_GOAL,
                unit="cores",
                ours=direct,
                theirs=lambda h: h.cores,
            ),
        ]
    return rows


def run(*, quick: bool = False) -> Result:
    """All calls. Raises ProcessFailed."""
    runs, seconds = (1, 4.0) if quick else (7, 6.0)
    life_s = START_S_MAX + 2 * runs * (2 * seconds + CALL_S_MAX)
    with data_folder() as folder:
        try:
            return asyncio.run(asyncio.wait_for(_measure(folder, runs, seconds), life_s))
        except (PageError, TimeoutError) as error:
            raise ProcessFailed(
                f"the pages did not get through their calls: {error or f'{life_s:g} s are over'}"
            ) from error


if __name__ == "__main__":
    sys.exit(finish(run, quick=options(__doc__).quick))
