"""Documents of the directory: accounts, signed device lists, key packages (docs/spec/directory.md).

HTTP bodies are JSON (bytes in base64). What an account signs is the MessagePack payload itself, so that no
re-encoding can change it. Verification needs no message key and is shared by both sides.
"""

from __future__ import annotations

import re
from typing import NewType

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from . import limits
from .errors import ErrorCode, ProtocolError

AccountId = NewType("AccountId", bytes)
DeviceId = NewType("DeviceId", bytes)

DEVICE_LIST_CONTEXT = b"ringthrough device list v1\0"
SIGN_IN_CONTEXT = b"ringthrough sign-in v1\0"
_HANDLE = re.compile(limits.HANDLE_PATTERN)


class Device(msgspec.Struct, array_like=True, frozen=True):
    """One device: its MLS signature key (Ed25519, 32 bytes), its inbox stream (16 bytes) and the HPKE key (X25519, 32
    bytes) to which inbox records are sealed."""

    device_id: bytes
    signature_key: bytes
    inbox: bytes
    inbox_key: bytes


class DeviceList(msgspec.Struct, array_like=True, frozen=True):
    """Every device of an account. A higher version replaces a lower one; `identity_key` (Ed25519) signs it."""

    account_id: bytes
    version: int
    identity_key: bytes
    devices: tuple[Device, ...]


class SignedDeviceList(msgspec.Struct, frozen=True):
    """`payload` is a MessagePack DeviceList, `signature` is Ed25519 over DEVICE_LIST_CONTEXT + payload."""

    payload: bytes
    signature: bytes

    def verify(self) -> DeviceList:
        """The list, if its shape and its own identity key's signature hold.

        Raises:
            ProtocolError: `bad_request` or `bad_signature`.
        """
        try:
            devices = msgspec.msgpack.decode(self.payload, type=DeviceList)
        except msgspec.MsgspecError as e:
            raise ProtocolError(ErrorCode.BAD_REQUEST, f"device list: {e}") from None
        _check_device_list(devices)
        verify(devices.identity_key, DEVICE_LIST_CONTEXT + self.payload, self.signature)
        return devices


class NewAccount(msgspec.Struct, frozen=True):
    """POST /v1/accounts."""

    handle: str
    device_list: SignedDeviceList


class Account(msgspec.Struct, frozen=True):
    """GET /v1/accounts/{hex id} and GET /v1/handles/{handle}."""

    account_id: bytes
    handle: str
    device_list: SignedDeviceList


class ChallengeRequest(msgspec.Struct, frozen=True):
    """POST /v1/sign-in/challenge."""

    account_id: bytes
    device_id: bytes


class Challenge(msgspec.Struct, frozen=True):
    """32 random bytes, valid for CHALLENGE_LIFETIME_S, once."""

    challenge: bytes


class SignIn(msgspec.Struct, frozen=True):
    """POST /v1/sign-in: Ed25519 by the device's signature key over `sign_in_payload`."""

    account_id: bytes
    device_id: bytes
    challenge: bytes
    signature: bytes


class Session(msgspec.Struct, frozen=True):
    """Bearer for `Authorization: Bearer ...`, good for `lifetime_s` or until the server restarts."""

    session: str
    lifetime_s: int


class KeyPackages(msgspec.Struct, frozen=True):
    """POST /v1/key-packages (signed in): adds to the device's one-time stock, replaces its last-resort one."""

    key_packages: tuple[bytes, ...]
    last_resort: bytes | None = None


class KeyPackageCount(msgspec.Struct, frozen=True):
    """How many one-time key packages of the signed-in device are left."""

    count: int


class ClaimedKeyPackage(msgspec.Struct, frozen=True):
    """One device's key package, taken from the stock (or its last-resort one)."""

    device_id: bytes
    key_package: bytes


class Claim(msgspec.Struct, frozen=True):
    """POST /v1/accounts/{hex id}/key-packages/claim: one for each device that has any."""

    key_packages: tuple[ClaimedKeyPackage, ...]


class Refusal(msgspec.Struct, frozen=True):
    """Body of every HTTP answer that is not a success."""

    code: str
    message: str
    retry_after_ms: int = 0


def device_list_payload(devices: DeviceList) -> bytes:
    """What the account's identity key signs, after DEVICE_LIST_CONTEXT."""
    return msgspec.msgpack.encode(devices)


def sign_in_payload(authority: str, challenge: bytes) -> bytes:
    """What the device signs to sign in. The server's authority (host:port) keeps a hostile server from passing the
    signature on to another one."""
    return SIGN_IN_CONTEXT + authority.encode() + b"\0" + challenge


def check_handle(handle: str) -> str:
    """The handle, if people may have it: 2 to 32 of a-z 0-9 . _ -, with a letter or digit at both ends.

    Raises:
        ProtocolError: `bad_request`.
    """
    if not _HANDLE.fullmatch(handle):
        raise ProtocolError(
            ErrorCode.BAD_REQUEST, "a handle is 2 to 32 of a-z 0-9 . _ - with a letter or digit at both ends"
        )
    return handle


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Ed25519 (RFC 8032).

    Raises:
        ProtocolError: `bad_signature`.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise ProtocolError(ErrorCode.BAD_SIGNATURE, "the signature does not match") from None


def _check_device_list(devices: DeviceList) -> None:
    sizes_ok = (
        len(devices.account_id) == 16
        and len(devices.identity_key) == 32
        and 1 <= devices.version < 1 << 31
        and 1 <= len(devices.devices) <= limits.DEVICES_PER_ACCOUNT_MAX
        and all(
            (len(d.device_id), len(d.signature_key), len(d.inbox), len(d.inbox_key)) == (16, 32, 16, 32)
            for d in devices.devices
        )
    )
    unique = (
        len({d.device_id for d in devices.devices})
        == len(devices.devices)
        == len({d.signature_key for d in devices.devices})
    )
    if not (sizes_ok and unique):
        raise ProtocolError(ErrorCode.BAD_REQUEST, "device list: wrong sizes or a device twice")
