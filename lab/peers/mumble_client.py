"""One person in Mumble's one channel, a process of its own: voice in the TCP tunnel, microphone and ear are files.

`python -m lab.peers.mumble_client ADDRESS PORT NAME SPEECH OUT [LIMIT_BPS]` prints JSON lines: `ready` once the
server let it in, `ended` with what was seen. A line on standard input lets it speak and listen, the next one ends
it. It speaks without a pause (Mumble's continuous transmission), and as Mumble's client does it pings every 5 s,
gives a connection up when four pings are not answered, and connects again 10 s later.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lab.peers.microphone import resampled
from lab.peers.mumble_sound import RATE_HZ, STEP, STEP_MS, Coding, Encoder, Speaker, coding
from lab.peers.mumble_wire import HEADER_BYTES, PROTOCOL_VERSION, Kind, Voice, header, message, protobuf
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm, silence
from ringthrough.client.audiofile import WavWriter, read_pcm

PING_S = 5.0
PINGS_MAX = 4
RECONNECT_S = 10.0
FIRST_SEQUENCE = 1000
"""Mumble counts from the start of its sound, not of the talk."""


class Connection:
    """The control channel with its tunnel; comes back by itself."""

    def __init__(self, address: str, port: int, name: str, on_voice: Callable[[Voice], None]) -> None:
        self._where = address, port
        self._name = name
        self._on_voice = on_voice
        self._writer: asyncio.StreamWriter | None = None
        self._pings = 0
        self.ready = asyncio.Event()
        self.connections = 0

    def send(self, voice: Voice) -> None:
        """Into the tunnel. What the network does not take waits in the socket, as in Mumble."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(message(Kind.UDP_TUNNEL, voice.to_bytes()))

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            with contextlib.suppress(OSError, EOFError, ssl.SSLError, ValueError):
                await self._once()
            self._writer = None
            await asyncio.sleep(RECONNECT_S)

    async def _once(self) -> None:
        # Mumble's servers sign their own certificates; people are asked once.
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(*self._where, ssl=tls)
        self.connections += 1
        version: list[tuple[int, int | str]] = [(1, PROTOCOL_VERSION), (2, "1.3.4"), (3, "Linux")]
        writer.write(message(Kind.VERSION, protobuf(version)))
        writer.write(message(Kind.AUTHENTICATE, protobuf([(1, self._name), (5, 1)])))
        pinging = asyncio.create_task(self._ping(writer))
        try:
            while True:
                kind, length = header(await reader.readexactly(HEADER_BYTES))
                self._receive(kind, await reader.readexactly(length), writer)
        finally:
            pinging.cancel()
            writer.transport.abort()

    def _receive(self, kind: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        if kind == Kind.SERVER_SYNC:
            self._writer = writer
            self.ready.set()
        elif kind == Kind.REJECT:
            raise ValueError(f"refused: {body!r}")
        elif kind == Kind.PING:
            self._pings = 0
        elif kind == Kind.UDP_TUNNEL:
            with contextlib.suppress(ValueError):
                voice = Voice.from_server(body)
                if voice is not None:
                    self._on_voice(voice)

    async def _ping(self, writer: asyncio.StreamWriter) -> None:
        self._pings = 0
        while True:
            if self._pings >= PINGS_MAX:
                writer.transport.abort()
                return
            self._pings += 1
            writer.write(message(Kind.PING, protobuf([(1, int(time.monotonic() * 1000))])))
            await asyncio.sleep(PING_S)


class Person:
    """Mouth and ear on one clock of 10 ms."""

    def __init__(self, settings: Coding, speech: Pcm, wav: WavWriter) -> None:
        self._settings = settings
        self._speech = speech
        self._wav = wav
        self._encoder = Encoder(settings)
        self.speaker = Speaker()
        self.spoken_at_s = 0.0
        self.first_sound_s: float | None = None

    async def talk(self, connection: Connection, over: asyncio.Event) -> None:
        """Speak and listen until `over`. What a busy machine held up is made up for at once."""
        self.spoken_at_s = time.monotonic()
        step = 0
        while not over.is_set():
            # Step n is heard from here on, and the microphone's step n ends here.
            step += 1
            due_s = self.spoken_at_s + step * STEP_MS / 1000
            await asyncio.sleep(due_s - time.monotonic())
            if step % self._settings.steps == 0:
                connection.send(self._packet(step - self._settings.steps))
            self._listen(due_s)

    def _packet(self, step: int) -> Voice:
        start = step * STEP
        said = self._speech[start : start + self._settings.samples]
        padded = np.concatenate([said, silence(self._settings.samples - said.size)])
        return Voice(FIRST_SEQUENCE + step, self._encoder.encode(padded))

    def _listen(self, at_s: float) -> None:
        sound = self.speaker.step()
        if sound is not None and self.first_sound_s is None and np.any(sound):
            self.first_sound_s = at_s
        self._wav.write(silence(STEP) if sound is None else sound)

    @property
    def axis(self) -> list[tuple[float, float]]:
        """For `lab.driver.Heard`: the ear began one step after the mouth and never paused."""
        return [(0.0, self.spoken_at_s + STEP_MS / 1000)]


async def line() -> None:
    """The next line of standard input, or its end."""
    await asyncio.to_thread(sys.stdin.readline)


def say(event: str, **fields: object) -> None:
    """To the driver."""
    print(json.dumps({"event": event, **fields}), flush=True)


def cpu_s() -> float:
    """Processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main(address: str, port: str, name: str, speech: str, out: str, limit_bps: str = "0") -> None:
    """From the connection to the report."""
    settings = coding(int(limit_bps) or None)
    said = resampled(read_pcm(Path(speech)), SAMPLE_RATE_HZ, RATE_HZ)
    with WavWriter(Path(out), RATE_HZ) as wav:
        person = Person(settings, said, wav)
        connection = Connection(address, int(port), name, lambda v: person.speaker.arrived(v.sequence, v.packet))
        running = asyncio.create_task(connection.run())
        await connection.ready.wait()
        say("ready")
        await line()
        before_s, over = cpu_s(), asyncio.Event()
        talking = asyncio.create_task(person.talk(connection, over))
        await line()
        over.set()
        await talking
        running.cancel()
    share = (cpu_s() - before_s) / (time.monotonic() - person.spoken_at_s)
    say(
        "ended",
        spoken_at_s=person.spoken_at_s,
        first_sound_s=person.first_sound_s,
        axis=person.axis,
        cpu_share=round(share, 4),
        stats=asdict(person.speaker.counts) | asdict(settings) | {"connections": connection.connections},
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
