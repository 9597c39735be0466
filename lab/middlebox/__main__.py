"""The middlebox's process: raw sockets around `lab.middlebox.box`, inside a namespace that the lab made.

`python -m lab.middlebox CONFIG` (JSON, `Config`). Prints `ready`, then answers each JSON line on standard input
(`Command`) by one on standard output, and ends when standard input ends.
"""

from __future__ import annotations

import bisect
import ctypes
import gc
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence

import msgspec

from lab.middlebox.box import Box
from lab.middlebox.control import LATE_MS, Command, Config, Counters, LinkCounts
from lab.namespaces import LabUnavailable, refuse_outside

SOL_PACKET, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE, SO_TIMESTAMPNS = 263, 23, 33, 35
"""Linux constants that Python does not name."""
ETH_P_ALL, ETH_P_IP = 0x0003, b"\x08\x00"
ETHERNET_BYTES = 14
STAMP = struct.Struct("qq")
STAMP_SPACE_BYTES = socket.CMSG_SPACE(STAMP.size)
FRAME_BYTES_MAX = 65_536
MCL_CURRENT, MCL_FUTURE = 1, 2
RECEIVE_BUFFER_BYTES = 8 << 20
REALTIME_PRIORITY = 20


class Port:
    """The box's end of one host's link."""

    def __init__(self, device: str, host_mac: bytes, box_mac: bytes) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)
        self.socket.bind((device, 0))
        self._header = host_mac + box_mac + ETH_P_IP

    def receive(self, real_to_monotonic_s: float) -> tuple[bytes, float] | None:
        """The IP packet of the next frame, empty for a frame of another kind, and when it came (CLOCK_MONOTONIC in s)
        by the kernel's stamp: a process that was woken late delays nothing. None when there is no more."""
        try:
            frame, ancillary, _, _ = self.socket.recvmsg(FRAME_BYTES_MAX, STAMP_SPACE_BYTES)
        except BlockingIOError:
            return None
        seconds, nanoseconds = STAMP.unpack(ancillary[0][2])
        arrived_s = seconds + nanoseconds / 1e9 + real_to_monotonic_s
        return (frame[ETHERNET_BYTES:] if frame[12:14] == ETH_P_IP else b""), arrived_s

    def send(self, packet: bytes) -> bool:
        """Hand an IP packet to the host; False when the system refused it."""
        try:
            self.socket.send(self._header + packet)
        except OSError:
            return False
        return True


class Shell:
    """The loop."""

    def __init__(self, config: Config) -> None:
        self.box = Box({host: link.prefix for host, link in config.links.items()}, config.seed)
        self._ports = {
            host: Port(link.device, bytes.fromhex(link.host_mac), bytes.fromhex(link.box_mac))
            for host, link in config.links.items()
        }
        self._host_of = {port.socket: host for host, port in self._ports.items()}
        self.refused = 0
        self._late = [0] * len(LATE_MS)

    def run(self) -> None:
        """Until standard input ends."""
        watched = [*self._host_of, sys.stdin.buffer.fileno()]
        pending = b""
        while True:
            due_s = self.box.next_due_s()
            wait_s = None if due_s is None else max(0.0, due_s - time.monotonic())
            readable, _, _ = select.select(watched, [], [], wait_s)
            for source in readable:
                if isinstance(source, socket.socket):
                    self._read(source)
                    continue
                piece = os.read(source, FRAME_BYTES_MAX)
                if not piece:
                    return
                *lines, pending = (pending + piece).split(b"\n")
                for line in lines:
                    sys.stdout.buffer.write(msgspec.json.encode(self._obey(line)) + b"\n")
                    sys.stdout.buffer.flush()
            self._write()

    def _read(self, source: socket.socket) -> None:
        host = self._host_of[source]
        port = self._ports[host]
        real_to_monotonic_s = time.monotonic() - time.clock_gettime(time.CLOCK_REALTIME)
        while (received := port.receive(real_to_monotonic_s)) is not None:
            packet, arrived_s = received
            if packet:
                self.box.arrive(host, packet, arrived_s)

    def _write(self) -> None:
        while (due_s := self.box.next_due_s()) is not None and due_s <= (now_s := time.monotonic()):
            self._late[bisect.bisect_left(LATE_MS, (now_s - due_s) * 1000, hi=len(LATE_MS) - 1)] += 1
            for host, packet in self.box.due(due_s):
                if not self._ports[host].send(packet):
                    self.refused += 1

    def _obey(self, line: bytes) -> Counters:
        command = msgspec.json.decode(line, type=Command)
        if command.rules is not None:
            self.box.set_rules(command.rules)
        if command.begin_s is not None:
            self.box.begin(command.begin_s)
        links = {
            host: LinkCounts(link.up_packets, link.up_bytes, link.down_packets, link.down_bytes)
            for host, link in self.box.links.items()
        }
        return Counters(self.box.counters(), links, self.box.strays, self.refused, self._late)


def main(arguments: Sequence[str]) -> int:
    """Entry point of the process."""
    config = msgspec.json.decode(arguments[0], type=Config)
    try:
        refuse_outside(config.namespace, [link.device for link in config.links.values()])
    except LabUnavailable as e:
        print(f"middlebox: {e}", file=sys.stderr)
        return 1
    shell = Shell(config)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(REALTIME_PRIORITY))
        realtime = True
    except PermissionError:
        realtime = False
    # Nothing of it may have to be read back from disk, and nothing may stop it to look for garbage.
    ctypes.CDLL(None).mlockall(MCL_CURRENT | MCL_FUTURE)
    gc.freeze()
    gc.disable()
    print("ready realtime" if realtime else "ready", flush=True)
    shell.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
