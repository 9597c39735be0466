"""The store on SQLite: WAL, synchronous=FULL, one writer thread with group commit, readers of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from ringthrough.protocol.frames import StreamKind

from . import directory_sql, stream_sql
from .migrate import migrate, shipped_migrations
from .port import AppendJob, Opening, Page, StoredAccount, Unavailable
from .writer import Task, Writer

T = TypeVar("T")

FILE_NAME = "ringthrough.sqlite"
READERS = 2
PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 4000",
    "secure_delete = ON",
    "temp_store = MEMORY",
    "cache_size = -65536",
)


class SqliteStore:
    """Implements `port.Store` in one file. Make it with `open_store`."""

    def __init__(self, path: Path, clock: Callable[[], float], loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._loop = loop
        self._listener: Callable[[Sequence[AppendJob]], None] = _nobody
        self._closed = False
        self._local = threading.local()
        self._reader_connections: list[apsw.Connection] = []
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self.writer = Writer(self._connect_writer, clock, loop, self._settled)

    async def start(self) -> None:
        """Open and migrate the file.

        Raises:
            MigrationError: the file is not ours to open.
            apsw.Error: the file cannot be opened.
        """
        await asyncio.wrap_future(self.writer.start())

    def _connect_writer(self) -> apsw.Connection:
        db = apsw.Connection(str(self._path))
        for pragma in PRAGMAS:
            db.execute(f"PRAGMA {pragma}").fetchall()
        db.set_busy_timeout(5000)
        migrate(db, shipped_migrations())
        return db

    def _reader(self) -> apsw.Connection:
        db: apsw.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
            db.set_busy_timeout(5000)
            self._local.db = db
            self._reader_connections.append(db)
        return db

    def _settled(self, jobs: Sequence[AppendJob | Task]) -> None:
        appends = [job for job in jobs if isinstance(job, AppendJob)]
        if appends:
            self._listener(appends)
        for job in jobs:
            if isinstance(job, Task) and not job.future.done():
                if job.error is not None:
                    job.future.set_exception(job.error)
                else:
                    job.future.set_result(job.result)

    async def _write(self, run: Callable[[apsw.Connection], T]) -> T:
        if self._closed:
            raise Unavailable
        task = Task(run, self._loop, self._loop.create_future())
        self.writer.submit(task)
        result: T = await task.future
        return result

    async def _read(self, run: Callable[..., T], *arguments: Any) -> T:
        if self._closed:
            raise Unavailable

        def in_one_moment() -> T:
            try:
                db = self._reader()
                db.execute("BEGIN")
                try:
                    return run(db, *arguments)
                finally:
                    db.execute("COMMIT")
            except apsw.Error:
                raise Unavailable from None

        return await self._loop.run_in_executor(self._readers, in_one_moment)

    # Streams

    def listen(self, settled: Callable[[Sequence[AppendJob]], None]) -> None:
        self._listener = settled

    def submit(self, job: AppendJob) -> None:
        if self._closed:
            job.refused = job.lane.hold(Unavailable())
            self._loop.call_soon(self._listener, [job])
            return
        self.writer.submit(job)

    async def create_stream(self, stream: bytes, kind: StreamKind, token_hash: bytes, period: int) -> None:
        await self._write(lambda db: stream_sql.create(db, stream, kind, token_hash, period))

    async def open_stream(self, stream: bytes, token_hash: bytes) -> Opening | None:
        return await self._read(stream_sql.open_stream, stream, token_hash)

    async def keep_stream(self, sid: int, period: int) -> None:
        await self._write(lambda db: stream_sql.keep(db, sid, period))

    async def read(self, sid: int, epoch: int, from_seq: int, bytes_max: int) -> Page:
        return await self._read(stream_sql.read, sid, epoch, from_seq, bytes_max)

    # Directory

    async def create_account(self, account: StoredAccount) -> None:
        await self._write(lambda db: directory_sql.create_account(db, account))

    async def account_by_id(self, account_id: bytes) -> StoredAccount | None:
        return await self._read(directory_sql.account_by_id, account_id)

    async def account_by_handle(self, handle: str) -> StoredAccount | None:
        return await self._read(directory_sql.account_by_handle, handle)

    async def replace_devices(
        self, account_id: bytes, version: int, payload: bytes, signature: bytes, device_ids: Sequence[bytes]
    ) -> None:
        await self._write(
            lambda db: directory_sql.replace_devices(db, account_id, version, payload, signature, device_ids)
        )

    async def delete_account(self, account_id: bytes) -> None:
        await self._write(lambda db: directory_sql.delete_account(db, account_id))

    async def add_key_packages(
        self,
        account_id: bytes,
        device_id: bytes,
        packages: Sequence[bytes],
        last_resort: bytes | None,
        stock_max: int,
    ) -> None:
        await self._write(
            lambda db: directory_sql.add_key_packages(db, account_id, device_id, packages, last_resort, stock_max)
        )

    async def count_key_packages(self, account_id: bytes, device_id: bytes) -> int:
        return await self._read(directory_sql.count_key_packages, account_id, device_id)

    async def claim_key_packages(self, account_id: bytes, device_ids: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        return await self._write(lambda db: directory_sql.claim_key_packages(db, account_id, device_ids))

    # Upkeep

    async def expire(self, records_before_s: int, period: int, rows_max: int) -> int:
        def run(db: apsw.Connection) -> int:
            self.writer.forget_heads()
            return stream_sql.expire(db, records_before_s, period, rows_max)

        return await self._write(run)

    async def ping(self) -> None:
        def run(db: apsw.Connection) -> None:
            db.execute("UPDATE liveness SET commits = commits + 1 WHERE id = 1")

        await self._write(run)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self.writer.stop)
        await asyncio.to_thread(self._readers.shutdown)
        for db in self._reader_connections:
            db.close()


def _nobody(jobs: Sequence[AppendJob]) -> None:
    return None


async def open_store(folder: Path, clock: Callable[[], float]) -> SqliteStore:
    """The store in this folder, made if there is none. `clock`: Unix seconds."""
    store = SqliteStore(folder / FILE_NAME, clock, asyncio.get_running_loop())
    await store.start()
    return store
