"""What has expired goes, in bounded pieces, so that nobody waits behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .blobs import BlobFolder
from .config import ServerConfig
from .log import Event, log, log_unexpected
from .store.port import Store, Unavailable, period_of

SWEEP_ROWS = 500


async def sweep(store: Store, blobs: BlobFolder, config: ServerConfig, now_s: float) -> int:
    """Remove everything that has expired at `now_s` (Unix seconds). Returns how many rows and blobs went."""
    total = 0
    while True:
        gone = await store.expire(int(now_s) - config.record_lifetime_s, period_of(now_s), SWEEP_ROWS)
        total += gone
        if gone < SWEEP_ROWS:
            break
        await asyncio.sleep(0)
    return total + await asyncio.to_thread(blobs.expire, now_s - config.blob_lifetime_s)


async def sweep_forever(store: Store, blobs: BlobFolder, config: ServerConfig, clock: Callable[[], float]) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(config.sweep_interval_s)
        try:
            gone = await sweep(store, blobs, config, clock())
            if gone:
                log(Event.SWEPT, gone=gone)
        except Unavailable:
            log(Event.STORE_UNAVAILABLE)
        except Exception as e:
            log_unexpected(e)
