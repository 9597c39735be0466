"""`ringthrough`: arguments in, lines out. All work is done by the SDK and the server."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from ringthrough import __version__
from ringthrough.client.audiofile import AudioFileError
from ringthrough.client.devices import DeviceUnavailable
from ringthrough.client.errors import ClientError
from ringthrough.protocol.errors import ProtocolError

from . import account, calls, echo, groups, messages, serve, up
from .common import Command

EXIT_USAGE = 2
EXIT_FAILED = 1


def build_parser() -> argparse.ArgumentParser:
    """All commands; each sets `run` to an async function of the parsed arguments, or to a plain one."""
    parser = argparse.ArgumentParser(
        prog="ringthrough",
        description="End-to-end encrypted messages and calls over one connection. The cryptography is unaudited.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get("RINGTHROUGH_HOME", "~/.ringthrough")).expanduser(),
        help="folder of this device's account (default: $RINGTHROUGH_HOME or ~/.ringthrough)",
    )
    parser.add_argument("--ca", type=Path, default=None, help="trust this CA certificate (PEM) besides the system's")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="log more to standard error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    account.add_parsers(commands)
    messages.add_parsers(commands)
    groups.add_parsers(commands)
    calls.add_parsers(commands)
    echo.add_parsers(commands)
    serve.add_serve_parser(commands)
    up.add_parsers(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    args = build_parser().parse_args(argv)
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(args.verbose, 2)]
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    run: Command = args.run
    try:
        outcome = run(args)
        return outcome if isinstance(outcome, int) else asyncio.run(outcome)
    except (ClientError, ProtocolError, AudioFileError, DeviceUnavailable, ValueError, ExceptionGroup) as e:
        for line in _explain(e):
            print(f"ringthrough: {line}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as e:
        print(f"ringthrough: {e}", file=sys.stderr)
        return EXIT_FAILED


def _explain(error: BaseException) -> list[str]:
    if isinstance(error, ExceptionGroup):
        return [line for inner in error.exceptions for line in _explain(inner)]
    return [str(error) or type(error).__name__]
