"""Inbox records: an invitation sealed to one device's inbox key with HPKE (RFC 9180, base mode).

The server sees bytes of a padded size. Who sent an invitation is proved by the Welcome inside, not by the seal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cbor2

from .content.cbor import decode_deterministic
from .content.errors import ContentError
from .mls import CIPHER_SUITE_DEFAULT, MlsError
from .mls.hpke import hpke_open, hpke_seal

Random = Callable[[int], bytes]

_INFO = b"ringthrough inbox v1"
_KEM_OUTPUT_BYTES = 32
_VERSION = 1
_INVITATION_KIND = 1
SEAL_OVERHEAD_BYTES = _KEM_OUTPUT_BYTES + 16
ORIGIN_CHARS_MAX = 255
TITLE_CHARS_MAX = 128


class InboxError(Exception):
    """The inbox record cannot be opened or is malformed; it is skipped."""


@dataclass(frozen=True)
class BlobReference:
    """Where a Welcome too large for a record lies: ciphertext by hash, AES-128-GCM key (16 bytes) and nonce (12)."""

    sha256: bytes
    key: bytes
    nonce: bytes


@dataclass(frozen=True)
class Invitation:
    """What a new member needs: the server that hosts the conversation, its stream, the first seq to read, and the
    MLS Welcome itself or the blob that holds it."""

    origin: str
    stream: bytes
    from_seq: int
    is_direct: bool
    title: str
    welcome: bytes | BlobReference


def seal_invitation(
    invitation: Invitation, inbox_key: bytes, inbox: bytes, *, pad: Callable[[int], int], random: Random
) -> bytes:
    """One inbox record. `pad` maps the unpadded length to the wire length.

    Args:
        inbox_key: the device's X25519 HPKE key, 32 bytes.
        inbox: the device's inbox stream id, bound as additional data.
    """
    welcome: object = invitation.welcome
    if isinstance(invitation.welcome, BlobReference):
        welcome = [invitation.welcome.sha256, invitation.welcome.key, invitation.welcome.nonce]
    body = cbor2.dumps(
        [
            _VERSION,
            _INVITATION_KIND,
            invitation.origin,
            invitation.stream,
            invitation.from_seq,
            invitation.is_direct,
            invitation.title,
            welcome,
        ]
    )
    framed = len(body).to_bytes(4, "big") + body
    padded = framed.ljust(pad(len(framed) + SEAL_OVERHEAD_BYTES) - SEAL_OVERHEAD_BYTES, b"\0")
    kem_output, ciphertext = hpke_seal(CIPHER_SUITE_DEFAULT, inbox_key, _INFO, inbox, padded, random)
    return kem_output + ciphertext


def open_invitation(record: bytes, inbox_private_key: bytes, inbox: bytes) -> Invitation:
    """Undo `seal_invitation`.

    Raises:
        InboxError: not sealed to this device, for another inbox, or not an invitation this version knows.
    """
    try:
        padded = hpke_open(
            CIPHER_SUITE_DEFAULT,
            inbox_private_key,
            record[:_KEM_OUTPUT_BYTES],
            _INFO,
            inbox,
            record[_KEM_OUTPUT_BYTES:],
        )
    except MlsError as e:
        raise InboxError("the record is not sealed to this device") from e
    length = int.from_bytes(padded[:4], "big")
    if length > len(padded) - 4:
        raise InboxError("wrong length inside the seal")
    try:
        fields = decode_deterministic(padded[4 : 4 + length])
    except ContentError as e:
        raise InboxError("not deterministic CBOR inside the seal") from e
    return _invitation(fields)


def _invitation(fields: object) -> Invitation:
    match fields:
        case [version, kind, str(origin), bytes(stream), int(from_seq), bool(is_direct), str(title), welcome]:
            numbers = [version, kind, from_seq]
        case _:
            raise InboxError("unknown kind or version of inbox record")
    if any(isinstance(number, bool) for number in numbers) or numbers[:2] != [_VERSION, _INVITATION_KIND]:
        raise InboxError("unknown kind or version of inbox record")
    if not 0 <= from_seq < 1 << 63:
        raise InboxError("a seq has at most 63 bits")
    if len(stream) != 16 or len(origin) > ORIGIN_CHARS_MAX or len(title) > TITLE_CHARS_MAX:
        raise InboxError("a field of the invitation is out of bounds")
    match welcome:
        case bytes():
            return Invitation(origin, stream, from_seq, is_direct, title, welcome)
        case [bytes(sha256), bytes(key), bytes(nonce)] if (len(sha256), len(key), len(nonce)) == (32, 16, 12):
            return Invitation(origin, stream, from_seq, is_direct, title, BlobReference(sha256, key, nonce))
        case _:
            raise InboxError("the invitation holds no Welcome")
