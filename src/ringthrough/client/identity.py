"""Who somebody is: our own keys, the credential in a leaf, and the device lists of others.

A leaf's basic credential names account, device and home server. The leaf is accepted only when the account's device
list, signed by the identity key we pinned at first sight, holds exactly this device and signature key.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringthrough.e2ee.mls import (
    CIPHER_SUITE_DEFAULT,
    CredentialCheck,
    CredentialRefused,
    CredentialUse,
    SignatureKeyPair,
)
from ringthrough.e2ee.mls.hpke import hpke_generate
from ringthrough.protocol import directory
from ringthrough.protocol.errors import ProtocolError
from ringthrough.protocol.frames import StreamId, Token

from .errors import IdentityChanged, ServerUnreachable, UnknownHandle
from .errors import Refused as RequestRefused
from .http import ServerHttp, normalise_origin
from .store import Store

T = TypeVar("T")

log = logging.getLogger(__name__)

SAFETY_NUMBER_DIGITS = 60


class Credential(msgspec.Struct, array_like=True, frozen=True):
    """Identity bytes of an MLS basic credential (RFC 9420 section 5.3): MessagePack [account, device, origin]."""

    account_id: bytes
    device_id: bytes
    origin: str

    def encode(self) -> bytes:
        """The identity bytes."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, identity: bytes) -> Credential:
        """Raises CredentialRefused when the bytes are not such an identity."""
        try:
            credential = msgspec.msgpack.decode(identity, type=cls)
            sound = normalise_origin(credential.origin) == credential.origin
        except (msgspec.MsgspecError, ValueError, UnicodeDecodeError):
            sound = False
        if not sound or (len(credential.account_id), len(credential.device_id)) != (16, 16):
            raise CredentialRefused("the credential does not name an account, a device and a server")
        return credential


class OwnIdentity(msgspec.Struct, frozen=True):
    """Everything this device is: secret keys included, so it lives in the local store only."""

    origin: str
    handle: str
    account_id: bytes
    identity_private: bytes
    identity_key: bytes
    device_id: bytes
    signature_private: bytes
    signature_key: bytes
    inbox: bytes
    inbox_token: bytes
    inbox_private: bytes
    inbox_key: bytes

    def __repr__(self) -> str:
        return f"OwnIdentity(@{self.handle} at {self.origin})"

    @property
    def credential(self) -> Credential:
        """What our leaves say."""
        return Credential(self.account_id, self.device_id, self.origin)

    @property
    def signature_pair(self) -> SignatureKeyPair:
        """The MLS signature key of this device."""
        return SignatureKeyPair(public=self.signature_key, private=self.signature_private)

    @property
    def inbox_stream(self) -> StreamId:
        """Stream id of our inbox."""
        return StreamId(self.inbox)

    @property
    def inbox_capability(self) -> Token:
        """Reads our inbox."""
        return Token(self.inbox_token)

    def sign(self, message: bytes) -> bytes:
        """Ed25519 by the device's signature key."""
        return Ed25519PrivateKey.from_private_bytes(self.signature_private).sign(message)

    def device_list(self, version: int = 1) -> directory.SignedDeviceList:
        """Our device list, signed by the identity key."""
        device = directory.Device(self.device_id, self.signature_key, self.inbox, self.inbox_key)
        payload = directory.device_list_payload(
            directory.DeviceList(self.account_id, version, self.identity_key, (device,))
        )
        key = Ed25519PrivateKey.from_private_bytes(self.identity_private)
        return directory.SignedDeviceList(payload, key.sign(directory.DEVICE_LIST_CONTEXT + payload))


def new_identity(origin: str, handle: str, random: Callable[[int], bytes] = secrets.token_bytes) -> OwnIdentity:
    """Fresh keys and ids for a new account with its first device."""
    identity = SignatureKeyPair.generate(CIPHER_SUITE_DEFAULT, random)
    device = SignatureKeyPair.generate(CIPHER_SUITE_DEFAULT, random)
    inbox = hpke_generate(CIPHER_SUITE_DEFAULT, random)
    return OwnIdentity(
        origin=origin,
        handle=directory.check_handle(handle),
        account_id=random(16),
        identity_private=identity.private,
        identity_key=identity.public,
        device_id=random(16),
        signature_private=device.private,
        signature_key=device.public,
        inbox=random(16),
        inbox_token=random(32),
        inbox_private=inbox.private,
        inbox_key=inbox.public,
    )


class DeviceUnknown(CredentialRefused):
    """A leaf names a device that is not in the device list we hold; a newer list may have it."""

    def __init__(self, credential: Credential) -> None:
        super().__init__("the device is not in its account's signed device list")
        self.credential = credential


@dataclass(frozen=True)
class Person:
    """An account as we know it."""

    account_id: bytes
    origin: str
    handle: str
    identity_key: bytes
    devices: directory.DeviceList


