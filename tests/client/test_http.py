"""HTTP against a server that misbehaves, and addresses as people write them."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from ringthrough.client import http as http_module
from ringthrough.client.errors import Refused, ServerUnreachable
from ringthrough.client.http import ServerHttp, normalise_origin
from ringthrough.protocol import limits

from .conftest import soon

ID = bytes(16)
Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("chat.example", "https://chat.example"),
        ("https://chat.example:443/", "https://chat.example"),
        ("HTTPS://Chat.Example:8440/x?y", "https://chat.example:8440"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8440", "http://[::1]:8440"),
        ("10.0.0.1", "https://10.0.0.1"),
    ],
)
def test_origins(written: str, origin: str) -> None:
    assert normalise_origin(written) == origin
    assert normalise_origin(origin) == origin


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ftp://a.example",
        "https://",
        "https://a b",
        "https://a.example:x",
        "https://-a",
        "https://a..b",
        "http://[::1",
        "https://" + "a" * 300,
        "https://a%00b",
    ],
)
def test_what_is_no_server_address(written: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        normalise_origin(written)


class Fake:
    def __init__(self) -> None:
        self.url = ""
        self.answer = web.Response
        self.paths: list[str] = []
        self.peers: list[object] = []
        """Where each request came from."""
        self.asked = asyncio.Event()
        """A request is here."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.paths.append(request.path)
        self.peers.append(request.transport.get_extra_info("peername"))
        self.asked.set()
        return await self.respond(request)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        return web.Response()


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    fake = Fake()
    app = web.Application(client_max_size=limits.BLOB_BYTES_MAX)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


def answers(fake: Fake, make: object) -> None:
    fake.respond = make  # type: ignore[method-assign, assignment]


async def test_an_answer_in_pieces_is_put_together(fake: Fake) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for piece in (b'{"key_pa', b'ckages":', b"[]}"):
            await response.write(piece)
            await asyncio.sleep(0.01)
        return response

    answers(fake, slow)
    async with ServerHttp(fake.url) as http:
        assert await http.claim_key_packages(ID) == ()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"key_packages": 5}', b"\xff", b"<html>"])
async def test_something_else_than_the_document_is_refused(fake: Fake, body: bytes) -> None:
    async def wrong(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    answers(fake, wrong)
    async with ServerHttp(fake.url) as http:
        with pytest.raises(Refused):
            await http.claim_key_packages(ID)


async def test_an_endless_answer_is_cut(fake: Fake) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(100_000))
        except ConnectionError:
            return response

    answers(fake, endless)
    async with ServerHttp(fake.url) as http:
        with pytest.raises(Refused, match="exceeds"):
            await http.account(ID)
        answers(fake, _endless_blob)
        with pytest.raises(Refused, match="exceeds"):
            await http.get_blob(bytes(32), 1000)


async def _endless_blob(request: web.Request) -> web.StreamResponse:
    return web.Response(body=bytes(100_000), content_type="application/octet-stream")


async def test_an_answer_broken_off_is_unreachable(fake: Fake) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return response

    answers(fake, cut)
    async with ServerHttp(fake.url) as http:
        with pytest.raises(ServerUnreachable):
            await http.account(ID)


async def test_redirects_are_not_followed(fake: Fake) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/inside")

    answers(fake, elsewhere)
    async with ServerHttp(fake.url) as http:
        with pytest.raises(Refused, match="302"):
            await http.account(ID)
        with pytest.raises(Refused):
            await http.get_blob(bytes(32))
    assert "/inside" not in fake.paths


async def test_other_bytes_than_asked_for_are_refused(fake: Fake) -> None:
    answers(fake, _endless_blob)
    async with ServerHttp(fake.url) as http:
        with pytest.raises(Refused) as refused:
            await http.get_blob(bytes(32))
    assert refused.value.code == "hash_mismatch"


async def test_an_error_without_document_is_an_error_all_the_same(fake: Fake) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        return web.Response(status=502, text="<html>")

    answers(fake, broken)
    async with ServerHttp(fake.url) as http:
        with pytest.raises(Refused, match="502"):
            await http.account(ID)


async def test_nobody_there() -> None:
    async with ServerHttp("http://127.0.0.1:1") as http:
        with pytest.raises(ServerUnreachable, match="cannot reach"):
            await http.health()


async def none(request: web.Request) -> web.StreamResponse:
    return web.json_response({"key_packages": []})


async def healthy(request: web.Request) -> web.StreamResponse:
    return web.json_response({})


