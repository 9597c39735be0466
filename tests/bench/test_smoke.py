"""One benchmark from end to end: what it writes, never how fast it was."""

from bench import memory, messages
from bench.load_plan import Outcome, Plan, Target
from bench.processes import bare_server, our_server
from bench.series import measured, on


def test_messages_measure_every_case_on_both_sides() -> None:
    result = messages.run(quick=True)
    cases = {(row.case, row.metric, row.reference_name) for row in result.rows}
    assert len(cases) == len(result.rows) == 11
    assert all(row.ours > 0 and row.reference > 0 and row.ratio > 0 for row in result.rows)
    paced = result.notes["1000 messages/s"]
    assert isinstance(paced, dict)
    assert paced["lost"] == paced["reference_lost"] == 0


def test_every_planned_message_is_delivered_and_cpu_is_seen() -> None:
    with our_server() as ours:
        outcome = measured(on(ours, Target.OURS, groups=3, members=3, rate_per_s=100, warmup_s=0.1, measure_s=0.5))
    assert 49 <= outcome.planned <= 51
    assert outcome.lost == 0
    assert 0 < outcome.latency_p50_ms <= outcome.latency_p99_ms <= outcome.latency_max_ms
    assert outcome.server_cpu_s > 0
    assert outcome.client_cpu_s > 0


def test_the_bare_server_leaves_the_sender_out_of_a_relay_and_in_a_group() -> None:
    def plan(target: Target, count_own: bool) -> Plan:
        times = {"warmup_s": 0.1, "measure_s": 0.5}
        return on(bare, target, groups=2, members=3, rate_per_s=100, count_own=count_own, **times)

    with bare_server() as bare:
        relay, group = measured(plan(Target.BARE_RELAY, True)), measured(plan(Target.BARE_GROUP, True))
    assert relay.lost == relay.planned > 0
    assert group.lost == 0 < group.planned


def test_memory_is_weighed_for_both() -> None:
    result = memory.run(quick=True)
    assert [row.unit for row in result.rows] == ["MB", "KB"]


def test_an_outcome_tells_rates_and_shares() -> None:
    outcome = Outcome(seconds=2.0, delivered=1000, server_cpu_s=0.5, client_cpu_s=0.2)
    assert (outcome.per_s, outcome.server_cpu_us) == (500.0, 500.0)
    assert (outcome.server_cpu_share, outcome.client_cpu_share) == (0.25, 0.1)
