"""Frames over TLS alone in every kind of network, controlled and with each level held.

`python -m lab.frames.compare` writes bench/results/frames.json. In each network the controller is compared with the
best of the levels held: the one with the fewest late frames, of those about as good the one with the fewest bytes. A
level is held at Alice's end, so the direction up is judged; that down is judged of the controlled run alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.report import RESULTS, commit, machine
from lab.calibration.gate import demanded
from lab.frames.run import Hop, run
from lab.middlebox.control import MiddleboxFailed
from lab.ours.driver import Failed
from lab.rules import path, tcp_frozen, throttle
from lab.rules.restriction import Restriction
from ringthrough.protocol.lane_control import Level

AFTER_S = 5.0
"""What the controller does in the first seconds is not judged: in a call they are spent ringing."""
TIE_SHARE = 0.001
"""Levels whose late shares differ by no more are as good as one another."""


@dataclass(frozen=True, slots=True)
class Network:
    """`share_min` of the frames are to come within `limit_ms`."""

    name: str
    restriction: Restriction
    limit_ms: float
    share_min: float


def _path(
    name: str, rtt_ms: float, limit_ms: float, share_min: float, loss: float, burst: float | None = None
) -> Network:
    return Network(name, path.restriction(rtt_ms=rtt_ms, loss=loss, burst_packets=burst), limit_ms, share_min)


def _narrow(kbit_per_s: float, share_min: float) -> Network:
    rules = path.restriction(rtt_ms=80) + throttle.restriction(kbit_per_s=kbit_per_s)
    return Network(f"throttle {kbit_per_s:g} kbit/s, RTT 80", rules, 300, share_min)


NETWORKS = (
    _path("no loss, RTT 50", 50, 200, 1.0, 0.0),
    _path("10 % lost, RTT 50", 50, 200, 0.999, 0.1),
    _path("20 % lost, RTT 50", 50, 200, 0.995, 0.2),
    _path("10 % lost, RTT 100", 100, 300, 0.999, 0.1),
    _path("20 % lost, RTT 100", 100, 300, 0.99, 0.2),
    _path("5 % lost in bursts of 5, RTT 50", 50, 400, 0.998, 0.05, 5),
    Network(
        "frozen after 16 KB, 5 % lost, RTT 50",
        path.restriction(rtt_ms=50, loss=0.05) + tcp_frozen.restriction(),
        250,
        1.0,
    ),
    _narrow(64, 0.99),
    _narrow(32, 0.97),
)
SETTINGS: tuple[Level | None, ...] = (None, *Level)
"""None: controlled."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run. `late_up`, `late_down`: shares of the frames that took longer than the limit, or never came."""

    network: str
    level: str
    late_up: float
    late_down: float
    lost_up: float
    lost_down: float
    copies_up: float
    bytes_per_s: float
    """IP bytes of Alice's link, both ways, from the first frame on."""
    ring_bytes: int
    """The same before it."""
    dials: int


