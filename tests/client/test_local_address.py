"""Telling that an address is none of this device's any more."""

from __future__ import annotations

import socket

from ringthrough.client.local_address import is_lost

ELSEWHERE = "192.0.2.1"
"""Kept for documentation (RFC 5737): no device has it."""


class Moved(socket.socket):
    """Connected from an address that the device had."""

    def getsockname(self) -> tuple[str, int]:
        return ELSEWHERE, 4711


def test_an_address_that_the_device_has_is_not_lost() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as connected:
            assert not is_lost(connected)


def test_one_that_it_has_no_more_is_lost() -> None:
    with Moved() as moved:
        assert is_lost(moved)


def test_nothing_is_told_of_a_socket_that_is_closed_or_none_of_the_internet() -> None:
    closed = socket.socket()
    closed.close()
    assert not is_lost(closed)
    assert not is_lost(None)
    one, other = socket.socketpair()
    with one, other:
        assert not is_lost(one)
