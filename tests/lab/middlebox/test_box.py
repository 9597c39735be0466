"""The middlebox on a virtual clock: what it forwards, when, and what its counters say."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.middlebox.box import Box
from lab.middlebox.rules import Bursts, Delay, Drop, Loss, Match, Rate, Rule

from .make_packets import ALICE, BOB, PREFIXES, SERVER, ip, tcp, udp

Arrival = tuple[float, str, bytes]


def carry(box: Box, sent: Sequence[tuple[float, str, bytes]]) -> list[Arrival]:
    """Send the packets at their times, let the clock run out; what arrives, when and where."""
    arrived: list[Arrival] = []

    def run(until_s: float) -> None:
        while (due_s := box.next_due_s()) is not None and due_s <= until_s:
            arrived.extend((due_s, host, data) for host, data in box.due(due_s))

    for at_s, host, data in sent:
        run(at_s)
        box.arrive(host, data, at_s)
    run(float("inf"))
    return arrived


def box_with(*rules: Rule, seed: int = 1) -> Box:
    box = Box(PREFIXES, seed)
    box.set_rules(rules)
    return box


def test_without_rules_a_packet_arrives_at_once_and_unchanged() -> None:
    packet = udp()
    assert carry(box_with(), [(5.0, "alice", packet)]) == [(5.0, "bob", packet)]


def test_every_address_of_a_prefix_belongs_to_its_host() -> None:
    packet = udp(destination="10.77.2.77")
    assert carry(box_with(), [(0.0, "alice", packet)]) == [(0.0, "bob", packet)]


@pytest.mark.parametrize("stray", [b"", b"\x60" + bytes(39), udp(destination="192.0.2.1"), udp()[:25]])
def test_what_is_for_nobody_is_counted_and_dropped(stray: bytes) -> None:
    box = box_with()
    assert carry(box, [(0.0, "alice", stray)]) == []
    assert box.strays == 1


def test_uplink_of_one_and_downlink_of_the_other_add_up() -> None:
    box = box_with(Delay(id="a", host="alice", direction="up", delay_ms=20), Delay(id="b", host="bob", delay_ms=30))
    there, back = udp(), udp(BOB, ALICE)
    arrived = carry(box, [(1.0, "alice", there), (1.0, "bob", back)])
    assert [arrival[1:] for arrival in arrived] == [("alice", back), ("bob", there)]
    assert [at_s for at_s, _, _ in arrived] == pytest.approx([1.03, 1.05])


def test_the_order_of_rules_is_theirs_not_the_callers() -> None:
    """The queue of a rate is not lengthened by a delay that comes after it, whichever was named first."""
    delay = Delay(id="delay", host="alice", direction="up", delay_ms=500)
    rate = Rate(id="rate", host="alice", direction="up", bits_per_s=80_000, queue_bytes=2_000, burst_bytes=0)
    packets = [(0.0, "alice", udp(payload=bytes(972)))] * 3
    for rules in ((delay, rate), (rate, delay)):
        arrived = [at_s for at_s, _, _ in carry(box_with(*rules), packets)]
        assert arrived == [pytest.approx(0.6), pytest.approx(0.7)]


def test_a_window_counts_from_the_beginning_of_the_call() -> None:
    box = box_with(Drop(id="blackout", host="alice", from_s=10, until_s=12))
    sent = [(at_s, "alice", udp()) for at_s in (100.0, 109.0, 110.0, 111.9, 112.0)]
    assert len(carry(box, [sent[0]])) == 1, "before the call begins nothing is in a window"
    box.begin(100.0)
    assert [at_s for at_s, _, _ in carry(box, sent[1:])] == [109.0, 112.0]
    assert box.counters()["blackout"].dropped == 2


def test_matching() -> None:
    box = box_with(
        Drop(id="udp", host="alice", match=Match(protocol="udp", port=3478)),
        Drop(id="bob", host="alice", match=Match(address=BOB, protocol="tcp")),
    )
    kept = [udp(to_port=53), tcp(), ip(1, ALICE, BOB, b"ping")]
    dropped = [udp(), udp(BOB, ALICE, port=3478, to_port=9), tcp(destination=BOB)]
    sent = [(0.0, "alice" if data[12:16] == bytes([10, 77, 1, 2]) else "bob", data) for data in kept + dropped]
    assert [data for _, _, data in carry(box, sent)] == kept
    assert (box.counters()["udp"].dropped, box.counters()["bob"].dropped) == (2, 1)


def test_a_rule_given_again_goes_on_where_it_was() -> None:
    kept, gone = Loss(id="kept", host="alice", share=0.5), Drop(id="gone", host="bob", match=Match(port=1))
    sent = [(float(n), "alice", udp(payload=bytes([n]))) for n in range(40)]
    undisturbed = carry(box_with(kept), sent)
    box = box_with(kept, gone)
    first = carry(box, [*sent[:20], (19.0, "server", udp(SERVER, to_port=1))])
    box.set_rules([kept])
    assert first + carry(box, sent[20:]) == undisturbed
    assert box.counters()["kept"].matched == 40
    assert box.counters()["gone"].dropped == 1, "what a rule did is remembered when it is gone"


def test_ids_are_given_once_and_hosts_exist() -> None:
    rule = Drop(id="x", host="alice")
    with pytest.raises(ValueError, match="once"):
        box_with(rule, rule)
    with pytest.raises(ValueError, match="carol"):
        box_with(Drop(id="x", host="carol"))


def test_links_count_what_was_sent_and_what_arrived() -> None:
    box = box_with(Drop(id="x", host="bob", match=Match(port=9)))
    carry(box, [(0.0, "alice", udp()), (0.0, "alice", udp(to_port=9))])
    assert (box.links["alice"].up_packets, box.links["alice"].up_bytes) == (2, 2 * 33)
    assert (box.links["bob"].down_packets, box.links["bob"].down_bytes) == (1, 33)


SENT = st.lists(
    st.tuples(st.floats(0, 0.05), st.sampled_from(["alice", "bob"]), st.integers(1, 1400)), min_size=1, max_size=60
)
RULES: list[Rule] = [
    Loss(id="loss", host="alice", share=0.3),
    Bursts(id="bursts", host="bob", share=0.2, mean_packets=3),
    Rate(id="rate", host="bob", bits_per_s=200_000, queue_bytes=4_000),
    Delay(id="delay", host="alice", delay_ms=10, jitter_ms=20),
]


@given(SENT, st.integers(0, 1000))
def test_the_same_seed_does_the_same_to_the_same_packets(gaps: list[tuple[float, str, int]], seed: int) -> None:
    sent, now_s = [], 0.0
    for gap_s, host, size in gaps:
        now_s += gap_s
        ends = (ALICE, BOB) if host == "alice" else (BOB, ALICE)
        sent.append((now_s, host, udp(*ends, payload=bytes(size))))
    first, second = box_with(*RULES, seed=seed), box_with(*RULES, seed=seed)
    arrived = carry(first, sent)
    assert arrived == carry(second, sent)
    counters = first.counters()
    assert len(arrived) + sum(counts.dropped for counts in counters.values()) == len(sent), "a packet vanished"
    for there, here, host in (("alice", "bob", BOB), ("bob", "alice", ALICE)):
        order = [data for _, who, data in sent if who == there]
        came = [data for _, who, data in arrived if who == here]
        at = iter(order)
        assert all(any(data is wanted or data == wanted for wanted in at) for data in came), f"{host}: order changed"


@given(st.integers(0, 50))
def test_losses_do_not_depend_on_time_or_on_other_rules(seed: int) -> None:
    """Decisions come from the seed and the number of packets alone: another pace loses the same packets."""
    loss = Loss(id="loss", host="alice", direction="up", share=0.3)
    packets = [udp(payload=bytes([n])) for n in range(50)]
    slow = [data for _, _, data in carry(box_with(loss, seed=seed), [(n, "alice", p) for n, p in enumerate(packets)])]
    fast_box = box_with(loss, Delay(id="d", host="bob", delay_ms=5, jitter_ms=1), seed=seed)
    fast = [data for _, _, data in carry(fast_box, [(n / 1000, "alice", p) for n, p in enumerate(packets)])]
    assert slow == fast
