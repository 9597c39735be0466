"""What a socket to the server is told before it connects."""

from __future__ import annotations

import socket
import sys

import pytest

from ringthrough.client import tuned_socket as tuned
from ringthrough.client.tuned_socket import tuned_socket

from .conftest import World
from .test_calls import talking

ADDRESS = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 443))
TCP_NOTSENT_LOWAT, TCP_RTO_MIN_US = 25, 45


def knows(option: int, value: int) -> bool:
    """Whether this system has the option."""
    with socket.socket() as sock:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        except OSError:
            return False
    return True


def options_of(sock: socket.socket) -> list[int]:
    return [sock.getsockopt(socket.IPPROTO_TCP, name) for name, _ in tuned.OPTIONS if knows(name, 20_000)]


@pytest.mark.skipif(sys.platform != "linux", reason="these are options of Linux")
def test_small_frames_leave_at_once_and_lost_ones_are_sent_again_soon() -> None:
    with tuned_socket(ADDRESS) as sock:
        assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT) == 4096
        if knows(TCP_RTO_MIN_US, 50_000):
            # In whole ticks of the system's clock.
            assert 50_000 <= sock.getsockopt(socket.IPPROTO_TCP, TCP_RTO_MIN_US) <= 60_000


def test_what_the_system_does_not_know_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned, "OPTIONS", [(250, 1), *tuned.OPTIONS])
    with tuned_socket(ADDRESS) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_the_message_connection_and_every_lane_is_such_a_socket(world: World) -> None:
    _, _, call, _, _, _ = await talking(world)
    assert call.media is not None
    lanes = call.media.lanes
    while len(lanes.sender.lanes) < 2:
        await lanes.changed.wait()
        lanes.changed.clear()
    with tuned_socket(ADDRESS) as sock:
        wanted = options_of(sock)
    further = [getattr(lane, "_websocket", None) for lane in lanes._sockets.values()]
    websockets = [call.conversation.connection._socket, *further]
    found = [options_of(each.get_extra_info("socket")) for each in websockets if each is not None]
    assert len(found) == len(lanes.sender.lanes)
    assert found == [wanted] * len(found)
