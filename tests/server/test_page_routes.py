"""The web client's files: where they are found, how they are served, and what they may not do."""

from __future__ import annotations

import gzip
from pathlib import Path

import aiohttp
import pytest

from ringthrough.server.app import RunningServer
from ringthrough.server.page_routes import page_folder, read_pages
from tests.server.conftest import StartServer

SCRIPT = b"console.log('hello')\n" * 100


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(b"<!doctype html><title>x</title>" * 20)
    (folder / "sw.js").write_bytes(SCRIPT)
    (folder / "icon.svg").write_bytes(b"<svg/>")
    (folder / "assets" / "index-B7x_a9Qz.js").write_bytes(SCRIPT)
    (folder / "assets" / "index-B7x_a9Qz.js.br").write_bytes(b"brotli of it")
    (folder / "assets" / "sound-C8y_b0Ra.wasm").write_bytes(b"\0asm" * 100)
    return folder


@pytest.fixture
async def paged(start_server: StartServer, built: Path) -> RunningServer:
    return await start_server(page_dir=built)


async def get(server: RunningServer, path: str, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(server.url + path, headers={"Accept-Encoding": "identity"} | headers) as response,
    ):
        return response, await response.read()


async def test_the_page_is_at_the_root(paged: RunningServer, built: Path) -> None:
    for path in ("/", "/index.html"):
        response, body = await get(paged, path)
        assert (response.status, body) == (200, (built / "index.html").read_bytes())
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-cache"


async def test_the_policy_allows_no_foreign_or_inline_code(paged: RunningServer) -> None:
    response, _ = await get(paged, "/")
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert (
        policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    )
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert policy["style-src"] == policy["worker-src"] == policy["manifest-src"] == "'self'"
    assert "unsafe-inline" not in response.headers["Content-Security-Policy"]
    assert "http:" not in policy["connect-src"].replace("http://localhost:*", "").replace("http://127.0.0.1:*", "")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"


async def test_a_file_named_by_its_contents_is_kept_for_good_and_others_are_asked_for_again(
    paged: RunningServer,
) -> None:
    hashed, _ = await get(paged, "/assets/index-B7x_a9Qz.js")
    assert hashed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    worker, _ = await get(paged, "/sw.js")
    assert worker.headers["Cache-Control"] == "no-cache"
    assert worker.headers["Content-Type"].startswith("text/javascript")
    again, body = await get(paged, "/sw.js", **{"If-None-Match": worker.headers["ETag"]})
    assert (again.status, body) == (304, b"")


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("identity", None), ("br;q=0.5", "br")],
)
async def test_the_best_encoding_that_the_browser_takes(
    paged: RunningServer, accepted: str, encoding: str | None
) -> None:
    response, body = await get(paged, "/assets/index-B7x_a9Qz.js", **{"Accept-Encoding": accepted})
    assert response.headers.get("Content-Encoding") == encoding
    assert response.headers["Vary"] == "Accept-Encoding"
    expected = {"br": b"brotli of it", None: SCRIPT}.get(encoding)
    assert body == expected if encoding != "gzip" else gzip.decompress(body) == SCRIPT


async def test_each_encoding_has_a_name_of_its_own(paged: RunningServer) -> None:
    tags = {(await get(paged, "/sw.js", **{"Accept-Encoding": e}))[0].headers["ETag"] for e in ("gzip", "identity")}
    assert len(tags) == 2


@pytest.mark.parametrize(
    "path",
    [
        "/assets/",
        "/assets",
        "/nothing.js",
        "/../secret",
        "/assets/%2e%2e/%2e%2e/secret",
        "/assets/index-B7x_a9Qz.js.br",
    ],
)
async def test_nothing_else_is_served(paged: RunningServer, built: Path, path: str) -> None:
    (built.parent / "secret").write_text("no")
    response, _ = await get(paged, path)
    assert response.status == 404
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_files_are_read_at_the_start_only(paged: RunningServer, built: Path) -> None:
    (built / "index.html").write_text("changed")
    assert (await get(paged, "/"))[1].startswith(b"<!doctype html>")


async def test_the_interface_stays_what_it_is(paged: RunningServer) -> None:
    response, _ = await get(paged, "/health")
    assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")


async def test_without_a_built_page_the_rest_works(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server(page_dir=tmp_path / "none")
    assert (await get(server, "/"))[0].status == 404
    assert (await get(server, "/health"))[0].status == 200
    assert page_folder(tmp_path / "none") is None


def test_compressed_neighbours_are_not_files_of_their_own(built: Path) -> None:
    files = read_pages(built)
    assert "assets/index-B7x_a9Qz.js.br" not in files
    assert files["assets/sound-C8y_b0Ra.wasm"].content_type == "application/wasm"
    assert files["icon.svg"].encodings == ()