def result(network: Network, level: Level | None, hop: Hop, seconds: float) -> Result:
    """Its figures."""
    frames = len(hop.up.sent_s) + len(hop.down.sent_s)
    return Result(
        network=network.name,
        level="controlled" if level is None else level.name.lower(),
        late_up=hop.up.late_share(network.limit_ms, AFTER_S),
        late_down=hop.down.late_share(network.limit_ms, AFTER_S),
        lost_up=hop.up.lost_share,
        lost_down=hop.down.lost_share,
        copies_up=hop.up.copies,
        bytes_per_s=hop.wire_bytes_per_frame * frames / seconds,
        ring_bytes=hop.ring_bytes,
        dials=hop.up.told.dials,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One network: the controlled run beside the best level held."""

    network: Network
    controlled: Result
    held: tuple[Result, ...]

    @property
    def best(self) -> Result:
        """The level held with the fewest late frames; of those about as good, the one with the fewest bytes."""
        fewest = min(one.late_up for one in self.held)
        return min((one for one in self.held if one.late_up <= fewest + TIE_SHARE), key=lambda one: one.bytes_per_s)

    @property
    def holds(self) -> bool:
        """Few enough frames are late, in both directions."""
        late = max(self.controlled.late_up, self.controlled.late_down)
        return late <= 1 - self.network.share_min + 1e-9

    @property
    def bytes_to_best(self) -> float:
        """What the controlled run sent, over what the best level did."""
        return self.controlled.bytes_per_s / self.best.bytes_per_s

    def __str__(self) -> str:
        network, run = self.network, self.controlled
        return (
            f"{network.name}: later than {network.limit_ms:g} ms: {run.late_up:.2%} up, {run.late_down:.2%} down "
            f"(at most {1 - network.share_min:.2%}); best level held: {self.best.level} {self.best.late_up:.2%}, "
            f"{self.bytes_to_best:.2f} times its bytes"
        )

    def document(self) -> dict[str, object]:
        """As it is written."""
        return {
            "network": self.network.name,
            "limit_ms": self.network.limit_ms,
            "late_max": round(1 - self.network.share_min, 6),
            "holds": self.holds,
            "best_level": self.best.level,
            "bytes_to_best": self.bytes_to_best,
            "runs": [asdict(one) for one in (self.controlled, *self.held)],
        }


def _play(network: Network, level: Level | None, seconds: float, seed: int) -> Result:
    held = None if level is None else int(level)
    return result(network, level, _tried(network.restriction, seconds, seed=seed, level=held), seconds)


def _tried(restriction: Restriction, seconds: float, **options: Any) -> Hop:
    """Run it; once more where the lab failed: one fault must not cost all others."""
    try:
        return run(restriction, seconds, **options)
    except (Failed, MiddleboxFailed) as fault:
        print(f"once more: {fault}", file=sys.stderr, flush=True)
        return run(restriction, seconds, **options)


def _plain(seconds: float) -> float:
    """IP bytes a second of one copy of each frame in both directions, without answers."""
    hop = _tried(NETWORKS[0].restriction, seconds, plain=True)
    return hop.wire_bytes_per_frame * (len(hop.up.sent_s) + len(hop.down.sent_s)) / seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m lab.frames.compare", description=__doc__)
    parser.add_argument("--only", action="append", metavar="TEXT", help="networks whose name holds this text")
    parser.add_argument("--seconds", type=float, default=80.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--out", type=Path, help="else bench/results, where all are played")
    args = parser.parse_args(argv)
    if args.seconds <= AFTER_S:
        parser.error(f"nothing is judged before {AFTER_S:g} s")
    networks = [one for one in NETWORKS if args.only is None or any(text in one.name for text in args.only)]
    calibration = demanded()
    # Each in a process of its own, which names its namespaces.
    with ProcessPoolExecutor(args.at_once, max_tasks_per_child=1) as pool:
        plain = pool.submit(_plain, args.seconds)
        waiting = {
            one.name: [pool.submit(_play, one, level, args.seconds, args.seed) for level in SETTINGS]
            for one in networks
        }
        rows = []
        for network in networks:
            controlled, *held = (one.result() for one in waiting[network.name])
            rows.append(Row(network, controlled, tuple(held)))
            print(rows[-1], flush=True)
        once = plain.result()
    share = next((one.controlled.bytes_per_s / once for one in rows if one.network is NETWORKS[0]), None)
    if share is not None:
        print(f"without loss: {share:.2f} times the bytes of one copy without answers")
    about = {"commit": commit(), "machine": machine(), "seconds": args.seconds, "seed": args.seed}
    about["calibration"] = calibration
    document = {"about": about, "bytes_to_one_copy": share, "rows": [one.document() for one in rows]}
    out = args.out or (RESULTS / "frames.json" if args.only is None else None)
    if out is not None:
        out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
