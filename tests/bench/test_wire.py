import asyncio
import itertools

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bench.bare_server import websocket_header
from bench.pacer import Pacer
from bench.wire import BrokenStream, connect, frame_at, masked_frame

LENGTHS = st.sampled_from([0, 1, 125, 126, 127, 1285, 65535, 65536, 70000])


@given(LENGTHS, st.integers(0, 300))
def test_a_frame_is_found_when_it_is_whole_and_not_before(length: int, before: int) -> None:
    frame = bytes(before) + websocket_header(length) + bytes(length)
    assert frame_at(frame, before) == (len(frame) - length, len(frame))
    assert frame_at(frame[:-1], before) is None
    assert frame_at(frame + b"\x82", before) == (len(frame) - length, len(frame))


@given(st.integers(0, 9))
def test_a_header_cut_short_is_no_frame(length: int) -> None:
    assert frame_at(websocket_header(70000)[:length], 0) is None


@pytest.mark.parametrize("length", [0, 125, 126, 1285, 65535, 65536, 100_000])
async def test_a_real_server_reads_our_frames_and_we_read_its(length: int) -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    async def refuse(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/ws", echo)
    app.router.add_get("/no", refuse)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        port = runner.addresses[0][1]
        with pytest.raises(BrokenStream):
            await connect("127.0.0.1", port, "/no")
        peer = await connect("127.0.0.1", port, "/ws")
        arrived: asyncio.Queue[bytes] = asyncio.Queue()
        peer.on_message = lambda data, start, end: arrived.put_nowait(data[start:end])
        body = bytes(i % 251 for i in range(length))
        peer.transport.write(masked_frame(body) * 3)
        async with asyncio.timeout(5):
            assert [await arrived.get() for _ in range(3)] == [body] * 3
        peer.close()
    finally:
        await runner.cleanup()


async def test_planned_times_keep_their_distance_even_when_the_loop_was_late() -> None:
    planned: list[int] = []
    enough = asyncio.Event()

    def due(planned_ns: int) -> None:
        planned.append(planned_ns)
        if len(planned) >= 50:
            enough.set()

    pacer = Pacer(2000, due)
    async with asyncio.timeout(5):
        await enough.wait()
    pacer.stop()
    assert {after - before for before, after in itertools.pairwise(planned)} == {500_000}
