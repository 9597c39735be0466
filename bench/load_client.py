"""The load client, a process of its own: `python -m bench.load_client`.

Reads a `Plan` as one JSON line, connects, prints `ready`, waits for a line, applies the load, prints an `Outcome`.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import struct
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
import uvloop

from bench.load_plan import Outcome, Plan, Target, Traffic
from bench.pacer import Pacer
from bench.processes import cpu_s_of
from bench.stats import percentile
from bench.wire import HEADER_BYTES, BrokenStream, OnMessage, WebSocketPeer, connect, masked_frame
from ringthrough.protocol import frames, limits

F = TypeVar("F", bound=frames.ServerFrame)
STRAGGLERS_S_MAX = 2.0
SETUP_S_MAX = 30.0
_TIME = struct.Struct(">q")
_RECORD_HEAD_BYTES = 20
_RECORDS_HEAD_BYTES = 7
_SIGNALLED_HEAD_BYTES = 5


class Member:
    """One connection with its frame made beforehand; `body_at` is where the body lies in the frame's message."""

    def __init__(self, peer: WebSocketPeer, frame: bytes, body_at: int) -> None:
        self.peer = peer
        self.frame = frame
        self.body_at = body_at
        self._timed = bytearray(frame)

    def send_planned(self, planned_ns: int) -> None:
        """One message with its planned time inside."""
        _TIME.pack_into(self._timed, HEADER_BYTES + self.body_at, planned_ns)
        self.peer.transport.write(bytes(self._timed))


