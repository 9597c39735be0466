"""Calls of ours: two SDK processes and our server over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from lab.driver import MODES, CallResult, Heard
from lab.ours.person import DIRECT
from lab.processes import ringthrough
from lab.verdicts import NOTE, headed
from lab.worlds.access import SERVER, World

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PORT = 443
SET_UP_S_MAX = 60.0
ANSWER_S_MAX = 60.0
END_S_MAX = 20.0


class Failed(Exception):
    """No call; the text says how far it came."""


class Process:
    """A process on a host that speaks JSON lines."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, log: Path) -> None:
        self._process = process
        self._name = name
        self._log = log

    async def event(self, name: str, timeout_s: float) -> dict[str, Any]:
        """The next line whose `event` is `name`. Raises Failed when it ends instead, or says nothing for so long."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(timeout_s):
                while line := await self._process.stdout.readline():
                    fields: dict[str, Any] = json.loads(line)
                    if fields["event"] == name:
                        return fields
                    if fields["event"] == "ended":
                        raise Failed(f"{self._name}: the call ended ({fields['reason']}) before `{name}`")
        except TimeoutError:
            raise Failed(f"{self._name}: no `{name}` within {timeout_s:g} s") from None
        raise Failed(f"{self._name} ended before `{name}`: {self._log.read_text(errors='replace')[-500:]}")

    async def answer(self, kind: type[T], timeout_s: float) -> T:
        """The next line, as a `kind`. Raises Failed."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise Failed(f"{self._name}: nothing within {timeout_s:g} s") from None
        if not line:
            raise Failed(f"{self._name} ended: {self._log.read_text(errors='replace')[-500:]}")
        return msgspec.json.decode(line, type=kind)

    async def line(self, timeout_s: float) -> None:
        """Wait until it prints a line of any kind. Raises Failed."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(timeout_s):
                if await self._process.stdout.readline():
                    return
        except TimeoutError:
            raise Failed(f"{self._name}: nothing within {timeout_s:g} s") from None
        raise Failed(f"{self._name} ended: {self._log.read_text(errors='replace')[-500:]}")

    def tell(self) -> None:
        """A line on its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    async def finished(self, timeout_s: float) -> None:
        """Wait for a good end. Raises Failed."""
        try:
            async with asyncio.timeout(timeout_s):
                if await self._process.wait():
                    raise Failed(f"{self._name} failed: {self._log.read_text(errors='replace')[-500:]}")
        except TimeoutError:
            raise Failed(f"{self._name} is not done within {timeout_s:g} s") from None


@contextlib.asynccontextmanager
async def process(world: World, host: str, command: list[str], log: Path) -> AsyncIterator[Process]:
    """Run it on the host; ended at the latest at the end."""
    with log.open("ab") as errors:
        running = await asyncio.create_subprocess_exec(
            *world.inside(host, command),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=1 << 24,
        )
    try:
        yield Process(running, host, log)
    finally:
        if running.returncode is None:
            running.terminate()
            try:
                async with asyncio.timeout(END_S_MAX):
                    await running.wait()
            except TimeoutError:
                running.kill()
                await running.wait()


