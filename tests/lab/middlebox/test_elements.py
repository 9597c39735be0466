"""Each kind of rule on its own, on a virtual clock."""

from __future__ import annotations

import math
import random

import pytest

from lab.middlebox.elements import Element, Freezer, element
from lab.middlebox.packets import ACK, FIN, RST, SYN, Packet, parse
from lab.middlebox.rules import Bursts, Delay, Freeze, Idle, Limit, Loss, Rate, Rule

from .make_packets import ALICE, SERVER, tcp, udp


def packet(data: bytes) -> Packet:
    parsed = parse(data)
    assert parsed is not None
    return parsed


def made(rule: Rule) -> Element:
    return element(rule, random.Random(7))


def losses(rule: Rule, count: int) -> list[bool]:
    loser, data = made(rule), packet(udp())
    return [loser.take(data, 0.0).leaves_s is None for _ in range(count)]


def runs(lost: list[bool]) -> list[int]:
    text = "".join("x" if one else "." for one in lost)
    return [len(run) for run in text.split(".") if run]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3])
def test_random_loss_is_what_was_asked_for_and_independent(share: float) -> None:
    count = 40_000
    lost = losses(Loss(id="x", host="h", share=share), count)
    assert sum(lost) / count == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / count))
    lengths = runs(lost)
    assert sum(lengths) / len(lengths) == pytest.approx(1 / (1 - share), rel=0.05)


@pytest.mark.parametrize(("share", "mean"), [(0.05, 5.0), (0.1, 3.0)])
def test_bursts_have_the_share_and_the_length_asked_for(share: float, mean: float) -> None:
    lost = losses(Bursts(id="x", host="h", share=share, mean_packets=mean), 200_000)
    assert sum(lost) / len(lost) == pytest.approx(share, rel=0.1)
    lengths = runs(lost)
    assert sum(lengths) / len(lengths) == pytest.approx(mean, rel=0.1)


def test_a_rate_spaces_packets_and_its_queue_is_bounded() -> None:
    bucket = made(Rate(id="x", host="h", bits_per_s=80_000, queue_bytes=3_000, burst_bytes=1_000))
    data = packet(udp(payload=bytes(972)))
    leaves = [bucket.take(data, 0.0).leaves_s for _ in range(6)]
    assert leaves == [0.0, pytest.approx(0.1), pytest.approx(0.2), pytest.approx(0.3), None, None]
    assert bucket.take(data, 0.15).leaves_s == pytest.approx(0.4)
    assert bucket.counts.dropped_bytes == 2_000


def test_a_rate_holds_over_time_and_saves_no_more_than_its_burst() -> None:
    bucket = made(Rate(id="x", host="h", bits_per_s=64_000, queue_bytes=1_600))
    data = packet(udp(payload=bytes(172)))
    passed = [at_s for n in range(4_000) if (at_s := bucket.take(data, n / 400).leaves_s) is not None]
    assert len(passed) * 200 * 8 / max(passed) == pytest.approx(64_000, rel=0.02)
    assert bucket.take(data, 1_000.0).leaves_s == 1_000.0
    rested = [bucket.take(data, 1_000.0).leaves_s for _ in range(8)]
    assert [at_s == 1_000.0 for at_s in rested] == [True] * 7 + [False]


def test_jitter_keeps_order_unless_told_otherwise() -> None:
    for reorder in (False, True):
        delayer = made(Delay(id="x", host="h", delay_ms=20, jitter_ms=30, reorder=reorder))
        left = [delayer.take(packet(udp()), n / 1000).leaves_s for n in range(500)]
        times = [at_s for at_s in left if at_s is not None]
        assert len(times) == 500
        assert (times == sorted(times)) is not reorder
        spread = [at_s - n / 1000 for n, at_s in enumerate(times)]
        assert min(spread) >= 0.020
        assert 0.045 < max(spread) <= 0.0501
        if reorder:
            assert sum(spread) / 500 == pytest.approx(0.035, abs=0.002)


