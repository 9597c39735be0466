"""Numbered .sql files, each applied once and held to its checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import apsw

_TABLE = """CREATE TABLE IF NOT EXISTS migration (
  number INTEGER PRIMARY KEY,
  checksum BLOB NOT NULL CHECK (length(checksum) = 32)
) STRICT"""


class MigrationError(Exception):
    """The database was made by another version of the files than these."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, the SQL and the SHA-256 of it."""

    number: int
    sql: str

    @property
    def checksum(self) -> bytes:
        return hashlib.sha256(self.sql.encode()).digest()


def shipped_migrations() -> list[Migration]:
    """The files beside this one, by number.

    Raises:
        MigrationError: the numbers do not run 1, 2, 3 ...
    """
    folder = files("ringthrough.server.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    migrations = [Migration(int(name.split("_")[0]), (folder / name).read_text()) for name in names]
    if [m.number for m in migrations] != list(range(1, len(migrations) + 1)):
        raise MigrationError("migration files are not numbered 1, 2, 3 ...")
    return migrations


def migrate(connection: apsw.Connection, migrations: Sequence[Migration]) -> int:
    """Bring the schema up to date in one exclusive transaction; several starters may race. Returns how many ran.

    Raises:
        MigrationError: an applied file changed, or the database is newer than these files.
    """
    connection.execute("BEGIN EXCLUSIVE")
    try:
        connection.execute(_TABLE)
        applied: dict[Any, Any] = {}
        for number, checksum in connection.execute("SELECT number, checksum FROM migration"):
            applied[number] = checksum
        if len(applied) > len(migrations):
            raise MigrationError("the database was written by a newer server")
        ran = 0
        for migration in migrations:
            if migration.number in applied:
                if applied[migration.number] != migration.checksum:
                    raise MigrationError(f"migration {migration.number} changed after it was applied")
                continue
            connection.execute(migration.sql)
            connection.execute("INSERT INTO migration VALUES (?, ?)", (migration.number, migration.checksum))
            ran += 1
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return ran
