"""One conversation: its MLS group, its stream, what we have to send and what we receive.

The log decides. A message or commit of ours counts as accepted when it comes back in the stream, in its place between
those of others; an acknowledgement only says that it will. So every member sees one order, a repeated send is
recognised by its bytes, and nothing is sealed for a new epoch before the log of the old one has been read to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence

from ringthrough.e2ee import content as mimi
from ringthrough.e2ee.mls import (
    ApplicationMessage,
    CommitApplied,
    CredentialCheck,
    Group,
    Member,
    MlsError,
)
from ringthrough.protocol import frames, limits
from ringthrough.protocol.frames import StreamId, Token, TokenHash

from .callkeys import remember_call_key, roll_call_keys
from .connection import Connection, Subscription
from .context import Context
from .errors import NotAMember, Refused, ServerUnreachable, TooLarge
from .identity import Credential, DeviceUnknown
from .membership import Invitee, deposit_invitations
from .store import ConversationRow, MessageRow, PendingCommit

log = logging.getLogger(__name__)

TOKEN_LABEL = "ringthrough stream"
SEND_BATCH_MAX = limits.APPEND_RECORDS_MAX
RETRY_S = 1.0
CONTENT_BYTES_MAX = limits.RECORD_BYTES_MAX - 1024
"""What a record holds besides the framing and signature of MLS."""


def stream_token(group: Group) -> Token:
    """The capability of the group's current epoch (RFC 9420 section 8.5)."""
    return Token(group.export(TOKEN_LABEL, b"", limits.TOKEN_BYTES))


def token_hash(token: bytes) -> TokenHash:
    """What the server keeps of a capability."""
    return TokenHash(hashlib.sha256(token).digest())


