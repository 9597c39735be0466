"""One connection's conversation, frame by frame."""

from __future__ import annotations

import random

import aiohttp
import msgspec
import pytest

from ringthrough.protocol import limits as wire
from ringthrough.protocol.frames import (
    Append,
    Appended,
    Close,
    Closed,
    Create,
    Created,
    Error,
    Hello,
    Open,
    Ping,
    Pong,
    Signal,
    Signalled,
    StreamKind,
    Welcome,
    encode,
)
from ringthrough.server.app import Limits, Rate, RunningServer
from tests.server.conftest import Clock, StartServer
from tests.server.script import (
    ANY,
    Scene,
    body,
    conversation,
    opened,
    records,
    stream_id,
    token,
    token_hash,
)

TALK = stream_id("talk")


def error(request: int, code: str, detail: int = 0) -> Error:
    return Error(request, code, ANY, ANY, detail)  # type: ignore[arg-type]


async def test_hello_comes_first_and_once(server: RunningServer, clock: Clock) -> None:
    async with Scene(server) as scene:
        alice = await scene.connect("alice", hello=False)
        await scene.play(
            alice >> Ping(7),
            alice << error(7, "hello_first"),
            alice >> Hello(2, 9),
            alice << error(0, "unsupported_version"),
            alice >> Hello(5, 1),
            alice << error(0, "unsupported_version"),
            alice >> Hello(1, 9),
            alice << Welcome(1, int(clock.now_s * 1000)),
            alice >> Hello(1, 1),
            alice << error(0, "bad_frame"),
            alice >> Ping(8),
            alice << Pong(8, int(clock.now_s * 1000)),
        )


async def test_a_record_comes_back_to_everybody_who_reads(server: RunningServer, clock: Clock) -> None:
    async with Scene(server) as scene:
        alice, bob = await scene.connect("alice"), await scene.connect("bob")
        await conversation(scene, alice)
        await scene.play(
            alice >> Append(1, 3, (body("one"), body("two"))),
            alice << Appended(3, 1),
            alice << records(1, 1, "one", "two"),
            bob >> Open(1, TALK, token("t0"), 1),
            bob << opened(1, 1, 7, head=2),
            bob << records(1, 1, "one", "two"),
            bob >> Append(1, 2, (body("three"),)),
            bob << Appended(2, 3),
            bob << records(1, 3, "three"),
            alice << records(1, 3, "three"),
        )
        await scene.quiet()


async def test_open_reads_from_the_seq_asked_for(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)
        await scene.play(
            alice >> Append(1, 3, (body("one"), body("two"), body("three"))),
            alice << Appended(3, 1),
            alice << records(1, 1, "one", "two", "three"),
        )
        for from_seq, texts in ((0, ["one", "two", "three"]), (3, ["three"]), (4, []), (1 << 62, [])):
            peer = await scene.connect(f"from {from_seq}")
            await scene.play(peer >> Open(1, TALK, token("t0"), from_seq), peer << opened(1, 1, 7, head=3))
            if texts:
                await scene.play(peer << records(1, 4 - len(texts), *texts))
        await scene.play(alice >> Append(1, 4, (body("four"),)), alice << Appended(4, 4))
        for peer in scene.peers:
            await scene.play(peer << records(1, 4, "four"))
        await scene.quiet()


