"""Arguments, exit codes, errors in words."""

from __future__ import annotations

import io
import os
import sys

import pytest

from ringthrough import __version__
from ringthrough.cli import main as main_module
from ringthrough.cli.main import build_parser, main


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for argument, expected in (("--version", __version__), ("--help", "unaudited")):
        with pytest.raises(SystemExit) as left:
            main([argument])
        assert left.value.code == 0
        assert expected in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["account"], ["send"], ["group", "add", "x"], ["save", "x"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == main_module.EXIT_USAGE
    assert "usage:" in capsys.readouterr().err


def test_every_command_has_help_and_something_to_run() -> None:
    for arguments in (
        ["account", "create", "alice"],
        ["account", "show"],
        ["send", "@bob", "x"],
        ["read"],
        ["save", "1"],
        ["group", "list"],
        ["call", "@bob"],
        ["answer"],
        ["echo"],
        ["serve", "--data", "x"],
        ["up"],
    ):
        assert callable(build_parser().parse_args(arguments).run)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ExceptionGroup("x", [ValueError("one"), ExceptionGroup("y", [OSError("two")])]), ["one", "two"]),
        (PermissionError(13, "Permission denied", "/x"), ["[Errno 13] Permission denied: '/x'"]),
        (ValueError(), ["ValueError"]),
    ],
)
def test_errors_are_said_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, said: list[str]
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr("ringthrough.cli.account._show", fail)
    assert main(["account", "show"]) == 1
    assert capsys.readouterr().err.splitlines() == [f"ringthrough: {line}" for line in said]


def test_an_interrupt_and_a_closed_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("ringthrough.cli.account._show", interrupted)
    assert main(["account", "show"]) == 130

    def closed(*_: object) -> int:
        raise BrokenPipeError

    read, write = os.pipe()
    monkeypatch.setattr("ringthrough.cli.account._show", closed)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(os.fdopen(write, "wb")))
    assert main(["account", "show"]) == 1
    os.close(read)
