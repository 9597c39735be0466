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

from ringthrough.audio.errors import MalformedNote
from ringthrough.e2ee import content as mimi
from ringthrough.e2ee.content.limits import CONTENT_BYTES_MAX
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
from .errors import (
    ClientError,
    CommitRefused,
    ConversationFailed,
    NotAMember,
    Refused,
    ServerUnreachable,
    TooLarge,
)
from .identity import Credential, DeviceUnknown
from .membership import Invitee, deposit_invitations
from .messages import check_notes
from .store import ConversationRow, MessageRow, PendingCommit

log = logging.getLogger(__name__)

TOKEN_LABEL = "ringthrough stream"
SEND_BATCH_MAX = limits.APPEND_RECORDS_MAX
RETRY_S = 1.0
REFUSED_RETRY_S = 20.0


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
        self._own_commits = 0
        self._end: ClientError | None = None
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
        """Receive and send until cancelled; whoever waits for something of this conversation then gets an error.

        Raises:
            ConversationFailed: a defect, with its cause.
        """
        try:
            await self._ensure_stream()
            self._subscription.changed.set()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive(), name="receive")
                tasks.create_task(self._note_openings(), name="openings")
                tasks.create_task(self._send(), name="send")
        except Exception as e:
            cause = e.exceptions[0] if isinstance(e, ExceptionGroup) else e
            self._end = ConversationFailed(f"the conversation stopped: {type(cause).__name__}: {cause}")
            raise self._end from cause
        finally:
            self._end = self._end or ClientError("the client was closed")
            self._advance()

    @property
    def subscription(self) -> Subscription:
        """The stream's subscription, where call media listens for signals."""
        return self._subscription

    def look_again(self) -> None:
        """We have been invited again, or another process of ours has changed the store."""
        self._subscription.changed.set()

    async def caught_up(self) -> None:
        """Wait until everything that the server had at the last opening is processed and we may append.

        Raises:
            NotAMember: this device has been removed, or its capability is of no use any more.
        """
        while self._end is not None or not self._is_caught_up():
            if self.status == "left":
                raise NotAMember("this device was removed from the conversation")
            if self.is_cut_off:
                raise NotAMember(
                    "the server no longer accepts this device in the conversation; ask to be added again"
                )
            await self._progressed()

    @property
    def is_cut_off(self) -> bool:
        """Whether the server lets us go no further: the stream is gone, or all that our capability could read has
        been read and led to no newer one."""
        subscription = self._subscription
        if subscription.refused is not None:
            return not subscription.refused.is_temporary
        row = self.context.store.conversation(self.id)
        if (
            row.status != "active"
            or subscription.opened is None
            or not 0 < subscription.opened.read_to < row.next_seq
        ):
            return False
        return subscription.token == stream_token(self.group())

    def message_id(self, content: bytes, account_id: bytes) -> bytes:
        """The id of an encoded message of this account in this conversation."""
        return mimi.message_id(content, mimi.sender_uri(account_id), mimi.room_uri(self.stream))

    async def send(self, message: mimi.MimiContent) -> int:
        """Queue a message durably; it leaves as soon as the server can be reached. Returns its local id.

        Raises:
            TooLarge: more than a record holds.
            NotAMember: we have been removed.
        """
        return (await self.send_all([message]))[0]

    async def send_all(self, messages: Sequence[mimi.MimiContent]) -> list[int]:
        """Queue several messages at once, all or none. Raises as `send`."""
        try:
            contents = [mimi.encode(message) for message in messages]
        except mimi.ContentError as e:
            if e.reason is not mimi.Reason.TOO_LARGE:
                raise
            raise TooLarge(f"a message is at most {CONTENT_BYTES_MAX} bytes; send it as a file") from e
        own, store = self.context.identity, self.context.store
        with store.transaction():
            if self.status == "left":
                raise NotAMember("this device was removed from the conversation")
            local = [
                store.queue_message(
                    self.id, own.account_id, own.device_id, content, self.message_id(content, own.account_id)
                )
                for content in contents
            ]
        self._wake.set()
        self.context.notify()
        return local

    async def sent(self, message: int) -> MessageRow:
        """Wait until the log holds our message.

        Raises:
            NotAMember: we were removed before it could leave.
        """
        while (row := self.context.store.message(message)).status in ("queued", "sealed"):
            await self._progressed()
        if row.status == "refused":
            raise NotAMember("this device was removed from the conversation before the message could leave")
        return row

    # -- receiving -----------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        while True:
            records = await self._subscription.records.get()
            while not await self._take(records):
                await asyncio.sleep(RETRY_S)
            self.connection.consumed(self._subscription, records)
            self._advance()

    async def _note_openings(self) -> None:
        while True:
            await self._subscription.changed.wait()
            self._subscription.changed.clear()
            await self._show_newest()
            self._advance()

    async def _show_newest(self) -> None:
        """Have the stream open with the capability of the newest epoch, whoever of our processes has entered it."""
        status, subscription = self.status, self._subscription
        is_subscribed = self.connection.is_subscribed(self.stream)
        if status == "left":
            self.connection.unsubscribe(self.stream)
        elif not is_subscribed:
            subscription.refused = None
            await self.connection.subscribe(subscription)
        elif subscription.opened is not None and subscription.token != stream_token(self.group()):
            await self.connection.reopen(self.stream)

    async def _take(self, records: Sequence[frames.Record]) -> bool:
        """Process a batch in one transaction; False when a device list could not be fetched, so try again."""
        try:
            await self.context.directory.with_fresh_devices(lambda check: self._apply_all(records, check))
        except ServerUnreachable as e:
            log.info("a member's server cannot be reached: %s", e)
            return False
        await self._show_newest()
        self.context.notify()
        return True

    def _apply_all(self, records: Sequence[frames.Record], check: CredentialCheck) -> None:
        with self.changing() as group:
            next_seq = self.context.store.conversation(self.id).next_seq
            for record in records:
                if record.seq >= next_seq and group.is_active:
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
            check_notes(meaning)
        except (mimi.ContentError, MalformedNote) as e:
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
        self._own_commits += 1
        deposit_invitations(self.context, self, pending, seq + 1)
        self._epoch_changed(group, self_removed=False)

    def _epoch_changed(self, group: Group, *, self_removed: bool) -> None:
        store = self.context.store
        store.drop_pending_commit(self.id)
        if group.staged is not None:
            group.discard_staged()
        if self_removed:
            store.set_status(self.id, "left")
            store.refuse_unsent(self.id)
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
            level = logging.INFO if refusal.is_temporary else logging.WARNING
            log.log(level, "the server refused an append: %s", refusal.code)
            pause_s = RETRY_S if refusal.is_temporary else REFUSED_RETRY_S
            await asyncio.sleep(max(refusal.retry_after_ms / 1000, pause_s))
        await self.connection.reopen(self.stream)

    # -- commits -------------------------------------------------------------------------------------------------

    async def commit(self, add: Sequence[Invitee] = (), remove: Callable[[Member], bool] | None = None) -> None:
        """Change the membership; returns once it stands in the log, by our commit or by another's.

        When another commit wins the epoch, ours is made again on top of it. A commit that waits from an earlier run
        is seen through first: the server may have accepted it already, and then nothing may take its place.

        Raises:
            NotAMember: this device has been removed.
            CommitRefused: MLS does not allow the change, or the commit would exceed a record.
        """
        async with self._committing:
            while True:
                await self.caught_up()
                await self._until(lambda: self.context.store.pending_commit(self.id) is None or self.status == "left")
                if not self._is_caught_up():
                    continue
                if not await self._staged(add, remove):
                    return
                self._wake.set()

    async def renew_keys(self) -> None:
        """Fresh keys for this device, so that whoever has stolen its old state is locked out. Raises as `commit`."""
        async with self._committing:
            before = self._own_commits
            while self._own_commits == before:
                await self.caught_up()
                await self._until(lambda: self.context.store.pending_commit(self.id) is None or self.status == "left")
                if self._is_caught_up() and self._own_commits == before:
                    await self._staged(always=True)
                    self._wake.set()
                    await self._until(lambda: self.context.store.pending_commit(self.id) is None)

    async def _staged(
        self, add: Sequence[Invitee] = (), remove: Callable[[Member], bool] | None = None, *, always: bool = False
    ) -> bool:
        try:
            return await self.context.directory.with_fresh_devices(
                lambda check: self._stage(add, remove, check, always=always)
            )
        except (MlsError, ValueError) as e:
            raise CommitRefused(f"the membership cannot be changed so: {e}") from e

    def _stage(
        self,
        add: Sequence[Invitee],
        remove: Callable[[Member], bool] | None,
        check: CredentialCheck,
        *,
        always: bool,
    ) -> bool:
        """Stage and save what is still missing; False when nothing is, unless a commit is wanted `always`."""
        with self.changing() as group:
            if self.context.store.pending_commit(self.id) is not None:  # another process was faster
                return True
            own = self.context.identity.credential.encode()
            present = {member.identity for member in group.members}
            new = [invitee for invitee in add if invitee.credential not in present]
            leaves = [m.leaf for m in group.members if remove is not None and remove(m) and m.identity != own]
            if not new and not leaves and not always:
                return False
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
        return True

    async def _push_pending_commit(self) -> None:
        pending = self.context.store.pending_commit(self.id)
        if pending is None or not self._is_caught_up():
            return
        next_hash = TokenHash(pending.next_token_hash)
        connected = self.connection.generation
        await self.connection.append(self.stream, (pending.body,), pending.epoch, next_hash)
        # The next commit may take its place in the same moment.
        await self._until(lambda: self.context.store.pending_commit(self.id) != pending, connected)

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
                if e.code != "stream_exists":  # another process of ours has made it and gone on
                    await asyncio.sleep(max(e.retry_after_ms / 1000, RETRY_S))
                    continue
            except ServerUnreachable:
                await asyncio.sleep(0)
                continue
            with self.context.store.transaction():
                self.context.store.set_status(self.id, "active")

    def _is_caught_up(self) -> bool:
        opened = self._subscription.opened
        row = self.context.store.conversation(self.id)
        if opened is None or not self.connection.is_open(self.stream):
            return False
        may_append = row.status == "active" and bool(opened.rights & frames.Right.APPEND)
        return may_append and row.next_seq > opened.head

    def _advance(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()
        self._wake.set()
        for call in list(self.on_progress):
            call()

    async def _progressed(self) -> None:
        if self._end is not None:
            raise self._end
        await self._progress.wait()

    async def _until(self, condition: Callable[[], bool], connected: int | None = None) -> None:
        """Wait for the log to bring `condition` about; with `connected`, give up when that connection has gone."""
        while not condition():
            if connected is not None and self.connection.generation != connected:
                raise ServerUnreachable(self.connection.down_reason)
            await self._progressed()
