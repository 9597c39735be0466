"""What the device keeps, table by table, in its state file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .errors import NoAccount
from .state_file import StateFile

MessageStatus = Literal["queued", "sealed", "sent", "received", "refused"]


@dataclass(frozen=True)
class ConversationRow:
    """`state` is the saved MLS group, `version` grows with each change of it, `next_seq` the next record to read."""

    id: int
    stream: bytes
    origin: str
    is_direct: bool
    title: str
    status: str
    state: bytes
    version: int
    next_seq: int


@dataclass(frozen=True)
class MessageRow:
    """`seq` and `received_s` (server's clock) are None until the server has acknowledged the message; `body` is the
    sealed record while it waits for that, and `epoch` the epoch it was sealed in."""

    id: int
    conversation: int
    seq: int | None
    received_s: int | None
    status: MessageStatus
    sender: bytes
    device: bytes
    content: bytes
    message_id: bytes
    body: bytes | None
    body_hash: bytes | None
    epoch: int | None


@dataclass(frozen=True)
class PendingCommit:
    """A staged commit as it was sent."""

    conversation: int
    body: bytes
    epoch: int
    next_token_hash: bytes
    welcome: bytes | None
    invitees: bytes


@dataclass(frozen=True)
class DepositRow:
    """One invitation to deliver to `inbox` on the server `origin`."""

    id: int
    origin: str
    inbox: bytes
    inbox_key: bytes
    welcome: int
    conversation: int
    from_seq: int
    body: bytes
    blob: bytes | None


_CONVERSATION = "id, stream, origin, is_direct, title, status, state, version, next_seq"
_MESSAGE = "id, conversation, seq, received_s, status, sender, device, content, message_id, body, body_hash, epoch"


class Store(StateFile):
    """Opened local state. Methods that change something must run inside `transaction()`."""

    # -- profile ------------------------------------------------------------------------------------------------

    def profile(self, name: str) -> bytes:
        """A value of the profile. Raises NoAccount when it is missing."""
        rows = self._run("SELECT value FROM profile WHERE name = ?", name)
        if not rows:
            raise NoAccount("this folder holds no account yet: run `ringthrough account create HANDLE --server URL`")
        return bytes(rows[0][0])

    def has_profile(self, name: str) -> bool:
        """Whether the profile has this value."""
        return bool(self._run("SELECT 1 FROM profile WHERE name = ?", name))

    def set_profile(self, name: str, value: bytes) -> None:
        """Set a value of the profile."""
        self._run(
            "INSERT INTO profile VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value
        )

    # -- key packages -------------------------------------------------------------------------------------------

    def add_key_package(self, ref: bytes, bundle: bytes, *, last_resort: bool, expires_s: int) -> None:
        """Keep the private half of a key package about to be published."""
        self._run("INSERT INTO key_package VALUES (?, ?, ?, ?, 0)", ref, bundle, int(last_resort), expires_s)

    def key_packages(self) -> list[bytes]:
        """Every bundle we still hold."""
        return [bytes(r[0]) for r in self._run("SELECT bundle FROM key_package")]

    def unpublished_key_packages(self) -> list[bytes]:
        """One-time bundles that were made for a publication whose outcome is unknown, oldest first."""
        return [
            bytes(r[0])
            for r in self._run(
                "SELECT bundle FROM key_package WHERE published = 0 AND last_resort = 0 ORDER BY rowid"
            )
        ]

    def mark_key_packages_published(self) -> None:
        """Everything kept so far has reached the directory."""
        self._run("UPDATE key_package SET published = 1 WHERE published = 0")

    def retire_last_resorts(self, kept_ref: bytes, expires_s: int) -> None:
        """Another last-resort key package took the place of the earlier ones; these open Welcomes still under way
        until `expires_s`."""
        self._run(
            "UPDATE key_package SET expires_s = min(expires_s, ?) WHERE last_resort = 1 AND ref != ?",
            expires_s,
            kept_ref,
        )

    def prune_key_packages(self, now_s: int) -> None:
        """Forget what has expired."""
        self._run("DELETE FROM key_package WHERE expires_s < ?", now_s)

    def forget_key_package(self, ref: bytes) -> None:
        """Its Welcome was used; the last-resort one stays."""
        self._run("DELETE FROM key_package WHERE ref = ? AND last_resort = 0", ref)

    # -- accounts we know ---------------------------------------------------------------------------------------

    def account(self, account_id: bytes) -> tuple[str, str, bytes, int, bytes, bytes] | None:
        """(origin, handle, identity key, version, device list payload, signature)."""
        rows = self._run(
            "SELECT origin, handle, identity_key, version, payload, signature FROM account WHERE account_id = ?",
            account_id,
        )
        return rows[0] if rows else None

    def account_by_handle(self, origin: str, handle: str) -> bytes | None:
        """The id of the account that had this handle on this server when we met it."""
        rows = self._run("SELECT account_id FROM account WHERE origin = ? AND handle = ?", origin, handle)
        return bytes(rows[0][0]) if rows else None

    def put_account(
        self,
        account_id: bytes,
        origin: str,
        handle: str,
        identity_key: bytes,
        version: int,
        payload: bytes,
        signature: bytes,
    ) -> None:
        """Pin an account or take over its newer device list."""
        self._run(
            "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account_id) DO UPDATE SET"
            " handle = excluded.handle, version = excluded.version, payload = excluded.payload,"
            " signature = excluded.signature",
            account_id,
            origin,
            handle,
            identity_key,
            version,
            payload,
            signature,
        )

    # -- conversations ------------------------------------------------------------------------------------------

    def add_conversation(
        self, stream: bytes, origin: str, *, is_direct: bool, title: str, status: str, state: bytes, next_seq: int
    ) -> int:
        """A new conversation; returns its local id."""
        self._run(
            "INSERT INTO conversation (stream, origin, is_direct, title, status, state, version, next_seq)"
            " VALUES (?, ?, ?, ?, ?, ?, 1, ?)",
            stream,
            origin,
            int(is_direct),
            title,
            status,
            state,
            next_seq,
        )
        return self._db.last_insert_rowid()

    def conversations(self) -> list[ConversationRow]:
        """All, oldest first."""
        return [_conversation(r) for r in self._run(f"SELECT {_CONVERSATION} FROM conversation ORDER BY id")]

    def conversation(self, conversation: int) -> ConversationRow:
        """One by local id. Raises KeyError when there is none."""
        rows = self._run(f"SELECT {_CONVERSATION} FROM conversation WHERE id = ?", conversation)
        if not rows:
            raise KeyError(conversation)
        return _conversation(rows[0])

    def conversation_by_stream(self, stream: bytes) -> ConversationRow | None:
        """One by its stream id."""
        rows = self._run(f"SELECT {_CONVERSATION} FROM conversation WHERE stream = ?", stream)
        return _conversation(rows[0]) if rows else None

    def save_group(self, conversation: int, state: bytes) -> int:
        """Save MLS state; returns its new version."""
        rows = self._run(
            "UPDATE conversation SET state = ?, version = version + 1 WHERE id = ? RETURNING version",
            state,
            conversation,
        )
        return int(rows[0][0])

    def set_next_seq(self, conversation: int, next_seq: int) -> None:
        """Records below `next_seq` are dealt with."""
        self._run("UPDATE conversation SET next_seq = ? WHERE id = ?", next_seq, conversation)

    def rejoin(self, conversation: int, state: bytes, next_seq: int) -> None:
        """We were removed and are invited again."""
        self._run(
            "UPDATE conversation SET status = 'active', state = ?, version = version + 1, next_seq = ? WHERE id = ?",
            state,
            next_seq,
            conversation,
        )

    def set_status(self, conversation: int, status: str) -> None:
        """`creating`, `active` or `left`."""
        self._run("UPDATE conversation SET status = ? WHERE id = ?", status, conversation)

    # -- messages -----------------------------------------------------------------------------------------------

    def queue_message(
        self, conversation: int, sender: bytes, device: bytes, content: bytes, message_id: bytes
    ) -> int:
        """A message of ours to be sent; returns its local id."""
        self._run(
            "INSERT INTO message (conversation, status, sender, device, content, message_id)"
            " VALUES (?, 'queued', ?, ?, ?, ?)",
            conversation,
            sender,
            device,
            content,
            message_id,
        )
        return self._db.last_insert_rowid()

    def add_received(
        self,
        conversation: int,
        seq: int,
        received_s: int,
        sender: bytes,
        device: bytes,
        content: bytes,
        message_id: bytes,
        *,
        status: MessageStatus = "received",
    ) -> None:
        """A message of somebody else."""
        self._run(
            "INSERT INTO message (conversation, seq, received_s, status, sender, device, content, message_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            conversation,
            seq,
            received_s,
            status,
            sender,
            device,
            content,
            message_id,
        )

    def unsent(self, conversation: int, limit: int) -> list[MessageRow]:
        """Our oldest messages without an acknowledgement."""
        return [
            _message(r)
            for r in self._run(
                f"SELECT {_MESSAGE} FROM message WHERE conversation = ? AND status IN ('queued', 'sealed')"
                " ORDER BY id LIMIT ?",
                conversation,
                limit,
            )
        ]

    def refuse_unsent(self, conversation: int) -> None:
        """We are no longer a member: what had not left never will."""
        self._run(
            "UPDATE message SET status = 'refused', body = NULL"
            " WHERE conversation = ? AND status IN ('queued', 'sealed')",
            conversation,
        )

    def any_unsent(self, conversation: int, digests: Sequence[bytes]) -> bool:
        """Whether one of these records of ours is not in the log yet."""
        marks = ", ".join("?" * len(digests))
        return bool(
            self._run(
                "SELECT 1 FROM message WHERE conversation = ? AND status = 'sealed'"
                f" AND body_hash IN ({marks}) LIMIT 1",
                conversation,
                *digests,
            )
        )

    def seal_message(self, message: int, body: bytes, body_hash: bytes, epoch: int) -> None:
        """Keep the record exactly as it will be sent, so that a repeated send is the same bytes."""
        self._run(
            "UPDATE message SET status = 'sealed', body = ?, body_hash = ?, epoch = ? WHERE id = ?",
            body,
            body_hash,
            epoch,
            message,
        )

    def mark_sent(self, conversation: int, body_hash: bytes, seq: int, received_s: int) -> bool:
        """Our record has a seq now. False when no message of ours has this hash. A repeat of the same record keeps
        the first seq."""
        rows = self._run(
            "UPDATE message SET status = 'sent', body = NULL,"
            " seq = coalesce(seq, ?), received_s = coalesce(received_s, ?) WHERE conversation = ?"
            " AND body_hash = ? RETURNING id",
            seq,
            received_s,
            conversation,
            body_hash,
        )
        return bool(rows)

    def messages(self, conversation: int | None = None, *, after: int = 0, limit: int = -1) -> list[MessageRow]:
        """Messages with a local id above `after`, in local order; of all conversations when None."""
        where = "id > ?" if conversation is None else "id > ? AND conversation = ?"
        arguments = (after,) if conversation is None else (after, conversation)
        return [
            _message(r)
            for r in self._run(f"SELECT {_MESSAGE} FROM message WHERE {where} ORDER BY id LIMIT ?", *arguments, limit)
        ]

    def message(self, message: int) -> MessageRow:
        """One by local id."""
        return _message(self._run(f"SELECT {_MESSAGE} FROM message WHERE id = ?", message)[0])

    def last_message(self) -> int:
        """The highest local id, 0 when there is none."""
        return int(self._run("SELECT coalesce(max(id), 0) FROM message")[0][0])

    def read_mark(self, reader: str) -> int:
        """The last message that this reader has dealt with, 0 when none."""
        rows = self._run("SELECT message FROM read_mark WHERE reader = ?", reader)
        return int(rows[0][0]) if rows else 0

    def set_read_mark(self, reader: str, message: int) -> None:
        """The reader has dealt with everything up to `message`."""
        self._run(
            "INSERT INTO read_mark VALUES (?, ?)"
            " ON CONFLICT (reader) DO UPDATE SET message = max(message, excluded.message)",
            reader,
            message,
        )

    # -- commits and invitations --------------------------------------------------------------------------------

    def set_pending_commit(self, pending: PendingCommit) -> None:
        """Keep a staged commit until its fate is known."""
        self._run(
            "INSERT OR REPLACE INTO pending_commit VALUES (?, ?, ?, ?, ?, ?)",
            pending.conversation,
            pending.body,
            pending.epoch,
            pending.next_token_hash,
            pending.welcome,
            pending.invitees,
        )

    def pending_commit(self, conversation: int) -> PendingCommit | None:
        """The staged commit of a conversation."""
        rows = self._run(
            "SELECT conversation, body, epoch, next_token_hash, welcome, invitees FROM pending_commit"
            " WHERE conversation = ?",
            conversation,
        )
        return PendingCommit(*rows[0]) if rows else None

    def drop_pending_commit(self, conversation: int) -> None:
        """It was accepted or lost the race."""
        self._run("DELETE FROM pending_commit WHERE conversation = ?", conversation)

    def add_welcome(self, conversation: int, from_seq: int, body: bytes) -> int:
        """A Welcome to deliver; returns its id for `add_deposit`."""
        self._run("INSERT INTO welcome (conversation, from_seq, body) VALUES (?, ?, ?)", conversation, from_seq, body)
        return self._db.last_insert_rowid()

    def add_deposit(self, welcome: int, origin: str, inbox: bytes, inbox_key: bytes) -> None:
        """An inbox that waits for a Welcome."""
        self._run(
            "INSERT INTO deposit (welcome, origin, inbox, inbox_key) VALUES (?, ?, ?, ?)",
            welcome,
            origin,
            inbox,
            inbox_key,
        )

    def deposits(self) -> list[DepositRow]:
        """All that wait, oldest first."""
        rows = self._run(
            "SELECT d.id, d.origin, d.inbox, d.inbox_key, w.id, w.conversation, w.from_seq, w.body, w.blob"
            " FROM deposit d JOIN welcome w ON w.id = d.welcome ORDER BY d.id"
        )
        return [DepositRow(*row) for row in rows]

    def set_welcome_blob(self, welcome: int, blob: bytes) -> None:
        """The Welcome was uploaded; `blob` says how to fetch and open it."""
        self._run("UPDATE welcome SET blob = ? WHERE id = ?", blob, welcome)

    def drop_deposit(self, deposit: int) -> None:
        """It was delivered; the Welcome goes with its last deposit."""
        self._run("DELETE FROM deposit WHERE id = ?", deposit)
        self._run("DELETE FROM welcome WHERE id NOT IN (SELECT welcome FROM deposit)")

    # -- invitations to us --------------------------------------------------------------------------------------

    def keep_invitation(self, body: bytes, expires_s: int, at_most: int) -> None:
        """Keep an inbox record that cannot be dealt with yet; beyond `at_most` the oldest go."""
        self._run("INSERT INTO waiting_invitation (body, expires_s) VALUES (?, ?)", body, expires_s)
        self._run(
            "DELETE FROM waiting_invitation WHERE id NOT IN"
            " (SELECT id FROM waiting_invitation ORDER BY id DESC LIMIT ?)",
            at_most,
        )

    def waiting_invitations(self, now_s: int) -> list[tuple[int, bytes]]:
        """(id, inbox record) of those that have not expired, oldest first."""
        return self._run("SELECT id, body FROM waiting_invitation WHERE expires_s >= ? ORDER BY id", now_s)

    def drop_invitation(self, invitation: int, *, expired_at_s: int = 0) -> None:
        """It was dealt with; those that expired go with it."""
        self._run("DELETE FROM waiting_invitation WHERE id = ? OR expires_s < ?", invitation, expired_at_s)

    # -- calls --------------------------------------------------------------------------------------------------

    def add_call_key(self, call_id: bytes, epoch: int, conversation: int, base_key: bytes, expires_s: int) -> None:
        """Keep a media key until the call is over; once expired, its rows of any call go."""
        self._run(
            "INSERT OR IGNORE INTO call_key VALUES (?, ?, ?, ?, ?)", conversation, call_id, epoch, base_key, expires_s
        )

    def call_keys(self, conversation: int, call_id: bytes) -> list[tuple[int, bytes]]:
        """(epoch, base key), oldest first. A call of the same id in another conversation is another call."""
        return self._run(
            "SELECT epoch, base_key FROM call_key WHERE conversation = ? AND call_id = ? ORDER BY epoch",
            conversation,
            call_id,
        )

    def live_calls(self, conversation: int) -> list[tuple[bytes, int]]:
        """(call id, expires_s) of the calls whose keys we hold."""
        return self._run(
            "SELECT call_id, max(expires_s) FROM call_key WHERE conversation = ? GROUP BY call_id", conversation
        )

    def drop_call_keys(self, conversation: int, call_ids: Sequence[bytes]) -> None:
        """Forget the keys of an ended call."""
        for call_id in call_ids:
            self._run("DELETE FROM call_key WHERE conversation = ? AND call_id = ?", conversation, call_id)

    def prune_call_keys(self, now_s: int) -> None:
        """Forget the keys of calls whose end we never learned."""
        self._run("DELETE FROM call_key WHERE expires_s < ?", now_s)


def _conversation(row: tuple[Any, ...]) -> ConversationRow:
    return ConversationRow(row[0], row[1], row[2], bool(row[3]), *row[4:])


def _message(row: tuple[Any, ...]) -> MessageRow:
    return MessageRow(*row)
