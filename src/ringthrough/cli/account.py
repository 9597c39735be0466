"""`ringthrough account ...`"""

from __future__ import annotations

import argparse
import os

from ringthrough.client.client import Client

from .common import emit, open_client, tls_context

DEFAULT_SERVER = os.environ.get("RINGTHROUGH_SERVER", "http://localhost:8440")


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the commands."""
    account = commands.add_parser("account", help="make or show the account on this device")
    actions = account.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="register a handle on a server")
    create.add_argument("handle", help="2 to 32 of a-z 0-9 . _ -")
    create.add_argument("--server", default=DEFAULT_SERVER, help=f"default: $RINGTHROUGH_SERVER or {DEFAULT_SERVER}")
    create.set_defaults(run=_create)
    actions.add_parser("show", help="who this device is").set_defaults(run=_show)
    verify = actions.add_parser("verify", help="show the safety number with somebody, to compare in person")
    verify.add_argument("person", help="@handle or @handle@host")
    verify.set_defaults(run=_verify)


async def _create(args: argparse.Namespace) -> int:
    client = await Client.create_account(args.home, args.server, args.handle, tls=tls_context(args))
    own = client.context.identity
    await client.context.close()
    emit(
        args,
        f"You are @{own.handle} on {own.origin}. The keys are in {args.home}; whoever has that folder is you.",
        handle=own.handle,
        server=own.origin,
        account=own.account_id.hex(),
    )
    return 0


async def _show(args: argparse.Namespace) -> int:
    client = open_client(args)
    own = client.context.identity
    await client.context.close()
    emit(args, f"@{own.handle} on {own.origin}", handle=own.handle, server=own.origin, account=own.account_id.hex())
    return 0


async def _verify(args: argparse.Namespace) -> int:
    client = open_client(args)
    try:
        person = await client.find_person(args.person)
        number = client.safety_number_with(person)
    finally:
        await client.context.close()
    emit(args, f"Safety number with {args.person}:\n{number}", person=args.person, safety_number=number)
    return 0
