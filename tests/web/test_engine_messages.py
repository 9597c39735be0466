"""Messages between real browsers and the SDK: written, answered, changed, across reloads and restarts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from ringthrough.client.client import Client
from ringthrough.services.echo import run_echo
from tests.web.engine_page import Tab

pytestmark = pytest.mark.slow

Profile = Callable[[str], Awaitable[Tab]]
Sdk = Callable[[str], Awaitable[Client]]


async def test_first_message_to_echo(profile: Profile, sdk: Sdk) -> None:
    echo = await sdk("echo")
    import asyncio

    running = asyncio.create_task(run_echo(echo))
    alice = await profile("alice")
    conversation = await alice.call("conversationWith", "@echo")
    sent = await alice.call("sendText", conversation, "Hello, Echo!", None)
    await alice.delivery(conversation, sent, "sent")
    await alice.message(conversation, lambda m: m["delivery"] == "received" and m["body"]["text"] == "Hello, Echo!")
    running.cancel()
