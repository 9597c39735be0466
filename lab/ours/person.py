"""One person with the SDK, a process of its own.

`python -m lab.ours.person HOME create SERVER CA HANDLE` makes an account, `... HOME befriend CA @CALLEE` a
conversation. `... HOME answer CA SPEECH OUT` answers the next call; `... HOME call CA SPEECH OUT @CALLEE` calls; with
`direct` behind it, the call may go directly between the two. These two print JSON lines: `ready`, `answered`,
`in_call`, `ended`; a line on standard input lets the caller call, the next one hangs up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.ours.sound import Ear, Mouth
from lab.peers.microphone import HELLO_S, RING_S
from ringthrough.client.audiofile import read_pcm
from ringthrough.client.calls import Call
from ringthrough.client.client import Client, online

DIRECT = "direct"
ONLINE_S_MAX = 60.0
SETTLE_S_MAX = 10.0


def say(event: str, **fields: object) -> None:
    """To the driver."""
    print(json.dumps({"event": event, **fields}), flush=True)


def trust(ca: Path) -> ssl.SSLContext:
    """The lab's own authority."""
    return ssl.create_default_context(cafile=str(ca))


def cpu_s() -> float:
    """CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def create(home: Path, server: str, ca: Path, handle: str) -> None:
    """An account."""
    async with await Client.create_account(home, server, handle, tls=trust(ca)) as client:
        await online(client)


async def befriend(home: Path, ca: Path, callee: str) -> None:
    """Have a conversation with the callee before any call."""
    async with Client.open(home, tls=trust(ca)) as client:
        await online(client)
        await client.conversation_with(callee)
        await client.delivered()


async def talk(client: Client, call: Call, mouth: Mouth, ear: Ear, answered_s: float | None) -> None:
    """From the answer to the end, and tell what was seen."""
    verdicts: list[tuple[float, str | None]] = []
    call.on_verdicts = lambda told: verdicts.append((time.monotonic(), told[0] if told else None))
    modes: list[tuple[float, str]] = []
    call.on_mode = lambda mode: modes.append((time.monotonic(), mode.name.lower()))
    wait: list[asyncio.Future[Any]] = [
        asyncio.create_task(call.answered.wait()),
        asyncio.ensure_future(asyncio.shield(call.ended)),
    ]
    await asyncio.wait(wait, return_when=asyncio.FIRST_COMPLETED)
    began_s, cpu_before_s = time.monotonic(), cpu_s()
    if call.answered.is_set():
        say("in_call", at_s=began_s)
    reason = await call.ended
    ended_s = time.monotonic()
    used = (cpu_s() - cpu_before_s) / max(time.monotonic() - began_s, 1e-3)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S_MAX):
            await client.calls.settled()
    ear.close()
    say(
        "ended",
        reason=reason.value,
        answered_at_s=answered_s,
        spoken_at_s=mouth.spoken_at_s,
        axis=ear.axis,
        cpu_share=round(used, 4),
        stats=asdict(call.stats),
        verdicts=verdicts,
        modes=modes,
        ended_at_s=ended_s,
    )


async def lines() -> AsyncIterator[str]:
    """Standard input."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line


async def answer(home: Path, ca: Path, speech: Path, out: Path, *, direct: bool) -> None:
    """Take the next call once it has rung."""
    mouth, ear = Mouth(read_pcm(speech), HELLO_S), Ear(out)
    async with Client.open(home, tls=trust(ca)) as client:
        ringing: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        client.calls.ring = lambda call: None if ringing.done() else ringing.set_result(call)
        await online(client, ONLINE_S_MAX)
        say("ready")
        call = await ringing
        await asyncio.sleep(RING_S - HELLO_S)
        answered_s = time.monotonic()
        call.shows_address = direct
        call.answer(mouth, ear)
        say("answered", at_s=answered_s)
        await talk(client, call, mouth, ear, answered_s)


async def place(home: Path, ca: Path, speech: Path, out: Path, callee: str, *, direct: bool) -> None:
    """Call when told to, hang up when told to."""
    mouth, ear = Mouth(read_pcm(speech), HELLO_S), Ear(out)
    async with Client.open(home, tls=trust(ca)) as client:
        await online(client, ONLINE_S_MAX)
        conversation = await client.conversation_with(callee)
        say("ready")
        told = lines()
        await anext(told)
        call = client.calls.place(conversation, mouth, ear, shows_address=direct)
        talking = asyncio.create_task(talk(client, call, mouth, ear, None))
        told_next = asyncio.ensure_future(anext(told, None))
        await asyncio.wait([talking, told_next], return_when=asyncio.FIRST_COMPLETED)
        if not talking.done():
            call.hang_up()
        await talking


COMMANDS: dict[str, Callable[..., Awaitable[None]]] = {
    "create": lambda home, server, ca, handle: create(home, server, Path(ca), handle),
    "befriend": lambda home, ca, callee: befriend(home, Path(ca), callee),
    "answer": lambda home, ca, speech, out, *more: answer(
        home, Path(ca), Path(speech), Path(out), direct=more == (DIRECT,)
    ),
    "call": lambda home, ca, speech, out, callee, *more: place(
        home, Path(ca), Path(speech), Path(out), callee, direct=more == (DIRECT,)
    ),
}


async def main(home: str, command: str, *arguments: str) -> None:
    """Entry point of the process."""
    await COMMANDS[command](Path(home), *arguments)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
