"""One element for each kind of rule: given a packet and the time, it passes it, holds it back or drops it.

Pure: time comes as an argument, chance from a generator that was seeded for this element alone, so a decision depends
on the seed and on the packets this element has seen, never on the clock or on other elements.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import Protocol

from lab.middlebox.packets import ACK, FIN, RST, SYN, TCP, Packet, reset
from lab.middlebox.rules import Bursts, Counts, Cut, Delay, Drop, Freeze, Idle, Limit, Loss, Rate, Rule

Flow = tuple[str, int, str, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """When the packet leaves the element, None if never; `answer` is a packet for the host of this link."""

    leaves_s: float | None
    answer: bytes | None = None


DROPPED = Verdict(None)


class Element(Protocol):
    """`take` is called for each packet that matches, in the order of arrival."""

    counts: Counts

    def take(self, packet: Packet, now_s: float) -> Verdict:
        """What becomes of a packet that arrives at `now_s` in the element's own direction."""

    def other_way(self, packet: Packet, now_s: float) -> Verdict:
        """The same for the other direction of the link; only elements that follow connections care."""

    def watch(self, packet: Packet) -> None:
        """A packet that passes outside the rule's window, in either direction."""


class _OneWay:
    def __init__(self) -> None:
        self.counts = Counts()

    def watch(self, packet: Packet) -> None:
        pass

    def other_way(self, packet: Packet, now_s: float) -> Verdict:
        return Verdict(now_s)

    def _drop(self, packet: Packet) -> Verdict:
        self.counts.dropped += 1
        self.counts.dropped_bytes += packet.end
        return DROPPED


class Dropper(_OneWay):
    """Drops what matches."""

    def take(self, packet: Packet, now_s: float) -> Verdict:
        self.counts.matched += 1
        return self._drop(packet)


class Freezer(_OneWay):
    """Counts payload for each connection; a SYN begins a new count, since ports are used again."""

    def __init__(self, rule: Freeze) -> None:
        super().__init__()
        self._bytes_max = rule.payload_bytes
        self._carried: dict[Flow, int] = defaultdict(int)
        self._frozen: set[Flow] = set()

    def take(self, packet: Packet, now_s: float) -> Verdict:
        if packet.protocol != TCP:
            return Verdict(now_s)
        self.counts.matched += 1
        flow = packet.flow
        if packet.flags & SYN:
            self._carried.pop(flow, None)
            self._frozen.discard(flow)
        if flow not in self._frozen and self._carried[flow] + packet.payload_bytes > self._bytes_max:
            self._frozen.add(flow)
            self.counts.connections += 1
        if flow in self._frozen:
            return self._drop(packet)
        self._carried[flow] += packet.payload_bytes
        return Verdict(now_s)

    @property
    def carried(self) -> dict[Flow, int]:
        """Payload bytes let through, by connection."""
        return dict(self._carried)


class Limiter(_OneWay):
    """Follows connections that the host opens; sees both directions."""

    def __init__(self, rule: Limit) -> None:
        super().__init__()
        self._most = rule.connections
        self._open: dict[tuple[str, str], set[Flow]] = defaultdict(set)

    def take(self, packet: Packet, now_s: float) -> Verdict:
        if packet.protocol != TCP:
            return Verdict(now_s)
        self.counts.matched += 1
        flow = packet.flow
        flows = self._open[packet.source, packet.destination]
        if packet.flags & SYN and not packet.flags & ACK and flow not in flows:
            if len(flows) >= self._most:
                self.counts.connections += 1
                self._drop(packet)
                return Verdict(None, reset(packet))
            flows.add(flow)
        if packet.flags & (FIN | RST):
            flows.discard(flow)
        return Verdict(now_s)

    def other_way(self, packet: Packet, now_s: float) -> Verdict:
        if packet.protocol == TCP and packet.flags & (FIN | RST):
            _, source_port, _, destination_port = packet.flow
            back = packet.destination, destination_port, packet.source, source_port
            self._open[packet.destination, packet.source].discard(back)
        return Verdict(now_s)


class Forgetter(_OneWay):
    """A table of connections with a time-out, as address translation has it."""

    def __init__(self, rule: Idle) -> None:
        super().__init__()
        self._idle_s = rule.idle_s
        self._seen_s: dict[Flow, float] = {}
        self._forgotten: set[Flow] = set()

    def take(self, packet: Packet, now_s: float) -> Verdict:
        return self._look(packet, packet.flow, now_s)

    def other_way(self, packet: Packet, now_s: float) -> Verdict:
        source, source_port, destination, destination_port = packet.flow
        return self._look(packet, (destination, destination_port, source, source_port), now_s)

    def _look(self, packet: Packet, flow: Flow, now_s: float) -> Verdict:
        if packet.protocol != TCP:
            return Verdict(now_s)
        self.counts.matched += 1
        if packet.flags & SYN and not packet.flags & ACK:
            self._forgotten.discard(flow)
        elif flow not in self._forgotten and now_s - self._seen_s.get(flow, now_s) > self._idle_s:
            self._forgotten.add(flow)
            self.counts.connections += 1
        self._seen_s[flow] = now_s
        return self._drop(packet) if flow in self._forgotten else Verdict(now_s)


