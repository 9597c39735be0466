"""The state file: private, all or nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import apsw
import pytest

from ringthrough.client.errors import StateUnreadable
from ringthrough.client.state_file import StateFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "state.sqlite"


@pytest.fixture
def opened(path: Path) -> StateFile:
    return StateFile(path)


def put(opened: StateFile, name: str, value: bytes) -> None:
    with opened.transaction():
        opened._run("INSERT INTO profile VALUES (?, ?)", name, value)


def kept(opened: StateFile) -> list[tuple[str, bytes]]:
    return opened._run("SELECT name, value FROM profile ORDER BY name")


def test_only_the_owner_may_read_any_of_the_files(opened: StateFile, path: Path) -> None:
    put(opened, "x", b"1")
    files = list(path.parent.iterdir())
    assert len(files) >= 2, "the write-ahead log is there too"
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_left_open_to_others_is_closed(path: Path) -> None:
    StateFile(path).close()
    path.chmod(0o644)
    StateFile(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_transaction_that_fails_changes_nothing(opened: StateFile) -> None:
    def fail() -> None:
        with opened.transaction():
            opened._run("INSERT INTO profile VALUES ('x', ?)", b"1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert kept(opened) == []
    put(opened, "x", b"2")
    assert kept(opened) == [("x", b"2")]


def test_a_commit_that_fails_leaves_the_file_usable(opened: StateFile) -> None:
    """A full disk: the change is lost with an error, and the next one works."""
    put(opened, "x", b"1")
    pages = opened._run("PRAGMA page_count")[0][0]
    opened._run(f"PRAGMA max_page_count={pages}")
    with pytest.raises(apsw.FullError):
        put(opened, "big", bytes(1_000_000))
    opened._run("PRAGMA max_page_count=1000000")
    put(opened, "y", b"2")
    assert kept(opened) == [("x", b"1"), ("y", b"2")]


def test_another_version_is_refused(path: Path) -> None:
    StateFile(path).close()
    db = apsw.Connection(str(path))
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StateUnreadable, match="99"):
        StateFile(path)


def test_what_is_no_database_is_refused_and_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"my diary, not a database" * 50)
    with pytest.raises(StateUnreadable):
        StateFile(path)
    assert path.read_bytes().startswith(b"my diary")
