"""What the page's network check says behind the restrictions of the lab.

`python -m lab.check_runs` opens the page in a browser, restricts its network, clicks the check and writes what it
says to bench/results/checks.json. What is measured, and how: docs/spec/verdicts.md, section 4.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.async_api import async_playwright

from bench.report import RESULTS, commit, machine
from lab import speech
from lab.calibration.gate import demanded
from lab.peers.chromium import Browser, browser
from lab.peers.ours_in_browsers import PORT, VERDICTS
from lab.processes import Running, ringthrough
from lab.rules import connections_limited, idle_cut, path, tcp_frozen, throttle, udp_dropped
from lab.rules.restriction import Restriction
from lab.worlds.access import SERVER, World, world
from ringthrough.protocol.verdicts import Verdict

NEAR = path.restriction(rtt_ms=50)
NARROW = path.restriction(rtt_ms=80)
HOST = "alice"
CHECK_MS_MAX = 120_000


@dataclass(frozen=True, slots=True)
class Network:
    """One kind of network; `right` are the verdicts that may head the result."""

    restriction: Restriction
    right: frozenset[Verdict]


def _right(*verdicts: Verdict) -> frozenset[Verdict]:
    return frozenset(verdicts)


NETWORKS: Mapping[str, Network] = {
    "clean, RTT 50": Network(NEAR, _right(Verdict.CLEAR)),
    "UDP dropped": Network(udp_dropped.restriction() + NEAR, _right(Verdict.CLEAR)),
    "RTT 200": Network(path.restriction(rtt_ms=200), _right(Verdict.CLEAR)),
    "RTT 400": Network(path.restriction(rtt_ms=400), _right(Verdict.FAR)),
    "2 % lost, RTT 50": Network(path.restriction(rtt_ms=50, loss=0.02), _right(Verdict.CLEAR, Verdict.LOSSY)),
    "10 % lost, RTT 50": Network(path.restriction(rtt_ms=50, loss=0.1), _right(Verdict.LOSSY)),
    "20 % lost, RTT 100": Network(path.restriction(rtt_ms=100, loss=0.2), _right(Verdict.LOSSY)),
    "throttle 32 kbit/s, RTT 80": Network(throttle.restriction(kbit_per_s=32) + NARROW, _right(Verdict.NARROW)),
    "throttle 512 kbit/s, RTT 80": Network(throttle.restriction(kbit_per_s=512) + NARROW, _right(Verdict.CLEAR)),
    "TCP frozen after 16 KB": Network(tcp_frozen.restriction() + NEAR, _right(Verdict.FROZEN)),
    "idle connections cut after 10 s": Network(idle_cut.restriction() + NEAR, _right(Verdict.IDLE_CUT)),
    "more than 3 connections reset": Network(
        connections_limited.restriction(connections=3) + NEAR, _right(Verdict.COUNTED)
    ),
}


@dataclass(frozen=True, slots=True)
class Row:
    """What was said in one network, the verdict that heads it first; `steps` by the words of the screen."""

    network: str
    right_ones: Sequence[str]
    told: Sequence[str]
    steps: Mapping[str, str]

    @property
    def is_right(self) -> bool:
        """Whether the first is one of those that are right."""
        return bool(self.told) and self.told[0] in self.right_ones


async def checked(page: Browser) -> tuple[list[str], dict[str, str]]:
    """Click the check, with a silence waited out, and read what it says. Raises playwright's Error."""
    click = page.page
    await click.get_by_role("link", name="Settings").click()
    await click.get_by_role("link", name="Network check").click()
    await click.get_by_role("switch", name="Also wait out a silence").press("Space")
    await click.get_by_role("button", name="Check now").click()
    await click.get_by_role("button", name="Check again").wait_for(timeout=CHECK_MS_MAX)
    matters = await click.locator(".verdict strong").all_inner_texts()
    names, values = [await click.locator(f"dl {tag}").all_inner_texts() for tag in ("dt", "dd")]
    return [VERDICTS.get(matter, matter) for matter in matters], dict(zip(names, values, strict=True))


async def _play(place: World, folder: Path) -> tuple[list[str], dict[str, str]]:
    address, (certificate, key) = place.addresses[SERVER], place.certificates[SERVER]
    origin = f"https://{address}"
    serve = ["serve", "--data", str(folder / "server-data"), "--host", address, "--port", str(PORT)]
    serve += ["--tls-cert", str(certificate), "--tls-key", str(key), "--origin", origin]
    silence = speech.write_wav(folder / "silence.wav", speech.talk("en", 1, 1).pcm * 0)
    with Running(place.inside(SERVER, ringthrough(*serve)), folder / "server.log") as server:
        await asyncio.to_thread(server.line)
        async with (
            async_playwright() as playwright,
            browser(playwright, place, HOST, silence, None, folder) as opened,
        ):
            await opened.page.goto(origin)
            await opened.page.get_by_label("Handle").fill("alice")
            await opened.page.get_by_role("button", name="Create account").click()
            await opened.page.get_by_role("button", name="Later").click()
            place.restrict()
            place.call_begins()
            return await checked(opened)


def play(name: str, seed: int) -> Row:
    """One check in one network."""
    network = NETWORKS[name]
    folder = Path(tempfile.mkdtemp(prefix="check-"))
    try:
        with world(folder / "world", network.restriction, seed=seed) as place:
            told, steps = asyncio.run(_play(place, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Row(name, sorted(network.right), told, steps)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. 1 where a check said something else than what is right."""
    parser = argparse.ArgumentParser(prog="python -m lab.check_runs", description=__doc__)
    parser.add_argument("--only", action="append", choices=NETWORKS, help="networks; else all")
    parser.add_argument("--runs", type=int, default=1, help="of each network")
    parser.add_argument("--out", type=Path, help="else bench/results, where all are played")
    args = parser.parse_args(argv)
    calibration = demanded()
    rows = []
    for run in range(args.runs):
        for name in args.only or NETWORKS:
            rows.append(play(name, 100 + run))
            print(
                f"{name}: {', '.join(rows[-1].told) or 'nothing'}{'' if rows[-1].is_right else ': WRONG'}", flush=True
            )
    about = {"commit": commit(), "machine": machine(), "calibration": calibration}
    right = sum(row.is_right for row in rows)
    made = [{**asdict(row), "right": row.is_right} for row in rows]
    document = {"about": about, "right": right, "checks": len(rows), "rows": made}
    out = args.out or (RESULTS / "checks.json" if args.only is None else None)
    if out is not None:
        out.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    print(f"right in {right} of {len(rows)}")
    return 0 if right == len(rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
