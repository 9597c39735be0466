"""Structured log: one JSON object a line. Events are a closed list and fields are numbers or names from the code, so
that no content, token, handle, account, stream id or address can get in."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from enum import StrEnum
from typing import Any

_LOGGER = logging.getLogger("ringthrough.server")


class Event(StrEnum):
    """All that is ever logged."""

    LISTENING = "listening"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SWEPT = "swept"
    STORE_UNAVAILABLE = "store_unavailable"
    STORE_RECOVERED = "store_recovered"
    UNEXPECTED = "unexpected"
    CONNECTION_STALLED = "connection_stalled"
    CONNECTION_FLOODED = "connection_flooded"


def log(event: Event, **numbers: int | float) -> None:
    """Write one event. Fields are numbers; anything else is refused."""
    for name, value in numbers.items():
        if not isinstance(value, int | float):
            raise TypeError(f"log field {name} is no number")
    level = logging.WARNING if event in (Event.STORE_UNAVAILABLE, Event.UNEXPECTED) else logging.INFO
    _LOGGER.log(level, "%s", json.dumps({"event": event.value, **numbers}))


def log_unexpected(error: BaseException) -> None:
    """A fault of ours: the type and the place in the code. Its text may quote input, so it stays out."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].name}:{frames[-1].lineno}" if frames else "?"
    fields = {"event": Event.UNEXPECTED.value, "type": type(error).__name__, "place": place}
    _LOGGER.warning("%s", json.dumps(fields))


def on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """For `loop.set_exception_handler`, since the loop's own handler would print what the task was doing."""
    error = context.get("exception")
    if isinstance(error, BaseException) and not isinstance(error, ConnectionError):
        log_unexpected(error)


def library_logger() -> logging.Logger:
    """A logger for aiohttp, which would name peers and quote requests: only the type of a fault passes."""
    logger = logging.getLogger("ringthrough.server.http")
    if not logger.filters:
        logger.addFilter(_only_type)
    return logger


def _only_type(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if record.levelno >= logging.ERROR and error is not None:
        log_unexpected(error)
    return False
