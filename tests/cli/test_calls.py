"""`ringthrough call` and `answer`, each in a process of its own, with files instead of devices."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringthrough.audio.pcm import SAMPLE_RATE_HZ
from ringthrough.client.audiofile import WavWriter, read_pcm

from .conftest import Run

Program = Callable[..., "subprocess.Popen[str]"]
pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture
def program(people: Run, tmp_path: Path) -> Iterator[Program]:
    """Starts a command of somebody; all are ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def begin(person: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ringthrough", "--home", str(tmp_path / person), "--json", *arguments]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Two seconds of a tone."""
    path = tmp_path / "tone.wav"
    seconds = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    with WavWriter(path) as wav:
        wav.write((9000 * np.sin(2 * np.pi * 440 * seconds)).astype(np.int16))
    return path


def event(process: subprocess.Popen[str], name: str) -> dict[str, Any]:
    """Read up to this event."""
    assert process.stdout is not None
    for line in process.stdout:
        fields: dict[str, Any] = json.loads(line)
        if fields["event"] == name:
            return fields
    assert process.stderr is not None
    raise AssertionError(f"no {name}: {process.stderr.read()}")


def test_a_call_from_file_to_file(program: Program, tone: Path, tmp_path: Path) -> None:
    heard = {name: tmp_path / f"heard-by-{name}.wav" for name in ("alice", "bob")}
    bob = program("bob", "answer", "--wait", "20", "--in", str(tone), "--out", str(heard["bob"]))
    event(bob, "waiting")
    alice = program("alice", "call", "@bob", "--in", str(tone), "--out", str(heard["alice"]))
    assert event(bob, "ringing")["caller"] == "@alice"
    event(alice, "rings_there")
    event(alice, "in_call")
    ends = {"alice": event(alice, "ended"), "bob": event(bob, "ended")}
    assert (alice.wait(10), bob.wait(10)) == (0, 0)
    assert ends["alice"]["reason"] == "hung_up"
    assert ends["bob"]["reason"] == "remote_hung_up"
    for name, end in ends.items():
        assert end["carrier"] == "message connection"
        assert end["refused"] == 0
        assert np.abs(read_pcm(heard[name])).max() > 4000, name


def test_a_call_goes_directly_where_both_ask_for_it_and_says_so(program: Program, tone: Path, tmp_path: Path) -> None:
    options = ["--seconds", "60", "--in", str(tone)]
    devices = ["--wait", "20", "--out", str(tmp_path / "b.wav"), *options]
    bob = program("bob", "answer", "--direct-with", "@alice", *devices)
    event(bob, "waiting")
    alice = program("alice", "call", "@bob", "--direct", "--out", str(tmp_path / "a.wav"), *options)
    for process in (alice, bob):
        assert event(process, "way")["carrier"] == "direct channel"
    assert event(alice, "verdicts")["verdicts"] == ["clear"]
    alice.send_signal(signal.SIGINT)
    end = event(bob, "ended")
    assert end["carrier"] == "direct channel"
    assert end["sent_directly"] > 20
    assert end["refused"] == 0


def test_who_was_not_named_does_not_learn_the_address(program: Program, tone: Path, tmp_path: Path) -> None:
    devices = ["--wait", "20", "--in", str(tone), "--out", str(tmp_path / "b.wav")]
    bob = program("bob", "answer", "--direct-with", "@carol", *devices)
    event(bob, "waiting")
    alice = program("alice", "call", "@bob", "--direct", "--in", str(tone), "--out", str(tmp_path / "a.wav"))
    event(alice, "way_refused")
    assert event(alice, "ended")["sent_directly"] == 0
    assert event(bob, "ended")["sent_directly"] == 0


def test_declined(program: Program, tone: Path, tmp_path: Path) -> None:
    devices = ["--in", str(tone), "--out", str(tmp_path / "heard.wav")]
    bob = program("bob", "answer", "--decline", "--wait", "20", *devices)
    event(bob, "waiting")
    alice = program("alice", "call", "@bob", "--in", str(tone), "--out", str(tmp_path / "a.wav"))
    assert event(alice, "ended")["reason"] == "declined"
    assert event(bob, "ended")["reason"] == "declined"
    assert (alice.wait(10), bob.wait(10)) == (1, 0)


def test_ctrl_c_hangs_up(program: Program, tone: Path, tmp_path: Path) -> None:
    bob = program("bob", "answer", "--wait", "20", "--in", str(tone), "--out", str(tmp_path / "b.wav"))
    event(bob, "waiting")
    alice = program("alice", "call", "@bob", "--in", str(tone), "--out", str(tmp_path / "a.wav"), "--seconds", "60")
    event(alice, "in_call")
    event(bob, "in_call")
    alice.send_signal(signal.SIGINT)
    assert event(bob, "ended")["reason"] == "remote_hung_up"
    assert alice.wait(10) == 130


def test_nobody_calls(program: Program, tone: Path, tmp_path: Path) -> None:
    bob = program("bob", "answer", "--wait", "0.1", "--in", str(tone), "--out", str(tmp_path / "b.wav"))
    event(bob, "nobody")
    assert bob.wait(10) == 1


def test_what_cannot_be_called(people: Run, tone: Path, tmp_path: Path) -> None:
    unknown = people("alice", "call", "@nobody", "--in", str(tone), "--out", str(tmp_path / "x.wav"))
    assert (unknown.code, "@nobody" in unknown.err) == (1, True)
    missing = people("alice", "call", "@bob", "--in", str(tmp_path / "none.wav"), "--out", str(tmp_path / "x.wav"))
    assert (missing.code, "none.wav" in missing.err) == (1, True)
