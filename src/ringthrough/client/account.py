"""Making an account, and keeping its stock of key packages full."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from ringthrough.e2ee.mls import CIPHER_SUITE_DEFAULT, KeyPackageBundle, create_key_package
from ringthrough.protocol import directory, frames, limits

from .connection import Connection
from .context import Context
from .conversation import token_hash
from .errors import AccountExists, Refused, ServerUnreachable
from .http import ServerHttp
from .identity import OwnIdentity, new_identity
from .store import Store

log = logging.getLogger(__name__)

STATE_FILE = "state.sqlite"
IDENTITY = "identity"
REGISTERED = "registered"
STOCKED_S = "stocked_s"
STOCK = 50
STOCK_LOW = 20
KEY_PACKAGE_LIFETIME_S = 90 * 24 * 3600
CLOCK_SLACK_S = 24 * 3600
"""A key package is valid from this long before now, for those whose clocks are behind."""
PRIVATE_KEY_LIFETIME_S = KEY_PACKAGE_LIFETIME_S + limits.RECORD_LIFETIME_S
"""A Welcome made at the end of a key package's life may wait in the inbox for as long as records are kept."""
RESTOCK_EVERY_S = 3600.0
RETRY_S = 5.0
CONNECT_TIMEOUT_S = 15.0


def state_path(home: Path) -> Path:
    """The file that holds everything this device knows."""
    return home / STATE_FILE


def load_identity(store: Store) -> OwnIdentity:
    """Raises NoAccount when there is none."""
    return msgspec.msgpack.decode(store.profile(IDENTITY), type=OwnIdentity)


def prepare_account(store: Store, origin: str, handle: str, random: Callable[[int], bytes]) -> OwnIdentity:
    """Keys for a new account, saved before anything is sent. A registration cut short is taken up with the same keys.

    Raises:
        AccountExists: this folder has an account already.
    """
    if store.has_profile(REGISTERED):
        own = load_identity(store)
        raise AccountExists(f"this folder already holds @{own.handle}; choose another with --home")
    if store.has_profile(IDENTITY):
        own = load_identity(store)
        if (own.handle, own.origin) == (handle, origin):
            return own
    own = new_identity(origin, handle, random)
    with store.transaction():
        store.set_profile(IDENTITY, msgspec.msgpack.encode(own))
    return own


async def register(context: Context) -> None:
    """Inbox, account, first key packages; each step may be repeated.

    Raises:
        Refused: `handle_taken` when somebody else has the handle.
    """
    own, http = context.identity, context.http(context.identity.origin)
    await _create_inbox(context.connection(own.origin), own)
    device_list = own.device_list()
    try:
        await http.create_account(directory.NewAccount(own.handle, device_list))
    except Refused as e:
        if e.code != "handle_taken" or not await _is_ours(http, own):
            raise
    with context.store.transaction():
        context.store.put_account(
            own.account_id, own.origin, own.handle, own.identity_key, 1, device_list.payload, device_list.signature
        )
    await restock(context)
    with context.store.transaction():
        context.store.set_profile(REGISTERED, b"1")


async def restock(context: Context) -> None:
    """Publish key packages until the stock is full, and renew the last-resort one with them. A stock that has lain
    for half of its lifetime is renewed in any case."""
    own, http = context.identity, context.http(context.identity.origin)
    session = await http.sign_in(own.account_id, own.device_id, own.sign)
    missing = STOCK - await http.key_package_count(session)
    is_old = context.now_s() - _stocked_s(context.store) > KEY_PACKAGE_LIFETIME_S / 2
    if missing <= STOCK - STOCK_LOW and not is_old:
        return
    if is_old:
        missing = STOCK
    store, now_s = context.store, int(context.now_s())
    kept = [KeyPackageBundle.from_bytes(bundle) for bundle in store.unpublished_key_packages()][:missing]
    bundles = [_new_key_package(context, last_resort=False) for _ in range(missing - len(kept))]
    last_resort = _new_key_package(context, last_resort=True)
    with store.transaction():
        for bundle in (*bundles, last_resort):
            store.add_key_package(
                bundle.ref,
                bundle.to_bytes(),
                last_resort=bundle is last_resort,
                expires_s=now_s + PRIVATE_KEY_LIFETIME_S,
            )
    published = directory.KeyPackages(tuple(b.key_package for b in (*kept, *bundles)), last_resort.key_package)
    await http.publish_key_packages(session, published)
    with store.transaction():
        store.mark_key_packages_published()
        store.set_profile(STOCKED_S, str(now_s).encode())
        store.retire_last_resorts(last_resort.ref, now_s + limits.RECORD_LIFETIME_S)
        store.prune_key_packages(now_s)


async def keep_stock(context: Context) -> None:
    """Restock now and then, until cancelled."""
    while True:
        pause_s = RESTOCK_EVERY_S
        try:
            await restock(context)
        except (Refused, ServerUnreachable) as e:
            log.info("key packages could not be published: %s", type(e).__name__)
            pause_s = RETRY_S
        await asyncio.sleep(pause_s)


async def _create_inbox(connection: Connection, own: OwnIdentity) -> None:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await connection.connected.wait()
    except TimeoutError:
        raise ServerUnreachable(f"cannot connect to {connection.origin}: {connection.down_reason}") from None
    try:
        await connection.create(own.inbox_stream, frames.StreamKind.INBOX, token_hash(own.inbox_token))
    except Refused as e:
        if e.code != "stream_exists":  # an earlier try made it
            raise


async def _is_ours(http: ServerHttp, own: OwnIdentity) -> bool:
    account = await http.account_by_handle(own.handle)
    return account.account_id == own.account_id


def _stocked_s(store: Store) -> float:
    return float(store.profile(STOCKED_S)) if store.has_profile(STOCKED_S) else float("-inf")


def _new_key_package(context: Context, *, last_resort: bool) -> KeyPackageBundle:
    now_s = int(context.now_s())
    return create_key_package(
        CIPHER_SUITE_DEFAULT,
        context.identity.credential.encode(),
        context.identity.signature_pair,
        random=context.random,
        not_before_s=now_s - CLOCK_SLACK_S,
        not_after_s=now_s + KEY_PACKAGE_LIFETIME_S,
        last_resort=last_resort,
    )
