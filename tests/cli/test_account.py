"""`ringthrough account ...`"""

from __future__ import annotations

from pathlib import Path

import pytest

from ringthrough.client import account as accounts

from .conftest import Run, ServerThread


def test_create_and_show(ringthrough: Run, server: ServerThread) -> None:
    made = ringthrough("alice", "account", "create", "alice", "--server", server.url)
    shown = ringthrough("alice", "account", "show")
    assert (made.code, shown.code) == (0, 0)
    assert made.lines == shown.lines
    assert made.lines[0].keys() == {"handle", "server", "account"}
    plain = ringthrough("alice", "account", "show", as_json=False)
    assert plain.out == f"@alice on {server.url}\n"


def test_both_see_the_same_safety_number(people: Run) -> None:
    numbers = [
        people(who, "account", "verify", whom).lines[0] for who, whom in (("alice", "@bob"), ("bob", "@alice"))
    ]
    assert numbers[0]["safety_number"] == numbers[1]["safety_number"]
    assert people("alice", "account", "verify", "@bob", as_json=False).out.startswith("Safety number with @bob:\n")


@pytest.mark.parametrize("command", [["account", "show"], ["send", "@bob", "x"], ["read"], ["group", "list"]])
def test_without_account_it_says_how_to_make_one(ringthrough: Run, command: list[str]) -> None:
    outcome = ringthrough("nobody", *command)
    assert outcome.code == 1
    assert outcome.out == ""
    assert "ringthrough account create HANDLE --server URL" in outcome.err


def test_refusals_are_told(people: Run, server: ServerThread) -> None:
    taken = people("thief", "account", "create", "alice", "--server", server.url)
    assert (taken.code, "handle_taken" in taken.err) == (1, True)
    again = people("alice", "account", "create", "alice2", "--server", server.url)
    assert (again.code, "--home" in again.err) == (1, True)
    bad = people("carol", "account", "create", "Not A Handle", "--server", server.url)
    assert (bad.code, "2 to 32" in bad.err) == (1, True)
    nowhere = people("carol", "account", "create", "carol", "--server", "ftp://x")
    assert (nowhere.code, "https://host" in nowhere.err) == (1, True)
    unknown = people("alice", "account", "verify", "@nobody")
    assert (unknown.code, "@nobody" in unknown.err) == (1, True)


def test_a_server_that_is_not_there(ringthrough: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "CONNECT_TIMEOUT_S", 0.1)
    outcome = ringthrough("alice", "account", "create", "alice", "--server", "http://127.0.0.1:1")
    assert outcome.code == 1
    assert "cannot connect to http://127.0.0.1:1" in outcome.err


def test_a_bad_ca(ringthrough: Run, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    for path in (junk, tmp_path / "missing.pem"):
        outcome = ringthrough("alice", "--ca", str(path), "account", "create", "alice")
        assert (outcome.code, "is no CA certificate" in outcome.err) == (1, True)


def test_a_home_that_cannot_be_used(ringthrough: Run, tmp_path: Path) -> None:
    (tmp_path / "alice").write_text("a file where the folder should be")
    outcome = ringthrough("alice", "account", "show")
    assert outcome.code == 1
    assert outcome.err.startswith("ringthrough: ")
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob" / "state.sqlite").write_bytes(b"no database at all" * 100)
    outcome = ringthrough("bob", "account", "show")
    assert (outcome.code, "no state file" in outcome.err or "not a state file" in outcome.err) == (1, True)