class Cutter(_OneWay):
    """Silences the busiest connection."""

    def __init__(self) -> None:
        super().__init__()
        self._carried: dict[frozenset[tuple[str, int]], int] = defaultdict(int)
        self._cut: frozenset[tuple[str, int]] | None = None

    def watch(self, packet: Packet) -> None:
        if packet.protocol == TCP and packet.payload_bytes:
            self._carried[_ends(packet)] += packet.payload_bytes

    def take(self, packet: Packet, now_s: float) -> Verdict:
        if packet.protocol != TCP:
            return Verdict(now_s)
        self.counts.matched += 1
        if self._cut is None:
            self._cut = max(self._carried, key=self._carried.__getitem__, default=_ends(packet))
            self.counts.connections += 1
        return self._drop(packet) if _ends(packet) == self._cut else Verdict(now_s)

    other_way = take


def _ends(packet: Packet) -> frozenset[tuple[str, int]]:
    """Names a connection whichever way the packet goes."""
    source, source_port, destination, destination_port = packet.flow
    return frozenset([(source, source_port), (destination, destination_port)])


class Bucket(_OneWay):
    """A token bucket in front of which packets queue; what finds the queue full is dropped."""

    def __init__(self, rule: Rate) -> None:
        super().__init__()
        self._bytes_per_s = rule.bits_per_s / 8
        self._queue_bytes = rule.queue_bytes
        self._burst_bytes = rule.burst_bytes
        self._empty_s = float("-inf")
        """When the bucket was, or will be, at zero tokens with nothing waiting before the next packet."""

    def take(self, packet: Packet, now_s: float) -> Verdict:
        self.counts.matched += 1
        self._empty_s = max(self._empty_s, now_s - self._burst_bytes / self._bytes_per_s)
        leaves_s = max(now_s, self._empty_s + packet.end / self._bytes_per_s)
        waiting_bytes = (leaves_s - now_s) * self._bytes_per_s
        if round(waiting_bytes) > self._queue_bytes:
            return self._drop(packet)
        self._empty_s += packet.end / self._bytes_per_s
        return Verdict(leaves_s)


class Loser(_OneWay):
    """Independent losses."""

    def __init__(self, rule: Loss, chance: random.Random) -> None:
        super().__init__()
        self._share = rule.share
        self._chance = chance

    def take(self, packet: Packet, now_s: float) -> Verdict:
        self.counts.matched += 1
        return self._drop(packet) if self._chance.random() < self._share else Verdict(now_s)


class Burster(_OneWay):
    """Gilbert-Elliott with a good state that loses nothing and a bad one that loses all."""

    def __init__(self, rule: Bursts, chance: random.Random) -> None:
        super().__init__()
        self._recovers = 1 / rule.mean_packets
        self._worsens = self._recovers * rule.share / (1 - rule.share)
        self._bad = False
        self._chance = chance

    def take(self, packet: Packet, now_s: float) -> Verdict:
        self.counts.matched += 1
        drawn = self._chance.random()
        self._bad = drawn >= self._recovers if self._bad else drawn < self._worsens
        return self._drop(packet) if self._bad else Verdict(now_s)


class Delayer(_OneWay):
    """Delay and jitter."""

    def __init__(self, rule: Delay, chance: random.Random) -> None:
        super().__init__()
        self._delay_s = rule.delay_ms / 1000
        self._jitter_s = rule.jitter_ms / 1000
        self._reorder = rule.reorder
        self._last_s = float("-inf")
        self._chance = chance

    def take(self, packet: Packet, now_s: float) -> Verdict:
        self.counts.matched += 1
        leaves_s = now_s + self._delay_s + self._chance.random() * self._jitter_s
        # A delay without jitter keeps the order by itself. What the rule before has made late comes here ahead of its
        # time, and must hold up nothing that it did not touch.
        if self._jitter_s and not self._reorder:
            leaves_s = self._last_s = max(leaves_s, self._last_s)
        return Verdict(leaves_s)


def element(rule: Rule, chance: random.Random) -> Element:
    """The element that carries out `rule`."""
    match rule:
        case Drop():
            return Dropper()
        case Freeze():
            return Freezer(rule)
        case Limit():
            return Limiter(rule)
        case Idle():
            return Forgetter(rule)
        case Cut():
            return Cutter()
        case Rate():
            return Bucket(rule)
        case Loss():
            return Loser(rule, chance)
        case Bursts():
            return Burster(rule, chance)
        case Delay():
            return Delayer(rule, chance)
