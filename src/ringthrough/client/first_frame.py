"""The first frame of a call that we place: whoever sends sound has answered, before their message says so."""

from __future__ import annotations

from ringthrough.audio import payload
from ringthrough.audio.errors import MalformedPayload
from ringthrough.e2ee.sframe import SFrameError, SFrameReceiver, call_key, open_frame, split_call_kid
from ringthrough.protocol.calls import LeafIndex

from .conversation import Conversation
from .identity import Credential
from .media import SIGNAL_KIND_MEDIA


class FirstFrame:
    """Tells who sealed an authentic frame of the call: a device of the one other account, called and still a member.

    In a conversation of more accounts a third could have sealed it in another's name, so nobody is told there
    (CANNOT-FORGE); and only the newest epoch counts, which a removed member does not know (CANNOT-SNOOP-AFTER).
    """

    def __init__(self, conversation: Conversation, call_id: bytes) -> None:
        self._conversation = conversation
        self._call_id = call_id
        self._called = self._others()

    def author(self, body: bytes) -> LeafIndex | None:
        """The device, or None for everything else."""
        if body[:1] != SIGNAL_KIND_MEDIA or self._conversation.status != "active":
            return None
        keys = self._conversation.context.store.call_keys(self._conversation.id, self._call_id)
        if not keys:
            return None
        epoch, base_key = keys[-1]
        others = self._others()
        may_answer = [leaf for leaf, device in self._called.items() if others.get(leaf) == device]
        receiver = SFrameReceiver(*(call_key(base_key, leaf, epoch) for leaf in may_answer))
        try:
            frame = open_frame(receiver, body[1:])
            payload.decode(frame.payload)
        except (SFrameError, MalformedPayload):
            return None
        return LeafIndex(split_call_kid(frame.kid)[0])

    def _others(self) -> dict[int, Credential]:
        """The devices of the other account, by their place; none where there are more accounts."""
        own = self._conversation.context.identity.account_id
        others = {member.leaf: c for member, c in self._conversation.members() if c.account_id != own}
        return others if len({device.account_id for device in others.values()}) == 1 else {}
