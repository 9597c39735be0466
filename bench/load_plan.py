"""What the load client is told, and what it reports: one JSON line each way."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Target(StrEnum):
    """Our server, or a path of the bare one."""

    OURS = "ours"
    BARE_ECHO = "echo"
    BARE_GROUP = "group"
    BARE_RELAY = "relay"


class Traffic(StrEnum):
    """Records are stored and acknowledged, signals are passed on."""

    RECORDS = "records"
    SIGNALS = "signals"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`groups` conversations of `members` connections each.

    Closed loop (`window` > 0): the first member keeps `window` messages on the way; when the last member got one, the
    next leaves. Fixed rate (`rate_per_s` > 0, all groups together): messages leave at planned times, from the first
    members in turn, or from all members in turn with `all_send`; latency counts from the planned time. Neither: the
    connections stay idle.
    """

    host: str
    port: int
    server_pid: int
    target: Target
    traffic: Traffic = Traffic.RECORDS
    groups: int = 1
    members: int = 2
    window: int = 0
    rotate: bool = False
    """Closed loop over all groups together: the next message leaves from the next group."""
    rate_per_s: float = 0.0
    all_send: bool = False
    count_own: bool = False
    """Whether a message that comes back to its sender is a delivery."""
    body_bytes: int = 1280
    warmup_s: float = 0.5
    measure_s: float = 2.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen within the measured time; latencies in ms, 0 without a fixed rate."""

    seconds: float
    delivered: int
    planned: int = 0
    lost: int = 0
    """Deliveries of planned messages that never came."""
    latency_p50_ms: float = 0.0
    latency_p99_ms: float = 0.0
    latency_max_ms: float = 0.0
    server_cpu_s: float = 0.0
    client_cpu_s: float = 0.0

    @property
    def per_s(self) -> float:
        """Deliveries a second."""
        return self.delivered / self.seconds

    @property
    def server_cpu_us(self) -> float:
        """CPU of the server for each delivery, microseconds. Raises ZeroDivisionError when there was none."""
        return self.server_cpu_s / self.delivered * 1e6

    @property
    def client_cpu_share(self) -> float:
        """How much of one core the load client used."""
        return self.client_cpu_s / self.seconds

    @property
    def server_cpu_share(self) -> float:
        """How much of one core the server used."""
        return self.server_cpu_s / self.seconds
