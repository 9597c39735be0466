"""Names of messages, senders and rooms, and the checks that need more than the message itself."""

from __future__ import annotations

import hashlib
from typing import Final

from . import limits
from .errors import ContentError, Reason
from .model import ROOM_URI, SENDER_URI, HashAlg, MessageId, MimiContent

_START: Final = bytes((0x87, 0x50))
"""Array of seven, byte string of 16: every deterministic encoding begins with it, and the salt follows."""


def sender_uri(account_id: bytes) -> str:
    """How our messages name an account: `ringthrough:u/` and the id in hexadecimal. No server, accounts may move."""
    return f"ringthrough:u/{account_id.hex()}"


def room_uri(group_id: bytes) -> str:
    """How our messages name a conversation: `ringthrough:r/` and the MLS group id in hexadecimal."""
    return f"ringthrough:r/{group_id.hex()}"


def message_id(encoded: bytes, sender: str, room: str) -> MessageId:
    """The id of an encoded message, draft-ietf-mimi-content-08 section 3.3.

    `sender` and `room` are what MLS says, not what the message says: two members never share an id.

    Raises:
        ContentError: `bad_structure` if this is not the start of a message, `too_long` for a URI over 2048 bytes.
    """
    if encoded[:2] != _START or len(encoded) < 2 + limits.SALT_BYTES:
        raise ContentError(Reason.BAD_STRUCTURE, "no encoded message")
    salt = encoded[2 : 2 + limits.SALT_BYTES]
    hashed = hashlib.sha256(_counted(sender) + _counted(room) + encoded + salt).digest()
    return MessageId(bytes((HashAlg.SHA_256,)) + hashed[: limits.MESSAGE_ID_BYTES - 1])


def check_context(message: MimiContent, sender: str, room: str) -> None:
    """A message that names its sender or room must name those that MLS authenticated.

    Raises:
        ContentError: `wrong_sender` or `wrong_room`.
    """
    if message.extensions.get(SENDER_URI, sender) != sender:
        raise ContentError(Reason.WRONG_SENDER, "the message names another sender than its signature")
    if message.extensions.get(ROOM_URI, room) != room:
        raise ContentError(Reason.WRONG_ROOM, "the message names another conversation than it came in")


def check_expiry(message: MimiContent, now_s: float) -> None:
    """An expiry more than a year away, either way, is nonsense (draft, security considerations).

    Raises:
        ContentError: `implausible_expiry`.
    """
    expires = message.expires
    if expires is None:
        return
    distance_s = expires.time_s if expires.relative else abs(expires.time_s - now_s)
    if distance_s > limits.EXPIRY_SPAN_S_MAX:
        raise ContentError(Reason.IMPLAUSIBLE_EXPIRY, f"{distance_s:.0f} s away")


def _counted(uri: str) -> bytes:
    encoded = uri.encode()
    if len(encoded) > limits.URI_BYTES_MAX:
        raise ContentError(Reason.TOO_LONG, "a URI")
    return len(encoded).to_bytes(2, "big") + encoded
