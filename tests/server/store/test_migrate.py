from __future__ import annotations

import threading
from pathlib import Path

import apsw
import pytest

from ringthrough.server.store.migrate import Migration, MigrationError, migrate, shipped_migrations

ONE = Migration(1, "CREATE TABLE one (x INTEGER) STRICT;")
TWO = Migration(2, "CREATE TABLE two (x INTEGER) STRICT; INSERT INTO two VALUES (1);")


def test_each_runs_once() -> None:
    db = apsw.Connection(":memory:")
    assert migrate(db, [ONE]) == 1
    assert migrate(db, [ONE, TWO]) == 1
    assert migrate(db, [ONE, TWO]) == 0
    assert db.execute("SELECT count(*) FROM two").fetchone() == (1,)


def test_a_changed_file_is_refused() -> None:
    db = apsw.Connection(":memory:")
    migrate(db, [ONE])
    with pytest.raises(MigrationError):
        migrate(db, [Migration(1, ONE.sql + " ")])


def test_a_newer_database_is_refused() -> None:
    db = apsw.Connection(":memory:")
    migrate(db, [ONE, TWO])
    with pytest.raises(MigrationError):
        migrate(db, [ONE])


def test_a_failing_file_leaves_nothing() -> None:
    db = apsw.Connection(":memory:")
    with pytest.raises(apsw.SQLError):
        migrate(db, [ONE, Migration(2, "CREATE TABLE two (x INTEGER) STRICT; nonsense;")])
    assert db.execute("SELECT name FROM sqlite_schema").fetchall() == []


def test_several_starters_at_once(tmp_path: Path) -> None:
    ran: list[int] = []

    def starter() -> None:
        db = apsw.Connection(str(tmp_path / "db"))
        db.set_busy_timeout(10_000)
        ran.append(migrate(db, shipped_migrations()))

    threads = [threading.Thread(target=starter) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ran) == [0, 0, len(shipped_migrations())]
