"""Each restriction, at the middlebox on a virtual clock: it bites what it names, spares the rest, and counts."""

from __future__ import annotations

import itertools
import struct

import pytest

from lab.middlebox.box import Box
from lab.middlebox.packets import SYN
from lab.middlebox.rules import Match
from lab.rules import (
    address_changed,
    blackout,
    connections_limited,
    dtls_hello_dropped,
    idle_cut,
    path,
    relay_blocked,
    stun_dropped,
    tcp_frozen,
    throttle,
    udp_degraded,
    udp_dropped,
)
from lab.rules.restriction import ChangeOfAddress, Restriction

from .middlebox.make_packets import ALICE, BOB, PREFIXES, SERVER, tcp, udp

STUN = udp(payload=struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12))
DTLS = udp(payload=bytes([22, 0xFE, 0xFD]) + bytes(8) + b"\x00\x40" + bytes([1]) + bytes(63))
OTHER_UDP = udp(payload=b"voice")


class Lab:
    """A box under a restriction; `passes` sends one packet and tells whether, and how late, it arrived."""

    def __init__(self, restriction: Restriction) -> None:
        self.box = Box(PREFIXES, seed=3)
        self.box.set_rules(restriction.rules)
        self.box.begin(0.0)

    def arrivals(self, packet: bytes, now_s: float = 0.0) -> list[tuple[str, bytes, float]]:
        host = {ALICE: "alice", BOB: "bob", SERVER: "server"}[".".join(map(str, packet[12:16]))]
        self.box.arrive(host, packet, now_s)
        out = []
        while (due_s := self.box.next_due_s()) is not None:
            out += [(there, data, due_s - now_s) for there, data in self.box.due(due_s)]
        return out

    def passes(self, packet: bytes, now_s: float = 0.0) -> bool:
        return any(data == packet for _, data, _ in self.arrivals(packet, now_s))


@pytest.mark.parametrize(
    ("restriction", "rule", "bitten", "spared"),
    [
        (stun_dropped.restriction(), "stun dropped", [STUN], [DTLS, OTHER_UDP, tcp()]),
        (udp_dropped.restriction(), "udp dropped", [STUN, DTLS, OTHER_UDP, udp(BOB, ALICE)], [tcp()]),
        (dtls_hello_dropped.restriction(), "dtls hello dropped", [DTLS], [STUN, OTHER_UDP, tcp()]),
        (
            relay_blocked.restriction(address=SERVER, port=3478),
            "relay blocked",
            [udp(destination=SERVER), tcp(to_port=3478), udp(SERVER, ALICE, port=3478, to_port=4000)],
            [OTHER_UDP, tcp(to_port=443)],
        ),
    ],
)
def test_what_is_dropped_and_what_is_not(
    restriction: Restriction, rule: str, bitten: list[bytes], spared: list[bytes]
) -> None:
    lab = Lab(restriction)
    assert [lab.passes(packet) for packet in bitten] == [False] * len(bitten)
    assert [lab.passes(packet) for packet in spared] == [True] * len(spared)
    assert lab.box.counters()[rule].dropped == len(bitten)


def test_others_are_not_touched() -> None:
    lab = Lab(udp_dropped.restriction("alice"))
    assert lab.passes(udp(BOB, SERVER))


