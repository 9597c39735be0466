"""One end of a call without sound: sends a frame when one is due, tells when each frame of the other end arrived.

Frames carry their number and CLOCK_MONOTONIC, which both ends share. Run as `python -m lab.frames.talker SETTINGS`
with a `Settings` as JSON; prints a line when it is ready, begins at a line on its standard input, prints a line when
it has rung and the first frame is due, ends with a `Told`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import struct
import sys
import time

import msgspec

from ringthrough.client.connection import Connection, Subscription
from ringthrough.client.http import ServerHttp
from ringthrough.client.lanes import Lanes
from ringthrough.protocol.frames import BundleId, StreamId, StreamKind, Token, TokenHash
from ringthrough.protocol.lane_control import Level
from ringthrough.protocol.limits import BUNDLE_ID_BYTES, PADDED_SIZES_BYTES

FRAME_S = 0.060
LEAN_FRAME_S = 0.120
RING_S = 3.0
"""How long the lanes are there before the first frame, as in a call that rings."""
LINGER_S = 2.0
_HEAD = struct.Struct(">Id")


class Settings(msgspec.Struct, frozen=True):
    """What to do. `creates`: make the stream. `level`: hold this level instead of controlling it. `plain`: send each
    frame once on the message connection, and answer none."""

    origin: str
    ca: str
    stream: str
    token: str
    token_hash: str
    creates: bool
    seconds: float
    level: int | None = None
    plain: bool = False


class Told(msgspec.Struct, frozen=True):
    """What came of it. `arrived`: (number, when sent, when arrived), in s of CLOCK_MONOTONIC; `levels`: (when,
    which); `states`: each second (share of misses, ms of queueing, lanes)."""

    sent: list[tuple[int, float]]
    arrived: list[tuple[int, float, float]]
    levels: list[tuple[float, int]]
    states: list[tuple[float, float, int]]
    copies: int
    dropped: int
    dials: int
    freeze_bytes: int | None
    lanes_max: int | None


async def talk(settings: Settings) -> Told:
    """The whole of it."""
    stream, token = StreamId(bytes.fromhex(settings.stream)), Token(bytes.fromhex(settings.token))
    http = ServerHttp(settings.origin, tls=ssl.create_default_context(cafile=settings.ca))
    connection = Connection(http)
    connection.start(time.monotonic)
    arrived: list[tuple[int, float, float]] = []
    sent: list[tuple[int, float]] = []
    levels: list[tuple[float, int]] = []
    states: list[tuple[float, float, int]] = []

    def heard(body: bytes) -> None:
        number, at = _HEAD.unpack_from(body)
        arrived.append((number, at, time.monotonic()))

    try:
        await connection.connected.wait()
        if settings.creates:
            await connection.create(stream, StreamKind.CONVERSATION, TokenHash(bytes.fromhex(settings.token_hash)))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        lanes = Lanes(connection, stream, BundleId(secrets.token_bytes(BUNDLE_ID_BYTES)))
        lanes.on_body = heard
        await connection.subscribe(Subscription(stream, lambda: (token, 1), on_signal=lanes.take))
        running = asyncio.create_task(asyncio.Event().wait() if settings.plain else lanes.run())
        if not settings.plain:
            lanes.rehearse()
        await asyncio.sleep(RING_S)
        print("speaks", flush=True)
        rehearsed = lanes.sender.copies_sent
        began = due = time.monotonic()
        number = 0
        while due - began < settings.seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if settings.level is not None:
                lanes.sender.controller.level = Level(settings.level)
            at = time.monotonic()
            body = _HEAD.pack(number, at).ljust(PADDED_SIZES_BYTES[0], b"\0")
            if settings.plain:
                connection.signal(stream, body)
            else:
                lanes.send(body)
            sent.append((number, at))
            if not levels or levels[-1][1] != lanes.level:
                levels.append((at - began, int(lanes.level)))
            if at - began >= len(states):
                control, now_ms = lanes.sender.controller, at * 1000
                states.append((control.miss_share(now_ms), control.queueing_ms(now_ms), len(lanes.sender.lanes)))
            number += 1
            due += LEAN_FRAME_S if lanes.is_narrow else FRAME_S
        await asyncio.sleep(LINGER_S)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        plan = lanes.plan
        return Told(
            sent=sent,
            arrived=arrived,
            levels=levels,
            states=states,
            copies=lanes.sender.copies_sent - rehearsed,
            dropped=lanes.sender.frames_dropped,
            dials=plan.dials,
            freeze_bytes=plan.freeze_bytes,
            lanes_max=plan.lanes_max,
        )
    finally:
        await connection.aclose()
        await http.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    told = asyncio.run(talk(msgspec.json.decode(sys.argv[1], type=Settings)))
    print(msgspec.json.encode(told).decode(), flush=True)
