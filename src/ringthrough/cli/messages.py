"""`ringthrough send`, `read` and `save`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

from ringthrough.client.client import Client
from ringthrough.client.conversation import Conversation
from ringthrough.client.errors import ClientError
from ringthrough.client.messages import Message

from .common import emit, open_client, safe_file_name, show

SENT_TIMEOUT_S = 30.0
READER = "terminal"
LINES_AT_ONCE_MAX = 256


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the commands."""
    send = commands.add_parser("send", help="send a message or a file")
    send.add_argument("to", help="@handle, @handle@host, or the title of a group")
    send.add_argument("text", nargs="?", help="the message; `-` sends every line of standard input")
    send.add_argument("--file", type=Path, help="send this file instead")
    send.set_defaults(run=_send)
    read = commands.add_parser("read", help="print new messages")
    read.add_argument("--follow", action="store_true", help="go on printing as messages arrive")
    read.add_argument("--all", action="store_true", help="print everything this device knows, from the start")
    read.add_argument(
        "--wait", type=float, default=3.0, metavar="SECONDS", help="how long to wait for news (default 3)"
    )
    read.set_defaults(run=_read)
    save = commands.add_parser("save", help="save a received file")
    save.add_argument("id", type=int, help="the id that `--json read` shows")
    save.add_argument("--to", type=Path, default=None, help="file or folder (default: here, under its own name)")
    save.set_defaults(run=_save)


async def target(client: Client, to: str) -> Conversation:
    """The conversation that a person means by `to`."""
    if to.startswith("@"):
        return await client.conversation_with(to)
    return client.find_group(to)


async def _send(args: argparse.Namespace) -> int:
    if (args.text is None) == (args.file is None):
        raise ClientError("say what to send: a text, `-`, or --file PATH")
    async with open_client(args) as client:
        conversation = await target(client, args.to)
        last = 0
        if args.file is not None:
            last = await client.send_file(conversation, args.file)
        elif args.text == "-":
            async for lines in _standard_input():
                last = (await client.send_texts(conversation, lines))[-1]
        else:
            last = await client.send_text(conversation, args.text)
        return await _report_sent(args, client, conversation, last)


async def _standard_input() -> AsyncIterator[list[str]]:
    """Lines as they come, as many at a time as there are. The thread is a daemon, so that Ctrl-C need not wait for
    the next line."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[str | Exception | None] = asyncio.Queue()

    def read() -> None:
        end: Exception | None = None
        try:
            for line in sys.stdin:
                loop.call_soon_threadsafe(arrived.put_nowait, line.rstrip("\n"))
        except Exception as e:
            end = e
        with contextlib.suppress(RuntimeError):  # the loop has ended before the input did
            loop.call_soon_threadsafe(arrived.put_nowait, end)

    threading.Thread(target=read, daemon=True).start()
    while True:
        lines: list[str] = []
        item = await arrived.get()
        while isinstance(item, str):
            lines.append(item)
            if arrived.empty() or len(lines) >= LINES_AT_ONCE_MAX:
                break
            item = arrived.get_nowait()
        if lines:
            yield lines
        if isinstance(item, Exception):
            raise ClientError(f"standard input cannot be read: {item}")
        if item is None:
            return


async def _report_sent(args: argparse.Namespace, client: Client, conversation: Conversation, last: int) -> int:
    if not last:
        return 0
    try:
        async with asyncio.timeout(SENT_TIMEOUT_S):
            row = await conversation.sent(last)
            await client.delivered()
    except TimeoutError:
        emit(
            args, "not sent yet: it is kept and leaves with the next command that is online", status="queued", id=last
        )
        return 1
    emit(args, f"sent to {args.to}", status="sent", id=last, seq=row.seq)
    return 0


async def _read(args: argparse.Namespace) -> int:
    async with open_client(args) as client:
        after = client.context.store.read_mark(READER)
        if args.all:
            for message in client.messages():
                show(args, client, message)
                after = message.id
        if args.follow:
            await _follow(args, client, after)
            return 0
        try:
            async with asyncio.timeout(args.wait):
                await _follow(args, client, after)
        except TimeoutError:
            return 0
    return 0


async def _follow(args: argparse.Namespace, client: Client, after: int) -> None:
    """Print what this reader has not printed; a line counts as read once it has been written out."""
    store = client.context.store
    async for message in client.received(after=after):
        show(args, client, message)
        sys.stdout.flush()
        with store.transaction():
            store.set_read_mark(READER, message.id)


async def _save(args: argparse.Namespace) -> int:
    async with open_client(args) as client:
        message = _find(client, args.id)
        assert message.attachment is not None
        path = args.to or Path()
        if path.is_dir():
            path = path / safe_file_name(message.attachment.filename)
        if path.exists():
            raise ClientError(f"{path} exists already; choose another name with --to")
        data = await client.fetch_file(message)
        path.write_bytes(data)
    emit(args, f"saved {path} ({len(data)} bytes)", path=str(path), bytes=len(data))
    return 0


def _find(client: Client, message_id: int) -> Message:
    for message in client.messages(after=message_id - 1):
        if message.id == message_id and message.attachment is not None:
            return message
    raise ClientError(f"message {message_id} is no file; `ringthrough --json read --all` shows the ids")
