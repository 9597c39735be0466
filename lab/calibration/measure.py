"""Run the calibration: real packets through the real middlebox, judged by `lab.calibration.checks`."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.calibration.checks import (
    Check,
    Report,
    delay_checks,
    exact_check,
    rate_check,
    runs,
    share_check,
)
from lab.middlebox.box import Box
from lab.middlebox.packets import parse
from lab.middlebox.rules import Bursts, Delay, Drop, Freeze, Idle, Limit, Loss, Match, Rate, Rule
from lab.worlds.access import SERVER, World, world

SEED = 11
UDP_COUNT = 3_000
UDP_PER_S = 1_000
PACKET_BYTES = 200
PROBE_S_MAX = 60.0
ATTEMPTS_MAX = 6
"""A machine that stood still for some ms is no fault of the middlebox; one that does so each time fails."""

Arrivals = list[tuple[int, float, float, int]]
"""Number, one-way delay in ms, arrival in s, IP bytes."""


class ProbeFailed(Exception):
    """A probe ended with an error, which stands above."""


class Bench:
    """Probes on the hosts of one world."""

    def __init__(self, place: World) -> None:
        self.world = place

    def _line(self, host: str, *arguments: str) -> list[str]:
        return self.world.inside(host, [sys.executable, "-m", "lab.calibration.probe", *arguments])

    @contextlib.contextmanager
    def listening(self, host: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A probe that waits for others; ended at the end."""
        process = subprocess.Popen(self._line(host, *arguments), stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise ProbeFailed(str(arguments))
            yield process
        finally:
            process.kill()
            process.communicate()

    def run(self, host: str, *arguments: str) -> object:
        """A probe, to its end; what it says."""
        done = subprocess.run(
            self._line(host, *arguments), stdout=subprocess.PIPE, text=True, timeout=PROBE_S_MAX, check=False
        )
        if done.returncode:
            raise ProbeFailed(str(arguments))
        return json.loads(done.stdout)

    def datagrams(self, count: int, per_s: float, size: int) -> Arrivals:
        """Send from Alice to Bob; what arrived, in the order of arrival."""
        with self.listening("bob", "receive", "1.0") as receiver:
            self.run("alice", "send", self.world.addresses["bob"], str(count), str(per_s), str(size))
            output, _ = receiver.communicate(timeout=PROBE_S_MAX)
        arrivals: Arrivals = [tuple(row) for row in json.loads(output)]
        return arrivals


def foretold(rules: Sequence[Rule], count: int, place: World) -> list[bool]:
    """Which of Alice's packets to Bob the rules lose, by the pure middlebox with the same seed."""
    prefixes = {host: link.prefix for host, link in place.links.items()}
    box = Box(prefixes, SEED)
    box.set_rules(rules)
    data = _datagram(place)
    arrived = []
    for number in range(count):
        box.arrive("alice", data, float(number))
        arrived.append(bool(list(box.due(float("inf")))))
    return [not came for came in arrived]


def _datagram(place: World) -> bytes:
    source, destination = (bytes(map(int, place.addresses[host].split("."))) for host in ("alice", "bob"))
    data = bytes([0x45, 0, 0, 28]) + bytes(4) + bytes([64, 17]) + bytes(2) + source + destination + bytes(8)
    assert parse(data) is not None
    return data


def delay(bench: Bench) -> list[Check]:
    """A constant delay at 1000 packets a second."""
    bench.world.middlebox.set_rules([Delay(id="delay", host="alice", direction="up", delay_ms=25)])
    arrivals = bench.datagrams(UDP_COUNT, UDP_PER_S, PACKET_BYTES)
    return [
        *delay_checks("delay of 25 ms", 25.0, [delay_ms for _, delay_ms, _, _ in arrivals]),
        exact_check("packets that arrived without loss", "packets", UDP_COUNT, len(arrivals)),
    ]


def jitter(bench: Bench) -> list[Check]:
    """Uniform jitter with reordering."""
    rule = Delay(id="jitter", host="alice", direction="up", delay_ms=20, jitter_ms=40, reorder=True)
    bench.world.middlebox.set_rules([rule])
    arrivals = bench.datagrams(1_000, UDP_PER_S, PACKET_BYTES)
    delays = [delay_ms for _, delay_ms, _, _ in arrivals]
    numbers = [number for number, _, _, _ in arrivals]
    return [
        Check("jitter of 20 to 60 ms, least", "ms", min(delays), 20.0, 21.0),
        Check("jitter of 20 to 60 ms, mean", "ms", sum(delays) / len(delays), 38.5, 42.0),
        Check("jitter of 20 to 60 ms, 99 %", "ms", sorted(delays)[int(len(delays) * 0.99)], 58.5, 61.0),
        exact_check("reordered", "yes", 1, numbers != sorted(numbers)),
    ]


def loss(bench: Bench) -> list[Check]:
    """Random and bursty loss: the share, and the very packets that the seed foretells."""
    checks = []
    for name, asked, rule in (
        ("random loss of 10 %", 0.1, Loss(id="loss", host="alice", direction="up", share=0.1)),
        ("bursts of 5, 10 %", 0.1, Bursts(id="bursts", host="alice", direction="up", share=0.1, mean_packets=5)),
    ):
        bench.world.middlebox.set_rules([rule])
        came = {number for number, _, _, _ in bench.datagrams(UDP_COUNT, UDP_PER_S, PACKET_BYTES)}
        lost = [number not in came for number in range(UDP_COUNT)]
        if isinstance(rule, Loss):
            checks.append(share_check(name, asked, sum(lost), UDP_COUNT))
        else:
            lengths = runs(lost)
            checks.append(Check(f"{name}, mean length", "packets", sum(lengths) / len(lengths), 3.5, 6.5))
        agreed = sum(a == b for a, b in zip(lost, foretold([rule], UDP_COUNT, bench.world), strict=True))
        checks.append(exact_check(f"{name}, as the seed foretells", "packets", UDP_COUNT, agreed))
        counted = bench.world.middlebox.counters().rules[rule.id].dropped
        checks.append(exact_check(f"{name}, counted", "packets", sum(lost), counted))
    return checks


def rate(bench: Bench) -> list[Check]:
    """A throttle under more than it lets through, and its queue."""
    asked, queue = 128_000.0, 16_000
    rule = Rate(id="rate", host="alice", direction="up", bits_per_s=asked, queue_bytes=queue, burst_bytes=0)
    bench.world.middlebox.set_rules([rule])
    arrivals = bench.datagrams(600, 200, PACKET_BYTES)
    longest_ms = queue * 8 / asked * 1000
    waits = [delay_ms for _, delay_ms, _, _ in arrivals]
    return [
        rate_check("throttle to 128 kbit/s", asked, [(at_s, size) for _, _, at_s, size in arrivals]),
        Check("longest wait in a queue of 16 KB", "ms", max(waits), longest_ms * 0.95, longest_ms + 2),
    ]


def connections(bench: Bench) -> list[Check]:
    """Freeze, limit and idle time-out, on real TCP."""
    box, server = bench.world.middlebox, bench.world.addresses[SERVER]
    frozen_at = 16_000
    box.set_rules([Freeze(id="freeze", host="alice", direction="down", payload_bytes=frozen_at)])
    with bench.listening(SERVER, "pour", "1"):
        got = bench.run("alice", "drink", server)
    assert isinstance(got, int)
    checks = [
        Check("freeze after 16,000 B", "bytes", got, frozen_at - 1_460, frozen_at),
        exact_check("connections frozen, counted", "connections", 1, box.counters().rules["freeze"].connections),
    ]
    box.set_rules([Limit(id="limit", host="alice", connections=6)])
    with bench.listening(SERVER, "accept"):
        opened = bench.run("alice", "open", server, "8")
    assert isinstance(opened, list)
    checks.append(exact_check("connections that stand under a limit of 6", "of 8", 6, opened[0]))
    checks.append(exact_check("connections reset above it", "of 8", 2, opened[1]))
    box.set_rules([Idle(id="idle", host="alice", idle_s=1.0)])
    with bench.listening(SERVER, "pour", "1"):
        answers = bench.run("alice", "idle", server, "0.1,0.5,1.5")
    checks.append(exact_check("connection cut after 1 s idle, not before", "yes", 1, answers == [True, True, False]))
    return checks


def drops(bench: Bench) -> list[Check]:
    """A plain ban, and what it spares."""
    rule = Drop(id="drop", host="bob", match=Match(protocol="udp"))
    bench.world.middlebox.set_rules([rule])
    with bench.listening(SERVER, "accept"):
        bench.run("alice", "send", bench.world.addresses["bob"], "100", "1000", "100")
        opened = bench.run("bob", "open", bench.world.addresses[SERVER], "1")
    dropped = bench.world.middlebox.counters().rules["drop"].dropped
    return [
        exact_check("UDP packets dropped by a ban on UDP", "of 100", 100, dropped),
        exact_check("TCP connections it spares", "of 1", 1, opened == [1, 0]),
    ]


def calibrate(folder: Path) -> Report:
    """All of it, in about 25 s. Raises LabUnavailable, MiddleboxFailed, ProbeFailed."""
    checks: list[Check] = []
    attempts = 1
    with world(folder, seed=SEED) as place:
        bench = Bench(place)
        for step in (delay, jitter, loss, rate, connections, drops):
            for attempt in range(1, ATTEMPTS_MAX + 1):
                attempts = max(attempts, attempt)
                judged = step(bench)
                if all(check.passed for check in judged):
                    break
            checks += judged
        realtime = place.middlebox.realtime
    return Report(tuple(checks), realtime, attempts)