def test_a_connection_freezes_in_one_direction_at_its_bytes() -> None:
    freezer = Freezer(Freeze(id="x", host="h", payload_bytes=3_000))
    data = packet(tcp(SERVER, ALICE, bytes(1_000), port=443, to_port=40_000))
    passed = [freezer.take(data, 0.0).leaves_s is not None for _ in range(5)]
    assert passed == [True, True, True, False, False]
    assert freezer.take(packet(tcp(SERVER, ALICE, port=443, to_port=40_000)), 0.0).leaves_s is None, "nothing at all"
    assert freezer.carried[data.flow] == 3_000
    assert freezer.counts.connections == 1
    other = packet(tcp(SERVER, ALICE, bytes(1_000), port=443, to_port=40_001))
    assert freezer.take(other, 0.0).leaves_s == 0.0, "each connection counts for itself"
    assert freezer.other_way(packet(tcp()), 0.0).leaves_s == 0.0
    assert freezer.take(packet(udp()), 0.0).leaves_s == 0.0


def test_a_port_used_again_is_a_new_connection() -> None:
    freezer = Freezer(Freeze(id="x", host="h", payload_bytes=1_000))
    data = packet(tcp(SERVER, ALICE, bytes(900), port=443, to_port=40_000))
    assert [freezer.take(data, 0.0).leaves_s for _ in range(2)] == [0.0, None]
    syn = packet(tcp(SERVER, ALICE, port=443, to_port=40_000, flags=SYN | ACK))
    assert freezer.take(syn, 0.0).leaves_s == 0.0
    assert freezer.take(data, 0.0).leaves_s == 0.0


def open_connection(limiter: Element, port: int, destination: str = SERVER) -> bytes | None:
    verdict = limiter.take(packet(tcp(destination=destination, port=port, flags=SYN)), 0.0)
    assert (verdict.leaves_s is None) == (verdict.answer is not None)
    return verdict.answer


def test_connections_beyond_the_limit_are_reset() -> None:
    limiter = made(Limit(id="x", host="h", connections=6))
    assert [open_connection(limiter, port) for port in range(6)] == [None] * 6
    assert open_connection(limiter, 5) is None, "a SYN sent again is no new connection"
    answer = open_connection(limiter, 6)
    assert answer is not None
    rst = packet(answer)
    assert rst.flags & RST
    assert (rst.source, rst.source_port, rst.destination, rst.destination_port) == (SERVER, 443, ALICE, 6)
    assert rst.acknowledged == 1001
    assert open_connection(limiter, 7, destination="10.77.2.2") is None, "counted for each address"
    assert limiter.counts.connections == 1


@pytest.mark.parametrize("flag", [FIN, RST])
@pytest.mark.parametrize("from_host", [True, False])
def test_a_closed_connection_makes_room(flag: int, from_host: bool) -> None:
    limiter = made(Limit(id="x", host="h", connections=1))
    assert open_connection(limiter, 1) is None
    assert open_connection(limiter, 2) is not None
    if from_host:
        limiter.take(packet(tcp(port=1, flags=flag | ACK)), 0.0)
    else:
        limiter.other_way(packet(tcp(SERVER, ALICE, port=443, to_port=1, flags=flag | ACK)), 0.0)
    assert open_connection(limiter, 2) is None


def test_an_idle_connection_is_forgotten_both_ways() -> None:
    forgetter = made(Idle(id="x", host="h", idle_s=10))
    there, back = packet(tcp(port=1)), packet(tcp(SERVER, ALICE, port=443, to_port=1))
    assert forgetter.take(packet(tcp(port=1, flags=SYN)), 0.0).leaves_s == 0.0
    assert forgetter.other_way(back, 9.0).leaves_s == 9.0, "either direction keeps it alive"
    assert forgetter.take(there, 18.0).leaves_s == 18.0
    assert forgetter.take(there, 28.1).leaves_s is None
    assert forgetter.other_way(back, 28.2).leaves_s is None
    assert forgetter.take(packet(tcp(port=2)), 28.2).leaves_s == 28.2
    assert forgetter.take(packet(tcp(port=1, flags=SYN)), 29.0).leaves_s == 29.0, "a new one begins anew"
    assert forgetter.counts.connections == 1
