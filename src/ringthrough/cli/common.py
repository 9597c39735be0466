"""What the commands share: opening the account, printing."""

from __future__ import annotations

import argparse
import json
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from ringthrough.client.client import Client
from ringthrough.client.errors import ClientError
from ringthrough.client.messages import Message
from ringthrough.e2ee.content import Offer

FILE_NAME_BYTES_MAX = 200
Command = Callable[[argparse.Namespace], Coroutine[Any, Any, int] | int]


def tls_context(args: argparse.Namespace) -> ssl.SSLContext | None:
    """The system's trust, plus --ca. Raises ClientError when that is no certificate."""
    if args.ca is None:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=str(args.ca))
    except OSError as e:  # ssl.SSLError is one
        raise ClientError(f"{args.ca} is no CA certificate in PEM that can be read: {e}") from None
    return context


def open_client(args: argparse.Namespace) -> Client:
    """The account in --home."""
    return Client.open(args.home, tls=tls_context(args))


def emit(args: argparse.Namespace, line: str, /, **fields: object) -> None:
    """One line: `line` for people, the fields for programs."""
    print(json.dumps(fields, ensure_ascii=False) if args.json else line, flush=True)


def printable(text: str) -> str:
    """Text from others without control characters, which could otherwise command the terminal."""
    return "".join(c if c == "\n" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def show(args: argparse.Namespace, client: Client, message: Message) -> None:
    """One message as a line. Of a call's events, people see that somebody called; programs see them all."""
    if message.kind == "call" and not isinstance(message.call, Offer) and not args.json:
        return
    if message.note is not None and not message.note.packets and not args.json:
        return
    sender = client.name_of(message.sender)
    row = client.context.store.conversation(message.conversation)
    where = "" if row.is_direct else f" [{printable(row.title)}]"
    emit(
        args,
        f"{sender}{where}: {printable(message.text)}",
        id=message.id,
        conversation=row.stream.hex(),
        title=row.title,
        sender=sender,
        kind=message.kind,
        text=message.text,
        seq=message.seq,
        status=message.status,
        received_s=message.received_s,
        file=message.attachment.filename if message.attachment else None,
    )


def safe_file_name(name: str) -> str:
    """A name from somebody else as a name in our folder: no path, nothing hidden, not too long."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1].lstrip(".")
    safe = "".join(c for c in base if c.isprintable() and c != ":").encode()[-FILE_NAME_BYTES_MAX:]
    return safe.decode(errors="ignore") or "file"
