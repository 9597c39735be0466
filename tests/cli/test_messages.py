"""`ringthrough send`, `read` and `save`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ringthrough.cli import messages as messages_module
from ringthrough.cli.common import printable, safe_file_name

from .conftest import Run, ServerThread


def texts(run: Run, person: str, *options: str) -> list[str]:
    return [line["text"] for line in run(person, "read", "--wait", "1", *options).lines]


def test_a_message_there_and_back(people: Run) -> None:
    sent = people("alice", "send", "@bob", "hello")
    assert sent.code == 0
    assert sent.lines == [{"status": "sent", "id": 1, "seq": 2}]
    read = people("bob", "read", "--wait", "1")
    (line,) = read.lines
    assert line["sender"] == "@alice"
    assert (line["kind"], line["text"], line["status"], line["file"]) == ("text", "hello", "received", None)
    assert line.keys() == {
        "id", "conversation", "title", "sender", "kind", "text", "seq", "status", "received_s", "file"
    }  # fmt: skip
    assert people("bob", "send", "@alice", "and back").code == 0
    assert people("alice", "read", "--wait", "1", as_json=False).out == "@bob: and back\n"
    assert texts(people, "alice") == [], "what was printed is read"
    assert texts(people, "alice", "--all") == ["hello", "and back"]


def test_lines_from_standard_input(people: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"line {n}" for n in range(150)]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    assert people("alice", "send", "@bob", "-").code == 0
    assert texts(people, "bob") == lines
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert people("alice", "send", "@bob", "-").code == 0


def test_standard_input_that_is_no_text(people: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\n"), encoding="utf-8"))
    outcome = people("alice", "send", "@bob", "-")
    assert (outcome.code, "standard input" in outcome.err) == (1, True)


def test_a_file_there_and_saved(people: Run, tmp_path: Path) -> None:
    data = bytes(range(256)) * 50
    (tmp_path / "plan.bin").write_bytes(data)
    assert people("alice", "send", "@bob", "--file", str(tmp_path / "plan.bin")).code == 0
    (line,) = people("bob", "read", "--wait", "1").lines
    assert (line["kind"], line["file"]) == ("file", "plan.bin")
    folder = tmp_path / "downloads"
    folder.mkdir()
    saved = people("bob", "save", str(line["id"]), "--to", str(folder))
    assert saved.lines == [{"path": str(folder / "plan.bin"), "bytes": len(data)}]
    assert (folder / "plan.bin").read_bytes() == data
    again = people("bob", "save", str(line["id"]), "--to", str(folder))
    assert (again.code, "exists already" in again.err) == (1, True)
    assert people("bob", "save", str(line["id"]), "--to", str(tmp_path / "other.bin")).code == 0
    wrong = people("bob", "save", "999")
    assert (wrong.code, "read --all" in wrong.err) == (1, True)
    nowhere = people("bob", "save", str(line["id"]), "--to", str(tmp_path / "no" / "such" / "folder"))
    assert (nowhere.code, "No such file" in nowhere.err) == (1, True)


def test_what_cannot_be_sent(people: Run, tmp_path: Path) -> None:
    for arguments in (["@bob"], ["@bob", "text", "--file", "x"]):
        outcome = people("alice", "send", *arguments)
        assert (outcome.code, "say what to send" in outcome.err) == (1, True)
    assert "@nobody" in people("alice", "send", "@nobody", "x").err
    assert "no group called 'tea'" in people("alice", "send", "tea", "x").err
    assert "at most" in people("alice", "send", "@bob", "x" * 70_000).err
    assert "No such file" in people("alice", "send", "@bob", "--file", str(tmp_path / "none")).err


def test_offline_it_is_kept_and_leaves_later(
    people: Run, server: ServerThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert people("alice", "send", "@bob", "before").code == 0
    monkeypatch.setattr(messages_module, "SENT_TIMEOUT_S", 0.3)
    port = server.server.port
    server.run(server.server.close())
    offline = people("alice", "send", "@bob", "kept")
    assert offline.code == 1
    assert offline.lines == [{"status": "queued", "id": 2}]
    stranger = people("alice", "send", "@carol", "x")
    assert (stranger.code, "cannot reach" in stranger.err) == (1, True)
    from ringthrough.server.app import ServerConfig, start

    server.server = server.run(start(ServerConfig(tmp_path / "server", port=port)))
    monkeypatch.undo()
    assert people("alice", "send", "@bob", "after").code == 0
    assert texts(people, "bob") == ["before", "kept", "after"]


def test_control_characters_of_others_do_not_reach_the_terminal(people: Run) -> None:
    assert people("alice", "send", "@bob", "red \x1b[31m bell \x07 two\nlines \u202e rtl").code == 0
    out = people("bob", "read", "--wait", "1", as_json=False).out
    assert out == "@alice: red \ufffd[31m bell \ufffd two\nlines \ufffd rtl\n"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("..", "file"),
        ("", "file"),
        (".bashrc", "bashrc"),
        ("a\0b\x1b.txt", "ab.txt"),
        ("x/", "file"),
        ("C:evil.txt", "Cevil.txt"),
    ],
)
def test_names_of_files_lead_nowhere_else(name: str, safe: str) -> None:
    assert safe_file_name(name) == safe
    assert len(safe_file_name("\u0416" * 500 + ".txt").encode()) <= 200
    assert safe_file_name("\u0416" * 500 + ".txt").endswith(".txt")


def test_printable_keeps_what_people_write() -> None:
    assert printable("Привет, مرحبا \N{GRINNING FACE}\n") == "Привет, مرحبا \N{GRINNING FACE}\n"
