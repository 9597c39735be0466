"""The store against a simple model, and the settings that durability rests on."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.protocol.errors import ErrorCode
from ringthrough.protocol.frames import StreamKind
from ringthrough.server.store.port import KEPT_PERIODS
from tests.server.store.conftest import TestStore, make_store

BODY = b"x" * 160


def key(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


@dataclass
class Model:
    """One conversation, as simply as can be."""

    epoch: int = 0
    records: list[bytes] = field(default_factory=list)
    expired_to: int = 0
    retired: dict[int, int] = field(default_factory=dict)

    def append(self, epoch: int, bodies: list[bytes], commit_epoch: int | None) -> tuple[ErrorCode | None, int]:
        if commit_epoch is not None and commit_epoch != self.epoch:
            return ErrorCode.CONFLICT, self.epoch
        if epoch != self.epoch:
            return ErrorCode.STALE, self.epoch
        first = len(self.records) + 1
        self.records += bodies
        if commit_epoch is not None:
            self.retired[self.epoch] = len(self.records)
            self.epoch += 1
        return None, first

    def readable(self, epoch: int) -> list[int]:
        if epoch in self.retired and self.retired[epoch] <= self.expired_to:
            return []
        end = self.retired.get(epoch, len(self.records) if epoch == self.epoch else 0)
        return list(range(self.expired_to + 1, end + 1))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(-1, 1), st.integers(1, 3)),
        st.tuples(st.just("commit"), st.integers(-1, 0), st.integers(-1, 1)),
        st.tuples(st.just("open"), st.integers(0, 6), st.just(0)),
        st.tuples(st.just("read"), st.integers(0, 6), st.integers(1, 900)),
        st.tuples(st.just("expire"), st.integers(1, 4), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_it_does_what_the_model_does(steps: list[tuple[str, int, int]]) -> None:
    asyncio.run(compare(steps))


async def compare(steps: list[tuple[str, int, int]]) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        store = await make_store(Path(folder))
        await store.create_stream(bytes(16), StreamKind.CONVERSATION, key(0), 0)
        for what, x, y in steps:
            if what == "restart":
                await store.close()
                store = await make_store(Path(folder))
            else:
                await step(store, model, what, x, y)
        await store.close()


async def step(store: TestStore, model: Model, what: str, x: int, y: int) -> None:
    match what:
        case "append" | "commit":
            epoch = max(0, model.epoch + x)
            commit_epoch = max(0, model.epoch + y) if what == "commit" else None
            bodies = [BODY] * (1 if what == "commit" else y)
            expected = model.append(epoch, bodies, commit_epoch)
            job = await store.append(1, epoch, bodies, commit_epoch, key(model.epoch))
            if job.refused is not None:
                assert (job.refused.code, job.refused.detail) == expected
            else:
                assert (None, job.first_seq) == expected
        case "open":
            opening = await store.open_stream(bytes(16), key(x))
            gone = x > model.epoch or (x in model.retired and model.retired[x] <= model.expired_to)
            assert (opening is None) == gone
            if opening is not None:
                assert (opening.epoch, opening.head, opening.first, opening.read_to) == (
                    model.epoch,
                    len(model.records),
                    model.expired_to + 1,
                    model.retired.get(x),
                )
        case "read":
            seqs: list[int] = []
            while True:
                page = await store.read(1, x, (seqs[-1] + 1) if seqs else 1, y)
                seqs += [record.seq for record in page.records]
                if page.complete:
                    break
            assert seqs == model.readable(x)
        case "expire":
            gone_rows = await store.expire(1_900_000_000, 1, x)
            assert gone_rows == min(x, len(model.records) - model.expired_to)
            model.expired_to += gone_rows


@pytest.mark.promise("CANNOT-LOSE")
async def test_every_commit_is_synced(store: TestStore) -> None:
    expected = {"synchronous": 2, "journal_mode": "wal", "wal_autocheckpoint": 4000, "secure_delete": 1}
    for name, value in expected.items():
        assert await store._write(lambda db, name=name: db.execute(f"PRAGMA {name}").fetchone()) == (value,)  # type: ignore[misc]


async def test_records_younger_than_the_limit_stay(store: TestStore) -> None:
    await store.create_stream(bytes(16), StreamKind.CONVERSATION, key(0), 0)
    await store.append(1, 0, [BODY])
    assert await store.expire(1_800_000_000, 0, 10) == 0
    assert await store.expire(1_800_000_001, 0, 10) == 1


async def test_a_stream_goes_when_nobody_wants_it_for_two_half_years(store: TestStore) -> None:
    await store.create_stream(b"q" * 16, StreamKind.INBOX, key(0), 10)
    await store.create_stream(b"r" * 16, StreamKind.CONVERSATION, key(1), 10)
    await store.append(2, 0, [BODY])
    assert await store.expire(0, 10 + KEPT_PERIODS, 10) == 0
    await store.expire(0, 11 + KEPT_PERIODS, 10)
    assert await store.open_stream(b"q" * 16, key(0)) is None
    assert await store.open_stream(b"r" * 16, key(1)) is not None  # it has records
    job = await store.append(1, 0, [BODY])
    assert job.refused is not None
    assert job.refused.code is ErrorCode.FORBIDDEN


async def test_opening_keeps_a_stream(store: TestStore) -> None:
    await store.create_stream(b"q" * 16, StreamKind.INBOX, key(0), 10)
    await store.keep_stream(1, 12)
    await store.keep_stream(1, 11)
    await store.expire(0, 11 + KEPT_PERIODS, 10)
    opening = await store.open_stream(b"q" * 16, key(0))
    assert opening is not None
    assert opening.kept_period == 12


async def test_a_stream_number_is_never_used_twice(store: TestStore) -> None:
    await store.create_stream(b"q" * 16, StreamKind.INBOX, key(0), 0)
    await store.expire(0, 100, 10)
    await store.create_stream(b"q" * 16, StreamKind.INBOX, key(1), 100)
    opening = await store.open_stream(b"q" * 16, key(1))
    assert opening is not None
    assert opening.sid == 2


@pytest.mark.promise("CANNOT-FORGE")
async def test_a_one_time_key_package_is_given_once(store: TestStore) -> None:
    from ringthrough.server.store.port import Refused, StoredAccount

    account, one, two = b"a" * 16, b"1" * 16, b"2" * 16
    await store.create_account(StoredAccount(account, "alice", 1, b"p", b"s"))
    await store.add_key_packages(account, one, [b"k1", b"k2"], b"last", 3)
    await store.add_key_packages(account, one, [b"k1", b"k2"], b"last", 3)  # the answer was lost
    assert await store.count_key_packages(account, one) == 2
    claims = [await store.claim_key_packages(account, [one, two]) for _ in range(4)]
    assert claims == [[(one, b"k1")], [(one, b"k2")], [(one, b"last")], [(one, b"last")]]
    with pytest.raises(Refused):
        await store.add_key_packages(account, one, [b"%d" % i for i in range(4)], None, 3)
    assert await store.count_key_packages(account, one) == 0
    await store.add_key_packages(account, one, [b"a", b"b", b"c"], b"newer", 3)
    await store.replace_devices(account, 2, b"p2", b"s2", [two])
    assert await store.claim_key_packages(account, [one, two]) == []
