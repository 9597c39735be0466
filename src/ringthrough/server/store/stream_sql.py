"""Streams in SQL: every function runs inside a transaction that its caller holds."""

from __future__ import annotations

import hmac
from typing import Any

import apsw

from ringthrough.protocol.errors import ErrorCode
from ringthrough.protocol.frames import Record, StreamKind

from .port import KEPT_PERIODS, Opening, Page, Refused

_NO_STREAM = (-1, 0, 0, 0)
_NO_HASH = bytes(32)


def create(db: apsw.Connection, stream: bytes, kind: StreamKind, token_hash: bytes, period: int) -> None:
    """See `StreamStore.create_stream`."""
    row = db.execute(
        "SELECT stream.kind, capability.token_hash FROM stream LEFT JOIN capability"
        " ON capability.sid = stream.sid AND capability.epoch = 0 WHERE stream.id = ?",
        (stream,),
    ).fetchone()
    if row is not None:
        if row[0] == kind and hmac.compare_digest(row[1] or _NO_HASH, token_hash):
            return
        raise Refused(ErrorCode.STREAM_EXISTS)
    db.execute("INSERT INTO stream (id, kind, kept_period) VALUES (?, ?, ?)", (stream, int(kind), period))
    db.execute(
        "INSERT INTO capability (sid, epoch, token_hash) VALUES (?, 0, ?)", (db.last_insert_rowid(), token_hash)
    )


def open_stream(db: apsw.Connection, stream: bytes, token_hash: bytes) -> Opening | None:
    """See `StreamStore.open_stream`. An unknown stream costs the same look-ups as a wrong token."""
    row: Any = db.execute("SELECT sid, kind, expired_to, kept_period FROM stream WHERE id = ?", (stream,)).fetchone()
    sid, kind, expired_to, kept_period = row or _NO_STREAM
    # The index compares hashes of the secret, so its timing tells nothing about the secret; the last word is
    # constant-time all the same.
    capability: Any = db.execute(
        "SELECT epoch, read_to, token_hash FROM capability WHERE sid = ? AND token_hash = ?"
        " ORDER BY epoch DESC LIMIT 1",
        (sid, token_hash),
    ).fetchone()
    ends: Any = db.execute(
        "SELECT (SELECT max(epoch) FROM capability WHERE sid = ?1), (SELECT max(seq) FROM record WHERE sid = ?1)",
        (sid,),
    ).fetchone()
    epoch, last = ends
    matches = hmac.compare_digest(capability[2] if capability else _NO_HASH, token_hash or _NO_HASH)
    if row is None:
        return None
    head = max(expired_to, last or 0)
    if not token_hash and kind == StreamKind.INBOX:
        return Opening(sid, StreamKind.INBOX, None, None, epoch, 0, 0, kept_period)
    if capability is None or not matches:
        return None
    return Opening(sid, StreamKind(kind), capability[0], capability[1], epoch, expired_to + 1, head, kept_period)


def keep(db: apsw.Connection, sid: int, period: int) -> None:
    """See `StreamStore.keep_stream`."""
    db.execute("UPDATE stream SET kept_period = ?2 WHERE sid = ?1 AND kept_period < ?2", (sid, period))


def read(db: apsw.Connection, sid: int, epoch: int, from_seq: int, bytes_max: int) -> Page:
    """See `StreamStore.read`. The capability is looked at in the same moment as the records, so that a commit in
    between cannot let a retired one read on."""
    capability: Any = db.execute(
        "SELECT capability.read_to, stream.expired_to, (SELECT max(seq) FROM record WHERE sid = ?1)"
        " FROM capability JOIN stream ON stream.sid = capability.sid WHERE capability.sid = ?1 AND epoch = ?2",
        (sid, epoch),
    ).fetchone()
    if capability is None:
        return Page((), 0, 0, True)
    read_to, expired_to, last = capability
    end = max(expired_to, last or 0)
    if read_to is not None:
        end = min(end, read_to)
    records: list[Record] = []
    size = 0
    complete = True
    rows: Any = db.execute(
        "SELECT seq, received_s, body FROM record WHERE sid = ? AND seq BETWEEN ? AND ? ORDER BY seq",
        (sid, from_seq, end),
    )
    for seq, received_s, body in rows:
        if records and size + len(body) > bytes_max:
            complete = False
            break
        records.append(Record(seq, received_s, body))
        size += len(body)
    return Page(tuple(records), end, read_to, complete)


def expire(db: apsw.Connection, records_before_s: int, period: int, rows_max: int) -> int:
    """See `Store.expire`. Records go in the order in which they came, so what is left of a stream has no holes."""
    oldest: Any = db.execute(
        "SELECT position, sid, seq, received_s FROM record ORDER BY position LIMIT ?", (rows_max,)
    ).fetchall()
    gone: list[tuple[int, int, int]] = []
    for position, sid, seq, received_s in oldest:
        if received_s >= records_before_s:
            break
        gone.append((position, sid, seq))
    if gone:
        db.execute("DELETE FROM record WHERE position <= ?", (gone[-1][0],))
        expired_to = {sid: seq for _, sid, seq in gone}
        for sid, seq in expired_to.items():
            db.execute(
                "UPDATE stream SET expired_to = ?2, kept_period = max(kept_period, ?3) WHERE sid = ?1",
                (sid, seq, period),
            )
            db.execute("DELETE FROM capability WHERE sid = ? AND read_to <= ?", (sid, seq))
    return len(gone) + _expire_streams(db, period, rows_max - len(gone))


def _expire_streams(db: apsw.Connection, period: int, rows_max: int) -> int:
    unwanted = db.execute(
        "SELECT sid, EXISTS (SELECT 1 FROM record WHERE record.sid = stream.sid) FROM stream"
        " WHERE kept_period < ? LIMIT ?",
        (period - KEPT_PERIODS, rows_max),
    ).fetchall()
    for sid, has_records in unwanted:
        if has_records:
            db.execute("UPDATE stream SET kept_period = ? WHERE sid = ?", (period, sid))
        else:
            db.execute("DELETE FROM capability WHERE sid = ?", (sid,))
            db.execute("DELETE FROM stream WHERE sid = ?", (sid,))
    return len(unwanted)
