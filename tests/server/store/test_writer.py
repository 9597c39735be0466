"""A failure at every write, twice: refused, and applied but reported refused."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest

from ringthrough.protocol.errors import ErrorCode
from ringthrough.protocol.frames import StreamKind
from ringthrough.server.store.port import DirectoryStore, Lane, StoredAccount, StreamStore, Unavailable
from ringthrough.server.store.sqlite import FILE_NAME
from tests.server.store.conftest import TestStore, make_store

STREAM = bytes(16)
HASH = hashlib.sha256(b"t0").digest()
NEXT = hashlib.sha256(b"t1").digest()
ACCOUNT = StoredAccount(b"a" * 16, "alice", 1, b"payload", b"signature")
DEVICE = b"d" * 16
BODY = b"x" * 160

Write = Callable[[TestStore], Awaitable[object]]

WRITES: dict[str, Write] = {
    "create_stream": lambda s: s.create_stream(b"n" * 16, StreamKind.INBOX, HASH, 1),
    "keep_stream": lambda s: s.keep_stream(1, 9),
    "create_account": lambda s: s.create_account(StoredAccount(b"b" * 16, "bob", 1, b"p", b"s")),
    "replace_devices": lambda s: s.replace_devices(ACCOUNT.account_id, 2, b"p2", b"s2", [DEVICE]),
    "delete_account": lambda s: s.delete_account(ACCOUNT.account_id),
    "add_key_packages": lambda s: s.add_key_packages(ACCOUNT.account_id, DEVICE, [b"k2"], b"last", 10),
    "claim_key_packages": lambda s: s.claim_key_packages(ACCOUNT.account_id, [DEVICE]),
    "expire": lambda s: s.expire(1_900_000_000, 2, 100),
    "ping": lambda s: s.ping(),
}
READS_AND_CONTROL = {
    "open_stream",
    "submit",  # tested by name below
    "listen",
    "read",
    "account_by_id",
    "account_by_handle",
    "count_key_packages",
    "close",
}


async def fill(store: TestStore) -> None:
    await store.create_stream(STREAM, StreamKind.CONVERSATION, HASH, 1)
    await store.append(1, 0, [BODY, BODY])
    await store.create_account(ACCOUNT)
    await store.add_key_packages(ACCOUNT.account_id, DEVICE, [b"k1"], None, 10)


def dump(folder: Path) -> list[object]:
    db = apsw.Connection(str(folder / FILE_NAME), flags=apsw.SQLITE_OPEN_READONLY)
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    return [(table, db.execute(f"SELECT * FROM {table}").fetchall()) for table in tables]


def test_every_write_of_the_port_is_listed() -> None:
    names = {name for port in (StreamStore, DirectoryStore) for name in vars(port) if not name.startswith("_")}
    assert names | {"expire", "ping", "close"} == set(WRITES) | READS_AND_CONTROL


@pytest.mark.promise("CANNOT-LOSE")
@pytest.mark.parametrize("name", WRITES)
async def test_a_refused_write_changes_nothing_and_can_be_repeated(tmp_path: Path, name: str) -> None:
    store = await make_store(tmp_path)
    await fill(store)
    before = dump(tmp_path)
    store.writer.fault = "refused"
    with pytest.raises(Unavailable):
        await WRITES[name](store)
    assert dump(tmp_path) == before
    await WRITES[name](store)
    assert dump(tmp_path) != before
    await store.close()


@pytest.mark.promise("CANNOT-LOSE")
@pytest.mark.parametrize("name", WRITES)
async def test_a_write_applied_but_reported_refused_is_whole(tmp_path: Path, name: str) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "faulty").mkdir()
    plain, faulty = await make_store(tmp_path / "plain"), await make_store(tmp_path / "faulty")
    for store in (plain, faulty):
        await fill(store)
    await WRITES[name](plain)
    faulty.writer.fault = "applied"
    with pytest.raises(Unavailable):
        await WRITES[name](faulty)
    assert dump(tmp_path / "faulty") == dump(tmp_path / "plain")
    if name not in ("claim_key_packages", "ping"):  # these two do something every time
        await WRITES[name](faulty)
        assert dump(tmp_path / "faulty") == dump(tmp_path / "plain")
    for store in (plain, faulty):
        await store.close()


@pytest.mark.promise("CANNOT-LOSE")
@pytest.mark.parametrize("commit", [False, True])
@pytest.mark.parametrize("fault", ["refused", "applied"])
async def test_appends_of_a_failed_commit_are_unavailable_and_the_next_fit_what_is_on_disk(
    store: TestStore, fault: str, commit: bool
) -> None:
    await fill(store)
    store.writer.fault = fault
    lane = Lane()
    lost = await store.append(1, 0, [BODY], 0 if commit else None, NEXT, lane)
    assert lost.refused is not None
    assert lost.refused.code is ErrorCode.UNAVAILABLE
    behind = await store.append(1, 0, [BODY], lane=lane)
    assert behind.refused is not None
    assert behind.refused.code is ErrorCode.UNAVAILABLE
    applied = fault == "applied"
    opening = await store.open_stream(STREAM, HASH)
    assert opening is not None
    assert (opening.head, opening.epoch) == (3 if applied else 2, int(applied and commit))
    later = await store.append(1, opening.epoch, [BODY])
    assert (later.refused, later.first_seq) == (None, opening.head + 1)


@pytest.mark.promise("CANNOT-LOSE")
async def test_a_full_disk_refuses_and_the_store_recovers_when_there_is_space(store: TestStore) -> None:
    """A real SQLITE_FULL: the file may not grow any more."""
    await fill(store)
    db = store.writer._db
    assert db is not None

    async def pages_max(count: int) -> None:
        await store._write(lambda db: db.execute(f"PRAGMA max_page_count = {count}").fetchall())

    await pages_max(1)  # SQLite takes the present size as the least
    big = b"y" * 65536
    jobs = await asyncio.gather(*(store.append(1, 0, [big]) for _ in range(5)))
    assert {job.refused.code for job in jobs if job.refused} == {ErrorCode.UNAVAILABLE}
    assert len([job for job in jobs if job.refused]) == 5
    with pytest.raises(Unavailable):
        await store.create_account(StoredAccount(b"c" * 16, "carol", 1, big, b"s"))
    assert (await store.read(1, 0, 1, 1000)).end == 2
    await pages_max(1_000_000)
    job = await store.append(1, 0, [big])
    assert (job.refused, job.first_seq) == (None, 3)


async def test_many_appends_share_one_commit(store: TestStore) -> None:
    await fill(store)
    before = store.writer.commits
    jobs = await asyncio.gather(*(store.append(1, 0, [BODY]) for _ in range(500)))
    assert [job.first_seq for job in jobs] == list(range(3, 503))
    assert store.writer.commits - before < 50


async def test_a_conflict_judged_by_a_commit_that_failed_is_unavailable(store: TestStore) -> None:
    await fill(store)
    store.writer.fault = "refused"
    first, second = await asyncio.gather(store.append(1, 0, [BODY], 0, NEXT), store.append(1, 0, [BODY], 0, NEXT))
    codes = [job.refused.code if job.refused else None for job in (first, second)]
    assert codes in ([ErrorCode.UNAVAILABLE] * 2, [ErrorCode.UNAVAILABLE, None])


async def test_a_closed_store_refuses(store: TestStore) -> None:
    await fill(store)
    await store.close()
    with pytest.raises(Unavailable):
        await store.ping()
    with pytest.raises(Unavailable):
        await store.open_stream(STREAM, HASH)
    job = await store.append(1, 0, [BODY])
    assert job.refused is not None


async def test_what_was_submitted_before_closing_is_on_disk(tmp_path: Path) -> None:
    store = await make_store(tmp_path)
    await fill(store)
    appends = [asyncio.ensure_future(store.append(1, 0, [BODY])) for _ in range(50)]
    await asyncio.sleep(0)
    await store.close()
    jobs = await asyncio.gather(*appends)
    assert all(job.refused is None for job in jobs)
    again = await make_store(tmp_path)
    assert (await again.read(1, 0, 1, 10**6)).end == 52
    await again.close()
