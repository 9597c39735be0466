"""A store in a temporary folder, with faults on demand and appends that can be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import apsw
import pytest

from ringthrough.server.store.port import AppendJob, Lane
from ringthrough.server.store.sqlite import FILE_NAME, SqliteStore
from ringthrough.server.store.writer import Writer


class FaultyWriter(Writer):
    """Fails the next commit: "refused" before it happens, or "applied" after it did. `every` keeps failing."""

    fault: str | None = None
    every = False

    def commit(self, db: apsw.Connection) -> None:
        fault = self.fault
        if not self.every:
            self.fault = None
        if fault == "refused":
            raise apsw.FullError("disk full")
        super().commit(db)
        if fault == "applied":
            raise apsw.IOError("the answer was lost")


class TestStore(SqliteStore):
    """A SqliteStore whose appends can be awaited."""

    __test__ = False
    writer: FaultyWriter

    async def append(
        self,
        sid: int,
        epoch: int | None,
        bodies: Sequence[bytes],
        commit_epoch: int | None = None,
        next_hash: bytes = b"",
        lane: Lane | None = None,
    ) -> AppendJob:
        job = AppendJob(sid, epoch, tuple(bodies), commit_epoch, next_hash, lane or Lane())
        job.context = asyncio.get_running_loop().create_future()
        self.submit(job)
        settled: AppendJob = await job.context
        return settled


def resolve(jobs: Sequence[AppendJob]) -> None:
    for job in jobs:
        assert isinstance(job.context, asyncio.Future)
        job.context.set_result(job)


async def make_store(folder: Path, now_s: float = 1_800_000_000) -> TestStore:
    store = TestStore(folder / FILE_NAME, lambda: now_s, asyncio.get_running_loop())
    store.writer.__class__ = FaultyWriter
    store.listen(resolve)
    await store.start()
    return store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[TestStore]:
    store = await make_store(tmp_path)
    yield store
    await store.close()