async def test_signals_reach_the_others_only_and_are_not_kept(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob, carol = [await scene.connect(name) for name in ("alice", "bob", "carol")]
        await conversation(scene, alice)
        await scene.play(
            bob >> Open(1, TALK, token("t0"), 1),
            bob << opened(1, 1, 7),
            alice >> Signal(1, body("ring")),
            bob << Signalled(1, body("ring")),
            carol >> Open(1, TALK, token("t0"), 1),
            carol << opened(1, 1, 7),
        )
        await scene.quiet()


async def test_create_again_is_granted_only_with_the_same_hash(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        conversation_kind, inbox = StreamKind.CONVERSATION, StreamKind.INBOX
        await scene.play(
            alice >> Create(1, TALK, conversation_kind, token_hash("t0")),
            alice << Created(1),
            alice >> Create(2, TALK, conversation_kind, token_hash("t0")),
            alice << Created(2),
            alice >> Create(3, TALK, conversation_kind, token_hash("other")),
            alice << error(3, "stream_exists"),
            alice >> Create(4, TALK, inbox, token_hash("t0")),
            alice << error(4, "stream_exists"),
        )


async def test_create_and_open_may_be_pipelined(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await scene.play(
            alice >> Create(1, TALK, StreamKind.CONVERSATION, token_hash("t0")),
            alice >> Open(2, TALK, token("t0"), 1),
            alice >> Close(3, 1),
            alice >> Open(4, TALK, token("t0"), 1),
            alice << Created(1),
            alice << opened(2, 1, 7),
            alice << Closed(3),
            alice << opened(4, 2, 7),
        )


async def test_a_closed_handle_is_gone(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await scene.connect("alice"), await scene.connect("bob")
        await conversation(scene, alice)
        await scene.play(
            bob >> Open(1, TALK, token("t0"), 1),
            bob << opened(1, 1, 7),
            bob >> Close(2, 1),
            bob << Closed(2),
            bob >> Close(3, 1),
            bob << error(3, "bad_handle"),
            bob >> Append(1, 4, (body("x"),)),
            bob << error(4, "bad_handle"),
            bob >> Signal(1, body("x")),
            bob << error(0, "bad_handle"),
            alice >> Append(1, 5, (body("one"),)),
            alice << Appended(5, 1),
            alice << records(1, 1, "one"),
        )
        await scene.quiet()


async def test_bad_input_gets_a_typed_error_and_the_connection_lives(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        assert alice.socket is not None
        await conversation(scene, alice)
        await alice.socket.send_str("text")
        await scene.play(
            alice << error(0, "bad_frame"),
            alice >> b"",
            alice << error(0, "bad_frame"),
            alice >> b"\x55",
            alice << error(0, "unknown_type"),
            alice >> b"\x81\x92\x01\x01",
            alice << error(0, "unknown_type"),
            alice >> b"\x03" + msgspec.msgpack.encode([9, b"short", b"", 1]),
            alice << error(9, "bad_frame"),
            alice >> b"\x03" + msgspec.msgpack.encode([9, 1]),
            alice << error(9, "bad_frame"),
            alice >> Append(1, 10, (b"x" * 161,)),
            alice << error(10, "bad_size"),
            alice >> Signal(1, b"x" * 10240),
            alice << error(0, "bad_size"),
            alice >> Signal(1, b"x"),
            alice << error(0, "bad_size"),
        )
        await scene.quiet()


async def test_after_a_refusal_nothing_on_that_handle_overtakes(start_server: StartServer) -> None:
    server = await start_server(Limits(stream_records=Rate(0.001, 2)))
    async with Scene(server) as scene:
        alice, bob = await scene.connect("alice"), await scene.connect("bob")
        await conversation(scene, alice)
        await conversation(scene, bob, "other")
        await scene.play(
            alice >> Append(1, 3, (body("one"),)),
            alice >> Append(1, 4, (body("two"), body("three"))),  # too fast: one is left
            alice >> Append(1, 5, (body("four"),)),  # would fit, but must not overtake
            alice << error(4, "rate_limited"),
            alice << error(5, "rate_limited"),
            alice << Appended(3, 1),
            alice << records(1, 1, "one"),
            alice >> Open(6, TALK, token("wrong"), 1),
            alice << error(6, "forbidden"),
            alice >> Append(1, 7, (body("four"),)),
            alice << error(7, "rate_limited"),
            alice >> Open(8, TALK, token("t0"), 1),
            alice << opened(8, 1, 7, head=1),
            alice >> Append(1, 9, (body("five"),)),
            alice << Appended(9, 2),
            alice << records(1, 2, "five"),
        )
        await scene.quiet()


async def test_a_malformed_append_holds_its_handle_too(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)
        await scene.play(
            alice >> Append(1, 3, (b"odd",)),
            alice >> Append(1, 4, (body("later"),)),
            alice << error(3, "bad_size"),
            alice << error(4, "bad_size"),
        )
        await scene.quiet()


async def test_limits_of_one_connection(start_server: StartServer) -> None:
    server = await start_server(
        Limits(
            streams_per_connection_max=1, opens=Rate(0.001, 4), signals=Rate(0.001, 1), streams_created=Rate(0.001, 2)
        )
    )
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)
        await scene.play(
            alice >> Create(3, stream_id("second"), StreamKind.CONVERSATION, token_hash("t0")),
            alice << Created(3),
            alice >> Open(4, stream_id("second"), token("t0"), 1),
            alice << error(4, "too_many"),
            alice >> Open(5, TALK, token("t0"), 1),
            alice << opened(5, 1, 7),
            alice >> Open(6, TALK, token("no"), 1),
            alice << error(6, "forbidden"),
            alice >> Open(7, TALK, token("t0"), 1),
            alice << error(7, "rate_limited"),
            alice >> Create(8, stream_id("third"), StreamKind.CONVERSATION, token_hash("t0")),
            alice << error(8, "rate_limited"),
            alice >> Signal(1, body("a")),
            alice >> Signal(1, body("b")),
            alice << error(0, "rate_limited"),
        )
        await scene.quiet()


async def test_too_many_requests_in_flight_are_refused(start_server: StartServer) -> None:
    server = await start_server(Limits(requests_in_flight_max=1))
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await scene.play(
            alice >> Open(1, TALK, token("a"), 1),
            alice >> Open(2, TALK, token("a"), 1),
            alice << error(2, "too_many"),
            alice << error(1, "forbidden"),
        )


async def test_inbox_deposits_are_limited_for_strangers_only(start_server: StartServer) -> None:
    server = await start_server(Limits(inbox_deposits=Rate(0.001, 1)))
    inbox = stream_id("inbox")
    async with Scene(server) as scene:
        owner, stranger = await scene.connect("owner"), await scene.connect("stranger")
        await scene.play(
            owner >> Create(1, inbox, StreamKind.INBOX, token_hash("i")),
            owner << Created(1),
            owner >> Open(2, inbox, token("i"), 1),
            owner << opened(2, 1, 3),
            stranger >> Open(1, inbox, b"", 1),
            stranger << opened(1, 1, 2),
            stranger >> Append(1, 2, (body("hi"),)),
            stranger << Appended(2, 0),
            owner << records(1, 1, "hi"),
            stranger >> Append(1, 3, (body("again"),)),
            stranger << error(3, "rate_limited"),
            owner >> Append(1, 4, (body("mine"),)),
            owner << Appended(4, 2),
            owner << records(1, 2, "mine"),
        )
        await scene.quiet()


async def test_who_says_no_hello_is_sent_away(start_server: StartServer) -> None:
    server = await start_server(Limits(hello_timeout_s=0.05))
    async with Scene(server) as scene:
        alice = await scene.connect("alice", hello=False)
        assert alice.socket is not None
        message = await alice.socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == 1008


async def test_a_flood_of_errors_ends_the_connection(start_server: StartServer) -> None:
    server = await start_server(Limits(errors=Rate(0.001, 3)))
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        assert alice.socket is not None
        for _ in range(4):
            await alice.send(b"\x55")
        types = [(await alice.socket.receive(timeout=5)).type for _ in range(5)]
        assert types == [aiohttp.WSMsgType.BINARY] * 4 + [aiohttp.WSMsgType.CLOSE]


async def test_an_oversized_message_ends_the_connection(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        assert alice.socket is not None
        await alice.send(b"\x05" * (wire.MESSAGE_BYTES_MAX + 1))
        message = await alice.socket.receive(timeout=5)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)


@pytest.mark.parametrize("limits", [Limits(connections_max=1), Limits(connections_per_address_max=1)])
async def test_too_many_connections_are_refused_before_the_upgrade(start_server: StartServer, limits: Limits) -> None:
    server = await start_server(limits)
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        answer = await scene.session.get(f"{server.url}/v1/connect")
        assert (answer.status, (await answer.json())["code"]) == (429, "too_many")
        assert alice.socket is not None
        await alice.socket.close()
        while (await scene.session.get(f"{server.url}/v1/connect")).status == 429:
            pass
        await scene.connect("bob")


@pytest.mark.parametrize("seed", range(3))
async def test_random_and_damaged_frames_are_refused_and_nothing_breaks(
    start_server: StartServer, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    server = await start_server(Limits(errors=Rate(1e9, 1e9), requests_in_flight_max=10_000))
    rng = random.Random(seed)
    good = [
        encode(frame)
        for frame in (
            Hello(1, 1),
            Create(1, TALK, StreamKind.CONVERSATION, token_hash("t0")),
            Open(2, TALK, token("t0"), 1),
            Close(3, 2),
            Append(1, 4, (body("x"),)),
            Append(1, 4, (body("x"),), 0, token_hash("t0")),
            Signal(1, body("x")),
            Ping(5),
        )
    ]
    async with Scene(server) as scene:
        mallory, alice = await scene.connect("mallory"), await scene.connect("alice")
        await conversation(scene, mallory)
        for _ in range(400):
            message = bytearray(rng.choice(good))
            for _ in range(rng.randrange(4)):
                message[rng.randrange(len(message))] = rng.randrange(256)
            await mallory.send(bytes(message[: rng.choice((len(message), rng.randrange(len(message) + 1)))]))
        await mallory.ping()
        await conversation(scene, alice, "other")
        await scene.quiet(alice)
    assert "unexpected" not in caplog.text
