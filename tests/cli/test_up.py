"""`ringthrough up` and `echo`: one command, a server and somebody to talk to; Ctrl-C ends both."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def ringthrough(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ringthrough", *arguments]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_answers_and_stops(tmp_path: Path, stop: signal.Signals) -> None:
    port = free_port()
    command = ringthrough("up", "--data", str(tmp_path / "data"), "--port", str(port))
    up = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert up.stdout is not None
        said = ""
        while "read --follow" not in said:
            line = up.stdout.readline()
            assert line, up.stderr.read() if up.stderr else ""
            said += line
        assert f"http://localhost:{port}" in said
        assert "unaudited" in said
        home = ["--home", str(tmp_path / "alice")]
        server = ["--server", f"http://localhost:{port}"]
        assert subprocess.run(ringthrough(*home, "account", "create", "alice", *server), check=False).returncode == 0
        assert subprocess.run(ringthrough(*home, "send", "@echo", "Hello?"), check=False).returncode == 0
        read = subprocess.run(ringthrough(*home, "read"), capture_output=True, text=True, check=True)
        assert read.stdout == "@echo: Hello?\n"
        up.send_signal(stop)
        _, errors = up.communicate(timeout=20)
        assert up.returncode == 0, errors
        assert "Traceback" not in errors
    finally:
        up.kill()
        up.wait()
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0, "the server is gone"


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = ringthrough("up", "--data", str(tmp_path), "--port", str(taken.getsockname()[1]))
        up = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert up.returncode == 1
    assert "did not start" in up.stderr
    assert "in use" in up.stderr
