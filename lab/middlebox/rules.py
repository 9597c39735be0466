"""What the middlebox may be told to do: data, read from JSON by the process that does it.

A host's access link has two directions, `up` (from the host) and `down` (to it). Rules of one link and direction act
in the order filter, rate, loss, delay, whatever order they are given in. Each has an id by which its counters are
reported, and may be limited to packets (`match`) and to a window of the call's time (`from_s`, `until_s`, from the
moment the callee answers; a rule without a window always acts).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Direction = Literal["up", "down", "both"]


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that is given must hold. Empty: every packet."""

    protocol: Literal["tcp", "udp"] | None = None
    address: str | None = None
    """Source or destination."""
    port: int | None = None
    """Source or destination."""
    content: Literal["stun", "dtls_client_hello"] | None = None
    """What the payload of a UDP packet is."""


class _Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    id: str
    host: str
    """Whose access link."""
    direction: Direction = "both"
    """Rules for `both` act on each direction on its own, except those that follow connections."""
    match: Match = Match()
    from_s: float | None = None
    until_s: float | None = None


class Drop(_Rule, frozen=True, tag="drop"):
    """Nothing that matches passes."""


class Freeze(_Rule, frozen=True, tag="freeze"):
    """Each TCP connection carries at most `payload_bytes` in this direction; from the packet on that would exceed
    it, nothing passes in this direction any more and nobody is told."""

    payload_bytes: int


class Limit(_Rule, frozen=True, tag="limit"):
    """At most `connections` TCP connections at once from this host to one address; a SYN beyond them gets RST."""

    connections: int


class Idle(_Rule, frozen=True, tag="idle"):
    """A TCP connection on which nothing passed for `idle_s` is forgotten: its packets are dropped from then on."""

    idle_s: float


class Cut(_Rule, frozen=True, tag="cut"):
    """The TCP connection that carried most payload until `from_s` goes silent in both directions, until `until_s`."""


class Rate(_Rule, frozen=True, tag="rate"):
    """A token bucket that holds `burst_bytes`, filled at `bits_per_s` (IP bytes), behind a queue of `queue_bytes`."""

    bits_per_s: float
    queue_bytes: int = 32_000
    burst_bytes: int = 1_600


class Loss(_Rule, frozen=True, tag="loss"):
    """Each packet is lost with probability `share`."""

    share: float


class Bursts(_Rule, frozen=True, tag="bursts"):
    """Gilbert-Elliott: on average `share` of the packets are lost, `mean_packets` in a row (at least 1)."""

    share: float
    mean_packets: float


class Delay(_Rule, frozen=True, tag="delay"):
    """`delay_ms` for each packet, and up to `jitter_ms` more, uniformly. They keep their order unless `reorder`:
    a packet then waits for a slower one before it."""

    delay_ms: float
    jitter_ms: float = 0.0
    reorder: bool = False


Rule = Drop | Freeze | Limit | Idle | Cut | Rate | Loss | Bursts | Delay


class Counts(msgspec.Struct):
    """Evidence that a rule bit: packets that matched, what became of them, and connections it acted on."""

    matched: int = 0
    dropped: int = 0
    dropped_bytes: int = 0
    connections: int = 0
    """Frozen, refused, forgotten or cut, by the kind of the rule."""
