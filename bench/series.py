"""Interleaved runs of one load on our server and on the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.drive import apply_load
from bench.load_plan import Outcome, Plan, Target
from bench.processes import ProcessFailed, Server
from bench.report import Goal, Row, compare


@dataclass
class Series:
    """One case: our outcomes and the reference's, run by run."""

    case: str
    reference_name: str
    ours: list[Outcome] = field(default_factory=list)
    reference: list[Outcome] = field(default_factory=list)

    def row(
        self,
        metric: str,
        unit: str,
        value: Callable[[Outcome], float],
        *,
        higher_is_better: bool = False,
        goal: Goal | None = None,
    ) -> Row:
        """A comparison of one figure of the outcomes."""
        return compare(
            self.case,
            metric,
            unit,
            [value(o) for o in self.ours],
            [value(o) for o in self.reference],
            self.reference_name,
            higher_is_better=higher_is_better,
            goal=goal,
        )

    def latency_rows(self, goal_p50: Goal | None = None, goal_p99: Goal | None = None) -> list[Row]:
        """Middle and tail, from the planned time of sending."""
        return [
            self.row("latency p50", "ms", lambda o: o.latency_p50_ms, goal=goal_p50),
            self.row("latency p99", "ms", lambda o: o.latency_p99_ms, goal=goal_p99),
        ]

    def notes(self) -> dict[str, object]:
        """Who was busy: shares of one core, medians left to the reader. And what got lost."""
        return {
            "client_cpu_share": [round(o.client_cpu_share, 2) for o in self.ours],
            "server_cpu_share": [round(o.server_cpu_share, 2) for o in self.ours],
            "reference_client_cpu_share": [round(o.client_cpu_share, 2) for o in self.reference],
            "reference_server_cpu_share": [round(o.server_cpu_share, 2) for o in self.reference],
            "lost": sum(o.lost for o in self.ours),
            "reference_lost": sum(o.lost for o in self.reference),
            "latency_max_ms": round(max(o.latency_max_ms for o in self.ours), 2),
            "reference_latency_max_ms": round(max(o.latency_max_ms for o in self.reference), 2),
        }


def measured(plan: Plan) -> Outcome:
    """One run. Raises ProcessFailed when nothing arrived."""
    outcome = apply_load(plan)
    if outcome.delivered == 0:
        raise ProcessFailed(f"nothing was delivered: {plan}")
    return outcome


def on(server: Server, target: Target, **plan: object) -> Plan:
    """A plan for this server."""
    return Plan(host=server.host, port=server.port, server_pid=server.pid, target=target, **plan)  # type: ignore[arg-type]


def notes_of(series: Sequence[Series]) -> dict[str, object]:
    """The notes of all cases."""
    return {s.case: s.notes() for s in series}