class Load:
    """All connections of one plan, and the counts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.groups: list[list[Member]] = []
        self.running = False
        self.delivered = 0
        self.refusal: str | None = None
        self.latencies_ns: list[int] = []
        self.planned = 0
        self._from_ns = self._to_ns = 0

    async def set_up(self) -> None:
        """Connect everybody. Raises BrokenStream, OSError, TimeoutError."""
        async with asyncio.timeout(SETUP_S_MAX):
            for number in range(self.plan.groups):
                self.groups.append(await self._group(number))
        for number, group in enumerate(self.groups):
            following = self.groups[(number + 1) % len(self.groups)] if self.plan.rotate else group
            for index, member in enumerate(group):
                member.peer.on_message = self._handler(group, index, following[0])

    async def _group(self, number: int) -> list[Member]:
        plan = self.plan
        body = os.urandom(plan.body_bytes)
        if plan.target is Target.OURS:
            return await _our_group(plan, body)
        path = "/echo" if plan.target is Target.BARE_ECHO else f"/{plan.target}/{number}-{os.getpid()}"
        message = _message(plan.traffic, 1, body)
        body_at = len(message) - len(body)
        return [
            Member(await connect(plan.host, plan.port, path), masked_frame(message), body_at)
            for _ in range(plan.members)
        ]

    def _handler(self, group: list[Member], index: int, next_sender: Member) -> OnMessage:
        plan = self.plan
        sends = plan.all_send or index == 0
        counts = plan.count_own or plan.all_send or not sends
        leads = plan.window > 0 and index == len(group) - 1
        body_at = group[0].body_at
        write, frame = next_sender.peer.transport.write, next_sender.frame
        timed = plan.rate_per_s > 0
        count_of = _ours_counter(self) if plan.target is Target.OURS else _bare_counter

        def on_message(data: bytes, start: int, end: int) -> None:
            count = count_of(data, start, end)
            if not count:
                return
            if counts:
                self.delivered += count
                if timed:
                    self._note(data, start, count, body_at)
            if leads and self.running:
                write(frame * count)

        return on_message

    def _note(self, data: bytes, start: int, count: int, body_at: int) -> None:
        now_ns = time.monotonic_ns()
        stride = 0
        if self.plan.target is not Target.OURS:
            at = start + body_at
        elif self.plan.traffic is Traffic.SIGNALS:
            at = start + _SIGNALLED_HEAD_BYTES
        else:
            at = start + _RECORDS_HEAD_BYTES + _RECORD_HEAD_BYTES
            stride = _RECORD_HEAD_BYTES + self.plan.body_bytes
        for i in range(count):
            (planned_ns,) = _TIME.unpack_from(data, at + i * stride)
            if self._from_ns <= planned_ns < self._to_ns:
                self.latencies_ns.append(now_ns - planned_ns)

    async def run(self) -> Outcome:
        """Apply the load. Raises BrokenStream when the server refused anything or closed a connection."""
        plan = self.plan
        if not plan.window and not plan.rate_per_s:
            return Outcome(seconds=0.0, delivered=0)
        gc.collect()
        gc.freeze()
        gc.disable()
        self.running = True
        pacer = Pacer(plan.rate_per_s, self._sends_in_turn()) if plan.rate_per_s else None
        if pacer is None:
            self._fill_windows()
        await asyncio.sleep(plan.warmup_s)
        start_ns, delivered = time.monotonic_ns(), self.delivered
        self._from_ns, self._to_ns = start_ns, start_ns + int(plan.measure_s * 1e9)
        server_cpu_s, client_cpu_s = cpu_s_of(plan.server_pid), time.process_time()
        await asyncio.sleep(plan.measure_s)
        seconds = (time.monotonic_ns() - start_ns) / 1e9
        delivered = self.delivered - delivered
        server_cpu_s, client_cpu_s = cpu_s_of(plan.server_pid) - server_cpu_s, time.process_time() - client_cpu_s
        self.running = False
        if pacer is not None:
            pacer.stop()
            await self._wait_for_stragglers()
        self._check()
        return self._outcome(seconds, delivered, server_cpu_s, client_cpu_s)

    async def _wait_for_stragglers(self) -> None:
        latest_s = time.monotonic() + STRAGGLERS_S_MAX
        while len(self.latencies_ns) < self._expected() and time.monotonic() < latest_s:
            await asyncio.sleep(0.01)

    def _expected(self) -> int:
        return self.planned * (self.plan.members - (0 if self.plan.count_own else 1))

    def _fill_windows(self) -> None:
        for group in self.groups[:1] if self.plan.rotate else self.groups:
            for _ in range(self.plan.window):
                group[0].peer.transport.write(group[0].frame)

    def _sends_in_turn(self) -> Callable[[int], None]:
        senders = (
            [member for group in self.groups for member in group]
            if self.plan.all_send
            else [group[0] for group in self.groups]
        )
        turn = 0

        def due(planned_ns: int) -> None:
            nonlocal turn
            if self.running:
                self.planned += self._from_ns <= planned_ns < self._to_ns
                senders[turn].send_planned(planned_ns)
                turn = (turn + 1) % len(senders)

        return due

    def _check(self) -> None:
        broken = [m.peer.broken for group in self.groups for m in group if m.peer.broken]
        if self.refusal is not None:
            raise BrokenStream(f"the server refused: {self.refusal}")
        if broken:
            raise BrokenStream(f"{len(broken)} connections broke; the first: {broken[0]}")

    def _outcome(self, seconds: float, delivered: int, server_cpu_s: float, client_cpu_s: float) -> Outcome:
        ms = [ns / 1e6 for ns in self.latencies_ns]
        return Outcome(
            seconds=seconds,
            delivered=delivered,
            planned=self.planned,
            lost=self._expected() - len(ms),
            latency_p50_ms=percentile(ms, 50) if ms else 0.0,
            latency_p99_ms=percentile(ms, 99) if ms else 0.0,
            latency_max_ms=max(ms, default=0.0),
            server_cpu_s=server_cpu_s,
            client_cpu_s=client_cpu_s,
        )

    def close(self) -> None:
        """Cut all connections."""
        for group in self.groups:
            for member in group:
                member.peer.close()


def _message(traffic: Traffic, handle: int, body: bytes) -> bytes:
    if traffic is Traffic.SIGNALS:
        return frames.encode(frames.Signal(handle, body))
    return frames.encode(frames.Append(handle, 1, (body,)))


def _bare_counter(data: bytes, start: int, end: int) -> int:
    return 1


def _ours_counter(load: Load) -> Callable[[bytes, int, int], int]:
    records, signalled, appended = frames.FrameType.RECORDS, frames.FrameType.SIGNALLED, frames.FrameType.APPENDED

    def count(data: bytes, start: int, end: int) -> int:
        kind = data[start]
        if kind == records:
            return (data[start + 5] << 8) | data[start + 6]
        if kind == signalled:
            return 1
        if kind != appended:
            load.refusal = load.refusal or str(frames.decode_server(data[start:end]))
        return 0

    return count


async def _our_group(plan: Plan, body: bytes) -> list[Member]:
    """A new stream, opened by every member."""
    stream, token = os.urandom(limits.STREAM_ID_BYTES), os.urandom(limits.TOKEN_BYTES)
    members = []
    for index in range(plan.members):
        peer = await connect(plan.host, plan.port, "/v1/connect")
        answers: asyncio.Queue[frames.ServerFrame] = asyncio.Queue()
        peer.on_message = _into(answers)
        peer.transport.write(masked_frame(frames.encode(frames.Hello(limits.VERSION_MIN, limits.VERSION_MAX))))
        _expect(await answers.get(), frames.Welcome)
        if index == 0:
            token_hash = hashlib.sha256(token).digest()
            create = frames.Create(1, stream, frames.StreamKind.CONVERSATION, token_hash)
            peer.transport.write(masked_frame(frames.encode(create)))
            _expect(await answers.get(), frames.Created)
        peer.transport.write(masked_frame(frames.encode(frames.Open(2, stream, token, 0))))
        opened = _expect(await answers.get(), frames.Opened)
        message = _message(plan.traffic, opened.handle, body)
        members.append(Member(peer, masked_frame(message), len(message) - len(body)))
    return members


def _into(answers: asyncio.Queue[frames.ServerFrame]) -> OnMessage:
    def on_message(data: bytes, start: int, end: int) -> None:
        answers.put_nowait(frames.decode_server(data[start:end]))

    return on_message


def _expect(frame: frames.ServerFrame, kind: type[F]) -> F:
    if not isinstance(frame, kind):
        raise BrokenStream(f"{kind.__name__} expected, got {frame}")
    return frame


async def _main() -> None:
    loop = asyncio.get_running_loop()
    plan = msgspec.json.decode(await loop.run_in_executor(None, sys.stdin.readline), type=Plan)
    load = Load(plan)
    try:
        await load.set_up()
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        print(msgspec.json.encode(await load.run()).decode(), flush=True)
    finally:
        load.close()


def main() -> int:
    """Entry point of the process."""
    with asyncio.Runner(loop_factory=uvloop.Loop) as runner:
        runner.run(_main())
    return 0


if __name__ == "__main__":
    sys.exit(main())
