"""The line of one call: its connections from the first ring on, so that sound can flow the moment somebody answers.

Nothing is sent as sound before the answer, and what comes is not played.
"""

from __future__ import annotations

import asyncio

from ringthrough.protocol.frames import BundleId
from ringthrough.protocol.limits import BUNDLE_ID_BYTES

from .conversation import Conversation
from .lanes import Lanes


class CallLine:
    """Open until `close`. `lanes.on_body` is whoever listens: nobody while it rings."""

    def __init__(self, conversation: Conversation) -> None:
        bundle = BundleId(conversation.context.random(BUNDLE_ID_BYTES))
        self.lanes = Lanes(conversation.connection, conversation.stream, bundle)
        self._subscription = conversation.subscription
        # Until the server has taken our JOIN, and from a peer without lanes, frames come as signals.
        self._subscription.on_signal = self._on_signal
        self.task = asyncio.create_task(self.lanes.run(), name="call line")
        self.lanes.rehearse()

    def _on_signal(self, body: bytes) -> None:
        self.lanes.take(body)

    def close(self) -> None:
        """The call is over."""
        if self._subscription.on_signal == self._on_signal:
            self._subscription.on_signal = None
        self.task.cancel()
