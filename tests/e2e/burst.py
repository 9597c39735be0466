"""A sender that goes on counting: queues numbered messages to somebody, prints `acked N` when N stands in the log.

Run as a program: HOME ADDRESS TOTAL. Started again after a kill, it goes on with the number after the last one
queued, which is all that a person's program could do.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from ringthrough.client.client import Client

WINDOW = 7


async def send_numbers(home: Path, address: str, total: int) -> None:
    """Queue numbers up to `total` in small batches and report what is acknowledged."""
    async with Client.open(home) as client:
        conversation = await client.conversation_with(address)
        numbers = [int(m.text) for m in client.messages(conversation) if m.kind == "text"]
        following = max(numbers, default=-1) + 1
        unsent = [m.id for m in client.messages(conversation) if m.status in ("queued", "sealed")]
        if unsent:
            await conversation.sent(unsent[-1])
            print(f"acked {following - 1}", flush=True)
        while following < total:
            batch = range(following, min(following + WINDOW, total))
            local = [await client.send_text(conversation, str(number)) for number in batch]
            following = batch.stop
            await conversation.sent(local[-1])
            print(f"acked {batch[-1]}", flush=True)
        await client.delivered()


if __name__ == "__main__":
    asyncio.run(send_numbers(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
