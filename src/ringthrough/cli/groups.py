"""`ringthrough group ...`"""

from __future__ import annotations

import argparse

from ringthrough.client.client import GROUP_ID_DIGITS, online

from .common import emit, open_client, printable


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the commands."""
    group = commands.add_parser("group", help="make groups, add and remove people")
    actions = group.add_subparsers(dest="action", required=True)
    for name, run, help_text in (
        ("create", _create, "make a group"),
        ("add", _add, "invite people"),
        ("remove", _remove, "remove people; they read nothing sent after it"),
    ):
        action = actions.add_parser(name, help=help_text)
        action.add_argument("title", help="or #ID, where several groups have one title")
        action.add_argument("people", nargs="+" if name != "create" else "*", help="@handle or @handle@host")
        action.set_defaults(run=run)
    actions.add_parser("list", help="show groups and who is in them").set_defaults(run=_list)


async def _create(args: argparse.Namespace) -> int:
    async with open_client(args) as client:
        await online(client)
        group = await client.create_group(args.title, args.people)
        await client.delivered()
        stream = group.stream.hex()
    with_whom = ", ".join(args.people) or "nobody else yet"
    emit(args, f"group {args.title!r} with {with_whom}", title=args.title, conversation=stream)
    return 0


async def _add(args: argparse.Namespace) -> int:
    async with open_client(args) as client:
        await online(client)
        await client.add(client.find_group(args.title), args.people)
        await client.delivered()
    emit(args, f"added {', '.join(args.people)} to {args.title!r}", title=args.title, added=args.people)
    return 0


async def _remove(args: argparse.Namespace) -> int:
    async with open_client(args) as client:
        await online(client)
        await client.remove(client.find_group(args.title), args.people)
    emit(args, f"removed {', '.join(args.people)} from {args.title!r}", title=args.title, removed=args.people)
    return 0


async def _list(args: argparse.Namespace) -> int:
    async with open_client(args) as client:
        for conversation in client.conversations():
            if not conversation.is_direct and conversation.status != "left":
                names = sorted({client.name_of(c.account_id) for _, c in conversation.members()})
                stream = conversation.stream.hex()
                line = f"#{stream[:GROUP_ID_DIGITS]} {printable(conversation.title)}: {', '.join(names)}"
                emit(args, line, title=conversation.title, conversation=stream, members=names)
    return 0
