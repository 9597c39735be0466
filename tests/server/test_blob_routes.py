from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from ringthrough.protocol.errors import ErrorCode
from ringthrough.server.app import Limits, Rate, RunningServer
from ringthrough.server.blobs import BlobFolder
from ringthrough.server.store.port import Refused
from ringthrough.server.sweep import sweep
from tests.server.conftest import Clock, StartServer

DATA = os.urandom(700_000)
NAME = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def put(http: aiohttp.ClientSession, server: RunningServer, name: str, data: object) -> tuple[int, str]:
    async with http.put(f"{server.url}/v1/blobs/{name}", data=data) as answer:
        return answer.status, "" if answer.status == 201 else (await answer.json())["code"]


async def test_a_blob_comes_back_whole_and_in_parts(http: aiohttp.ClientSession, server: RunningServer) -> None:
    assert [await put(http, server, NAME, DATA) for _ in range(2)] == [(201, "")] * 2
    async with http.get(f"{server.url}/v1/blobs/{NAME}") as answer:
        assert (answer.headers["Content-Length"], await answer.read()) == (str(len(DATA)), DATA)
    async with http.get(f"{server.url}/v1/blobs/{NAME}", headers={"Range": "bytes=5-99"}) as answer:
        assert (answer.status, await answer.read()) == (206, DATA[5:100])
    async with http.get(f"{server.url}/v1/blobs/{'0' * 64}") as answer:
        assert answer.status == 404


async def test_the_hash_is_checked_and_nothing_is_left(
    http: aiohttp.ClientSession, server: RunningServer, tmp_path: Path
) -> None:
    assert await put(http, server, NAME, DATA[:-1]) == (400, "hash_mismatch")
    assert await put(http, server, "xyz", b"") == (400, "bad_request")
    assert await put(http, server, NAME.upper(), DATA) == (400, "bad_request")
    assert [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()] == []


async def test_sizes_and_quotas(http: aiohttp.ClientSession, start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server(
        Limits(blob_bytes=Rate(0.001, 800_000)), blob_bytes_max=700_000, blob_bytes_total_max=700_000
    )

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield bytes(100_000)

    assert await put(http, server, "0" * 64, bytes(700_001)) == (413, "too_large")
    assert await put(http, server, NAME, DATA) == (429, "rate_limited")
    await server.close()
    server = await start_server(blob_bytes_max=700_000, blob_bytes_total_max=700_000)
    assert await put(http, server, "0" * 64, chunks()) == (413, "too_large")
    assert await put(http, server, NAME, DATA) == (201, "")
    assert await put(http, server, hashlib.sha256(b"x").hexdigest(), b"x") == (429, "too_many")
    assert list((tmp_path / "data" / "blobs" / "incoming").iterdir()) == []


@pytest.mark.promise("CANNOT-LOSE")
async def test_file_and_folders_are_synced_before_the_answer(
    http: aiohttp.ClientSession, server: RunningServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    synced: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert await put(http, server, NAME, DATA) == (201, "")
    blobs = tmp_path / "data" / "blobs"
    assert synced[0].parent == blobs / "incoming"
    assert synced[1:] == [blobs / NAME[:2], blobs]


async def test_a_full_disk_is_unavailable(
    http: aiohttp.ClientSession, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert await put(http, server, NAME, DATA) == (503, "unavailable")
    assert await put(http, server, NAME, DATA) == (201, "")


async def test_blobs_expire(http: aiohttp.ClientSession, server: RunningServer, clock: Clock, tmp_path: Path) -> None:
    await put(http, server, NAME, DATA)
    config = server.context.config
    path = tmp_path / "data" / "blobs" / NAME[:2] / NAME
    uploaded_s = path.stat().st_mtime
    blobs = BlobFolder(tmp_path / "data" / "blobs", 10**9, 10**9)
    assert blobs.total_bytes == len(DATA)
    await sweep(server.store, blobs, config, uploaded_s + config.blob_lifetime_s - 1)
    assert path.exists()
    await sweep(server.store, blobs, config, uploaded_s + config.blob_lifetime_s + 1)
    assert not path.exists()
    assert blobs.total_bytes == 0


def test_the_folder_counts_what_it_holds(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path, 100, 150)
    for data in (b"a" * 90, b"a" * 90):
        upload = blobs.begin(hashlib.sha256(data).digest(), None)
        upload.write(data)
        upload.finish()
        upload.discard()
    assert blobs.total_bytes == 90
    with pytest.raises(Refused) as refused:
        blobs.begin(bytes(32), 61)
    assert refused.value.code is ErrorCode.TOO_MANY


@pytest.mark.promise("CANNOT-LOSE")
async def test_a_blob_placed_but_reported_refused_is_whole_and_counted_once(
    http: aiohttp.ClientSession, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("ringthrough.server.blobs._sync_folder", refuse)
        assert await put(http, server, NAME, DATA) == (503, "unavailable")
    async with http.get(f"{server.url}/v1/blobs/{NAME}") as answer:
        assert await answer.read() == DATA
    assert await put(http, server, NAME, DATA) == (201, "")
    assert server.context.blobs.total_bytes == len(DATA)