class Directory:
    """Pinned identities and device lists, fetched from each account's home server and kept in the store."""

    def __init__(self, store: Store, http: Callable[[str], ServerHttp]) -> None:
        self._store = store
        self._http = http

    def known(self, account_id: bytes) -> Person | None:
        """What we hold about an account."""
        row = self._store.account(account_id)
        if row is None:
            return None
        origin, handle, identity_key, _, payload, _ = row
        devices = msgspec.msgpack.decode(payload, type=directory.DeviceList)
        return Person(account_id, origin, handle, identity_key, devices)

    async def look_up(self, handle: str, origin: str) -> Person:
        """The account that has this handle on this server now; the one we know while the server cannot be reached.

        Raises:
            UnknownHandle: nobody has it there.
            IdentityChanged: another account, identity key or an older device list than before.
            ServerUnreachable: and we have not met this person yet.
        """
        try:
            account = await self._http(origin).account_by_handle(handle)
        except ServerUnreachable:
            known = self._store.account_by_handle(origin, handle)
            person = self.known(known) if known is not None else None
            if person is None:
                raise
            return person
        except RequestRefused as e:
            if e.code == "not_found":
                raise UnknownHandle(f"nobody on {origin} has the handle @{handle}") from None
            raise
        if account.handle != handle:
            raise UnknownHandle(f"{origin} answered with another handle than @{handle}")
        return self._accept(account, origin)

    async def refresh(self, account_id: bytes, origin: str) -> Person:
        """Fetch the newest device list of an account."""
        account = await self._http(origin).account(account_id)
        if account.account_id != account_id:
            raise IdentityChanged(f"{origin} answered with another account than asked for")
        return self._accept(account, origin)

    def check(self, identity: bytes, signature_key: bytes, use: CredentialUse) -> None:
        """The hook that MLS calls for every leaf it is about to accept (CANNOT-FORGE).

        Raises:
            DeviceUnknown: the device list we hold lacks this device; fetch a newer one and try again.
        """
        credential = Credential.decode(identity)
        person = self.known(credential.account_id)
        if person is None or person.origin != credential.origin:
            raise DeviceUnknown(credential)
        for device in person.devices.devices:
            if device.device_id == credential.device_id and device.signature_key == signature_key:
                return
        raise DeviceUnknown(credential)

    async def with_fresh_devices(self, attempt: Callable[[CredentialCheck], T]) -> T:
        """Run `attempt` with the check above; when it meets an unknown device, fetch that account's device list and
        run it again. Each account is fetched once; a device still missing then is plainly refused.

        Raises:
            ServerUnreachable: a device list could not be fetched now.
        """
        fetched: set[bytes] = set()

        def check(identity: bytes, signature_key: bytes, use: CredentialUse) -> None:
            try:
                self.check(identity, signature_key, use)
            except DeviceUnknown as e:
                if e.credential.account_id in fetched:
                    raise CredentialRefused(str(e)) from None
                raise

        while True:
            try:
                return attempt(check)
            except DeviceUnknown as e:
                fetched.add(e.credential.account_id)
                try:
                    await self.refresh(e.credential.account_id, e.credential.origin)
                except (RequestRefused, IdentityChanged, ProtocolError) as refusal:
                    if isinstance(refusal, RequestRefused) and refusal.is_temporary:
                        raise ServerUnreachable(f"no device list now: {refusal.code}") from refusal
                    log.warning("no sound device list for a member: %s", type(refusal).__name__)

    def _accept(self, account: directory.Account, origin: str) -> Person:
        devices = account.device_list.verify()
        if devices.account_id != account.account_id:
            raise IdentityChanged("the device list belongs to another account")
        directory.check_handle(account.handle)
        with self._store.transaction():
            self._check_pins(account, devices, origin)
            self._store.put_account(
                account.account_id,
                origin,
                account.handle,
                devices.identity_key,
                devices.version,
                account.device_list.payload,
                account.device_list.signature,
            )
        return Person(account.account_id, origin, account.handle, devices.identity_key, devices)

    def _check_pins(self, account: directory.Account, devices: directory.DeviceList, origin: str) -> None:
        if self._store.account_by_handle(origin, account.handle) not in (None, account.account_id):
            raise IdentityChanged(f"@{account.handle} is another account on {origin} than before")
        row = self._store.account(account.account_id)
        if row is None:
            return
        pinned_origin, handle, identity_key, version, payload, _ = row
        if identity_key != devices.identity_key or pinned_origin != origin:
            raise IdentityChanged(
                f"the identity key of @{account.handle} has changed; compare safety numbers in person first"
            )
        if handle != account.handle:
            raise IdentityChanged(f"{origin} shows @{handle} under the name @{account.handle}")
        if devices.version < version or (devices.version == version and payload != account.device_list.payload):
            raise IdentityChanged(f"{origin} shows an older device list of @{account.handle} than before")


def safety_number(own_identity_key: bytes, other_identity_key: bytes) -> str:
    """60 digits in groups of five, the same for both people; equal numbers mean nobody sits between them."""
    first, second = sorted((own_identity_key, other_identity_key))
    digest = hashlib.sha512(b"ringthrough safety number v1\0" + first + second).digest()
    digits = str(int.from_bytes(digest, "big") % 10**SAFETY_NUMBER_DIGITS).zfill(SAFETY_NUMBER_DIGITS)
    return " ".join(digits[i : i + 5] for i in range(0, SAFETY_NUMBER_DIGITS, 5))
