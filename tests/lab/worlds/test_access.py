"""A world of real namespaces: hosts meet only through the middlebox, and nothing outside is ever bent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab import namespaces
from lab.middlebox.control import Config, LinkConfig, Middlebox, MiddleboxFailed
from lab.middlebox.rules import Drop
from lab.rules.restriction import ChangeOfAddress, Restriction
from lab.worlds.access import World, world

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.usefixtures("lab_ready")]

ASK = (
    "import socket,sys; s=socket.create_connection((sys.argv[1], 80), 2); s.sendall(b'x'); print(s.recv(99).decode())"
)
TELL = """
import socket
listener = socket.create_server(("", 80))
print("up", flush=True)
while True:
    asker, (address, _) = listener.accept()
    asker.recv(1)
    asker.sendall(address.encode())
    asker.close()
"""


def ask(place: World, host: str, address: str) -> str:
    """What the listener at `address` sees as the address of `host`; empty when it is not reached."""
    line = place.inside(host, [sys.executable, "-c", ASK, address])
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip()


def listening(place: World, host: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(place.inside(host, [sys.executable, "-c", TELL]), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_world_connects_restricts_changes_and_leaves_nothing(tmp_path: Path) -> None:
    banned = Restriction((Drop(id="ban", host="alice"),), (ChangeOfAddress("bob", 3_600),))
    with world(tmp_path, banned) as place:
        server = listening(place, "server")
        try:
            address = place.addresses["server"]
            assert ask(place, "alice", address) == place.addresses["alice"]
            assert ask(place, "alice", "198.51.100.1") == "", "there is no other way out"
            new = place.change_address("alice")
            assert ask(place, "alice", address) == new == "10.77.1.3"
            place.restrict()
            knocks = 3 * 2
            assert place.middlebox.counters().rules["ban"].dropped == knocks, "a ban is tried, so that it is proven"
            place.call_begins()
            assert ask(place, "alice", address) == ""
            assert ask(place, "bob", address) == place.addresses["bob"]
            place.call_ends()
        finally:
            server.kill()
            server.communicate()
        assert place.call_bytes["bob"][0] > 0
        congestion = place.inside("alice", ["ip", "-j", "route", "show", "default"])
        assert json.loads(namespaces.run(*congestion))[0]["metrics"][0]["congestion"] == "cubic"
    assert place.prefix not in namespaces.run("ip", "netns", "list")


def test_a_middlebox_refuses_what_is_not_the_labs(tmp_path: Path) -> None:
    with world(tmp_path / "world") as place, namespaces.namespace("rt-empty") as empty:
        box = place.namespace("box")
        for namespace, device in (("elsewhere", "eth0"), (box, "lo"), (box, "eth0"), (empty, "balice")):
            log = tmp_path / f"{namespace}-{device}.log"
            link = LinkConfig(device, "02" * 6, "03" * 6, "10.9.9.")
            with pytest.raises(MiddleboxFailed, match=r"no virtual link|Cannot open network namespace"):
                Middlebox(Config(namespace, 1, {"alice": link}), log)
        for process_namespace in ("rt-empty", box):
            with pytest.raises(namespaces.LabUnavailable, match="not inside"):
                namespaces.refuse_outside(process_namespace, [])
    with pytest.raises(namespaces.LabUnavailable, match="begin with"), namespaces.namespace("production"):
        pass
