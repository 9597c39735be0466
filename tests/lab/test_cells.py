"""The cells of the lab: enough of them, each with a name, a seed and rules of its own."""

from __future__ import annotations

import pytest

from lab.__main__ import parse, slug
from lab.cases.case import find
from lab.cases.cells import CELLS, RELAY_ADDRESS, SMOKE, VOICES
from lab.cases.right import RIGHT
from lab.drivers import DIRECT, DRIVERS, OURS, PEERS
from lab.middlebox.box import Box

from .middlebox.make_packets import PREFIXES


def test_there_are_enough_and_they_differ() -> None:
    assert len(CELLS) >= 20
    for values in ([c.name for c in CELLS], [slug(c.name) for c in CELLS], [c.seed for c in CELLS]):
        assert len(set(values)) == len(CELLS)
    assert {case.speech for case in CELLS} == {*VOICES, "words"}


def test_each_says_which_verdicts_are_right_and_a_client_without_a_direct_way_misses_none() -> None:
    assert set(RIGHT) == {case.name for case in CELLS if not case.name.startswith("words: ")}
    for case in CELLS:
        assert case.verdicts, case.name
        assert case.verdicts_without_direct, case.name
        told = {verdict for verdict in case.verdicts_without_direct if verdict.startswith("direct_")}
        assert not told, case.name
    assert find(CELLS, "words: clean, RTT 20").verdicts == find(CELLS, "clean, RTT 20").verdicts


def test_the_middlebox_takes_the_rules_of_each() -> None:
    for case in CELLS:
        Box(PREFIXES, case.seed).set_rules(case.restriction.rules)
        assert {change.host for change in case.restriction.changes} <= set(PREFIXES)
        assert case.speech_s > 10


def test_restrictions_in_the_middle_of_a_call_come_while_somebody_speaks() -> None:
    for case in CELLS:
        starts = [rule.from_s for rule in case.restriction.rules if rule.from_s is not None]
        starts += [change.at_s for change in case.restriction.changes]
        assert all(3 <= at_s <= case.speech_s - 3 for at_s in starts), case.name


def test_the_relay_is_in_the_network_of_the_server_but_is_not_the_server() -> None:
    assert RELAY_ADDRESS.startswith(PREFIXES["server"])
    assert PREFIXES["server"] + "2" != RELAY_ADDRESS


def test_a_direct_way_is_played_where_some_udp_passes() -> None:
    with_udp = {case.name for case in CELLS if case.has_udp}
    assert {"clean, RTT 20", "STUN dropped", "UDP degraded", "UDP silent from 5 s"} < with_udp
    assert not [name for name in with_udp if "no UDP" in name or "TLS alone" in name or name == "UDP dropped"]
    assert len(with_udp) == 14


def test_every_messenger_can_be_made_and_bears_its_name() -> None:
    assert {name: make().name for name, make in DRIVERS.items()} == {name: name for name in DRIVERS}
    assert OURS not in PEERS


def test_the_command_line_chooses_cells_and_messengers() -> None:
    everything = parse([])
    assert everything.out.is_absolute()
    assert len(everything.cases) == len(CELLS)
    assert everything.drivers == [OURS, DIRECT, *PEERS]
    smoke = parse(["--smoke"])
    assert [case.name for case in smoke.cases] == [name for name in SMOKE if find(CELLS, name)]
    assert smoke.drivers == [OURS]
    some = parse(["--only", "throttle", "--with", "ours,mumble"])
    assert all("throttle" in case.name for case in some.cases)
    assert some.drivers == ["ours", "mumble"]
    for wrong in (["--with", "telepathy"], ["--only", "no such network"]):
        with pytest.raises(SystemExit):
            parse(wrong)
