"""HTTP against a server that misbehaves, and addresses as people write them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from ringthrough.client.errors import Refused, ServerUnreachable
from ringthrough.client.http import ServerHttp, normalise_origin

ID = bytes(16)


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

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        return await self.respond(request)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        return web.Response()


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    fake = Fake()
    app = web.Application()
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
        with pytest.raises(Refused, match="too long"):
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
