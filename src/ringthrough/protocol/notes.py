"""When a call that can carry no speech becomes push-to-talk voice notes, and when it turns back.

The rule and its reasons are docs/spec/media.md section 9. Both ends go by the same reports, each decides for itself;
`vectors/notes` holds both languages to it. Time is an argument, in milliseconds of any steady clock.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass

BAD_PERCENT = 15
"""A second is bad when so much of it is lost or late, in either direction."""
BAD_PERCENT_DELAYED = 5
"""Or so much, although playout already waits `DELAY_MS_BAD`."""
DELAY_MS_BAD = 500

GOOD_PERCENT = 12
"""A second is good when no more than this is lost or late: one packet of the lean profile."""
GOOD_PERCENT_DELAYED = 2
"""Or no more than this, that is none, while playout waits `DELAY_MS_BAD`."""

WINDOW_SECONDS = 20
PERCENT_BAD = 20
PERCENT_SUM = 120
"""When the seconds of the window add up to so much, speech is given up: each counts what was lost or late in its
worse direction, a bad one `PERCENT_BAD`. Losses at random leave most seconds good, and yet nobody can talk."""
GOOD_SECONDS = 5
"""So many good ones in a row, and it is tried again."""

REST_MS = 5_000
"""Not sooner than this after it was given up, twice as long each time it is given up again, up to `REST_MS_MAX`."""
REST_MS_MAX = 60_000
STEADY_MS = 60_000
"""Speech that went on for so long counts as a fresh start."""

STOPPED_MS = 2_500
"""Seconds further apart than this were not watched: the device itself was stopped, and nothing is known of them."""

PRESENCE_MS = 8_000
"""Something is said at least this often while speech is given up, so that the other side knows it, and that there is
somebody."""


class Mode(enum.IntEnum):
    """How a call goes."""

    INTERACTIVE = 0
    NOTES = 1


@dataclass(frozen=True, slots=True)
class Heard:
    """One direction in the last second: the share of its sound that was lost or late, and how long playout waits."""

    percent: int
    target_ms: int

    @property
    def is_bad(self) -> bool:
        """Nobody can talk like this."""
        least = BAD_PERCENT if self.target_ms < DELAY_MS_BAD else BAD_PERCENT_DELAYED
        return self.percent >= least

    @property
    def is_good(self) -> bool:
        """Anybody can talk like this."""
        most = GOOD_PERCENT if self.target_ms < DELAY_MS_BAD else GOOD_PERCENT_DELAYED
        return self.percent <= most


class Notes:
    """One device's view of one call. Fed once a second from the first authentic frame on."""

    def __init__(self) -> None:
        self.mode = Mode.INTERACTIVE
        self._lost: deque[int] = deque(maxlen=WINDOW_SECONDS)
        """What each of the last seconds counts for, in percent."""
        self._good_run = 0
        self._changed_ms: float | None = None
        """When the mode changed last."""
        self._watched_ms: float | None = None
        self._said_ms: float | None = None
        """When a note of ours was sent last, None where none was since we gave speech up."""
        self._rest_ms = REST_MS

    def second(self, here: Heard, there: Heard | None, now_ms: float) -> bool:
        """A second has passed: what is heard here, and what the peer last reported, None where it sent nothing
        in this second. Returns whether the mode has changed."""
        if self._watched_ms is not None and now_ms - self._watched_ms > STOPPED_MS:
            self._lost.clear()
            self._good_run = 0
        self._watched_ms = now_ms
        if there is None or here.is_bad or there.is_bad:
            self._lost.append(PERCENT_BAD)
        else:
            self._lost.append(max(here.percent, there.percent))
        is_good = there is not None and here.is_good and there.is_good
        self._good_run = self._good_run + 1 if is_good else 0
        if self.mode is Mode.INTERACTIVE:
            if sum(self._lost) < PERCENT_SUM:
                return False
            self._give_up(now_ms)
            self._said_ms = None
            return True
        if self._good_run < GOOD_SECONDS or now_ms - (self._changed_ms or 0) < self._rest_ms:
            return False
        self._enter(Mode.INTERACTIVE, now_ms)
        return True

    def noted(self, now_ms: float) -> bool:
        """A note of the peer has come: it has given speech up. Returns whether the mode has changed."""
        if self.mode is Mode.NOTES or self._good_run >= GOOD_SECONDS:
            return False  # speech passes: it tells of what is over
        if self._changed_ms is not None and now_ms - self._changed_ms < REST_MS:
            return False  # we have just turned back, and it may have been on its way since before that
        self._give_up(now_ms)
        self._said_ms = now_ms
        return True

    def said(self, now_ms: float) -> None:
        """A note was sent."""
        self._said_ms = now_ms

    def is_presence_due(self, now_ms: float) -> bool:
        """Whether to say, with a note that holds nothing, that we have given speech up, and are here: at once, and
        where no note has told it for a while."""
        if self.mode is Mode.INTERACTIVE:
            return False
        return self._said_ms is None or now_ms - self._said_ms >= PRESENCE_MS

    def _give_up(self, now_ms: float) -> None:
        if self._changed_ms is not None:
            steady = now_ms - self._changed_ms >= STEADY_MS
            self._rest_ms = REST_MS if steady else min(self._rest_ms * 2, REST_MS_MAX)
        self._enter(Mode.NOTES, now_ms)

    def _enter(self, mode: Mode, now_ms: float) -> None:
        self.mode = mode
        self._changed_ms = now_ms
        self._lost.clear()
        self._good_run = 0
