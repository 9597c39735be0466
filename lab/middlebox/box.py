"""The middlebox without sockets: packets go in with the time, and come out when they are due, at another host."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from lab.middlebox.elements import Element, element
from lab.middlebox.packets import Packet, matches, parse
from lab.middlebox.rules import Bursts, Counts, Cut, Delay, Idle, Limit, Loss, Rate, Rule

Way = Literal["up", "down"]

_STAGE = {Rate: 1, Loss: 2, Bursts: 2, Delay: 3}
"""Order within a link and direction; filters come first."""


@dataclass(slots=True)
class Link:
    """Counters of one host's access link, IP bytes; `up` as the host sent them, `down` as they arrived there."""

    up_packets: int = 0
    up_bytes: int = 0
    down_packets: int = 0
    down_bytes: int = 0


@dataclass(slots=True)
class _Station:
    """A rule at work in one direction of one link. `other` marks the way back of an element that follows both."""

    rule: Rule
    element: Element
    other: bool = False


@dataclass(slots=True)
class Box:
    """Hosts by name, each with the prefix of its addresses (`10.77.1.`): a packet goes to the host it names.

    `seed` decides all chance. What is not IPv4, or addressed to nobody, is dropped and counted in `strays`.
    """

    prefixes: Mapping[str, str]
    seed: int
    links: dict[str, Link] = field(init=False)
    strays: int = 0
    began_s: float | None = None
    """When the call began; windows of rules count from here."""
    _host_of: dict[str, str] = field(init=False)
    _chains: dict[tuple[str, Way], list[_Station]] = field(default_factory=dict)
    _past: dict[str, Counts] = field(default_factory=dict)
    _heap: list[tuple[float, int, str, Packet, bool]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.links = {host: Link() for host in self.prefixes}
        self._host_of = {prefix: host for host, prefix in self.prefixes.items()}

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """From now on these rules act. One that is given again, unchanged, keeps its state and its counters.

        Raises ValueError for an id given twice or a host that is not here.
        """
        ids = [rule.id for rule in rules]
        if len(set(ids)) != len(ids):
            raise ValueError(f"a rule's id must be given once: {ids}")
        if unknown := {rule.host for rule in rules} - set(self.prefixes):
            raise ValueError(f"no such hosts: {unknown}")
        kept = {(s.rule.id, key): s for key, chain in self._chains.items() for s in chain if s.rule in rules}
        for station in itertools.chain.from_iterable(self._chains.values()):
            if station.rule not in rules:
                self._add(self._past, station)
        chains: dict[tuple[str, Way], list[_Station]] = {}
        for rule in rules:
            for key, station in self._stations(rule):
                chains.setdefault(key, []).append(kept.get((rule.id, key), station))
        for chain in chains.values():
            chain.sort(key=lambda station: _STAGE.get(type(station.rule), 0))
        self._chains = chains

    def begin(self, now_s: float) -> None:
        """The call begins."""
        self.began_s = now_s

    def arrive(self, host: str, data: bytes, now_s: float) -> None:
        """`host` has sent the IP packet `data`."""
        packet = parse(data)
        link = self.links[host]
        link.up_packets += 1
        link.up_bytes += len(data)
        if packet is None:
            self.strays += 1
            return
        self._through(host, "up", packet, now_s)

    def next_due_s(self) -> float | None:
        """When `due` has something to give; None while nothing is on its way."""
        return self._heap[0][0] if self._heap else None

    def due(self, now_s: float) -> Iterable[tuple[str, bytes]]:
        """The packets that reach their hosts by now, in order."""
        while self._heap and self._heap[0][0] <= now_s:
            at_s, _, host, packet, arrives = heapq.heappop(self._heap)
            if arrives:
                link = self.links[host]
                link.down_packets += 1
                link.down_bytes += packet.end
                yield host, packet.data
                continue
            there = self._host_of.get(packet.destination[: packet.destination.rindex(".") + 1])
            if there is None:
                self.strays += 1
            else:
                self._through(there, "down", packet, at_s)

    def counters(self) -> dict[str, Counts]:
        """By rule, both directions together, those of rules no longer in force included."""
        total = {rule_id: msgspec.structs.replace(counts) for rule_id, counts in self._past.items()}
        for station in itertools.chain.from_iterable(self._chains.values()):
            self._add(total, station)
        return total

    @staticmethod
    def _add(total: dict[str, Counts], station: _Station) -> None:
        if station.other:
            return
        counts, sums = station.element.counts, total.setdefault(station.rule.id, Counts())
        for name in Counts.__struct_fields__:
            setattr(sums, name, getattr(sums, name) + getattr(counts, name))

    def _stations(self, rule: Rule) -> Iterable[tuple[tuple[str, Way], _Station]]:
        ways: tuple[Way, ...] = ("up", "down") if rule.direction == "both" else (rule.direction,)
        if isinstance(rule, Limit | Idle | Cut):
            both = element(rule, random.Random(f"{self.seed} {rule.id}"))
            yield (rule.host, "up"), _Station(rule, both)
            yield (rule.host, "down"), _Station(rule, both, other=True)
            return
        for way in ways:
            yield (rule.host, way), _Station(rule, element(rule, random.Random(f"{self.seed} {rule.id} {way}")))

    def _through(self, host: str, way: Way, packet: Packet, now_s: float) -> None:
        for station in self._chains.get((host, way), ()):
            if not matches(station.rule.match, packet):
                continue
            if not self._in_force(station.rule, now_s):
                station.element.watch(packet)
                continue
            take = station.element.other_way if station.other else station.element.take
            verdict = take(packet, now_s)
            if verdict.answer is not None and (answer := parse(verdict.answer)) is not None:
                self._push(now_s, host, answer, arrives=True)
            if verdict.leaves_s is None:
                return
            now_s = verdict.leaves_s
        self._push(now_s, host, packet, arrives=way == "down")

    def _push(self, at_s: float, host: str, packet: Packet, *, arrives: bool) -> None:
        heapq.heappush(self._heap, (at_s, next(self._order), host, packet, arrives))

    def _in_force(self, rule: Rule, now_s: float) -> bool:
        if rule.from_s is None and rule.until_s is None:
            return True
        if self.began_s is None:
            return False
        since_s = now_s - self.began_s
        return (rule.from_s is None or since_s >= rule.from_s) and (rule.until_s is None or since_s < rule.until_s)
