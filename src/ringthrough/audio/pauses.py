"""Where a person pauses, also in a room that is never quiet."""

from __future__ import annotations

from .windows import SlidingWindow

QUIET_RMS = 10 ** (-50 / 20)
"""Below this level (-50 dB of full scale) nothing is heard."""
COMPARED_SLOTS = 150
"""Levels are compared with those of the last 3 s: in so long most people pause."""
QUIETEST_SHARE = 0.05
OVER_QUIETEST = 1.5
"""A pause is at most 3.5 dB above the quietest twentieth of them,"""
UNDER_LOUDEST = 0.25
"""and at least 12 dB below the loudest: what never changes, such as a tone, is no pause."""


class Pauses:
    """Tells slots of speech from those between."""

    def __init__(self) -> None:
        self._levels = SlidingWindow(COMPARED_SLOTS)

    def is_pause(self, level: float) -> bool:
        """Take the level of the next slot (root mean square, of full scale); return whether nobody speaks in it."""
        self._levels.add(level)
        if level < QUIET_RMS:
            return True
        room = min(OVER_QUIETEST * self._levels.quantile(QUIETEST_SHARE), UNDER_LOUDEST * self._levels.largest())
        return self._levels.is_full and level <= room
