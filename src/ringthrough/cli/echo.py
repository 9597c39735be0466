"""`ringthrough echo`: the resident account that answers messages and calls."""

from __future__ import annotations

import argparse

from ringthrough.client.client import Client
from ringthrough.client.errors import NoAccount
from ringthrough.services.echo import HANDLE, run_echo

from .account import DEFAULT_SERVER
from .common import emit, open_client, tls_context


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    echo = commands.add_parser("echo", help="run an account that repeats messages and calls")
    echo.add_argument("--server", default=DEFAULT_SERVER, help=f"where to register it (default: {DEFAULT_SERVER})")
    echo.add_argument("--handle", default=HANDLE)
    echo.set_defaults(run=_echo)


async def _echo(args: argparse.Namespace) -> int:
    try:
        client = open_client(args)
    except NoAccount:
        client = await Client.create_account(args.home, args.server, args.handle, tls=tls_context(args))
    async with client:
        own = client.context.identity
        emit(args, f"@{own.handle} answers on {own.origin}", event="ready", handle=own.handle, server=own.origin)
        await run_echo(client)
    return 0