class Ours:
    """The driver. `direct`: both sides show their address, and the call may go directly between the two."""

    def __init__(self, *, direct: bool = False) -> None:
        self.name = "ours direct" if direct else "ours"
        self._more = (DIRECT,) if direct else ()

    async def call(
        self, world: World, speech_by_caller: Path, speech_by_callee: Path, seconds: float, out: Path
    ) -> CallResult:
        """As `lab.driver.Driver` says."""
        await asyncio.to_thread(out.mkdir, parents=True, exist_ok=True)
        heard = {host: out / f"heard-by-{host}.wav" for host in ("alice", "bob")}
        async with contextlib.AsyncExitStack() as stack:

            async def start(host: str, *arguments: str) -> Process:
                command = [sys.executable, "-m", "lab.ours.person", str(out / host), *arguments]
                return await stack.enter_async_context(process(world, host, command, out / f"{host}.log"))

            try:
                await self._set_up(world, out, stack)
                world.restrict()
                ca = str(world.ca)
                bob = await start("bob", "answer", ca, str(speech_by_callee), str(heard["bob"]), *self._more)
                says = [ca, str(speech_by_caller), str(heard["alice"]), "@bob"]
                alice = await start("alice", "call", *says, *self._more)
                await asyncio.gather(bob.event("ready", SET_UP_S_MAX), alice.event("ready", SET_UP_S_MAX))
                alice.tell()
                await bob.event("answered", ANSWER_S_MAX)
                world.call_begins()
                await alice.event("in_call", ANSWER_S_MAX)
            except Failed as e:
                return CallResult(failure=str(e))
            ends = [asyncio.ensure_future(one.event("ended", seconds + 60)) for one in (alice, bob)]
            await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            world.call_ends()
            cut = any(end.done() for end in ends)
            alice.tell()
            await asyncio.wait(ends, timeout=END_S_MAX)
        return _result(ends, heard, cut=cut)

    async def _set_up(self, world: World, out: Path, stack: contextlib.AsyncExitStack) -> None:
        address, (certificate, key) = world.addresses[SERVER], world.certificates[SERVER]
        origin = f"https://{address}"
        where = ["--data", str(out / "server-data"), "--host", address, "--port", str(PORT), "--origin", origin]
        tls = ["--tls-cert", str(certificate), "--tls-key", str(key)]
        serve = ringthrough("serve", *where, *tls)
        server = await stack.enter_async_context(process(world, SERVER, serve, out / "server.log"))
        await server.line(SET_UP_S_MAX)
        ca = str(world.ca)
        for host, *arguments in (
            ("alice", "create", origin, ca, "alice"),
            ("bob", "create", origin, ca, "bob"),
            ("alice", "befriend", ca, "@bob"),
        ):
            command = [sys.executable, "-m", "lab.ours.person", str(out / host), *arguments]
            async with process(world, host, command, out / f"{host}.log") as step:
                await step.finished(SET_UP_S_MAX)


def _result(ends: Sequence[asyncio.Future[dict[str, Any]]], heard: dict[str, Path], *, cut: bool) -> CallResult:
    failures = [str(end.exception()) for end in ends if end.done() and end.exception() is not None]
    failures += ["a caller did not end" for end in ends if not end.done()]
    if failures:
        for end in ends:
            end.cancel()
        return CallResult(failure="; ".join(failures))
    alice, bob = (end.result() for end in ends)
    answered_s, axis = bob["answered_at_s"], bob["axis"]
    reasons = {"caller": alice["reason"], "callee": bob["reason"]}
    return CallResult(
        by_callee=_heard(heard["bob"], bob, alice),
        by_caller=_heard(heard["alice"], alice, bob),
        answer_to_audio_ms=(axis[0][1] - answered_s) * 1000 if axis else None,
        failure=f"the call ended early: {reasons}" if cut else None,
        notes={
            "cpu_share": {"caller": alice["cpu_share"], "callee": bob["cpu_share"]},
            "stats": {"caller": alice["stats"], "callee": bob["stats"]},
            "ended": reasons,
            MODES: {
                side: [(round(at_s - answered_s, 1), mode) for at_s, mode in end["modes"]]
                for side, end in (("caller", alice), ("callee", bob))
            },
            NOTE: headed(
                [(at_s - answered_s, told) for at_s, told in alice["verdicts"]], alice["ended_at_s"] - answered_s
            ),
        },
    )


def _heard(wav: Path, listener: dict[str, Any], speaker: dict[str, Any]) -> Heard | None:
    if not listener["axis"] or speaker["spoken_at_s"] is None:
        return None
    return Heard(wav, speaker["spoken_at_s"], tuple((at, when) for at, when in listener["axis"]))
