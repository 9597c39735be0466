"""Traffic for measuring the middlebox; runs inside hosts. `python -m lab.calibration.probe COMMAND ...`, JSON out.

Packets are stamped when they are handed to the system; arrivals are stamped by the kernel, so that a receiver that is
woken late does not count as a late packet. Both stamps are CLOCK_REALTIME.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable

SO_TIMESTAMPNS = 35
PORT = 9000
HEADER = struct.Struct("!Qd")
TIMEOUT_S = 3.0
UDP_IP_BYTES = 28
PRIORITY = 10
"""Below the middlebox's."""


def send_udp(address: str, count: str, per_s: str, size: str) -> object:
    """`count` datagrams of `size` IP bytes, `per_s` a second."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address, PORT))
    # The middlebox is measured, not how long this process waits for a core between its stamp and the system call.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    padding = bytes(max(0, int(size) - UDP_IP_BYTES - HEADER.size))
    start_s = time.monotonic()
    for number in range(int(count)):
        time.sleep(max(0.0, start_s + number / float(per_s) - time.monotonic()))
        sock.send(HEADER.pack(number, time.clock_gettime(time.CLOCK_REALTIME)) + padding)
    return None


def receive_udp(quiet_s: str) -> object:
    """All datagrams until none came for `quiet_s`: [number, one-way delay in ms, arrival in s, IP bytes] of each."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.bind(("", PORT))
    say("listening")
    sock.settimeout(TIMEOUT_S)
    seen: list[tuple[int, float, float, int]] = []
    with contextlib.suppress(TimeoutError):
        while True:
            data, ancillary, _, _ = sock.recvmsg(2048, 64)
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            arrived_s = seconds + nanoseconds / 1e9
            number, sent_s = HEADER.unpack_from(data)
            seen.append((number, (arrived_s - sent_s) * 1000, arrived_s, len(data) + UDP_IP_BYTES))
            sock.settimeout(float(quiet_s))
    return seen


def pour(connections: str) -> object:
    """Accept TCP connections; each client's bytes are echoed, and one that asks with `p` is sent 64 KB."""
    listener = socket.create_server(("", PORT), backlog=16)
    say("listening")
    held = []
    for _ in range(int(connections)):
        listener.settimeout(TIMEOUT_S)
        try:
            sock, _ = listener.accept()
        except TimeoutError:
            break
        held.append(sock)
        sock.settimeout(TIMEOUT_S)
        with contextlib.suppress(OSError):
            while data := sock.recv(100):
                sock.sendall(bytes(64_000) if data == b"p" else data)
                if data == b"p":
                    break
    return len(held)


def drink(address: str) -> object:
    """Ask for 64 KB; how many bytes came before nothing more came."""
    sock = socket.create_connection((address, PORT), TIMEOUT_S)
    sock.sendall(b"p")
    sock.settimeout(1.0)
    got = 0
    with contextlib.suppress(OSError):
        while data := sock.recv(65_536):
            got += len(data)
    return got


def open_many(address: str, count: str) -> object:
    """Try so many connections at once: how many stood, how many were refused (RST)."""
    held, refused = [], 0
    for _ in range(int(count)):
        try:
            held.append(socket.create_connection((address, PORT), TIMEOUT_S))
        except ConnectionRefusedError:
            refused += 1
    return [len(held), refused]


def stay_idle(address: str, pauses: str) -> object:
    """One connection; after each pause (comma-separated, s) whether an echo still came within a second."""
    sock = socket.create_connection((address, PORT), TIMEOUT_S)
    sock.settimeout(1.0)
    answers = []
    for pause in pauses.split(","):
        time.sleep(float(pause))
        try:
            sock.sendall(b"e")
            answers.append(sock.recv(1) == b"e")
        except OSError:
            answers.append(False)
    return answers


def accept_all() -> object:
    """Accept and hold whatever comes, until killed."""
    listener = socket.create_server(("", PORT), backlog=32)
    say("listening")
    held = []
    while True:
        held.append(listener.accept())


def say(value: object) -> None:
    """To the lab."""
    print(json.dumps(value), flush=True)


COMMANDS: dict[str, Callable[..., object]] = {
    "send": send_udp,
    "receive": receive_udp,
    "pour": pour,
    "drink": drink,
    "open": open_many,
    "idle": stay_idle,
    "accept": accept_all,
}


if __name__ == "__main__":
    say(COMMANDS[sys.argv[1]](*sys.argv[2:]))