class Conversation:
    """`run` keeps it in step with its stream until cancelled."""

    def __init__(self, context: Context, row: ConversationRow) -> None:
        self.context = context
        self.id = row.id
        self.stream = StreamId(row.stream)
        self.is_direct = row.is_direct
        self.title = row.title
        self.connection: Connection = context.connection(row.origin)
        self._subscription = Subscription(self.stream, self._capability)
        self._cached: tuple[int, Group] | None = None
        self._progress = asyncio.Event()
        self._wake = asyncio.Event()
        self._committing = asyncio.Lock()
        self.on_progress: list[Callable[[], None]] = []
        """Called whenever the log has moved on; call media looks for new keys then."""

    # -- the group, always under the store's lock ----------------------------------------------------------------

    @contextlib.contextmanager
    def changing(self) -> Iterator[Group]:
        """The newest group state, saved when the block ends well, unchanged when it raises."""
        cached, self._cached = self._cached, None
        with self.context.store.transaction():
            row = self.context.store.conversation(self.id)
            group = cached[1] if cached is not None and cached[0] == row.version else Group.from_bytes(row.state)
            yield group
            state, version = group.to_bytes(), row.version
            if state != row.state:
                version = self.context.store.save_group(self.id, state)
        self._cached = version, group

    def group(self) -> Group:
        """The newest group state, to read from only."""
        row = self.context.store.conversation(self.id)
        if self._cached is None or self._cached[0] != row.version:
            self._cached = row.version, Group.from_bytes(row.state)
        return self._cached[1]

    @property
    def status(self) -> str:
        """`creating`, `active` or `left`."""
        return self.context.store.conversation(self.id).status

    def members(self) -> list[tuple[Member, Credential]]:
        """Every leaf and the device it stands for."""
        return [(member, Credential.decode(member.identity)) for member in self.group().members]

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Receive and send until cancelled."""
        await self._ensure_stream()
        await self.connection.subscribe(self._subscription)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive(), name="receive")
            tasks.create_task(self._send(), name="send")

    @property
    def subscription(self) -> Subscription:
        """The stream's subscription, where call media listens for signals."""
        return self._subscription

    async def caught_up(self) -> None:
        """Wait until everything that the server had at the last opening is processed and we may append."""
        while not self._is_caught_up():
            if self._subscription.refused is not None and not self._subscription.refused.is_temporary:
                raise NotAMember("the server no longer accepts this device's capability for the conversation")
            await self._progressed()

    def message_id(self, content: bytes, account_id: bytes) -> bytes:
        """The id of an encoded message of this account in this conversation."""
        return mimi.message_id(content, mimi.sender_uri(account_id), mimi.room_uri(self.stream))

    async def send(self, message: mimi.MimiContent) -> int:
        """Queue a message durably; it leaves as soon as the server can be reached. Returns its local id.

        Raises:
            TooLarge: more than a record holds.
            NotAMember: we have been removed.
        """
        content = mimi.encode(message)
        if len(content) > CONTENT_BYTES_MAX:
            raise TooLarge(f"a message is at most {CONTENT_BYTES_MAX} bytes; send it as a file")
        if self.status == "left":
            raise NotAMember("this device was removed from the conversation")
        own = self.context.identity
        message_id = self.message_id(content, own.account_id)
        with self.context.store.transaction():
            local = self.context.store.queue_message(self.id, own.account_id, own.device_id, content, message_id)
        self._wake.set()
        self.context.notify()
        return local

    async def sent(self, message: int) -> MessageRow:
        """Wait until the log holds our message."""
        while (row := self.context.store.message(message)).status in ("queued", "sealed"):
            await self._progressed()
        return row

    # -- receiving -----------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        opening = asyncio.create_task(self._note_openings())
        try:
            while True:
                records = await self._subscription.records.get()
                while not await self._take(records):
                    await asyncio.sleep(RETRY_S)
                self.connection.consumed(len(records))
                self._advance()
        finally:
            opening.cancel()

    async def _note_openings(self) -> None:
        while True:
            await self._subscription.changed.wait()
            self._subscription.changed.clear()
            self._advance()

    async def _take(self, records: Sequence[frames.Record]) -> bool:
        """Process a batch in one transaction; False when a device list could not be fetched, so try again."""
        before = self.group().epoch
        try:
            await self.context.directory.with_fresh_devices(lambda check: self._apply_all(records, check))
        except ServerUnreachable as e:
            log.info("a member's server cannot be reached: %s", e)
            return False
        if self.group().epoch != before:
            with contextlib.suppress(ServerUnreachable):
                await self.connection.reopen(self.stream)
        self.context.notify()
        return True

    def _apply_all(self, records: Sequence[frames.Record], check: CredentialCheck) -> None:
        with self.changing() as group:
            next_seq = self.context.store.conversation(self.id).next_seq
            for record in records:
                if record.seq >= next_seq:
                    self._apply(group, record, check)
            self.context.store.set_next_seq(self.id, max(next_seq, records[-1].seq + 1))

    def _apply(self, group: Group, record: frames.Record, check: CredentialCheck) -> None:
        store = self.context.store
        digest = hashlib.sha256(record.body).digest()
        if store.mark_sent(self.id, digest, record.seq, record.received_s):
            return
        pending = store.pending_commit(self.id)
        if pending is not None and hashlib.sha256(pending.body).digest() == digest:
            self._own_commit_accepted(group, pending, record.seq)
            return
        try:
            now_s = min(record.received_s, self.context.now_s())
            event = group.process(record.body, check=check, now_s=now_s)
        except DeviceUnknown:
            raise
        except MlsError as e:
            log.warning("refused a record: %s", type(e).__name__)
            return
        if isinstance(event, ApplicationMessage):
            self._received(group, record, event)
        elif isinstance(event, CommitApplied):
            self._epoch_changed(group, self_removed=event.self_removed)

    def _received(self, group: Group, record: frames.Record, event: ApplicationMessage) -> None:
        sender = Credential.decode(event.sender.identity)
        try:
            message = mimi.decode(event.data)
            mimi.check_context(message, mimi.sender_uri(sender.account_id), mimi.room_uri(self.stream))
            mimi.check_expiry(message, self.context.now_s())
            meaning = mimi.interpret(message)
        except mimi.ContentError as e:
            log.warning("refused a message's content: %s", type(e).__name__)
            return
        self.context.store.add_received(
            self.id,
            record.seq,
            record.received_s,
            sender.account_id,
            sender.device_id,
            event.data,
            self.message_id(event.data, sender.account_id),
        )
        remember_call_key(self.context, self.id, group, meaning, event.epoch)

    def _own_commit_accepted(self, group: Group, pending: PendingCommit, seq: int) -> None:
        group.merge_staged()
        deposit_invitations(self.context, self, pending, seq + 1)
        self._epoch_changed(group, self_removed=False)

    def _epoch_changed(self, group: Group, *, self_removed: bool) -> None:
        store = self.context.store
        store.drop_pending_commit(self.id)
        if group.staged is not None:
            group.discard_staged()
        if self_removed:
            store.set_status(self.id, "left")
            return
        roll_call_keys(self.context, self.id, group)

    # -- sending -------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._push_pending_commit()
                while self._is_caught_up() and await self._send_batch():
                    pass
            except ServerUnreachable:
                pass  # the next opening wakes us
            except Refused as e:
                await self._after_refusal(e)
                continue
            await self._wake.wait()

    async def _send_batch(self) -> bool:
        """Send the oldest messages that wait; False when there are none."""
        bodies = self._seal_batch()
        if not bodies:
            return False
        connected = self.connection.generation
        await self.connection.append(self.stream, bodies)
        digests = [hashlib.sha256(body).digest() for body in bodies]
        await self._until(lambda: not self.context.store.any_unsent(self.id, digests), connected)
        return True

    def _seal_batch(self) -> tuple[bytes, ...]:
        if self.status != "active" or not self.context.store.unsent(self.id, 1):
            return ()
        bodies: list[bytes] = []
        with self.changing() as group:
            for row in self.context.store.unsent(self.id, SEND_BATCH_MAX):
                body = row.body if row.status == "sealed" and row.epoch == group.epoch else None
                if body is None:
                    body = self._seal(group, row)
                if sum(map(len, bodies)) + len(body) > limits.APPEND_BYTES_MAX:
                    break
                bodies.append(body)
        return tuple(bodies)

    def _seal(self, group: Group, row: MessageRow) -> bytes:
        body = group.protect(row.content, random=self.context.random, pad=limits.padded_size)
        self.context.store.seal_message(row.id, body, hashlib.sha256(body).digest(), group.epoch)
        remember_call_key(self.context, self.id, group, mimi.interpret(mimi.decode(row.content)), group.epoch)
        return body

    async def _after_refusal(self, refusal: Refused) -> None:
        """A conflict resolves itself once the winning commit has been read; the rest after a pause and a re-open."""
        if refusal.is_conflict:
            epoch = self.group().epoch
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S):
                    await self._until(lambda: self.group().epoch != epoch)
        else:
            log.info("the server refused an append: %s", refusal.code)
            await asyncio.sleep(max(refusal.retry_after_ms / 1000, RETRY_S))
        with contextlib.suppress(ServerUnreachable):
            await self.connection.reopen(self.stream)

    # -- commits -------------------------------------------------------------------------------------------------

    async def commit(self, add: Sequence[Invitee] = (), remove: Callable[[Member], bool] | None = None) -> None:
        """Change the membership; returns once our commit stands in the log.

        When another commit wins the epoch, ours is made again on top of it.
        """
        async with self._committing:
            while True:
                await self.caught_up()
                if not await self._stage(add, remove):
                    return
                self._wake.set()
                epoch = self.group().epoch
                await self._until(lambda: self.context.store.pending_commit(self.id) is None)
                if self._won(epoch, add, remove):
                    return

    async def _stage(self, add: Sequence[Invitee], remove: Callable[[Member], bool] | None) -> bool:
        own = self.context.identity.credential.encode()
        present = {member.identity for member in self.group().members}
        new = [invitee for invitee in add if invitee.credential not in present]
        leaves = [m.leaf for m in self.group().members if remove is not None and remove(m) and m.identity != own]
        if (add or remove is not None) and not new and not leaves:
            return False
        await self.context.directory.with_fresh_devices(lambda check: self._stage_now(new, leaves, check))
        return True

    def _stage_now(self, new: Sequence[Invitee], leaves: Sequence[int], check: CredentialCheck) -> None:
        with self.changing() as group:
            if group.staged is not None:
                group.discard_staged()
            staged = group.commit(
                add=[invitee.key_package for invitee in new],
                remove=leaves,
                random=self.context.random,
                check=check,
                now_s=self.context.now_s(),
                pad=limits.padded_size,
            )
            next_token = staged.export(TOKEN_LABEL, b"", limits.TOKEN_BYTES)
            self.context.store.set_pending_commit(
                PendingCommit(
                    self.id,
                    staged.commit,
                    group.epoch,
                    token_hash(next_token),
                    staged.welcome,
                    Invitee.encode_all(new),
                )
            )

    async def _push_pending_commit(self) -> None:
        pending = self.context.store.pending_commit(self.id)
        if pending is None or not self._is_caught_up():
            return
        next_hash = TokenHash(pending.next_token_hash)
        connected = self.connection.generation
        await self.connection.append(self.stream, (pending.body,), pending.epoch, next_hash)
        await self._until(lambda: self.context.store.pending_commit(self.id) is None, connected)

    def _won(self, epoch: int, add: Sequence[Invitee], remove: Callable[[Member], bool] | None) -> bool:
        """Whether what we wanted is so now, by our commit or by another's."""
        if not add and remove is None:
            return self.group().epoch > epoch
        present = {member.identity for member in self.group().members}
        gone = remove is None or not any(remove(m) for m in self.group().members)
        return gone and all(invitee.credential in present for invitee in add)

    # -- the stream ----------------------------------------------------------------------------------------------

    def _capability(self) -> tuple[Token | None, int]:
        row = self.context.store.conversation(self.id)
        return stream_token(self.group()), row.next_seq

    async def _ensure_stream(self) -> None:
        """Finish a creation that was cut short."""
        while self.status == "creating":
            await self.connection.connected.wait()
            first_hash = token_hash(stream_token(self.group()))
            try:
                await self.connection.create(self.stream, frames.StreamKind.CONVERSATION, first_hash)
            except Refused as e:
                if e.code != "stream_exists":
                    await asyncio.sleep(max(e.retry_after_ms / 1000, RETRY_S))
                    continue
            except ServerUnreachable:
                continue
            with self.context.store.transaction():
                self.context.store.set_status(self.id, "active")

    def _is_caught_up(self) -> bool:
        opened = self._subscription.opened
        if opened is None or not self.connection.is_open(self.stream):
            return False
        next_seq = self.context.store.conversation(self.id).next_seq
        return bool(opened.rights & frames.Right.APPEND) and next_seq > opened.head

    def _advance(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()
        self._wake.set()
        for call in list(self.on_progress):
            call()

    async def _progressed(self) -> None:
        await self._progress.wait()

    async def _until(self, condition: Callable[[], bool], connected: int | None = None) -> None:
        """Wait for the log to bring `condition` about; with `connected`, give up when that connection has gone."""
        while not condition():
            if connected is not None and self.connection.generation != connected:
                raise ServerUnreachable(self.connection.down_reason)
            await self._progressed()
