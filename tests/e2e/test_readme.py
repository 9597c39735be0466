"""The README's first screen is run as it stands."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import speech
from lab.processes import Running, ringthrough

from .test_kill import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()


def session() -> list[tuple[str, list[str]]]:
    """Commands of the terminal session, each with the lines shown below it."""
    block = re.search(r"```console\n(.*?)```", README, re.DOTALL)
    assert block is not None
    steps: list[tuple[str, list[str]]] = []
    for line in block[1].splitlines():
        if line.startswith("$ "):
            steps.append((line[2:].split(" # ")[0].strip(), []))
        else:
            steps[-1][1].append(line)
    return steps


@pytest.fixture
def running(tmp_path: Path, lab_ready: None) -> Iterator[dict[str, str]]:
    """What `make run` starts, on a free port; the environment for the other terminal."""
    port = str(free_port())
    command = ringthrough("--json", "up", "--data", str(tmp_path / "data"), "--port", port)
    with Running(command, tmp_path / "up.log") as up:
        up.event("ready")
        tools = str(Path(sys.executable).parent)
        yield {
            **os.environ,
            "HOME": str(tmp_path),
            "PATH": f"{tools}:{os.environ['PATH']}",
            "RINGTHROUGH_SERVER": f"http://localhost:{port}",
        }


def test_the_session_works_as_written(running: dict[str, str], tmp_path: Path) -> None:
    speech.write_wav(tmp_path / "hello.wav", speech.speech(speech.ALICE_SAYS, 6.0))
    steps = session()
    assert [command for command, _ in steps[:2]] == ["make run", "export PATH=$PWD/.venv/bin:$PATH"]
    for command, shown in steps[2:]:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=running, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        port = running["RINGTHROUGH_SERVER"].rsplit(":", 1)[1]
        said = done.stdout.replace(str(tmp_path), "~").replace(port, "8440").splitlines()
        assert said[: len(shown)] == shown, command
    assert (tmp_path / "heard.wav").stat().st_size > 16_000


def test_the_service_is_a_program_against_names_that_exist() -> None:
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block is not None
    tree = ast.parse(block[1])
    code = [node for node in tree.body if not isinstance(node, ast.Expr)]  # all but the line that runs it
    names: dict[str, object] = {}
    exec(compile(ast.Module(body=code, type_ignores=[]), "README.md", "exec"), names)
    client = names["Client"]
    for name in ("open", "received", "send_text", "conversation"):
        assert hasattr(client, name)
