"""Conversations as ordered scripts: `alice >> frame` is sent, `alice << frame` must come next.

A script that leaves frames unread fails; a mismatch prints the script as it went and the line expected.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import aiohttp

from ringthrough.protocol.frames import (
    Create,
    Created,
    Hello,
    Open,
    Opened,
    Ping,
    Pong,
    Record,
    Records,
    ServerFrame,
    StreamKind,
    Welcome,
    decode_server,
    encode,
)
from ringthrough.server.app import RunningServer

TIMEOUT_S = 10
LAST_PING = 4_000_000_000


class Anything:
    """Equal to every value."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "ANY"


ANY = Anything()


@dataclass
class Line:
    who: Peer
    sent: bool
    frame: object

    def __str__(self) -> str:
        return f"{self.who.name} {'>>' if self.sent else '<<'} {_short(self.frame)}"


class Peer:
    """One connection of a script."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket: aiohttp.ClientWebSocketResponse | None = None

    def __rshift__(self, frame: object) -> Line:
        return Line(self, True, frame)

    def __lshift__(self, frame: object) -> Line:
        return Line(self, False, frame)

    async def send(self, frame: object) -> None:
        assert self.socket is not None
        await self.socket.send_bytes(frame if isinstance(frame, bytes) else encode(frame))  # type: ignore[arg-type]

    async def receive(self) -> ServerFrame:
        assert self.socket is not None
        message = await self.socket.receive(timeout=TIMEOUT_S)
        assert message.type is aiohttp.WSMsgType.BINARY, message
        return decode_server(message.data)

    async def receive_records(self, handle: int, count: int) -> list[Record]:
        """`count` records, from as many frames as the server put them into."""
        records: list[Record] = []
        while len(records) < count:
            frame = await self.receive()
            assert isinstance(frame, Records), frame
            assert frame.handle == handle
            records += frame.records
        assert len(records) == count, [r.seq for r in records]
        return records

    async def receive_all(self, count: int) -> list[Record]:
        """`count` records of any stream, whatever else comes between."""
        got: list[Record] = []
        while len(got) < count:
            frame = await self.receive()
            if isinstance(frame, Records):
                got += frame.records
        return got

    async def ping(self) -> None:
        """Until the server has seen everything sent so far, whatever else comes."""
        await self.send(Ping(LAST_PING))
        while not isinstance(await self.receive(), Pong):
            pass


@dataclass
class Scene:
    """Connects peers to one server and plays scripts. An async context manager."""

    server: RunningServer
    peers: list[Peer] = field(default_factory=list)
    session: aiohttp.ClientSession = field(default_factory=aiohttp.ClientSession)

    async def __aenter__(self) -> Scene:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def connect(self, name: str, hello: bool = True) -> Peer:
        peer = Peer(name)
        peer.socket = await self.session.ws_connect(f"{self.server.url}/v1/connect", max_msg_size=0, compress=0)
        self.peers.append(peer)
        if hello:
            await self.play(peer >> Hello(1, 1), peer << Welcome(1, ANY))  # type: ignore[arg-type]
        return peer

    async def play(self, *lines: Line) -> None:
        done: list[str] = []
        for line in lines:
            if line.sent:
                await line.who.send(line.frame)
            else:
                await self._expect(line, done)
            done.append(str(line))

    async def _expect(self, line: Line, done: list[str]) -> None:
        expected = line.frame
        try:
            if isinstance(expected, Records):
                got = await line.who.receive_records(expected.handle, len(expected.records))
                seen: object = Records(expected.handle, tuple(got))
            else:
                seen = await line.who.receive()
        except (TimeoutError, AssertionError) as e:
            seen = repr(e)
        if seen != expected:
            script = "\n  ".join(done)
            raise AssertionError(f"script:\n  {script}\n- {line}\n+ {line.who.name} << {_short(seen)}")

    async def quiet(self, *peers: Peer) -> None:
        """Nothing is left unread at these peers (or at all of them)."""
        for peer in peers or self.peers:
            await self.play(peer >> Ping(LAST_PING), peer << Pong(LAST_PING, ANY))  # type: ignore[arg-type]


def _short(frame: object) -> str:
    if isinstance(frame, Records):
        return f"Records({frame.handle}, {[(r.seq, r.body[:4], len(r.body)) for r in frame.records]})"
    text = repr(frame)
    return text if len(text) < 200 else text[:200] + "..."


def token(name: str) -> bytes:
    """A capability token for tests."""
    return hashlib.sha256(b"token " + name.encode()).digest()


def token_hash(name: str) -> bytes:
    return hashlib.sha256(token(name)).digest()


def stream_id(name: str) -> bytes:
    return hashlib.sha256(b"stream " + name.encode()).digest()[:16]


def body(text: str, size: int = 160) -> bytes:
    return text.encode().ljust(size, b".")


def records(handle: int, first_seq: int, *texts: str) -> Records:
    """What RECORDS frames must add up to."""
    return Records(
        handle,
        tuple(Record(first_seq + i, ANY, body(text)) for i, text in enumerate(texts)),  # type: ignore[arg-type]
    )


def opened(request: int, handle: int, rights: int, epoch: int = 0, head: int = 0, read_to: int = 0) -> Opened:
    return Opened(request, handle, rights, epoch, ANY, head, read_to)  # type: ignore[arg-type]


async def conversation(scene: Scene, peer: Peer, name: str = "talk", epoch_token: str = "t0") -> None:
    """`peer` makes a conversation and opens it: handle 1, requests 1 and 2."""
    await scene.play(
        peer >> Create(1, stream_id(name), StreamKind.CONVERSATION, token_hash(epoch_token)),
        peer << Created(1),
        peer >> Open(2, stream_id(name), token(epoch_token), 1),
        peer << opened(2, 1, 7),
    )
