"""A call of two SDK clients over our server on loopback: from the answer to the first audio, and from mouth to ear.

Beside the floor: microphone, Opus, jitter buffer, Opus and loudspeaker in one process, nothing between. Both hold the
60 ms that a frame takes to be spoken; neither holds what a sound card adds. Mouth to ear is taken from chirps found
again in what was heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.call_markers import MarkedMicrophone, TimedEar, delays_ms
from bench.call_person import Report
from bench.processes import ProcessFailed, data_folder, our_server, stop
from bench.report import ROOT, Result, Row, compare, finish, options
from bench.stats import median
from ringthrough.audio.coding import PacketMaker
from ringthrough.audio.pcm import SLOT_MS
from ringthrough.audio.playout import Playout
from ringthrough.audio.toc import packet_slots

FLOOR = "the same audio path in one process"
LIFE_S_MAX = 300.0


@dataclass(frozen=True)
class Heard:
    """One call or one run of the floor, in ms."""

    answer_to_audio_ms: float
    answer_to_audio_caller_ms: float
    mouth_to_ear_ms: list[float]


class Person:
    """A `bench.call_person` process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def line(self) -> str:
        """What it says next. Raises ProcessFailed when it ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ProcessFailed(f"a client ended ({self._process.wait()}); what it said stands above")
        return line

    def place(self) -> None:
        """Let it call."""
        assert self._process.stdin is not None
        self._process.stdin.write("call\n")
        self._process.stdin.flush()

    def report(self) -> Report:
        """What it saw of the call."""
        return msgspec.json.decode(self.line(), type=Report)


@contextlib.contextmanager
def person(home: Path, *arguments: str) -> Iterator[Person]:
    """A client that is ready; ended at the latest after five minutes."""
    command = [sys.executable, "-m", "bench.call_person", str(home), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    overdue = threading.Timer(LIFE_S_MAX, process.kill)
    overdue.start()
    try:
        someone = Person(process)
        someone.line()
        yield someone
    finally:
        overdue.cancel()
        stop(process)


def call(alice: Person, bob: Person) -> tuple[Heard, list[Report]]:
    """One call from beginning to end. Raises ProcessFailed when no sound came through."""
    alice.place()
    caller, callee = alice.report(), bob.report()
    if callee.answered_s is None or callee.first_audio_s is None or caller.first_audio_s is None:
        raise ProcessFailed(f"a call without sound: {caller} {callee}")
    delays = delays_ms(caller.said_s, callee.heard_s) + delays_ms(callee.said_s, caller.heard_s)
    if not delays:
        raise ProcessFailed("no marker was found in what was heard")
    heard = Heard(
        (callee.first_audio_s - callee.answered_s) * 1000,
        (caller.first_audio_s - callee.answered_s) * 1000,
        delays,
    )
    return heard, [caller, callee]


async def floor(seconds: float) -> Heard:
    """The audio path alone, at the pace of real time. Raises ProcessFailed when no marker came through."""
    mouth, ear = MarkedMicrophone(seconds), TimedEar()
    maker, playout = PacketMaker(), Playout()
    arrived = asyncio.Event()

    def now_ms() -> float:
        return time.monotonic() * 1000

    async def talk() -> None:
        slot = 0
        while (sound := await mouth.read()) is not None:
            for packet in maker.push(sound):
                playout.push(slot, packet, now_ms())
                arrived.set()
                slot += packet_slots(packet)

    async def listen() -> None:
        await arrived.wait()
        while (wait_ms := playout.wait_ms(now_ms())) is None or wait_ms > 0:
            await asyncio.sleep((wait_ms or 5) / 1000)
        next_ms = now_ms()
        while True:
            await asyncio.sleep(max(0.0, next_ms - now_ms()) / 1000)
            next_ms += SLOT_MS
            ear.write(playout.pull(now_ms()))

    started_s = time.monotonic()
    listening = asyncio.create_task(listen())
    await talk()
    await asyncio.sleep(0.5)
    listening.cancel()
    delays = delays_ms(mouth.said_s, ear.heard_s)
    if ear.first_s is None or not delays:
        raise ProcessFailed("no marker was found in the floor's sound")
    first_ms = (ear.first_s - started_s) * 1000
    return Heard(first_ms, first_ms, delays)


def run(*, quick: bool = False) -> Result:
    """All calls. Raises ProcessFailed."""
    runs, seconds = (1, 2.5) if quick else (7, 6.0)
    calls: list[Heard] = []
    floors: list[Heard] = []
    reports: list[Report] = []
    with our_server() as server, data_folder() as folder:
        url = f"http://{server.host}:{server.port}"
        with (
            person(folder / "bob", url, "bob", str(seconds)) as bob,
            person(folder / "alice", url, "alice", str(seconds), "@bob") as alice,
        ):
            for _ in range(runs):
                heard, seen = call(alice, bob)
                calls.append(heard)
                reports += seen
                floors.append(asyncio.run(floor(seconds)))
    notes: dict[str, object] = {
        "markers": sum(len(heard.mouth_to_ear_ms) for heard in calls),
        "concealed_slots": [r.concealed for r in reports],
        "late_slots": [r.late for r in reports],
        "playout_delay_ms": [round(r.playout_delay_ms, 1) for r in reports],
    }
    return Result("call", runs, quick, _rows(calls, floors), notes)


def _rows(calls: list[Heard], floors: list[Heard]) -> list[Row]:
    def row(metric: str, value: Callable[[Heard], float]) -> Row:
        return compare("call over loopback", metric, "ms", [*map(value, calls)], [*map(value, floors)], FLOOR)

    return [
        row("answer to first audio, at the one who answers", lambda h: h.answer_to_audio_ms),
        row("answer to first audio, at the caller", lambda h: h.answer_to_audio_caller_ms),
        row("mouth to ear", lambda h: median(h.mouth_to_ear_ms)),
        row("mouth to ear, worst marker of a call", lambda h: max(h.mouth_to_ear_ms)),
    ]


if __name__ == "__main__":
    sys.exit(finish(run, quick=options(__doc__).quick))
