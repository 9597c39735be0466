"""Inviting devices: their key packages, and Welcomes that leave only after the server accepted the commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from ringthrough.e2ee.content import seal_file
from ringthrough.e2ee.inbox import BlobReference, Invitation, seal_invitation
from ringthrough.e2ee.mls import MlsError, parse_key_package
from ringthrough.protocol import directory, limits
from ringthrough.protocol.frames import StreamId

from .context import Context
from .errors import NoDeviceReachable, Refused, ServerUnreachable
from .identity import Credential, Person
from .store import DepositRow, PendingCommit

if TYPE_CHECKING:
    from .conversation import Conversation

log = logging.getLogger(__name__)

WELCOME_INLINE_BYTES_MAX = 8192
"""A larger Welcome is uploaded once as a blob instead of being copied into every inbox."""
RETRY_S = 2.0
CLAIMS_MAX = 64
"""The directory cannot see that a key package has expired, and hands out the oldest first."""


class Invitee(msgspec.Struct, array_like=True, frozen=True):
    """One device to add: its credential, a key package of it, and where its invitation goes."""

    credential: bytes
    key_package: bytes
    origin: str
    inbox: bytes
    inbox_key: bytes

    @staticmethod
    def encode_all(invitees: Sequence[Invitee]) -> bytes:
        """For the store."""
        return msgspec.msgpack.encode(list(invitees))

    @staticmethod
    def decode_all(data: bytes) -> list[Invitee]:
        """From the store."""
        return msgspec.msgpack.decode(data, type=list[Invitee])


async def invitees_of(context: Context, person: Person) -> list[Invitee]:
    """A key package for every device of an account, each checked against the signed device list.

    Raises:
        NoDeviceReachable: none of its devices has one that holds.
    """
    person = await context.directory.refresh(person.account_id, person.origin)
    devices = {device.device_id: device for device in person.devices.devices}
    found: dict[bytes, Invitee] = {}
    for _ in range(CLAIMS_MAX):
        claimed = await context.http(person.origin).claim_key_packages(person.account_id)
        expired = False
        for claim in claimed:
            device = devices.get(claim.device_id)
            if device is None or device.device_id in found:
                continue
            state = _state_of(context, person, device, claim.key_package)
            expired = expired or state is _Package.EXPIRED
            if state is _Package.GENUINE:
                credential = Credential(person.account_id, device.device_id, person.origin).encode()
                found[device.device_id] = Invitee(
                    credential, claim.key_package, person.origin, device.inbox, device.inbox_key
                )
        if not expired:
            break
    if not found:
        raise NoDeviceReachable(f"@{person.handle} has no device that can be invited now; try again later")
    return list(found.values())


class _Package(Enum):
    GENUINE = "genuine"
    EXPIRED = "expired"
    FORGED = "forged"


def _state_of(context: Context, person: Person, device: directory.Device, key_package: bytes) -> _Package:
    try:
        parsed = parse_key_package(key_package)
        parsed.verify(None)
    except MlsError as e:
        log.warning("the directory gave an unusable key package: %s", type(e).__name__)
        return _Package.FORGED
    expected = Credential(person.account_id, device.device_id, person.origin).encode()
    if (parsed.identity, parsed.signature_key) != (expected, device.signature_key):
        return _Package.FORGED
    try:
        parsed.verify(context.now_s())
    except MlsError:
        return _Package.EXPIRED
    return _Package.GENUINE


def deposit_invitations(context: Context, conversation: Conversation, pending: PendingCommit, from_seq: int) -> None:
    """Note the invitations of an accepted commit; must run in the transaction that merges it."""
    if pending.welcome is None:
        return
    welcome = context.store.add_welcome(conversation.id, from_seq, pending.welcome)
    for invitee in Invitee.decode_all(pending.invitees):
        context.store.add_deposit(welcome, invitee.origin, invitee.inbox, invitee.inbox_key)


async def deliver_invitations(context: Context) -> None:
    """Deliver what waits, again and again until cancelled."""
    while True:
        changed = context.changed
        by_server: dict[str, list[DepositRow]] = {}
        for row in context.store.deposits():
            by_server.setdefault(row.origin, []).append(row)
        if not by_server:
            await changed.wait()
            continue
        # One server that cannot be reached must not keep those of another waiting.
        done = await asyncio.gather(*(_deliver_all(context, rows) for rows in by_server.values()))
        if not all(done):
            await asyncio.sleep(RETRY_S)


async def _deliver_all(context: Context, rows: Sequence[DepositRow]) -> bool:
    """Deliver what one server is to get, in order; False when something has to be tried again."""
    for row in rows:
        try:
            await _deliver(context, row)
        except Refused as e:
            if e.is_temporary:
                log.info("an invitation waits: %s", e.code)
                return False
            log.warning("an invitation cannot be delivered: %s", e.code)
            _drop(context, row)
        except (ServerUnreachable, TimeoutError) as e:
            log.info("an invitation waits: %s", type(e).__name__)
            return False
    return True


def _drop(context: Context, row: DepositRow) -> None:
    with context.store.transaction():
        context.store.drop_deposit(row.id)
    context.notify()


async def _deliver(context: Context, row: DepositRow) -> None:
    conversation = context.store.conversation(row.conversation)
    invitation = Invitation(
        origin=conversation.origin,
        stream=conversation.stream,
        from_seq=row.from_seq,
        is_direct=conversation.is_direct,
        title=conversation.title,
        welcome=await _welcome(context, row, conversation.origin),
    )
    record = seal_invitation(invitation, row.inbox_key, row.inbox, pad=limits.padded_size, random=context.random)
    connection = context.connection(row.origin)
    async with asyncio.timeout(30):
        await connection.connected.wait()
    await connection.deposit(StreamId(row.inbox), record)
    _drop(context, row)


async def _welcome(context: Context, row: DepositRow, origin: str) -> bytes | BlobReference:
    if len(row.body) <= WELCOME_INLINE_BYTES_MAX:
        return row.body
    current = next((d.blob for d in context.store.deposits() if d.welcome == row.welcome), None)
    if current is None:
        sealed = seal_file(row.body, context.random)
        digest = await context.http(origin).put_blob(sealed.blob)
        current = msgspec.msgpack.encode([digest, sealed.key, sealed.nonce])
        with context.store.transaction():
            context.store.set_welcome_blob(row.welcome, current)
    return BlobReference(*msgspec.msgpack.decode(current, type=tuple[bytes, bytes, bytes]))
