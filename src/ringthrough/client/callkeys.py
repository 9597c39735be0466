"""Media keys of calls: exported from the epoch that carries the offer, and again from every later epoch while the
call lives, so that a member removed in mid-call hears nothing more (CANNOT-SNOOP-AFTER)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringthrough.e2ee import content as mimi
from ringthrough.e2ee.mls import Group
from ringthrough.e2ee.sframe import CALL_BASE_KEY_BYTES, CALL_EXPORTER_LABEL

if TYPE_CHECKING:
    from .context import Context

CALL_LIFETIME_S = 24 * 3600
"""Keys of calls whose end we never learned are dropped after this."""


def remember_call_key(context: Context, conversation: int, group: Group, meaning: mimi.Meaning, epoch: int) -> None:
    """If the message offers a call, keep its media key; must run in the transaction that stores the message."""
    if not isinstance(meaning, mimi.CallSignal) or not isinstance(meaning.body, mimi.Offer) or epoch != group.epoch:
        return
    context.store.prune_call_keys(int(context.now_s()))
    expires_s = int(context.now_s()) + CALL_LIFETIME_S
    key = group.export(CALL_EXPORTER_LABEL, meaning.body.call_id, CALL_BASE_KEY_BYTES)
    context.store.add_call_key(meaning.body.call_id, epoch, conversation, key, expires_s)


def roll_call_keys(context: Context, conversation: int, group: Group) -> None:
    """Add the new epoch's key to every call under way in this conversation."""
    context.store.prune_call_keys(int(context.now_s()))
    for call_id, expires_s in context.store.live_calls(conversation):
        key = group.export(CALL_EXPORTER_LABEL, call_id, CALL_BASE_KEY_BYTES)
        context.store.add_call_key(call_id, group.epoch, conversation, key, expires_s)
