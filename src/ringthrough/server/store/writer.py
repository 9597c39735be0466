"""The writer thread: one connection, many requests in each transaction, answers only after the commit."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import apsw

from ringthrough.protocol.errors import ErrorCode
from ringthrough.protocol.frames import StreamKind
from ringthrough.server.log import Event, log

from .port import AppendJob, Refused, Unavailable

T = TypeVar("T")

BATCH_JOBS_MAX = 2048
BATCH_BYTES_MAX = 8 * 1024 * 1024
HEADS_MAX = 200_000


@dataclass(slots=True, eq=False)
class Task:
    """A write that is not an append: runs inside the batch's transaction, in its own savepoint."""

    run: Callable[[apsw.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class Head:
    """What the writer knows of a stream without asking the disk."""

    kind: StreamKind
    epoch: int
    seq: int


@dataclass(slots=True)
class _Batch:
    rows: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    now_s: int = 0


class Writer:
    """Owns the writing connection. `submit` from any thread; `settled` is called on `loop` after each commit."""

    def __init__(
        self,
        connect: Callable[[], apsw.Connection],
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        settled: Callable[[Sequence[AppendJob | Task]], None],
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._loop = loop
        self._settled = settled
        self._queue: queue.SimpleQueue[AppendJob | Task | None] = queue.SimpleQueue()
        self._heads: dict[int, Head] = {}
        self._db: apsw.Connection | None = None
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self.commits = 0
        self._failing = False

    def start(self) -> Future[None]:
        """Open the connection in the thread; the future fails if that does."""
        self._thread.start()
        return self._ready

    def submit(self, job: AppendJob | Task) -> None:
        self._queue.put(job)

    def stop(self) -> None:
        """Let the thread end after what is queued. Blocks until it has."""
        self._queue.put(None)
        self._thread.join()

    def begin(self, db: apsw.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")

    def commit(self, db: apsw.Connection) -> None:
        """Until this returns, nothing is acknowledged. Tests fail it before and after."""
        db.execute("COMMIT")

    def _run(self) -> None:
        try:
            self._db = self._connect()
        except BaseException as e:
            self._ready.set_exception(e)
            return
        self._ready.set_result(None)
        while (first := self._queue.get()) is not None:
            jobs = [first]
            size = _size(first)
            stopping = False
            while len(jobs) < BATCH_JOBS_MAX and size < BATCH_BYTES_MAX:
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    stopping = True
                    break
                jobs.append(job)
                size += _size(job)
            self._write(jobs)
            if stopping:
                break
        if self._db is not None:
            self._db.close()

    def _write(self, jobs: list[AppendJob | Task]) -> None:
        try:
            if self._db is None:
                self._db = self._connect()
            self.begin(self._db)
            batch = _Batch(now_s=int(self._clock()))
            for job in jobs:
                if isinstance(job, AppendJob):
                    self._append(self._db, batch, job)
                else:
                    self._flush(self._db, batch)
                    self._task(self._db, job)
            self._flush(self._db, batch)
            self.commit(self._db)
            self.commits += 1
            if self._failing:
                self._failing = False
                log(Event.STORE_RECOVERED)
        except Exception as e:
            if not self._failing:
                self._failing = True
                log(Event.STORE_UNAVAILABLE)
            self._undo(e, jobs)
        if len(self._heads) > HEADS_MAX:
            self._heads.clear()
        try:
            self._loop.call_soon_threadsafe(self._settled, jobs)
        except RuntimeError:  # the loop is gone, and everybody who waited with it
            return

    def _undo(self, why: Exception, jobs: list[AppendJob | Task]) -> None:
        """Whether the commit happened is unknown: forget everything and let the disk tell."""
        self._heads.clear()
        try:
            if self._db is not None and self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if not isinstance(why, apsw.FullError) and self._db is not None:
                self._db.close()
                self._db = None
        except apsw.Error:
            self._db = None
        for job in jobs:
            if isinstance(job, AppendJob):
                # A conflict found in this batch was judged by what has just been taken back: also unknown.
                job.refused = job.lane.held = Unavailable()
            else:
                job.error = Unavailable()

    def _task(self, db: apsw.Connection, task: Task) -> None:
        db.execute("SAVEPOINT task")
        try:
            task.result = task.run(db)
        except (apsw.FullError, apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.ReadOnlyError):
            raise
        except Exception as e:
            task.error = e
            db.execute("ROLLBACK TO task")
            self._heads.clear()
        db.execute("RELEASE task")

    def forget_heads(self) -> None:
        """For tasks that remove streams; only to be called inside one."""
        self._heads.clear()

    def _append(self, db: apsw.Connection, batch: _Batch, job: AppendJob) -> None:
        if job.lane.held is not None:
            job.refused = job.lane.held
            return
        head = self._heads.get(job.sid) or self._load_head(db, job.sid)
        refused = _refusal(job, head)
        if refused is not None or head is None:
            job.refused = job.lane.hold(refused or Refused(ErrorCode.FORBIDDEN))
            return
        job.first_seq, job.epoch, job.received_s = head.seq + 1, head.epoch, batch.now_s
        for body in job.bodies:
            head.seq += 1
            batch.rows.append((job.sid, head.seq, batch.now_s, body))
        if job.commit_epoch is not None:
            db.execute(
                "UPDATE capability SET read_to = ? WHERE sid = ? AND epoch = ?", (head.seq, job.sid, head.epoch)
            )
            head.epoch += 1
            db.execute(
                "INSERT INTO capability (sid, epoch, token_hash) VALUES (?, ?, ?)",
                (job.sid, head.epoch, job.next_token_hash),
            )

    def _load_head(self, db: apsw.Connection, sid: int) -> Head | None:
        row = db.execute(
            "SELECT kind, expired_to, (SELECT max(epoch) FROM capability WHERE sid = ?1),"
            " (SELECT max(seq) FROM record WHERE sid = ?1) FROM stream WHERE sid = ?1",
            (sid,),
        ).fetchone()
        if row is None:
            return None
        kind, expired_to, epoch, last = row
        head = Head(StreamKind(kind), epoch, max(expired_to, last or 0))
        self._heads[sid] = head
        return head

    def _flush(self, db: apsw.Connection, batch: _Batch) -> None:
        if batch.rows:
            db.executemany("INSERT INTO record (sid, seq, received_s, body) VALUES (?, ?, ?, ?)", batch.rows)
            batch.rows = []


def _refusal(job: AppendJob, head: Head | None) -> Refused | None:
    if head is None:
        return Refused(ErrorCode.FORBIDDEN)
    if job.capability_epoch is None:
        deposit = head.kind is StreamKind.INBOX and job.commit_epoch is None
        return None if deposit else Refused(ErrorCode.FORBIDDEN)
    if job.commit_epoch is not None and job.commit_epoch != head.epoch:
        return Refused(ErrorCode.CONFLICT, head.epoch)
    if job.capability_epoch != head.epoch:
        return Refused(ErrorCode.STALE, head.epoch)
    return None


def _size(job: AppendJob | Task | None) -> int:
    return sum(map(len, job.bodies)) if isinstance(job, AppendJob) else 0
