"""@echo: answers every message with the same words and every call with the caller's own voice, a moment later.

An account like any other, on the public SDK; the shortest example of a service.
"""

from __future__ import annotations

import logging
from collections import deque

from ringthrough.audio.pcm import SLOT_MS, SLOT_SAMPLES, Pcm, silence
from ringthrough.client.calls import Call
from ringthrough.client.client import Client
from ringthrough.client.errors import ClientError
from ringthrough.client.media import Pace
from ringthrough.client.messages import Message

log = logging.getLogger(__name__)

HANDLE = "echo"
ECHO_DELAY_MS = 1200
READER = "echo"
GREETING = "This is @echo. Write, and I repeat it; call, and you hear yourself."


class Echo:
    """Loudspeaker and microphone of one call at once: what comes in goes out `ECHO_DELAY_MS` later."""

    def __init__(self) -> None:
        self._slots: deque[Pcm] = deque(
            [silence(SLOT_SAMPLES)] * (ECHO_DELAY_MS // SLOT_MS), maxlen=2 * ECHO_DELAY_MS // SLOT_MS
        )
        self._pace: Pace | None = None

    def write(self, slot: Pcm) -> None:
        """Take what the caller said."""
        self._slots.append(slot)

    async def read(self) -> Pcm | None:
        """Say what the caller said."""
        self._pace = self._pace or Pace()
        await self._pace.tick()
        return self._slots.popleft() if self._slots else silence(SLOT_SAMPLES)


async def run_echo(client: Client) -> None:
    """Answer until cancelled. `client` must be online (`async with`)."""
    client.calls.ring = answer
    store = client.context.store
    async for message in client.received(after=store.read_mark(READER)):
        try:
            await reply(client, message)
        except ClientError as e:
            log.warning("could not reply: %s", type(e).__name__)
        with store.transaction():
            store.set_read_mark(READER, message.id)


def answer(call: Call) -> None:
    """Take every call."""
    echo = Echo()
    call.answer(echo, echo)


async def reply(client: Client, message: Message) -> None:
    """Repeat a text; say what one is for anything else that a person sent. What is a reply itself stays without one,
    or two of our kind in a group would talk for ever."""
    if message.in_reply_to is not None or message.sender == client.context.identity.account_id:
        return
    conversation = client.conversation(message.conversation)
    if message.kind == "text":
        await client.send_text(conversation, message.text, in_reply_to=message.message_id)
    elif message.kind in ("file", "unknown"):
        await client.send_text(conversation, GREETING, in_reply_to=message.message_id)
