"""The cells of `make lab`. Alice's access link is restricted; Bob's is clean, where not said otherwise."""

from __future__ import annotations

from dataclasses import replace

from lab.cases.case import Case
from lab.cases.right import RIGHT
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
from lab.rules.restriction import Restriction

RELAY_ADDRESS = "10.77.3.10"
"""Where the media relay of peers listens: in the server's network, apart from the server."""

VOICES = ("en", "ru", "it")
NO_UDP = udp_dropped.restriction()
NEAR = path.restriction(rtt_ms=50)


def _tls_alone(rtt_ms: float, loss: float, burst_packets: float | None = None) -> Restriction:
    return NO_UDP + path.restriction(rtt_ms=rtt_ms, loss=loss, burst_packets=burst_packets)


_BOTH_HOPS = _tls_alone(50, 0.1) + path.restriction("bob", rtt_ms=50, loss=0.1)

_PLAIN: tuple[Case, ...] = (
    Case("clean, RTT 20", path.restriction(rtt_ms=20), rtt_ms=20),
    Case("jitter 40 ms with reordering, RTT 50", path.restriction(rtt_ms=50, jitter_ms=40, reorder=True), rtt_ms=50),
    Case("RTT 200", path.restriction(rtt_ms=200), rtt_ms=200),
    Case("all lose 10 %, RTT 50", path.restriction(rtt_ms=50, loss=0.1), rtt_ms=50),
    Case("STUN dropped", stun_dropped.restriction() + NEAR, rtt_ms=50),
    Case("UDP dropped", NO_UDP + NEAR, rtt_ms=50),
    Case("UDP degraded", udp_degraded.restriction() + NEAR, rtt_ms=50),
    Case("UDP and relay blocked", NO_UDP + relay_blocked.restriction(address=RELAY_ADDRESS) + NEAR, rtt_ms=50),
    Case("DTLS hello dropped", dtls_hello_dropped.restriction() + NEAR, rtt_ms=50),
    Case("TLS alone, 5 % lost, RTT 50", _tls_alone(50, 0.05), rtt_ms=50),
    Case("TLS alone, 10 % lost, RTT 50", _tls_alone(50, 0.1), rtt_ms=50),
    Case("TLS alone, 20 % lost, RTT 50", _tls_alone(50, 0.2), rtt_ms=50),
    # Speech is given up for push-to-talk by what the last 20 s have lost.
    Case("TLS alone, 30 % lost, RTT 50", _tls_alone(50, 0.3), seconds=36, rtt_ms=50, conversation=False),
    Case("TLS alone, 10 % lost, RTT 100", _tls_alone(100, 0.1), rtt_ms=100),
    Case("TLS alone, 20 % lost, RTT 100", _tls_alone(100, 0.2), rtt_ms=100),
    Case("TLS alone, 5 % in bursts of 5, RTT 50", _tls_alone(50, 0.05, 5), rtt_ms=50),
    Case("TLS alone, 10 % lost on both hops of RTT 50", _BOTH_HOPS, rtt_ms=100),
    Case("throttle 64 kbit/s, RTT 80", throttle.restriction(kbit_per_s=64) + path.restriction(rtt_ms=80), rtt_ms=80),
    Case("throttle 32 kbit/s, RTT 80", throttle.restriction(kbit_per_s=32) + path.restriction(rtt_ms=80), rtt_ms=80),
    Case(
        "throttle 32 kbit/s, 2 % lost, RTT 80",
        throttle.restriction(kbit_per_s=32) + path.restriction(rtt_ms=80, loss=0.02),
        rtt_ms=80,
    ),
    Case("TCP frozen after 16 KB, no UDP", tcp_frozen.restriction() + NO_UDP + NEAR, rtt_ms=50),
    Case(
        "TCP frozen after 16 KB, 5 % lost, no UDP",
        tcp_frozen.restriction() + NO_UDP + path.restriction(rtt_ms=50, loss=0.05),
        rtt_ms=50,
    ),
    Case("idle connections cut after 10 s, no UDP", idle_cut.restriction() + NO_UDP + NEAR, seconds=22, rtt_ms=50),
    Case(
        "more than 6 connections reset, no UDP, 10 % lost",
        connections_limited.restriction() + NO_UDP + path.restriction(rtt_ms=50, loss=0.1),
        rtt_ms=50,
    ),
    Case(
        "busiest TCP silent from 5 s, no UDP",
        blackout.restriction(carrier="tcp", from_s=5) + NO_UDP + NEAR,
        rtt_ms=50,
    ),
    Case("UDP silent from 5 s", blackout.restriction(carrier="udp", from_s=5) + NEAR, rtt_ms=50),
    Case("STUN dropped from 5 s", stun_dropped.restriction(from_s=5) + NEAR, rtt_ms=50),
    Case("address changed at 5 s", address_changed.restriction(at_s=5) + NEAR, rtt_ms=50),
)


def _voiced() -> tuple[Case, ...]:
    """Every case with a seed of its own, the voices in turn, and the verdicts that are right; two more are spoken in
    single words."""
    spoken = [
        replace(
            case,
            seed=100 + n,
            speech=VOICES[n % len(VOICES)],
            has_udp=not set(NO_UDP.rules) <= set(case.restriction.rules),
            verdicts=RIGHT[case.name][0],
            verdicts_without_direct=RIGHT[case.name][1],
        )
        for n, case in enumerate(_PLAIN)
    ]
    worded = [
        replace(case, name=f"words: {case.name}", seconds=22, seed=100 + case.seed, speech="words")
        for case in spoken
        if case.name in ("clean, RTT 20", "TLS alone, 10 % lost, RTT 50")
    ]
    return (*spoken, *worded)


CELLS = _voiced()
SMOKE = ("clean, RTT 20", "UDP dropped", "TCP frozen after 16 KB, no UDP")
"""Cells that `make lab-smoke` plays with ours alone: those that hold, so that one which no longer does is seen."""
