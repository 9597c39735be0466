"""Attachments: sealed on this device, stored by the server as ciphertext under its hash."""

from __future__ import annotations

import asyncio
import mimetypes
from pathlib import Path
from urllib.parse import urlsplit

from ringthrough.e2ee import content as mimi
from ringthrough.protocol import limits

from .context import Context
from .conversation import Conversation
from .errors import FileUnreadable, Refused, TooLarge
from .http import normalise_origin
from .messages import Message

SEAL_OVERHEAD_BYTES = 16
FILE_BYTES_MAX = limits.BLOB_BYTES_MAX - SEAL_OVERHEAD_BYTES


async def upload_attachment(context: Context, conversation: Conversation, path: Path) -> mimi.MimiContent:
    """Seal and upload a file to the server that hosts the conversation; the message that points to it.

    Raises:
        TooLarge, ServerUnreachable, Refused, FileUnreadable.
    """
    sealed = mimi.seal_file(await asyncio.to_thread(_read, path), context.random)
    origin = conversation.connection.origin
    digest = await context.http(origin).put_blob(sealed.blob)
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    expires_s = int(context.now_s()) + limits.BLOB_LIFETIME_S
    part = sealed.part(f"{origin}/v1/blobs/{digest.hex()}", content_type, filename=path.name, expires_s=expires_s)
    return mimi.attachment_message(context.random(16), part)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            raise TooLarge(f"{path.name} has {size} bytes; the server takes at most {FILE_BYTES_MAX}")
        return path.read_bytes()
    except OSError as e:
        raise FileUnreadable(f"cannot read {path}: {e.strerror}") from e


async def fetch_attachment(context: Context, origin: str, message: Message) -> bytes:
    """The file a message points to. Only the conversation's own server is asked, whatever the message says.

    Raises:
        FileUnreadable: gone, not on that server, or not the bytes that were sent.
    """
    part = message.attachment
    if part is None:
        raise FileUnreadable("the message holds no file")
    try:
        path, named = urlsplit(part.url).path, normalise_origin(part.url)
    except ValueError:
        path = named = ""
    if named != origin or path != f"/v1/blobs/{part.content_hash.hex()}":
        raise FileUnreadable("the file lies on another server than the conversation, which could be a trap")
    try:
        blob = await context.http(origin).get_blob(part.content_hash)
        return mimi.open_file(part, blob)
    except (Refused, mimi.ContentError) as e:
        raise FileUnreadable(f"the file cannot be had: {e}") from e
