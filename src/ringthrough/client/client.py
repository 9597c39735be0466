"""The SDK's front door: one device of one account.

    async with Client.open(home) as client:
        bob = await client.conversation_with("@bob")
        await client.send_text(bob, "hello")
        async for message in client.received():
            print(client.sender_of(message), message.text)

The state is unaudited cryptography under test; see docs/threat-model.md for what it promises.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ringthrough.e2ee import content as mimi
from ringthrough.e2ee.inbox import TITLE_CHARS_MAX
from ringthrough.e2ee.mls import CIPHER_SUITE_DEFAULT, Group, create_key_package
from ringthrough.protocol.frames import StreamId

from . import account
from .calls import CallManager
from .context import Context
from .conversation import Conversation
from .errors import ClientError, NoAccount, Refused, ServerUnreachable, UnknownConversation
from .files import fetch_attachment, upload_attachment
from .http import normalise_origin
from .identity import Person, safety_number
from .inbox import Inbox
from .membership import Invitee, deliver_invitations, invitees_of
from .messages import Message, read_message
from .store import ConversationRow, MessageRow, Store

WATCH_S = 0.25
GROUP_ID_DIGITS = 8
ADD_BATCH_MAX = 48
"""Devices added by one commit, so that the commit fits into one record."""


class Client:
    """Use `async with`; inside, the device is online whenever its servers can be reached."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._conversations: dict[int, Conversation] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self.calls = CallManager(context, self.conversation)
        self._dispatched = context.store.last_message()

    @classmethod
    def open(
        cls,
        home: Path,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,  # noqa: TID251  the shell's one clock
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> Self:
        """The account in this folder. Raises NoAccount."""
        store = Store(account.state_path(home))
        if not store.has_profile(account.REGISTERED):
            store.close()
            raise NoAccount("this folder holds no account yet: run `ringthrough account create HANDLE --server URL`")
        return cls(Context(store, account.load_identity(store), clock, random, tls))

    @classmethod
    async def create_account(
        cls,
        home: Path,
        server: str,
        handle: str,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,  # noqa: TID251
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> Self:
        """Register a handle on a server, with this folder as the account's first device.

        Raises:
            AccountExists, Refused(`handle_taken`), ServerUnreachable.
        """
        store = Store(account.state_path(home))
        try:
            own = account.prepare_account(store, normalise_origin(server), handle.removeprefix("@"), random)
        except BaseException:
            store.close()
            raise
        context = Context(store, own, clock, random, tls)
        try:
            await account.register(context)
        except BaseException:
            await context.close()
            raise
        return cls(context)

    async def __aenter__(self) -> Self:
        for row in self.context.store.conversations():
            if row.status != "left":
                self._start(row)
        self._spawn(Inbox(self.context, self._joined, self._is_cut_off).run(), "inbox")
        self._spawn(deliver_invitations(self.context), "invitations")
        self._spawn(account.keep_stock(self.context), "key packages")
        self._spawn(self.calls.run(), "calls")
        self._spawn(self._dispatch(), "dispatch")
        self._spawn(self._watch_store(), "store")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.context.close()
        if self._failure is not None and value is None:
            raise self._failure

    # -- conversations -------------------------------------------------------------------------------------------

    def conversation(self, conversation: int) -> Conversation:
        """A conversation by its local id. Raises UnknownConversation."""
        if conversation not in self._conversations:
            raise UnknownConversation("this device is not in that conversation")
        return self._conversations[conversation]

    def conversations(self) -> list[Conversation]:
        """All that this device is a member of, oldest first."""
        return list(self._conversations.values())

    async def find_person(self, address: str) -> Person:
        """An account by `@handle` on our server, or `@handle@host`. Raises UnknownHandle."""
        handle, _, host = address.removeprefix("@").partition("@")
        origin = normalise_origin(host) if host else self.context.identity.origin
        return await self.context.directory.look_up(handle, origin)

    async def conversation_with(self, address: str) -> Conversation:
        """The one-to-one conversation with somebody, made if there is none."""
        person = await self.find_person(address)
        for conversation in self.conversations():
            if conversation.is_direct and conversation.status != "left":
                accounts = {credential.account_id for _, credential in conversation.members()}
                if accounts == {person.account_id, self.context.identity.account_id}:
                    return conversation
        return await self._create([person], title="", is_direct=True)

    async def create_group(self, title: str, addresses: Sequence[str]) -> Conversation:
        """A group conversation hosted by our server.

        Raises:
            ClientError: the title is empty or too long; and as `add`.
        """
        if not 0 < len(title) <= TITLE_CHARS_MAX:
            raise ClientError(f"a group's title has 1 to {TITLE_CHARS_MAX} characters")
        people = [await self.find_person(address) for address in addresses]
        return await self._create(people, title=title, is_direct=False)

    def find_group(self, name: str) -> Conversation:
        """The group of this title, or the one whose stream id begins with NAME in `#NAME` (at least 8 hex digits).

        Raises:
            UnknownConversation: there is none, or several, since anybody may invite us to a group of any title.
        """
        groups = [c for c in self.conversations() if not c.is_direct and c.status != "left"]
        if len(name) > GROUP_ID_DIGITS and name.startswith("#"):
            found = [c for c in groups if c.stream.hex().startswith(name[1:].lower())]
        else:
            found = [c for c in groups if c.title == name]
        if len(found) == 1:
            return found[0]
        if not found:
            raise UnknownConversation(f"there is no group called {name!r} here; `ringthrough group list` shows them")
        ids = ", ".join("#" + c.stream.hex()[:GROUP_ID_DIGITS] for c in found)
        raise UnknownConversation(f"several groups are called {name!r}; say which: {ids}")

    async def add(self, conversation: Conversation, addresses: Sequence[str]) -> None:
        """Invite all devices of these people; returns once the log holds it.

        Raises:
            UnknownHandle, NoDeviceReachable, IdentityChanged, NotAMember, CommitRefused, ServerUnreachable.
        """
        people = [await self.find_person(address) for address in addresses]
        await self._add_people(conversation, people)

    async def remove(self, conversation: Conversation, addresses: Sequence[str]) -> None:
        """Remove all devices of these people; they read nothing sent after it. Raises as `add`."""
        gone = {(await self.find_person(address)).account_id for address in addresses}
        leaves = {member.leaf for member, credential in conversation.members() if credential.account_id in gone}
        identities = {m.identity for m, _ in conversation.members() if m.leaf in leaves}
        if not identities:
            raise ClientError("nobody of that name is in the conversation")
        await conversation.commit(remove=lambda member: member.identity in identities)

    async def delivered(self) -> None:
        """Wait until every invitation has reached its inbox."""
        while self.context.store.deposits():
            changed = self.context.changed
            self._raise_failure()
            await changed.wait()

    def safety_number_with(self, person: Person) -> str:
        """60 digits to compare in person."""
        return safety_number(self.context.identity.identity_key, person.identity_key)

    # -- messages ------------------------------------------------------------------------------------------------

    async def send_text(self, conversation: Conversation, text: str, in_reply_to: bytes | None = None) -> int:
        """Queue a text, perhaps as a reply to a message's id; returns its local id for `conversation.sent`.

        Raises:
            TooLarge, NotAMember.
        """
        reply_to = None if in_reply_to is None else mimi.MessageId(in_reply_to)
        return await conversation.send(mimi.text_message(self.context.random(16), text, in_reply_to=reply_to))

    async def send_texts(self, conversation: Conversation, texts: Sequence[str]) -> list[int]:
        """Queue several texts by one write to the disk. Raises as `send_text`, and then queues none."""
        return await conversation.send_all([mimi.text_message(self.context.random(16), text) for text in texts])

    async def send_file(self, conversation: Conversation, path: Path) -> int:
        """Encrypt and upload a file, then queue a message that points to it."""
        return await conversation.send(await upload_attachment(self.context, conversation, path))

    async def fetch_file(self, message: Message) -> bytes:
        """The bytes of a received attachment, checked. Raises FileUnreadable."""
        row = self.context.store.conversation(message.conversation)
        return await fetch_attachment(self.context, row.origin, message)

    def messages(self, conversation: Conversation | None = None, *, after: int = 0) -> list[Message]:
        """What this device knows, in local order."""
        rows = self.context.store.messages(conversation.id if conversation else None, after=after)
        return [read_message(row) for row in rows]

    async def received(self, after: int | None = None) -> AsyncIterator[Message]:
        """Messages of others as they arrive, from local id `after` on (default: from now on)."""
        last = self.context.store.last_message() if after is None else after
        while True:
            changed = self.context.changed
            for row in self.context.store.messages(after=last):
                last = row.id
                if row.status == "received":
                    yield read_message(row)
            self._raise_failure()
            await changed.wait()

    def name_of(self, account_id: bytes) -> str:
        """`@handle`, or `@handle@host` for people of other servers."""
        person = self.context.directory.known(account_id)
        if person is None:
            return f"({account_id.hex()[:8]})"
        if person.origin == self.context.identity.origin:
            return f"@{person.handle}"
        return f"@{person.handle}@{person.origin.removeprefix('https://')}"

    # -- inside --------------------------------------------------------------------------------------------------

    async def _create(self, people: Sequence[Person], *, title: str, is_direct: bool) -> Conversation:
        own, now_s = self.context.identity, int(self.context.now_s())
        bundle = create_key_package(
            CIPHER_SUITE_DEFAULT,
            own.credential.encode(),
            own.signature_pair,
            random=self.context.random,
            not_before_s=now_s - account.CLOCK_SLACK_S,
            not_after_s=now_s + account.KEY_PACKAGE_LIFETIME_S,
        )
        invitees = await self._invitees(people, {own.account_id})
        stream = StreamId(self.context.random(16))
        group = Group.create(CIPHER_SUITE_DEFAULT, stream, bundle, random=self.context.random)
        with self.context.store.transaction():
            local = self.context.store.add_conversation(
                stream,
                own.origin,
                is_direct=is_direct,
                title=title,
                status="creating",
                state=group.to_bytes(),
                next_seq=1,
            )
        conversation = self._start(self.context.store.conversation(local))
        await self._invite(conversation, invitees)
        return conversation

    async def _add_people(self, conversation: Conversation, people: Sequence[Person]) -> None:
        present = {credential.account_id for _, credential in conversation.members()}
        await self._invite(conversation, await self._invitees(people, present))

    async def _invitees(self, people: Sequence[Person], present: set[bytes]) -> list[Invitee]:
        invitees: list[Invitee] = []
        for person in people:
            if person.account_id not in present:
                invitees += await invitees_of(self.context, person)
        return invitees

    async def _invite(self, conversation: Conversation, invitees: Sequence[Invitee]) -> None:
        for start in range(0, len(invitees), ADD_BATCH_MAX):
            await conversation.commit(add=invitees[start : start + ADD_BATCH_MAX])

    def _start(self, row: ConversationRow) -> Conversation:
        conversation = self._conversations.get(row.id)
        if conversation is None:
            self._conversations[row.id] = conversation = Conversation(self.context, row)
            self._spawn(conversation.run(), f"conversation {row.id}")
        return conversation

    def _joined(self, row: ConversationRow) -> None:
        """An invitation came: a new conversation, or one that had removed us."""
        self._start(row).look_again()

    def _is_cut_off(self, conversation: int) -> bool:
        known = self._conversations.get(conversation)
        return known is not None and known.is_cut_off

    async def _watch_store(self) -> None:
        """Take up what other processes of this device do: SQLite tells that they did something, not what."""
        seen = self.context.store.data_version()
        while True:
            await asyncio.sleep(WATCH_S)
            if (now := self.context.store.data_version()) == seen:
                continue
            seen = now
            for row in self.context.store.conversations():
                known = self._conversations.get(row.id)
                if row.status != "left" and known is None:
                    self._start(row)
                elif known is not None:
                    known.look_again()
            self.context.notify()

    async def _dispatch(self) -> None:
        """Show every newly stored message to the call manager, and take up conversations other processes made."""
        while True:
            changed = self.context.changed
            for row in self.context.store.messages(after=self._dispatched):
                self._dispatched = row.id
                self._on_stored(row)
            await changed.wait()

    def _on_stored(self, row: MessageRow) -> None:
        if row.status == "received":
            conversation = self._start(self.context.store.conversation(row.conversation))
            self.calls.on_message(row, conversation)

    def _spawn(self, work: object, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure
            self.context.notify()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


async def online(client: Client, timeout_s: float = 15.0) -> None:
    """Wait until the home server is connected. Raises ServerUnreachable."""
    connection = client.context.connection(client.context.identity.origin)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await connection.connected.wait()
            return
    raise ServerUnreachable(f"cannot connect to {connection.origin}: {connection.down_reason}")


__all__ = ["Client", "Refused", "online"]
