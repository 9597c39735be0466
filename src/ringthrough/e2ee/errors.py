"""The error tree of media frames and message content. MLS has a tree of its own in `e2ee.mls`.

    E2eeError
        SFrameError      a sealed frame, see `e2ee.sframe`
        ContentError     a message's content, see `e2ee.content.errors`

Every concrete error has a `reason`: a short name that specs, test vectors and other implementations share. Whoever
catches one may rely on this: nothing was changed by the refused input.
"""

from __future__ import annotations


class E2eeError(Exception):
    """Input refused. `reason` is its stable name."""

    reason: str = "e2ee"
