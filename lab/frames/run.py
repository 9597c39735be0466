"""Frames over TLS alone, one impaired hop: how late they come, how many are lost, what they cost in bytes.

Two ends without sound (`talker`) and a real server; alice's access link is the hop. Both directions are judged: what
alice sends passes it up, what bob sends passes it down.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import secrets
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lab.frames import talker
from lab.frames.talker import Settings, Told
from lab.ours.driver import PORT, SET_UP_S_MAX, Process, process
from lab.processes import ringthrough
from lab.rules import path, tcp_frozen, throttle
from lab.rules.restriction import Restriction
from lab.worlds.access import SERVER, World, world

END_S_MAX = 30.0
NEVER_MS = float("inf")


@dataclass(frozen=True, slots=True)
class Frames:
    """One direction. `delays_ms`: by frame in the order of sending, infinite for one that never came."""

    sent_s: list[float]
    delays_ms: list[float]
    told: Told

    def late_share(self, limit_ms: float, after_s: float = 0.0) -> float:
        """Share of frames that took longer or never came, of those sent `after_s` from the start on."""
        judged = [
            delay for sent, delay in zip(self.sent_s, self.delays_ms, strict=True) if sent - self.sent_s[0] >= after_s
        ]
        return sum(delay > limit_ms for delay in judged) / len(judged)

    @property
    def lost_share(self) -> float:
        """Share of frames that never came."""
        return sum(delay == NEVER_MS for delay in self.delays_ms) / len(self.delays_ms)

    @property
    def copies(self) -> float:
        """Copies sent of each frame, re-sends among them."""
        return self.told.copies / len(self.sent_s)


@dataclass(frozen=True, slots=True)
class Hop:
    """What one run gave. `wire_bytes_per_frame`: IP bytes of alice's link, both ways, from the first frame on, over
    the frames of both; `ring_bytes`: the same bytes before it, while lanes open and rehearse."""

    up: Frames
    down: Frames
    wire_bytes_per_frame: float
    ring_bytes: int


async def measure(where: World, seconds: float, out: Path, *, level: int | None = None, plain: bool = False) -> Hop:
    """Run the two ends in a world; `level` is held at alice's end where it is given; `plain` is the way without any
    rule, for comparison: each frame once, and no answers. Raises `Failed`."""
    address, (certificate, key) = where.addresses[SERVER], where.certificates[SERVER]
    origin = f"https://{address}"
    token = secrets.token_bytes(32)
    common = {
        "origin": origin,
        "ca": str(where.ca),
        "stream": secrets.token_hex(16),
        "token": token.hex(),
        "token_hash": hashlib.sha256(token).hexdigest(),
        "seconds": seconds,
        "plain": plain,
    }
    async with contextlib.AsyncExitStack() as stack:
        options = ["--data", str(out / "data"), "--host", address, "--port", str(PORT), "--origin", origin]
        serve = ringthrough("serve", *options, "--tls-cert", str(certificate), "--tls-key", str(key))
        server = await stack.enter_async_context(process(where, SERVER, serve, out / "server.log"))
        await server.line(SET_UP_S_MAX)

        async def start(host: str, *, creates: bool) -> Process:
            settings = Settings(creates=creates, level=level if host == "alice" else None, **common)  # type: ignore[arg-type]
            command = [sys.executable, "-m", "lab.frames.talker", msgspec.json.encode(settings).decode()]
            end = await stack.enter_async_context(process(where, host, command, out / f"{host}.log"))
            await end.line(SET_UP_S_MAX)
            return end

        bob = await start("bob", creates=True)
        where.restrict()
        alice = await start("alice", creates=False)
        where.call_begins()
        for end in (bob, alice):
            end.tell()
        for end in (bob, alice):
            await end.line(talker.RING_S + SET_UP_S_MAX)
        where.call_ends()
        ring_bytes = sum(where.call_bytes["alice"])
        where.call_begins()
        told = await asyncio.gather(
            *(end.answer(Told, seconds + END_S_MAX) for end in (alice, bob)),
        )
        where.call_ends()
    at_alice, at_bob = told
    up, down = _frames(at_alice, at_bob), _frames(at_bob, at_alice)
    wire_bytes = sum(where.call_bytes["alice"])
    return Hop(up, down, wire_bytes / (len(up.sent_s) + len(down.sent_s)), ring_bytes)


def _frames(sender: Told, receiver: Told) -> Frames:
    arrived = {number: (at - sent) * 1000 for number, sent, at in reversed(receiver.arrived)}
    return Frames([at for _, at in sender.sent], [arrived.get(number, NEVER_MS) for number, _ in sender.sent], sender)


def run(
    restriction: Restriction,
    seconds: float,
    *,
    seed: int = 1,
    level: int | None = None,
    plain: bool = False,
    keep: str | None = None,
) -> Hop:
    """One hop in a world of its own; its logs go into the folder `keep`."""
    with contextlib.ExitStack() as stack:
        folder = keep or stack.enter_context(tempfile.TemporaryDirectory())
        where = stack.enter_context(world(Path(folder) / "world", restriction, seed=seed))
        return asyncio.run(measure(where, seconds, Path(folder), level=level, plain=plain))


def main(arguments: Sequence[str] | None = None) -> None:
    """From the command line, for tuning."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rtt", type=float, default=50.0)
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--burst", type=float)
    parser.add_argument("--kbit", type=float)
    parser.add_argument("--freeze", type=int)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--level", type=int)
    parser.add_argument("--after", type=float, default=0.0)
    parser.add_argument("--keep")
    parser.add_argument("--states", action="store_true")
    a = parser.parse_args(arguments)
    rules = path.restriction(rtt_ms=a.rtt, loss=a.loss, burst_packets=a.burst)
    rules += throttle.restriction(kbit_per_s=a.kbit) if a.kbit else Restriction()
    rules += tcp_frozen.restriction(payload_bytes=a.freeze) if a.freeze else Restriction()
    hop = run(rules, a.seconds, seed=a.seed, level=a.level, keep=a.keep)
    for name, way in (("up", hop.up), ("down", hop.down)):
        told = way.told
        late = " ".join(f">{limit}: {way.late_share(limit, a.after):.2%}" for limit in (200, 250, 300, 400))
        print(f"{name:5} {late} lost {way.lost_share:.2%} copies {way.copies:.2f} dropped {told.dropped}")
        print("     ", f"dials {told.dials} freeze {told.freeze_bytes} lanes_max {told.lanes_max}")
        print("      levels", [(round(at, 1), level) for at, level in told.levels][:14])
        if a.states:
            print("      states", [(round(miss, 2), round(queue), lanes) for miss, queue, lanes in told.states])
    plain = run(path.restriction(rtt_ms=a.rtt), a.seconds, seed=a.seed, plain=True).wire_bytes_per_frame
    share = hop.wire_bytes_per_frame / plain
    print(
        f"{hop.wire_bytes_per_frame:.0f} IP bytes a frame, {share:.2f} times one copy without answers ({plain:.0f}); "
        f"{hop.ring_bytes} before the first"
    )


if __name__ == "__main__":
    main()
