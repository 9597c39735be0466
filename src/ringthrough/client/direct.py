"""The SDK has no direct channel: whoever offers one is told so, and the call stays on the lanes."""

from __future__ import annotations

from ringthrough.e2ee.content.errors import ContentError
from ringthrough.e2ee.direct import DirectMessage, decode_direct, direct_base_key, encode_direct
from ringthrough.e2ee.sframe import (
    SFrameError,
    SFrameReceiver,
    SFrameSender,
    call_key,
    open_frame,
    seal_frame,
)


class DirectRefusal:
    """Signalling of one call's direct channel, docs/spec/media.md section 8.2."""

    def __init__(self, peer_leaf: int, frame_bytes: int) -> None:
        self._peer_leaf = peer_leaf
        self._frame_bytes = frame_bytes
        self._receiver = SFrameReceiver()
        self._sender: SFrameSender | None = None

    def take_key(self, base_key: bytes, own_leaf: int, epoch: int) -> None:
        """The call's base key of another epoch, in place of the one before; the counter goes on."""
        direct = direct_base_key(base_key)
        self._receiver = SFrameReceiver(call_key(direct, self._peer_leaf, epoch))
        start = 0 if self._sender is None else self._sender.counter_next
        self._sender = SFrameSender(call_key(direct, own_leaf, epoch), counter_start=start)

    def answer(self, sealed: bytes) -> bytes | None:
        """The sealed refusal of a sealed offer; None for what asks nothing, is forged, repeated or malformed."""
        try:
            asked = decode_direct(open_frame(self._receiver, sealed).payload)
        except (SFrameError, ContentError):
            return None
        if asked.kind not in ("offer", "ask") or self._sender is None:
            return None
        return seal_frame(self._sender, encode_direct(DirectMessage("refuse", asked.attempt)), self._frame_bytes)
