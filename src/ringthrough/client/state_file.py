"""The device's local state: one SQLite file, each change one durable transaction.

Durability contract: when `transaction()` has ended without an error, its changes survive kill -9 and power loss; when
it raised, none of them happened. Several processes of one person may use the file at once: every transaction takes
the write lock first, so whoever changes MLS state has read its newest version.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Self

import apsw

from .errors import StateUnreadable

SCHEMA_VERSION = 1
BUSY_TIMEOUT_MS = 20_000


class StateFile:
    """The open file, without what is in its tables."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            StateUnreadable: it is no state file, or one of another version.
            OSError: the folder cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        os.chmod(path, 0o600)
        self.path = path
        self._db = apsw.Connection(str(path))
        try:
            self._db.set_busy_timeout(BUSY_TIMEOUT_MS)
            self._run("PRAGMA journal_mode=WAL")
            self._run("PRAGMA synchronous=FULL")
            self._run("PRAGMA foreign_keys=ON")
            self._run("PRAGMA secure_delete=ON")
            self._migrate()
        except apsw.NotADBError:
            self._db.close()
            raise StateUnreadable(
                f"{path} is not a state file of ringthrough; choose another folder with --home"
            ) from None
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable when it ends. Not re-entrant."""
        self._run("BEGIN IMMEDIATE")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite itself may have rolled back, on a full disk for one
                self._run("ROLLBACK")
            raise

    def data_version(self) -> int:
        """Changes whenever another connection, such as another process, has changed the file."""
        return int(self._run("PRAGMA data_version")[0][0])

    def _run(self, sql: str, *arguments: Any) -> list[Any]:
        return self._db.execute(sql, arguments).fetchall()

    def _migrate(self) -> None:
        with self.transaction():
            version = self._run("PRAGMA user_version")[0][0]
            if version == 0:
                self._run(resources.files("ringthrough.client").joinpath("schema.sql").read_text())
                self._run(f"PRAGMA user_version={SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise StateUnreadable(
                    f"{self.path} was written by another version ({version}) of ringthrough; use that version"
                )
