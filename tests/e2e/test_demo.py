"""The main job: with UDP and every non-message host blocked, messages arrive and a call stays intelligible."""

from __future__ import annotations

import json
import subprocess

import pytest

from lab.processes import ringthrough

from .conftest import CALL_S, Played

pytestmark = [pytest.mark.slow, pytest.mark.alone]

PESQ_MIN = 3.4
ESTOI_MIN = 0.93


@pytest.mark.promise("CANNOT-SINGLE-OUT")
def test_a_call_survives_when_only_the_message_host_is_reachable(played: Played) -> None:
    report = played.report
    assert report["carrier"] == "message connection"
    assert report["udp_packets_blocked"] > 0, "the restriction was not in force"
    assert report["other_packets_blocked"] > 0, "the restriction was not in force"
    assert report["seconds"] >= CALL_S - 0.1


def test_bob_understands_alice(played: Played) -> None:
    assert played.report["pesq"] >= PESQ_MIN
    assert played.report["estoi"] >= ESTOI_MIN


def test_alice_understands_bob(played: Played) -> None:
    assert played.report["pesq_back"] >= PESQ_MIN
    assert played.report["estoi_back"] >= ESTOI_MIN


def test_the_time_from_answer_to_sound_is_reported(played: Played) -> None:
    assert played.report["answer_to_audio_ms"] > 0


def test_both_histories_agree(played: Played) -> None:
    """Both devices hold the same messages in the same order, and neither holds one twice."""
    histories = []
    for person in ("alice", "bob"):
        home = ["--home", str(played.out / person), "--ca", str(played.out / "ca.pem"), "--json"]
        done = subprocess.run(
            ringthrough(*home, "read", "--all", "--wait", "0"), capture_output=True, text=True, check=True
        )
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        histories.append(sorted((row["seq"], row["text"]) for row in rows))
    assert histories[0] == histories[1]
    assert len({seq for seq, _ in histories[0]}) == len(histories[0])