async def stored(request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(status=201)


async def silent(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def half(request: web.Request) -> web.StreamResponse:
    """An answer that stops in the middle."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"{")
    return await silent(request)


def only_first(fake: Fake, wrong: Respond, right: Respond) -> Respond:
    """`wrong` to whatever comes by the first connection, `right` on every other."""

    async def respond(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        is_first = request.transport.get_extra_info("peername") == fake.peers[0]
        return await (wrong if is_first else right)(request)

    return respond


def lose_address(fake: Fake, patch: pytest.MonkeyPatch) -> None:
    """The device moves: nothing comes any more from where the requests until now came from."""
    lost = list(fake.peers)

    def is_lost(connected: socket.socket) -> bool:
        return connected.fileno() >= 0 and connected.getsockname() in lost

    patch.setattr(http_module, "is_lost", is_lost)


async def test_requests_share_a_connection(fake: Fake) -> None:
    answers(fake, none)
    async with ServerHttp(fake.url) as http:
        await http.claim_key_packages(ID)
        await http.claim_key_packages(ID)
    assert fake.peers[0] == fake.peers[1]


async def test_nothing_is_asked_from_an_address_that_the_device_has_lost(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even what may not be asked twice, and so could not be mended."""
    answers(fake, none)
    async with ServerHttp(fake.url) as http:
        await http.claim_key_packages(ID)
        lose_address(fake, monkeypatch)
        answers(fake, only_first(fake, silent, none))
        assert await soon(asyncio.gather(http.claim_key_packages(ID), http.claim_key_packages(ID))) == [(), ()]
    assert fake.peers.count(fake.peers[0]) == 1


@pytest.mark.parametrize("broken", [silent, half])
async def test_a_question_under_way_when_the_address_is_lost_is_asked_from_the_new_one(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, broken: Respond
) -> None:
    monkeypatch.setattr(http_module, "ADDRESS_CHECK_S", 0.01)
    answers(fake, only_first(fake, broken, healthy))
    async with ServerHttp(fake.url) as http, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(http.health())
        await soon(fake.asked.wait())
        lose_address(fake, monkeypatch)
        assert await soon(asking) == {}
    assert len(fake.peers) == 2


async def test_an_upload_under_way_when_the_address_is_lost_goes_from_the_new_one(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "ADDRESS_CHECK_S", 0.01)
    answers(fake, only_first(fake, silent, stored))
    blob = bytes(8_000_000)  # more than waits in front of a server that does not read
    async with ServerHttp(fake.url) as http, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(http.put_blob(blob))
        await soon(fake.asked.wait())
        lose_address(fake, monkeypatch)
        assert await soon(sending) == hashlib.sha256(blob).digest()
    assert len(fake.peers) == 2


async def test_what_may_not_be_asked_twice_fails_at_once_when_the_address_is_lost(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "ADDRESS_CHECK_S", 0.01)
    answers(fake, silent)
    async with ServerHttp(fake.url) as http:
        asking = asyncio.create_task(http.claim_key_packages(ID))
        await soon(fake.asked.wait())
        lose_address(fake, monkeypatch)
        with pytest.raises(ServerUnreachable, match="cannot reach"):
            await soon(asking)
    assert len(fake.peers) == 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "_TIMEOUT", aiohttp.ClientTimeout(total=60, sock_read=0.1))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("broken", [silent, half])
async def test_a_question_that_is_not_answered_is_asked_again_on_another_connection(
    fake: Fake, broken: Respond
) -> None:
    answers(fake, none)
    async with ServerHttp(fake.url) as http:
        await http.claim_key_packages(ID)
        answers(fake, only_first(fake, broken, healthy))
        assert await soon(http.health()) == {}
    assert fake.peers[1] == fake.peers[0] != fake.peers[2]


@pytest.mark.usefixtures("impatient")
async def test_it_is_asked_twice_and_no_more(fake: Fake) -> None:
    answers(fake, silent)
    async with ServerHttp(fake.url) as http:
        with pytest.raises(ServerUnreachable, match="does not answer"):
            await soon(http.health())
        assert len(fake.peers) == 2
        with pytest.raises(ServerUnreachable, match="does not answer"):
            await soon(http.claim_key_packages(ID))
        assert len(fake.peers) == 3


async def test_uploads_go_by_a_connection_of_their_own(fake: Fake) -> None:
    """On a dead one that is kept, nobody would tell that the bytes do not leave."""
    answers(fake, none)
    async with ServerHttp(fake.url) as http:
        await http.claim_key_packages(ID)
        answers(fake, only_first(fake, silent, stored))
        await soon(http.put_blob(b"ciphertext"))
    assert len(fake.peers) == 2
