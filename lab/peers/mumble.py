"""Mumble: `mumble-server` and two scripted clients of our own whose voice takes the tunnel in the control channel.

Its control channel is its message connection, so it listens where ours does. In Mumble nobody rings: both are in the
channel, and the answer is the moment at which both begin to speak. What the clients do: `mumble_client`,
`mumble_sound`.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.driver import CallResult, Heard
from lab.ours.driver import Failed, Process, process
from lab.peers.listening import NotListening, wait_listening
from lab.worlds.access import SERVER, World

PORT = 443
READY_S_MAX = 60.0
REPORT_S_MAX = 20.0
STOP_S_MAX = 5


class MumbleFailed(Exception):
    """mumble-server is not installed, or ended."""


class Mumble:
    """`lab.driver.Driver`. `limit_bps`: the bandwidth that the server allows each client, None for its default."""

    def __init__(self, limit_bps: int | None = None) -> None:
        self.name = "mumble" if limit_bps is None else f"mumble {limit_bps // 1000} kbit/s"
        self._limit_bps = limit_bps

    async def call(
        self, world: World, speech_by_caller: Path, speech_by_callee: Path, seconds: float, out: Path
    ) -> CallResult:
        """One call; see `Driver.call`."""
        await asyncio.to_thread(out.mkdir, parents=True, exist_ok=True)
        said = {"alice": speech_by_caller, "bob": speech_by_callee}
        heard = {host: out / f"heard-by-{host}.wav" for host in said}
        async with contextlib.AsyncExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, _server(world, out, self._limit_bps))
            world.restrict()
            people: dict[str, Process] = {}
            for host in said:
                command = [sys.executable, "-m", "lab.peers.mumble_client", world.addresses[SERVER], str(PORT), host]
                command += [str(said[host]), str(heard[host]), str(self._limit_bps or 0)]
                people[host] = await stack.enter_async_context(process(world, host, command, out / f"{host}.log"))
            try:
                await asyncio.gather(*(person.event("ready", READY_S_MAX) for person in people.values()))
            except Failed as error:
                return CallResult(failure=str(error))
            world.call_begins()
            for person in people.values():
                person.tell()
            await asyncio.sleep(seconds)
            world.call_ends()
            for person in people.values():
                person.tell()
            try:
                alice, bob = [await people[host].event("ended", REPORT_S_MAX) for host in ("alice", "bob")]
            except Failed as error:
                return CallResult(failure=str(error))
        first_s = bob["first_sound_s"]
        return CallResult(
            by_callee=_heard(heard["bob"], bob, alice),
            by_caller=_heard(heard["alice"], alice, bob),
            answer_to_audio_ms=None if first_s is None else (first_s - bob["spoken_at_s"]) * 1000,
            failure="nothing was heard" if first_s is None else None,
            notes={
                "cpu_share": {"caller": alice["cpu_share"], "callee": bob["cpu_share"]},
                "stats": {"caller": alice["stats"], "callee": bob["stats"]},
            },
        )


def _heard(wav: Path, listener: dict[str, Any], speaker: dict[str, Any]) -> Heard:
    return Heard(wav, speaker["spoken_at_s"], tuple((at, when) for at, when in listener["axis"]))


@contextlib.contextmanager
def _server(world: World, out: Path, limit_bps: int | None) -> Iterator[None]:
    """Run mumble-server for the length of the block. Raises MumbleFailed."""
    program = shutil.which("murmurd", path="/usr/sbin:/usr/bin")
    if program is None:
        raise MumbleFailed("murmurd is missing: apt-get install mumble-server")
    certificate, key = world.certificates[SERVER]
    settings = {
        "database": out / "mumble.sqlite", "host": world.addresses[SERVER], "port": PORT, "users": 10,
        "sslCert": certificate, "sslKey": key, "logfile": out / "mumble-server.log", "pidfile": "", "ice": "",
        "welcometext": "", "bonjour": False, "uname": "root",
    } | ({} if limit_bps is None else {"bandwidth": limit_bps})  # fmt: skip
    file = out / "mumble-server.ini"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    with (out / "mumble-server.out").open("wb") as output:
        command = world.inside(SERVER, [program, "-fg", "-ini", str(file)])
        server = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            wait_listening(server, world.inside(SERVER, []), [PORT])
            yield
        except NotListening as error:
            raise MumbleFailed(f"mumble-server: {error}; see {output.name}") from error
        finally:
            server.terminate()
            try:
                server.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
