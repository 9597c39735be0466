"""What leaves a connection, and what does not, when its reader is slow."""

from __future__ import annotations

import asyncio

import pytest

from ringthrough.protocol.frames import signalled_header
from ringthrough.server.outlet import (
    DRAINED_BYTES,
    RECORDS_AHEAD_BYTES,
    SIGNAL_AGE_S_MAX,
    SIGNALS_AHEAD_BYTES,
    SIGNALS_WAITING_BYTES,
    Outlet,
    Stalled,
    websocket_header,
)


class Pipe:
    """A transport whose reader takes only what the test says."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.buffered = 0
        self.closing = False

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.buffered += len(data)

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


@pytest.fixture
async def outlet(pipe: Pipe) -> Outlet:
    return Outlet(pipe, stall_timeout_s=0.03)  # type: ignore[arg-type]


def numbered(i: int) -> bytes:
    return i.to_bytes(2, "big").ljust(1280, b"v")


def numbers(outlet: Outlet, pipe: Pipe) -> list[int]:
    outlet.flush()
    stream = b"".join(pipe.written)
    each = len(signalled_header(1)) + 1280 + len(websocket_header(1285))
    return [int.from_bytes(stream[end - 1280 : end - 1278], "big") for end in range(each, len(stream) + 1, each)]


@pytest.mark.parametrize(
    ("length", "header"),
    [(0, "8200"), (125, "827d"), (126, "827e007e"), (65535, "827effff"), (65536, "827f0000000000010000")],
)
def test_websocket_headers(length: int, header: str) -> None:
    assert websocket_header(length).hex() == header


async def test_messages_of_one_turn_are_one_write(outlet: Outlet, pipe: Pipe) -> None:
    outlet.send(b"first")
    outlet.send_shared(b"h", bytes(5000))
    outlet.signal(signalled_header(1), numbered(1))
    assert pipe.written == []
    await asyncio.sleep(0)
    assert len(pipe.written) == 1
    assert pipe.written[0].startswith(websocket_header(5) + b"first" + websocket_header(5001) + b"h")
    await asyncio.sleep(0)
    assert len(pipe.written) == 1


async def test_what_is_collected_counts_as_unsent(outlet: Outlet, pipe: Pipe) -> None:
    for _ in range(RECORDS_AHEAD_BYTES // 65536 + 1):
        outlet.send(bytes(65536))
    assert outlet.congested


async def test_closing_writes_what_is_collected(outlet: Outlet, pipe: Pipe) -> None:
    outlet.send(b"goodbye")
    outlet.close()
    assert pipe.written == [websocket_header(7) + b"goodbye"]


async def test_signals_to_a_slow_reader_go_oldest_first_and_never_pile_up(outlet: Outlet, pipe: Pipe) -> None:
    for i in range(200):
        outlet.signal(signalled_header(1), numbered(i))
    sent_at_once = numbers(outlet, pipe)
    assert sent_at_once == list(range(len(sent_at_once)))
    assert pipe.buffered <= SIGNALS_AHEAD_BYTES + 1300
    pipe.buffered = 0
    while len(numbers(outlet, pipe)) == len(sent_at_once):
        await asyncio.sleep(0)
    for _ in range(10):
        pipe.buffered = 0
        await asyncio.sleep(0.011)
    later = numbers(outlet, pipe)[len(sent_at_once) :]
    assert later == list(range(200 - len(later), 200))
    assert 0 < len(later) <= SIGNALS_WAITING_BYTES // 1280
    assert outlet.dropped == 200 - len(sent_at_once) - len(later)


async def test_signals_that_waited_too_long_are_dropped(
    outlet: Outlet, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringthrough.server.outlet.SIGNAL_AGE_S_MAX", 0.02)
    assert SIGNAL_AGE_S_MAX == 0.4
    pipe.buffered = SIGNALS_AHEAD_BYTES + 1
    outlet.signal(signalled_header(1), numbered(1))
    while not outlet.dropped:
        await asyncio.sleep(0.005)
    assert pipe.written == []
    pipe.buffered = 0
    outlet.signal(signalled_header(1), numbered(2))
    assert numbers(outlet, pipe) == [2]


async def test_answers_pass_a_congested_connection(outlet: Outlet, pipe: Pipe) -> None:
    pipe.buffered = RECORDS_AHEAD_BYTES + 1
    assert outlet.congested
    outlet.send(b"answer")
    outlet.flush()
    assert pipe.written == [websocket_header(6) + b"answer"]


async def test_who_takes_nothing_is_cut(outlet: Outlet, pipe: Pipe) -> None:
    pipe.buffered = DRAINED_BYTES + 1
    with pytest.raises(Stalled):
        await outlet.drained()
    assert pipe.closing
    outlet.send(b"nothing")
    outlet.send_shared(b"n", b"o")
    outlet.signal(b"n", b"o")
    outlet.flush()
    assert pipe.written == []


async def test_drained_waits_for_the_reader(outlet: Outlet, pipe: Pipe) -> None:
    pipe.buffered = DRAINED_BYTES + 1
    waiting = asyncio.create_task(outlet.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    pipe.buffered = DRAINED_BYTES
    await asyncio.wait_for(waiting, 5)
