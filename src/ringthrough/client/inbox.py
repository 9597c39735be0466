"""Our own inbox: invitations become conversations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ringthrough.e2ee.content import ContentError, EncAlg, ExternalPart, HashAlg, open_file
from ringthrough.e2ee.inbox import BlobReference, InboxError, Invitation, open_invitation
from ringthrough.e2ee.mls import CredentialCheck, Group, KeyPackageBundle, MlsError
from ringthrough.e2ee.mls.joining import parse_welcome
from ringthrough.protocol import frames, limits
from ringthrough.protocol.frames import Token

from .connection import Subscription
from .context import Context
from .errors import Refused, ServerUnreachable
from .http import normalise_origin
from .store import ConversationRow

log = logging.getLogger(__name__)

NEXT_SEQ = "inbox_next_seq"
WELCOME_BYTES_MAX = 4 * 1024 * 1024
RETRY_S = 2.0
RETRY_S_MAX = 60.0
PATIENCE_S = 15.0
"""How long one invitation may keep the others waiting."""
WAITING_MAX = 64


class _NotYet(Exception):
    """The invitation may be for later: it waits in the store."""


class Inbox:
    """Reads the inbox and calls `joined` for every new conversation.

    Anybody may leave anything here, so nothing that one record names can hold up the next: what needs a server that
    does not answer is put aside and tried again. `is_cut_off` says whether a conversation, by its local id, has lost
    its stream.
    """

    def __init__(
        self, context: Context, joined: Callable[[ConversationRow], None], is_cut_off: Callable[[int], bool]
    ) -> None:
        self._context = context
        self._joined = joined
        self._is_cut_off = is_cut_off
        self._own = context.identity
        self.subscription = Subscription(self._own.inbox_stream, self._capability)

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(), name="inbox")
            tasks.create_task(self._retry(), name="waiting invitations")

    async def _read(self) -> None:
        connection = self._context.connection(self._own.origin)
        await connection.subscribe(self.subscription)
        while True:
            records = await self.subscription.records.get()
            for record in records:
                if record.seq >= self._next_seq():
                    await self._take(record)
            connection.consumed(self.subscription, records)

    async def _take(self, record: frames.Record) -> None:
        def done() -> None:
            self._set_next_seq(max(self._next_seq(), record.seq + 1))

        if not await self._settled(record.body, done):
            expires_s = int(self._context.now_s()) + limits.RECORD_LIFETIME_S
            with self._context.store.transaction():
                self._context.store.keep_invitation(record.body, expires_s, WAITING_MAX)
                done()
            self._context.notify()

    async def _retry(self) -> None:
        pause_s = RETRY_S
        while True:
            changed = self._context.changed
            waiting = self._context.store.waiting_invitations(int(self._context.now_s()))
            if not waiting:
                pause_s = RETRY_S
                await changed.wait()
                continue
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_S_MAX)
            await asyncio.gather(*(self._settled(body, self._drop(number)) for number, body in waiting))

    def _drop(self, number: int) -> Callable[[], None]:
        now_s = int(self._context.now_s())
        return lambda: self._context.store.drop_invitation(number, expired_at_s=now_s)

    async def _settled(self, body: bytes, done: Callable[[], None]) -> bool:
        """Join or refuse, and call `done` in the same transaction; False when it has to wait."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                row = await self._accept(body, done)
        except (ServerUnreachable, TimeoutError, _NotYet) as e:
            log.info("an invitation waits: %s", type(e).__name__)
            return False
        except (InboxError, MlsError, ContentError, Refused, ValueError) as e:
            if isinstance(e, Refused) and e.is_temporary:
                return False
            log.warning("refused an invitation: %s", type(e).__name__)
            with self._context.store.transaction():
                done()
            self._context.notify()
            return True
        self._joined(row)
        self._context.notify()
        return True

    async def _accept(self, body: bytes, done: Callable[[], None]) -> ConversationRow:
        invitation = open_invitation(body, self._own.inbox_private, self._own.inbox)
        if normalise_origin(invitation.origin) != invitation.origin:
            raise InboxError("the invitation names no server")
        self._context.http(invitation.origin)  # refused here, before anything is joined
        self._check_known(invitation)
        welcome = await self._welcome(invitation)
        return await self._context.directory.with_fresh_devices(
            lambda check: self._join(invitation, welcome, check, done)
        )

    def _check_known(self, invitation: Invitation) -> None:
        """An invitation to a conversation that we have been in goes on where we have read to. While we are still in,
        it waits: perhaps our removal has not been read yet."""
        known = self._context.store.conversation_by_stream(invitation.stream)
        if known is None:
            return
        if invitation.origin != known.origin:
            raise InboxError("the conversation lies on another server")
        is_out = known.status == "left" or self._is_cut_off(known.id)
        if invitation.from_seq < known.next_seq or (invitation.from_seq == known.next_seq and not is_out):
            raise InboxError("an old invitation")
        if not is_out:
            raise _NotYet

    async def _welcome(self, invitation: Invitation) -> bytes:
        if not isinstance(invitation.welcome, BlobReference):
            return invitation.welcome
        reference = invitation.welcome
        blob = await self._context.http(invitation.origin).get_blob(reference.sha256, WELCOME_BYTES_MAX)
        part = ExternalPart(
            content_type="message/mls",
            url="",
            enc_alg=EncAlg.AES_128_GCM,
            key=reference.key,
            nonce=reference.nonce,
            hash_alg=HashAlg.SHA_256,
            content_hash=reference.sha256,
        )
        return open_file(part, blob)

    def _join(
        self, invitation: Invitation, welcome: bytes, check: CredentialCheck, done: Callable[[], None]
    ) -> ConversationRow:
        store = self._context.store
        with store.transaction():
            self._check_known(invitation)
            named = {entry.new_member for entry in parse_welcome(welcome).secrets}
            bundles = [b for b in map(KeyPackageBundle.from_bytes, store.key_packages()) if b.ref in named]
            group = Group.join(welcome, bundles, check=check, now_s=None)
            if group.group_id != invitation.stream:
                raise InboxError("the Welcome is for another conversation than the invitation")
            for bundle in bundles:
                store.forget_key_package(bundle.ref)
            known = store.conversation_by_stream(invitation.stream)
            if known is not None:
                store.rejoin(known.id, group.to_bytes(), invitation.from_seq)
            else:
                store.add_conversation(
                    invitation.stream,
                    invitation.origin,
                    is_direct=invitation.is_direct,
                    title=invitation.title,
                    status="active",
                    state=group.to_bytes(),
                    next_seq=invitation.from_seq,
                )
            done()
            row = store.conversation_by_stream(invitation.stream)
            assert row is not None
            return row

    def _capability(self) -> tuple[Token | None, int]:
        return self._own.inbox_capability, self._next_seq()

    def _next_seq(self) -> int:
        store = self._context.store
        return int(store.profile(NEXT_SEQ)) if store.has_profile(NEXT_SEQ) else 1

    def _set_next_seq(self, next_seq: int) -> None:
        self._context.store.set_profile(NEXT_SEQ, str(next_seq).encode())
