"""One person with the SDK, a process of its own, for `bench.call`.

`python -m bench.call_person HOME SERVER HANDLE SECONDS [@CALLEE]`: makes an account, prints `ready`. Without a callee
it answers each call at once; with one, it places a call for each line read. After each call it prints one JSON line.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from bench.call_markers import MarkedMicrophone, TimedEar
from ringthrough.client.calls import Call
from ringthrough.client.client import Client, online

RING_S_MAX = 20.0
END_S_MAX = 10.0


class Report(msgspec.Struct, frozen=True):
    """Times on CLOCK_MONOTONIC, which all processes of a machine share. `answered_s` only where one answered."""

    reason: str
    answered_s: float | None
    first_audio_s: float | None
    said_s: list[float]
    heard_s: list[float]
    concealed: int
    late: int
    playout_delay_ms: float


def report(call: Call, reason: str, answered_s: float | None, mouth: MarkedMicrophone, ear: TimedEar) -> Report:
    """What one side saw of a call that ended."""
    stats = call.stats
    return Report(
        reason,
        answered_s,
        ear.first_s,
        mouth.said_s,
        ear.heard_s,
        stats.concealed,
        stats.late,
        stats.playout_delay_ms,
    )


async def answer_all(client: Client, seconds: float) -> None:
    """Take every call at once until standard input ends."""
    ringing: asyncio.Queue[tuple[Call, float, MarkedMicrophone, TimedEar]] = asyncio.Queue()

    def ring(call: Call) -> None:
        mouth, ear = MarkedMicrophone(seconds), TimedEar()
        answered_s = time.monotonic()
        call.answer(mouth, ear)
        ringing.put_nowait((call, answered_s, mouth, ear))

    client.calls.ring = ring
    say("ready")
    while True:
        call, answered_s, mouth, ear = await ringing.get()
        reason = await call.ended
        await client.calls.settled()
        say(msgspec.json.encode(report(call, reason.value, answered_s, mouth, ear)).decode())


async def call_for_each_line(client: Client, callee: str, seconds: float) -> None:
    """Place calls until standard input ends."""
    conversation = await client.conversation_with(callee)
    await client.delivered()
    say("ready")
    while await asyncio.to_thread(sys.stdin.readline):
        mouth, ear = MarkedMicrophone(seconds), TimedEar()
        call = client.calls.place(conversation, mouth, ear)
        async with asyncio.timeout(RING_S_MAX):
            await call.answered.wait()
        await asyncio.sleep(seconds)
        call.hang_up()
        async with asyncio.timeout(END_S_MAX):
            reason = await call.ended
            await client.calls.settled()
        say(msgspec.json.encode(report(call, reason.value, None, mouth, ear)).decode())


def say(line: str) -> None:
    """To the benchmark."""
    print(line, flush=True)


async def _main(home: Path, server: str, handle: str, seconds: float, callee: str | None) -> None:
    client = await Client.create_account(home, server, handle)
    async with client:
        await online(client)
        if callee is None:
            await answer_all(client, seconds)
        else:
            await call_for_each_line(client, callee, seconds)


def main(argv: list[str]) -> int:
    """Entry point of the process."""
    home, server, handle, seconds, *callee = argv
    asyncio.run(_main(Path(home), server, handle, float(seconds), callee[0] if callee else None))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