def test_degraded_udp_loses_and_shakes_and_tcp_does_not() -> None:
    lab = Lab(udp_degraded.restriction(loss=0.25, jitter_ms=150))
    arrived = [found for n in range(2_000) if (found := lab.arrivals(OTHER_UDP, n * 0.02))]
    late_s = sorted(found[0][2] for found in arrived)
    assert len(arrived) / 2_000 == pytest.approx(0.75, abs=0.04)
    assert late_s[len(late_s) // 2] == pytest.approx(0.075, abs=0.01)
    assert all(lab.arrivals(tcp(), n * 0.02)[0][2] == 0 for n in range(50))


def test_udp_that_is_late_holds_up_no_tcp_on_the_way_that_both_go_on() -> None:
    lab = Lab(udp_degraded.restriction(loss=0.25, jitter_ms=150) + path.restriction(rtt_ms=50))
    sent_s: list[float] = []
    late_s: list[float] = []
    for n in range(200):
        now_s = n * 0.02
        lab.box.arrive("alice", OTHER_UDP, now_s)
        lab.box.arrive("alice", tcp(), now_s + 0.001)
        sent_s.append(now_s + 0.001)
    while (due_s := lab.box.next_due_s()) is not None:
        late_s += [due_s - sent_s[len(late_s)] for _, data in lab.box.due(due_s) if data == tcp()]
    assert late_s == pytest.approx([0.025] * 200)


def test_a_connection_freezes_towards_the_host_alone() -> None:
    lab = Lab(tcp_frozen.restriction(payload_bytes=16_000))
    down = tcp(SERVER, ALICE, bytes(1_000), port=443, to_port=40_000)
    assert [lab.passes(down) for _ in range(18)] == [True] * 16 + [False] * 2
    assert lab.passes(tcp(payload=bytes(1_000)))
    assert lab.passes(tcp(SERVER, ALICE, bytes(1_000), port=443, to_port=40_001))
    assert lab.box.counters()["tcp frozen"].connections == 1


def test_the_seventh_connection_is_reset() -> None:
    lab = Lab(connections_limited.restriction(connections=6))
    for port in range(6):
        assert lab.passes(tcp(port=port, flags=SYN))
    ((host, answer, _),) = lab.arrivals(tcp(port=6, flags=SYN))
    assert (host, answer[12:16], answer[33] & 4) == ("alice", bytes([10, 77, 3, 2]), 4)


def test_a_silent_connection_is_cut() -> None:
    lab = Lab(idle_cut.restriction(idle_s=10))
    assert lab.passes(tcp(), 0.0)
    assert lab.passes(tcp(), 9.9)
    assert not lab.passes(tcp(), 20.0)


def test_a_blackout_takes_the_busiest_connection_and_gives_it_back() -> None:
    lab = Lab(blackout.restriction(carrier="tcp", from_s=10, until_s=20))
    busy, other = tcp(port=1, payload=bytes(900)), tcp(port=2, payload=bytes(100))
    back = tcp(SERVER, ALICE, bytes(900), port=443, to_port=1)
    for at_s in (1.0, 2.0, 3.0):
        assert lab.passes(busy, at_s)
        assert lab.passes(other, at_s)
    assert [lab.passes(packet, 10.0) for packet in (other, busy, back)] == [True, False, False]
    assert [lab.passes(packet, 20.0) for packet in (other, busy, back)] == [True, True, True]
    assert lab.box.counters()["blackout"].connections == 1


def test_a_blackout_of_udp() -> None:
    lab = Lab(blackout.restriction(carrier="udp", from_s=10))
    assert [lab.passes(OTHER_UDP, at_s) for at_s in (9.9, 10.0, 60.0)] == [True, False, False]
    assert lab.passes(tcp(), 10.0)


def test_a_throttle_holds_all_traffic_to_its_rate() -> None:
    lab = Lab(throttle.restriction(kbit_per_s=32, queue_bytes=8_000))
    packets = [tcp(payload=bytes(360)), udp(payload=bytes(372))]
    for n in range(200):
        lab.box.arrive("alice", packets[n % 2], n * 0.05)
    last_s, count = 0.0, 0
    while (due_s := lab.box.next_due_s()) is not None:
        count += len(list(lab.box.due(due_s)))
        last_s = due_s
    burst_bytes = 1_600
    assert (count * 400 - burst_bytes) * 8 / last_s == pytest.approx(32_000, rel=0.03)
    assert lab.box.counters()["throttle"].dropped == 200 - count


def test_the_way_there_and_back() -> None:
    lab = Lab(path.restriction(rtt_ms=100) + path.restriction("bob", rtt_ms=20))
    assert lab.arrivals(udp())[0][2] == pytest.approx(0.06)
    assert lab.arrivals(udp(BOB, ALICE))[0][2] == pytest.approx(0.06)
    lossy = Lab(path.restriction(rtt_ms=0, loss=0.2))
    assert sum(lossy.passes(udp()) for _ in range(2_000)) == pytest.approx(1_600, abs=80)
    bursty = Lab(path.restriction(rtt_ms=0, loss=0.2, burst_packets=5))
    passed = [bursty.passes(udp()) for _ in range(4_000)]
    assert sum(passed) == pytest.approx(3_200, abs=300)
    assert sum(a and not b for a, b in itertools.pairwise(passed)) == pytest.approx(160, abs=50)


def test_an_address_changes_in_the_host_not_in_the_box() -> None:
    restriction = address_changed.restriction(at_s=7)
    assert restriction == Restriction(changes=(ChangeOfAddress("alice", 7),))


def test_restrictions_add_up() -> None:
    both = path.restriction(rtt_ms=50) + udp_dropped.restriction()
    lab = Lab(both)
    assert not lab.passes(OTHER_UDP)
    assert lab.arrivals(tcp())[0][2] == pytest.approx(0.025)
    assert both.rules[1].match == Match(protocol="udp")
