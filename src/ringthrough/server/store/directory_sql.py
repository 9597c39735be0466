"""The directory in SQL: every function runs inside a transaction that its caller holds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import apsw

from ringthrough.protocol.errors import ErrorCode

from .port import Refused, StoredAccount

_COLUMNS = "account_id, handle, version, payload, signature"


def create_account(db: apsw.Connection, account: StoredAccount) -> None:
    """See `DirectoryStore.create_account`."""
    kept = account_by_id(db, account.account_id)
    if kept == account:
        return
    if kept is not None:
        raise Refused(ErrorCode.CONFLICT, kept.version)
    if account_by_handle(db, account.handle) is not None:
        raise Refused(ErrorCode.HANDLE_TAKEN)
    db.execute(
        f"INSERT INTO account ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)",
        (account.account_id, account.handle, account.version, account.payload, account.signature),
    )


def account_by_id(db: apsw.Connection, account_id: bytes) -> StoredAccount | None:
    row: Any = db.execute(f"SELECT {_COLUMNS} FROM account WHERE account_id = ?", (account_id,)).fetchone()
    return StoredAccount(*row) if row else None


def account_by_handle(db: apsw.Connection, handle: str) -> StoredAccount | None:
    row: Any = db.execute(f"SELECT {_COLUMNS} FROM account WHERE handle = ?", (handle,)).fetchone()
    return StoredAccount(*row) if row else None


def replace_devices(
    db: apsw.Connection,
    account_id: bytes,
    version: int,
    payload: bytes,
    signature: bytes,
    device_ids: Sequence[bytes],
) -> None:
    """See `DirectoryStore.replace_devices`."""
    kept = account_by_id(db, account_id)
    if kept is None:
        raise Refused(ErrorCode.NOT_FOUND)
    if (kept.version, kept.payload) == (version, payload):
        return
    if version <= kept.version:
        raise Refused(ErrorCode.CONFLICT, kept.version)
    db.execute(
        "UPDATE account SET version = ?, payload = ?, signature = ? WHERE account_id = ?",
        (version, payload, signature, account_id),
    )
    marks = ", ".join("?" * len(device_ids))
    db.execute(
        f"DELETE FROM key_package WHERE account_id = ? AND device_id NOT IN ({marks})", (account_id, *device_ids)
    )


def delete_account(db: apsw.Connection, account_id: bytes) -> None:
    """See `DirectoryStore.delete_account`."""
    db.execute("DELETE FROM key_package WHERE account_id = ?", (account_id,))
    db.execute("DELETE FROM account WHERE account_id = ?", (account_id,))


def add_key_packages(
    db: apsw.Connection,
    account_id: bytes,
    device_id: bytes,
    packages: Sequence[bytes],
    last_resort: bytes | None,
    stock_max: int,
) -> None:
    """See `DirectoryStore.add_key_packages`. A package sent twice is stored once: a one-time package must never be
    given out twice because an answer was lost."""
    if account_by_id(db, account_id) is None:
        raise Refused(ErrorCode.NOT_FOUND)
    insert = (
        "INSERT OR IGNORE INTO key_package (account_id, device_id, last_resort, hash, body) VALUES (?, ?, ?, ?, ?)"
    )
    for body in packages:
        db.execute(insert, (account_id, device_id, 0, hashlib.sha256(body).digest(), body))
    if count_key_packages(db, account_id, device_id) > stock_max:
        raise Refused(ErrorCode.TOO_MANY)
    if last_resort is not None:
        db.execute(
            "DELETE FROM key_package WHERE account_id = ? AND device_id = ? AND last_resort = 1",
            (account_id, device_id),
        )
        db.execute(insert, (account_id, device_id, 1, hashlib.sha256(last_resort).digest(), last_resort))


def count_key_packages(db: apsw.Connection, account_id: bytes, device_id: bytes) -> int:
    row: Any = db.execute(
        "SELECT count(*) FROM key_package WHERE account_id = ? AND device_id = ? AND last_resort = 0",
        (account_id, device_id),
    ).fetchone()
    return int(row[0])


def claim_key_packages(
    db: apsw.Connection, account_id: bytes, device_ids: Sequence[bytes]
) -> list[tuple[bytes, bytes]]:
    """See `DirectoryStore.claim_key_packages`."""
    claimed = []
    for device_id in device_ids:
        row: Any = db.execute(
            "SELECT number, last_resort, body FROM key_package WHERE account_id = ? AND device_id = ?"
            " ORDER BY last_resort, number LIMIT 1",
            (account_id, device_id),
        ).fetchone()
        if row is None:
            continue
        number, last_resort, body = row
        if not last_resort:
            db.execute("DELETE FROM key_package WHERE number = ?", (number,))
        claimed.append((device_id, body))
    return claimed
