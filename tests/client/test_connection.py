"""The connection against a restarting server, a hostile one and a congested socket."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from ringthrough.client import connection as connection_module
from ringthrough.client.connection import Connection, Subscription
from ringthrough.client.errors import Refused, ServerUnreachable
from ringthrough.client.http import ServerHttp
from ringthrough.protocol import frames, limits
from ringthrough.protocol.frames import StreamId, StreamKind, Token

from .conftest import WAIT_S, World, soon

BODY = bytes(160)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[aiohttp.web.WebSocketResponse], Awaitable[None]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "BACK_OFF_S", (0.01,))
    monkeypatch.setattr(connection_module, "OPEN_RETRY_S", 0.01)


class Fake:
    """A server that does what a test tells it for each connection; the last of `serves` goes on serving."""

    def __init__(self) -> None:
        self.serves: list[Serve] = []
        self.connections = 0
        self.hangs = 0
        """So many upgrades are not answered."""
        self.peers: list[object] = []
        """Where each request came from."""
        self.url = ""

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        if self.hangs:
            self.hangs -= 1
            await asyncio.Event().wait()
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        serve = self.serves[min(self.connections, len(self.serves) - 1)]
        self.connections += 1
        await socket.receive_bytes()
        await serve(socket)
        return socket


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    fake = Fake()

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        assert request.transport is not None
        fake.peers.append(request.transport.get_extra_info("peername"))
        return await handler(request)

    app = web.Application(middlewares=[note])
    app.router.add_get("/v1/connect", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[str], Connection]]:
    made: list[tuple[Connection, ServerHttp]] = []

    def begin(url: str) -> Connection:
        http = ServerHttp(url)
        made.append((Connection(http), http))
        made[-1][0].start(lambda: 0.0)
        return made[-1][0]

    yield begin
    for connection, http in made:
        await connection.aclose()
        await http.close()


Connect = Callable[[str], Connection]


def stream(number: int) -> StreamId:
    return StreamId(number.to_bytes(16, "big"))


def token(number: int) -> Token:
    return Token(number.to_bytes(32, "big"))


async def inbox(connection: Connection, number: int) -> Subscription:
    """A new stream, subscribed."""
    token_hash = frames.TokenHash(hashlib.sha256(token(number)).digest())
    await connection.create(stream(number), StreamKind.CONVERSATION, token_hash)
    return Subscription(stream(number), lambda: (token(number), 1))


async def welcome(socket: web.WebSocketResponse) -> None:
    await socket.send_bytes(frames.encode(frames.Welcome(1, 5000)))


async def answer_opens(socket: web.WebSocketResponse) -> None:
    """Greet, and open whatever is asked for."""
    await welcome(socket)
    handle = 0
    async for message in socket:
        frame = frames.decode_client(message.data)
        if isinstance(frame, frames.Open):
            handle += 1
            await socket.send_bytes(frames.encode(frames.Opened(frame.request, handle, 7, 0, 1, 0, 0)))


async def test_it_comes_back_after_a_restart_and_opens_again(world: World, connect: Connect) -> None:
    connection = connect(world.url)
    await soon(connection.connected.wait())
    subscription = await inbox(connection, 1)
    shown: list[int] = []

    def capability() -> tuple[Token, int]:
        shown.append(len(shown))
        return token(1), 1

    subscription.capability = capability
    await connection.subscribe(subscription)
    assert connection.is_open(stream(1))
    generation = connection.generation
    await world.restart_server()
    async with asyncio.timeout(WAIT_S):
        while connection.generation == generation or subscription.opened is None:
            subscription.changed.clear()
            await subscription.changed.wait()
    assert len(shown) == 2, "the capability is asked for anew"
    await soon(connection.append(stream(1), (BODY,)))
    assert [r.seq for r in await soon(subscription.records.get())] == [1]  # type: ignore[attr-defined]


async def test_requests_under_way_fail_when_the_connection_is_lost(fake: Fake, connect: Connect) -> None:
    asked = asyncio.Event()

    async def cut(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        await socket.receive_bytes()
        asked.set()
        await socket.close()

    fake.serves = [cut, answer_opens]
    connection = connect(fake.url)
    await soon(connection.connected.wait())
    with pytest.raises(ServerUnreachable):
        await soon(connection.create(stream(1), StreamKind.INBOX, frames.TokenHash(bytes(32))))
    assert asked.is_set()


async def test_a_request_without_connection_fails_at_once(connect: Connect) -> None:
    connection = connect("http://127.0.0.1:1")
    with pytest.raises(ServerUnreachable, match="not connected"):
        await soon(connection.append(stream(1), (BODY,)))
    assert connection.signal(stream(1), BODY) is False


HOSTILE = {
    "empty": b"",
    "unknown type": b"\x99abc",
    "a client's frame": frames.encode(frames.Ping(1)),
    "garbage body": b"\x83\xff\xff\xff",
    "wrong types": b"\x83\x97\xa1x\xc0\xc0\xc0\xc0\xc0\xc0",
    "answer to nothing": frames.encode(frames.Created(4_000_000)),
    "unknown handle": frames.encode(frames.Records(77, (frames.Record(1, 0, BODY),))),
    "record of odd size": frames.encode(frames.Records(1, (frames.Record(1, 0, b"odd"),))),
    "second welcome": frames.encode(frames.Welcome(1, 0)),
    "too large": bytes([0x86]) * (limits.MESSAGE_BYTES_MAX + 10),
    "truncated records": frames.encode(frames.Records(1, (frames.Record(1, 0, BODY),)))[:-3],
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_frame_costs_the_server_the_connection(fake: Fake, connect: Connect, name: str) -> None:
    async def hostile(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        await socket.send_bytes(HOSTILE[name])
        await socket.receive()

    fake.serves = [hostile, answer_opens]
    connection = connect(fake.url)
    subscription = Subscription(stream(1), lambda: (token(1), 1))
    await connection.subscribe(subscription)
    async with asyncio.timeout(WAIT_S):
        while fake.connections < 2 or subscription.opened is None:
            subscription.changed.clear()
            await subscription.changed.wait()
    assert connection.generation >= 1
    assert connection.down_reason


async def test_text_instead_of_frames_costs_the_connection(fake: Fake, connect: Connect) -> None:
    async def chatty(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        await socket.send_str("hello")
        await socket.receive()

    fake.serves = [chatty, answer_opens]
    connection = connect(fake.url)
    subscription = Subscription(stream(1), lambda: (token(1), 1))
    await connection.subscribe(subscription)
    async with asyncio.timeout(WAIT_S):
        while subscription.opened is None:
            subscription.changed.clear()
            await subscription.changed.wait()
    assert "not a frame" in connection.down_reason


async def test_records_out_of_order_or_repeated_cost_the_connection(fake: Fake, connect: Connect) -> None:
    async def repeat(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        request = frames.decode_client(await socket.receive_bytes()).request  # type: ignore[union-attr]
        await socket.send_bytes(frames.encode(frames.Opened(request, 1, 7, 0, 1, 2, 0)))
        for seq in (1, 2, 2):
            await socket.send_bytes(frames.encode(frames.Records(1, (frames.Record(seq, 0, BODY),))))
        await socket.receive()

    fake.serves = [repeat, answer_opens]
    connection = connect(fake.url)
    subscription = Subscription(stream(1), lambda: (token(1), 1))
    await connection.subscribe(subscription)
    async with asyncio.timeout(WAIT_S):
        while fake.connections < 2 or subscription.opened is None:
            subscription.changed.clear()
            await subscription.changed.wait()
    arrived = [subscription.records.get_nowait()[0].seq for _ in range(subscription.records.qsize())]
    assert arrived == [1, 2]


async def test_it_is_made_on_no_connection_of_an_earlier_request(fake: Fake) -> None:
    """One that is kept may be dead: where the device changed its address, nobody says so."""
    http = ServerHttp(fake.url)
    connection = Connection(http)
    with pytest.raises(Refused):
        await http.health()
    fake.serves = [answer_opens]
    connection.start(lambda: 0.0)
    await soon(connection.connected.wait())
    [asked, connected] = fake.peers
    assert asked != connected
    await connection.aclose()
    await http.close()


async def test_a_server_that_takes_no_upgrade_is_left(
    fake: Fake, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "WELCOME_TIMEOUT_S", 0.2)
    fake.serves = [answer_opens]
    fake.hangs = 1
    connection = connect(fake.url)
    await soon(connection.connected.wait())
    assert len(fake.peers) == 2


async def test_a_server_that_never_greets_is_left(
    fake: Fake, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "WELCOME_TIMEOUT_S", 0.2)

    async def silent(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    fake.serves = [silent, answer_opens]
    connection = connect(fake.url)
    await soon(connection.connected.wait())
    assert fake.connections == 2


async def test_a_server_that_never_answers_is_left(
    fake: Fake, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "REQUEST_TIMEOUT_S", 0.02)

    async def dumb(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        async for _ in socket:
            pass

    fake.serves = [dumb, answer_opens]
    connection = connect(fake.url)
    await soon(connection.connected.wait())
    subscription = Subscription(stream(1), lambda: (token(1), 1))
    await connection.subscribe(subscription)
    async with asyncio.timeout(WAIT_S):
        while subscription.opened is None:
            subscription.changed.clear()
            await subscription.changed.wait()
    assert fake.connections == 2


async def test_a_refused_signal_does_not_cost_the_connection(fake: Fake, connect: Connect) -> None:
    """Between a commit and our opening of the new epoch, the server refuses a call's frames as stale."""
    refused = asyncio.Event()

    async def strict(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        async for message in socket:
            frame = frames.decode_client(message.data)
            if isinstance(frame, frames.Open):
                await socket.send_bytes(frames.encode(frames.Opened(frame.request, 1, 7, 0, 1, 0, 0)))
            elif isinstance(frame, frames.Signal):
                await socket.send_bytes(frames.encode(frames.Error(0, "stale", "old")))
                await socket.send_bytes(frames.encode(frames.Signalled(1, BODY)))

    fake.serves = [strict]
    connection = connect(fake.url)
    await soon(connection.connected.wait())
    subscription = Subscription(stream(1), lambda: (token(1), 1), on_signal=lambda body: refused.set())
    await connection.subscribe(subscription)
    assert connection.signal(stream(1), BODY)
    await soon(refused.wait())
    assert connection.connected.is_set()
    assert fake.connections == 1


async def test_a_refusal_of_our_version_is_told(fake: Fake, connect: Connect) -> None:
    async def old(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(frames.encode(frames.Error(0, "unsupported_version", "speak 7")))
        await socket.receive()

    fake.serves = [old, answer_opens]
    connection = connect(fake.url)
    await soon(connection.connected.wait())
    assert "speak 7" in connection.down_reason


async def test_an_opening_refused_for_now_is_made_again(fake: Fake, connect: Connect) -> None:
    async def busy(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        asked = 0
        async for message in socket:
            frame = frames.decode_client(message.data)
            assert isinstance(frame, frames.Open)
            asked += 1
            answer: frames.ServerFrame = frames.Error(frame.request, "unavailable", "later")
            if asked == 3:
                answer = frames.Opened(frame.request, 1, 7, 0, 1, 0, 0)
            await socket.send_bytes(frames.encode(answer))

    fake.serves = [busy]
    connection = connect(fake.url)
    await soon(connection.connected.wait())
    subscription = Subscription(stream(1), lambda: (token(1), 1))
    await soon(connection.subscribe(subscription))
    assert subscription.opened is not None
    assert subscription.refused is None


async def test_an_opening_refused_for_good_is_kept_as_such(world: World, connect: Connect) -> None:
    connection = connect(world.url)
    await soon(connection.connected.wait())
    subscription = Subscription(stream(9), lambda: (token(9), 1))
    await soon(connection.subscribe(subscription))
    assert subscription.refused is not None
    assert subscription.refused.code == "forbidden"
    with pytest.raises(Refused, match="not open"):
        await connection.append(stream(9), (BODY,))


async def test_a_signal_is_dropped_rather_than_queued_when_the_socket_is_congested(
    fake: Fake, connect: Connect
) -> None:
    release = asyncio.Event()

    async def stop_reading(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        frame = frames.decode_client(await socket.receive_bytes())
        assert isinstance(frame, frames.Open)
        await socket.send_bytes(frames.encode(frames.Opened(frame.request, 1, 7, 0, 1, 0, 0)))
        await release.wait()

    fake.serves = [stop_reading]
    connection = connect(fake.url)
    await soon(connection.connected.wait())
    await connection.subscribe(Subscription(stream(1), lambda: (token(1), 1)))
    body = bytes(5120)
    dropped = 0
    for _ in range(20_000):
        dropped += not connection.signal(stream(1), body)
        await asyncio.sleep(0)
        if dropped >= 10:
            break
    transport = connection._transport()
    assert transport is not None
    assert dropped >= 10
    assert transport.get_write_buffer_size() <= connection_module.UNSENT_BYTES_MAX + 2 * len(body) + 64
    release.set()


async def test_more_streams_than_requests_may_be_under_way(world: World, connect: Connect) -> None:
    count = 2 * limits.REQUESTS_IN_FLIGHT_MAX + 10
    connection = connect(world.url)
    await soon(connection.connected.wait())
    subscriptions = await asyncio.gather(*(inbox(connection, n) for n in range(count)))
    late = connect(world.url)
    for subscription in subscriptions:
        late._subscriptions[subscription.stream] = subscription
    async with asyncio.timeout(WAIT_S):
        for subscription in subscriptions:
            while subscription.opened is None:
                subscription.changed.clear()
                await subscription.changed.wait()
    assert all(subscription.refused is None for subscription in subscriptions)


async def test_a_consumer_that_lags_is_paused_and_loses_nothing(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers and other streams go on meanwhile, and a dead consumer stops nobody."""
    monkeypatch.setattr(connection_module, "BACKLOG_BYTES_MAX", 20 * len(BODY))
    connection, writer = connect(world.url), connect(world.url)
    await soon(connection.connected.wait())
    await soon(writer.connected.wait())
    slow, dead, quick = [await inbox(connection, n) for n in (1, 2, 3)]
    next_seq = 1
    slow.capability = lambda: (token(1), next_seq)
    for subscription in (slow, dead, quick):
        await connection.subscribe(subscription)
        number = int.from_bytes(subscription.stream, "big")
        await writer._ask(functools.partial(writer._session.open, subscription.stream, token(number), 0))
    for _ in range(30):
        for subscription in (slow, dead, quick):
            await soon(writer.append(subscription.stream, (BODY,) * 3))
    got = 0
    while got < 90:
        batch = await soon(quick.records.get())
        connection.consumed(quick, batch)  # type: ignore[arg-type]
        got += len(batch)  # type: ignore[arg-type]
    assert slow.is_paused
    await soon(connection.append(stream(3), (BODY,)))  # answers still come
    seqs: list[int] = []
    while len(seqs) < 90:
        records = await soon(slow.records.get())
        seqs += [r.seq for r in records if r.seq >= next_seq]  # type: ignore[attr-defined]
        next_seq = seqs[-1] + 1
        connection.consumed(slow, records)  # type: ignore[arg-type]
    assert seqs == list(range(1, 91))
    assert dead.waiting_bytes <= 20 * len(BODY) + 3 * len(BODY)


async def test_unsubscribing_forgets_what_waits(world: World, connect: Connect) -> None:
    connection = connect(world.url)
    await soon(connection.connected.wait())
    subscription = await inbox(connection, 1)
    await connection.subscribe(subscription)
    await soon(connection.append(stream(1), (BODY,)))
    async with asyncio.timeout(WAIT_S):
        while subscription.records.empty():
            await asyncio.sleep(0)
    connection.unsubscribe(stream(1))
    assert subscription.records.empty()
    assert connection._backlog_bytes == 0
    assert not connection.is_open(stream(1))


async def test_a_deposit_leaves_no_stream_open(world: World, connect: Connect) -> None:
    connection = connect(world.url)
    await soon(connection.connected.wait())
    await connection.create(stream(1), StreamKind.INBOX, frames.TokenHash(bytes(32)))
    await soon(connection.deposit(stream(1), BODY))
    assert not connection.is_open(stream(1))
    with pytest.raises(Refused):
        await soon(connection.deposit(stream(2), BODY))
    await soon(connection.deposit(stream(1), BODY))


async def test_requests_leave_in_the_order_in_which_they_were_made(world: World, connect: Connect) -> None:
    """A CLOSE that was overtaken by the next OPEN would close what that has opened."""
    connection = connect(world.url)
    await soon(connection.connected.wait())
    await connection.create(stream(1), StreamKind.INBOX, frames.TokenHash(bytes(32)))
    for _ in range(20):
        await soon(connection.deposit(stream(1), BODY))
    assert connection.generation == 0


async def test_back_off_grows_and_starts_afresh_after_a_steady_connection(
    fake: Fake, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "BACK_OFF_S", (0.001, 0.002, 0.004))
    pauses: list[float] = []
    sleep = asyncio.sleep
    enough = asyncio.Event()

    async def note(delay_s: float) -> None:
        pauses.append(delay_s)
        if len(pauses) == 5:
            enough.set()
        await sleep(0)

    async def leave(socket: web.WebSocketResponse) -> None:
        await socket.close()

    fake.serves = [leave]
    monkeypatch.setattr("ringthrough.client.connection.asyncio.sleep", note)
    connect(fake.url)
    await soon(enough.wait())
    assert pauses[0] <= 0.0015 < pauses[3]
    monkeypatch.setattr(connection_module, "STEADY_S", -1.0)
    pauses.clear()
    enough.clear()
    await soon(enough.wait())
    assert max(pauses) <= 0.0015


async def test_back_off_is_short_while_a_call_uses_the_connection(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "BACK_OFF_S", (WAIT_S * 10,))
    monkeypatch.setattr(connection_module, "BACK_OFF_S_IN_CALL", 0.01)
    opened = asyncio.Queue[None]()

    class Call:
        def main_opened(self) -> None:
            opened.put_nowait(None)

        def main_lost(self) -> None: ...

        def main_received(self, frame: frames.Joined | frames.Carried | frames.Acked) -> None: ...

    connection = connect(world.url)
    await soon(connection.connected.wait())
    subscription = await inbox(connection, 1)
    await connection.subscribe(subscription)
    connection.attach(subscription.stream, Call())
    await soon(opened.get())
    connection.end()
    await soon(opened.get())
