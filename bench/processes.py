"""The processes that are measured: our server, the bare reference server, and what they cost. Linux only."""

from __future__ import annotations

import contextlib
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.report import ROOT

START_S_MAX = 20.0
STOP_S_MAX = 10.0
_MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")


class ProcessFailed(Exception):
    """A process of the benchmark did not start or ended early; the text holds what it said."""


@dataclass(frozen=True)
class Server:
    """A server that listens on loopback."""

    pid: int
    host: str
    port: int

    def cpu_s(self) -> float:
        """User and system time of all its threads so far."""
        return cpu_s_of(self.pid)

    def rss_kb(self) -> int:
        """Resident memory now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise ProcessFailed(f"process {self.pid} has no memory any more")


def cpu_s_of(pid: int) -> float:
    """CPU time of another process, in nanosecond steps: the clock id of a process is made from its number."""
    return time.clock_gettime((~pid << 3) | 2)


def descendants(pid: int, name: str) -> list[int]:
    """The processes below `pid` whose name begins so."""
    children: dict[int, list[tuple[int, str]]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # it has ended meanwhile
            # "pid (name) state parent ...", and a name may hold anything.
            head, _, rest = (folder / "stat").read_text().rpartition(")")
            children.setdefault(int(rest.split()[1]), []).append((int(folder.name), head.partition("(")[2]))
    found, waiting = [], [pid]
    while waiting:
        for child, called in children.get(waiting.pop(), []):
            waiting.append(child)
            if called.startswith(name):
                found.append(child)
    return found


@contextlib.contextmanager
def data_folder() -> Iterator[Path]:
    """A folder on a real disk, removed at the end: a durable write to memory would measure nothing."""
    place = Path(tempfile.gettempdir())
    if _file_system(place) in _MEMORY_FILE_SYSTEMS:
        place = ROOT
    folder = Path(tempfile.mkdtemp(prefix=".ringthrough-bench-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def our_server() -> Iterator[Server]:
    """`ringthrough serve` as it is, default limits and all, on a free port and an empty data folder."""
    with data_folder() as folder:
        command = [sys.executable, "-m", "ringthrough.cli.serve", "--data", str(folder), "--port", "0"]
        with _listening(command, folder / "server.log") as server:
            yield server


@contextlib.contextmanager
def bare_server() -> Iterator[Server]:
    """The reference: `bench.bare_server`, the same library and loop without anything of ours."""
    with (
        data_folder() as folder,
        _listening([sys.executable, "-m", "bench.bare_server"], folder / "server.log") as server,
    ):
        yield server


def allow_many_sockets() -> None:
    """A thousand connections need more descriptors than the usual soft limit; children inherit this."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))


@contextlib.contextmanager
def _listening(command: list[str], log: Path) -> Iterator[Server]:
    allow_many_sockets()
    with log.open("wb") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
    starting = threading.Timer(START_S_MAX, process.kill)
    starting.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        starting.cancel()
        _, _, url = line.strip().rpartition(" ")
        address = urlsplit(url)
        if not address.hostname or not address.port:
            raise ProcessFailed(f"{' '.join(command)} did not start: {log.read_text(errors='replace')[-2000:]}")
        yield Server(process.pid, address.hostname, address.port)
        if process.poll() is not None:
            raise ProcessFailed(f"{' '.join(command)} ended: {log.read_text(errors='replace')[-2000:]}")
    finally:
        starting.cancel()
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """End a child, gently first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _file_system(path: Path) -> str:
    """Type of the file system that holds `path`."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, this, *_ = line.split()
        inside = path.resolve().is_relative_to(mount)
        if inside and len(mount) >= len(best):
            best, kind = mount, this
    return kind
