"""Our own inbox: invitations become conversations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ringthrough.e2ee.content import ContentError, EncAlg, ExternalPart, HashAlg, open_file
from ringthrough.e2ee.inbox import BlobReference, InboxError, Invitation, open_invitation
from ringthrough.e2ee.mls import CredentialCheck, Group, KeyPackageBundle, MlsError
from ringthrough.e2ee.mls.joining import parse_welcome
from ringthrough.protocol import frames
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


class Inbox:
    """Reads the inbox and calls `joined` for every new conversation."""

    def __init__(self, context: Context, joined: Callable[[ConversationRow], None]) -> None:
        self._context = context
        self._joined = joined
        self._own = context.identity
        self.subscription = Subscription(self._own.inbox_stream, self._capability)

    async def run(self) -> None:
        """Read until cancelled."""
        connection = self._context.connection(self._own.origin)
        await connection.subscribe(self.subscription)
        while True:
            records = await self.subscription.records.get()
            for record in records:
                while not await self._take(record):
                    await asyncio.sleep(RETRY_S)
            connection.consumed(len(records))

    async def _take(self, record: frames.Record) -> bool:
        """Deal with one record; False when a server that it needs cannot be reached, so try again."""
        if record.seq < self._next_seq():
            return True
        try:
            invitation = open_invitation(record.body, self._own.inbox_private, self._own.inbox)
            normalise_origin(invitation.origin)
            welcome = await self._welcome(invitation)
            row = await self._context.directory.with_fresh_devices(
                lambda check: self._join(record, invitation, welcome, check)
            )
        except ServerUnreachable as e:
            log.info("an invitation waits for a server: %s", type(e).__name__)
            return False
        except (InboxError, MlsError, ContentError, Refused, ValueError) as e:
            log.warning("refused an invitation: %s", type(e).__name__)
            with self._context.store.transaction():
                self._set_next_seq(record.seq + 1)
            return True
        if row is not None:
            self._joined(row)
            self._context.notify()
        return True

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
        self, record: frames.Record, invitation: Invitation, welcome: bytes, check: CredentialCheck
    ) -> ConversationRow | None:
        store = self._context.store
        with store.transaction():
            self._set_next_seq(record.seq + 1)
            known = store.conversation_by_stream(invitation.stream)
            if known is not None and known.status != "left":
                return None
            named = {entry.new_member for entry in parse_welcome(welcome).secrets}
            bundles = [b for b in map(KeyPackageBundle.from_bytes, store.key_packages()) if b.ref in named]
            now_s = self._context.now_s()
            group = Group.join(welcome, bundles, check=check, now_s=now_s)
            if group.group_id != invitation.stream:
                raise InboxError("the Welcome is for another conversation than the invitation")
            for bundle in bundles:
                store.forget_key_package(bundle.ref)
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
            return store.conversation_by_stream(invitation.stream)

    def _capability(self) -> tuple[Token | None, int]:
        return self._own.inbox_capability, self._next_seq()

    def _next_seq(self) -> int:
        store = self._context.store
        return int(store.profile(NEXT_SEQ)) if store.has_profile(NEXT_SEQ) else 1

    def _set_next_seq(self, next_seq: int) -> None:
        self._context.store.set_profile(NEXT_SEQ, str(next_seq).encode())
