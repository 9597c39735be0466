"""What the server keeps, column by column, and GET /v1/server-knows: the same with the caller's own values.

The columns come from the real schema; each has a reason and an end here, and a test refuses a column without them.
"""

from __future__ import annotations

import functools

import apsw
import msgspec
from aiohttp import web

from ringthrough.protocol import directory
from ringthrough.protocol.errors import ErrorCode

from .http import CONTEXT, Auth, Denied, Route, json_answer, signed_in
from .store.migrate import migrate, shipped_migrations
from .store.port import StoredAccount

STORED: dict[str, tuple[str, str]] = {
    "migration.number": ("which schema files ran", "never: one row for each file"),
    "migration.checksum": ("that the file did not change", "never: one row for each file"),
    "stream.sid": ("short number of the stream, for the index", "with the stream"),
    "stream.id": ("the 16 random bytes a client names", "with the stream: two half-years without use"),
    "stream.kind": ("conversation or inbox", "with the stream"),
    "stream.expired_to": ("the last seq that has expired, so that numbers go on", "with the stream"),
    "stream.kept_period": ("the half-year in which the stream was last wanted", "with the stream"),
    "capability.sid": ("which stream", "with the last record it reads"),
    "capability.epoch": ("which epoch", "with the last record it reads"),
    "capability.token_hash": ("SHA-256 of the token", "with the last record it reads"),
    "capability.read_to": ("the commit that retired it", "with the last record it reads"),
    "record.position": ("order of arrival, for expiry", "30 days"),
    "record.sid": ("which stream", "30 days"),
    "record.seq": ("place in the stream", "30 days"),
    "record.received_s": ("when it was stored, for expiry and for readers", "30 days"),
    "record.body": ("ciphertext", "30 days"),
    "account.account_id": ("16 random bytes", "until the account is deleted"),
    "account.handle": ("what people type", "until the account is deleted"),
    "account.version": ("to refuse an older device list", "until the account is deleted"),
    "account.payload": ("the device list: public keys, inboxes", "until it is replaced or the account is deleted"),
    "account.signature": ("by the account's identity key", "until it is replaced or the account is deleted"),
    "key_package.number": ("order, the oldest is claimed first", "until claimed, replaced or removed"),
    "key_package.account_id": ("whose", "until claimed, replaced or removed"),
    "key_package.device_id": ("which device's", "until claimed, replaced or removed"),
    "key_package.last_resort": ("whether a claim keeps it", "until claimed, replaced or removed"),
    "key_package.hash": ("to store the same package once", "until claimed, replaced or removed"),
    "key_package.body": ("the key package, public keys", "until claimed, replaced or removed"),
    "liveness.id": ("the one row that /health writes", "never: one row"),
    "liveness.commits": ("how often /health wrote", "never: one row"),
    "sqlite_sequence.name": ("SQLite's own: stream numbers are never used twice", "never: one row"),
    "sqlite_sequence.seq": ("the last stream number", "never: one row"),
}
"""Column: why it is kept, and until when."""

_NOT_JOINED = "kept for conversations and inboxes; nothing says which of them are yours"
_OF_THE_SERVER = "the server's own, nothing about you"


class Knowledge(msgspec.Struct, frozen=True):
    """One column: what it is called, why it is kept, until when, and what it holds about the caller."""

    what: str
    why: str
    until: str
    value: str


class ServerKnows(msgspec.Struct, frozen=True):
    """GET /v1/server-knows."""

    rows: tuple[Knowledge, ...]


@functools.cache
def columns() -> tuple[str, ...]:
    """`table.column` of everything at rest, read from the schema that the shipped migrations make."""
    db = apsw.Connection(":memory:")
    migrate(db, shipped_migrations())
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return tuple(f"{table}.{row[1]}" for table in tables for row in db.execute(f"PRAGMA table_info({table})"))


async def server_knows(request: web.Request) -> web.Response:
    """Every column, with this account's own values where there are any."""
    context = request.app[CONTEXT]
    me = signed_in(request)
    stored = await context.store.account_by_id(me.account_id)
    if stored is None:
        raise Denied(ErrorCode.NOT_FOUND, "the account is gone")
    packages = await context.store.count_key_packages(me.account_id, me.device_id)
    own = _account_values(stored) | _key_package_values(me.account_id, me.device_id, packages)
    return json_answer(ServerKnows(tuple(Knowledge(name, *STORED[name], _value(name, own)) for name in columns())))


def _account_values(stored: StoredAccount) -> dict[str, str]:
    devices = directory.SignedDeviceList(stored.payload, stored.signature).verify()
    keys = ", ".join(f"device {d.device_id.hex()} with inbox {d.inbox.hex()}" for d in devices.devices)
    return {
        "account.account_id": stored.account_id.hex(),
        "account.handle": f"@{stored.handle}",
        "account.version": str(devices.version),
        "account.payload": f"identity key {devices.identity_key.hex()}; {keys}",
        "account.signature": stored.signature.hex(),
    }


def _key_package_values(account_id: bytes, device_id: bytes, count: int) -> dict[str, str]:
    kept = f"in each of {count} key packages to be claimed, and in one kept for good"
    return {
        "key_package.number": kept,
        "key_package.account_id": f"{account_id.hex()} {kept}",
        "key_package.device_id": f"{device_id.hex()} {kept}",
        "key_package.last_resort": "1 for one of them, 0 for the others",
        "key_package.hash": kept,
        "key_package.body": kept,
    }


def _value(name: str, own: dict[str, str]) -> str:
    if name in own:
        return own[name]
    table = name.partition(".")[0]
    return _NOT_JOINED if table in ("stream", "capability", "record") else _OF_THE_SERVER


ROUTES = (Route("GET", "/v1/server-knows", Auth.SESSION, server_knows),)
