"""What is in a call's way, from what the call itself measured (docs/spec/verdicts.md).

A closed list of verdicts with the words for people. Nothing is sent to find one out: a verdict is what the numbers of
`lane_control`, `lane_plan` and the direct way already say. Pure: times are milliseconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .lane_control import BOOST_BELOW, QUEUEING_MS, Level


class Verdict(StrEnum):
    """What is in the way; the first that holds heads the call screen."""

    SILENT = "silent"
    FROZEN = "frozen"
    COUNTED = "counted"
    NARROW = "narrow"
    LOSSY = "lossy"
    RECONNECTED = "reconnected"
    IDLE_CUT = "idle_cut"
    LANE_LOST = "lane_lost"
    DIRECT_LOST = "direct_lost"
    NARROW_THERE = "narrow_there"
    FAR = "far"
    DIRECT_DEGRADED = "direct_degraded"
    DIRECT_KEYS_BLOCKED = "direct_keys_blocked"
    DIRECT_BLOCKED = "direct_blocked"
    CLEAR = "clear"


class Direct(StrEnum):
    """The direct way between the two devices (UDP), as its carrier tells."""

    OFF = "off"
    TRYING = "trying"
    OPEN = "open"
    BLOCKED = "blocked"
    KEYS_BLOCKED = "keys_blocked"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True)
class Words:
    """Two sentences for people: what is the matter, and what the program does about it."""

    matter: str
    remedy: str


WORDS = {
    Verdict.SILENT: Words(
        "Nothing passes at the moment.", "New connections are tried, one a second; the call goes on when one answers."
    ),
    Verdict.FROZEN: Words(
        "This network freezes each connection after a few kilobytes.",
        "Each connection is replaced before it freezes.",
    ),
    Verdict.COUNTED: Words(
        "This network cuts connections when there are too many.", "No more are opened than it lets live."
    ),
    Verdict.NARROW: Words(
        "This connection is narrow: what is sent waits in a queue.",
        "Nothing is sent twice, and the sound takes less.",
    ),
    Verdict.LOSSY: Words(
        "Packets get lost on the way.", "The sound is sent more than once, over several connections."
    ),
    Verdict.RECONNECTED: Words(
        "The connection broke off and was made anew, as when a device changes its network.",
        "The call went on over the new connection.",
    ),
    Verdict.IDLE_CUT: Words(
        "This network forgets connections that are silent for some seconds.", "None is left silent for so long."
    ),
    Verdict.LANE_LOST: Words("A connection fell silent or was cut.", "The call went on over another one."),
    Verdict.DIRECT_LOST: Words(
        "Direct UDP passed at first and then fell silent.", "The call went on through the message connection."
    ),
    Verdict.NARROW_THERE: Words(
        "The other side's connection is narrow.", "The sound takes less, so that it fits there."
    ),
    Verdict.FAR: Words(
        "The way to the server and back is long.", "Nothing can shorten it; wait a moment before you reply."
    ),
    Verdict.DIRECT_DEGRADED: Words(
        "Direct UDP passes here, but badly.", "The call is carried by the message connection, which is left alone."
    ),
    Verdict.DIRECT_KEYS_BLOCKED: Words(
        "Direct UDP passes here, but the exchange of its keys (DTLS) does not.",
        "The call is carried by the message connection.",
    ),
    Verdict.DIRECT_BLOCKED: Words("Direct UDP does not pass here.", "The call is carried by the message connection."),
    Verdict.CLEAR: Words("Nothing is in the way.", "Nothing needs to be done."),
}

RECENT_MS = 10_000
"""A condition is told for so long after it was last measured: words that flicker help nobody."""
EVENT_MS = 60_000
"""What happened once is told for so long."""
FAR_MS = 300
"""A round trip to the server from which on people fall into each other's words."""
BREAK_MS = 2_000
"""What is missed may be told so long before the silence that it began with."""
AFTER_BREAK_MS = 20_000
"""For so long after a break, what was lost with it still looks like a way that loses packets."""
NARROW_THERE_MS = 6_000
"""Less is sent for so long before it is laid to the other side: it is also for up to 5 s, until either end has found
out whether short packets made answers late."""
WARM_UP_MS = 3_000
"""Before so much of the call was measured nothing is said to be clear."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a call knows of its way at one moment. Counts and rules are those of the whole call."""

    level: Level = Level.NORMAL
    """Of the direction that needs more; LEAN when either is."""
    is_narrow: bool = False
    """Less sound should be sent, if only for a hop further on."""
    miss_share: float = 0.0
    queueing_ms: float = 0.0
    round_trip_ms: float = 0.0
    is_silent: bool = False
    """No lane answers."""
    lanes_opened: int = 1
    lanes_died: int = 0
    """Lanes that were cut, or left because they answered nothing."""
    freeze_bytes: int | None = None
    lanes_max: int | None = None
    idle_cuts: int = 0
    """Connections that were found dead after a pause in which nothing was sent on them."""
    direct: Direct = Direct.OFF


class Watch:
    """Verdicts over one call. `note` takes a sample about once a second, and at each silence."""

    def __init__(self, started_ms: float) -> None:
        self._started_ms = started_ms
        self._last = Sample()
        self._until_ms: dict[Verdict, float] = {}
        self._silent_since_opened: int | None = None
        """How many lanes had been opened when the present silence began."""
        self._is_measured = False
        self._narrow_since_ms: float | None = None
        self._lossy_since_ms = 0.0
        self._was_lossy = False
        """Packets got lost before the present silence, too."""
        self._broken_until_ms = float("-inf")

    def note(self, sample: Sample, now_ms: float) -> None:
        """Take what is known now."""
        last, self._last = self._last, sample
        self._is_measured = True
        self._note_narrow(sample, now_ms)
        if sample.level > Level.NORMAL or (sample.miss_share > BOOST_BELOW and sample.queueing_ms < QUEUEING_MS):
            self._note_loss(now_ms)
        if sample.round_trip_ms >= FAR_MS and sample.queueing_ms < QUEUEING_MS:
            self._tell(Verdict.FAR, now_ms + RECENT_MS)
        if sample.idle_cuts > last.idle_cuts:
            self._tell(Verdict.IDLE_CUT, now_ms + EVENT_MS)
        if last.direct is Direct.OPEN and sample.direct is Direct.BLOCKED:
            self._tell(Verdict.DIRECT_LOST, now_ms + EVENT_MS)
        elif sample.direct is Direct.OFF:
            # It was left on purpose, and what says so came late.
            self._until_ms.pop(Verdict.DIRECT_LOST, None)
        self._note_silence(sample, last, now_ms)

    def _note_narrow(self, sample: Sample, now_ms: float) -> None:
        if not sample.is_narrow:
            self._narrow_since_ms = None
        elif self._narrow_since_ms is None:
            self._narrow_since_ms = now_ms
        if sample.level is Level.LEAN:
            self._tell(Verdict.NARROW, now_ms + RECENT_MS)
        elif self._narrow_since_ms is not None and now_ms - self._narrow_since_ms >= NARROW_THERE_MS:
            self._tell(Verdict.NARROW_THERE, now_ms + RECENT_MS)

    def _note_loss(self, now_ms: float) -> None:
        if now_ms < self._broken_until_ms:
            return
        if now_ms >= self._until_ms.get(Verdict.LOSSY, now_ms):
            self._lossy_since_ms = now_ms
        self._tell(Verdict.LOSSY, now_ms + RECENT_MS)

    def _note_silence(self, sample: Sample, last: Sample, now_ms: float) -> None:
        if sample.is_silent:
            if self._silent_since_opened is None:
                self._silent_since_opened = sample.lanes_opened
                is_told = now_ms < self._until_ms.get(Verdict.LOSSY, now_ms)
                self._was_lossy = is_told and now_ms - self._lossy_since_ms > BREAK_MS
        elif self._silent_since_opened is not None:
            # Back on an old lane it was a pause; back on a new one the old connections were lost.
            if sample.lanes_opened > self._silent_since_opened:
                self._tell(Verdict.RECONNECTED, now_ms + EVENT_MS)
                self._until_ms.pop(Verdict.LANE_LOST, None)
                if not self._was_lossy:
                    self._until_ms.pop(Verdict.LOSSY, None)
                    self._broken_until_ms = now_ms + AFTER_BREAK_MS
            self._silent_since_opened = None
        elif sample.lanes_died > last.lanes_died and Verdict.RECONNECTED not in self._until_ms:
            self._tell(Verdict.LANE_LOST, now_ms + EVENT_MS)

    def _tell(self, verdict: Verdict, until_ms: float) -> None:
        self._until_ms[verdict] = until_ms

    def verdicts(self, now_ms: float) -> tuple[Verdict, ...]:
        """All that hold, the one that matters most first; empty while too little is known."""
        for verdict in [verdict for verdict, until_ms in self._until_ms.items() if now_ms >= until_ms]:
            del self._until_ms[verdict]
        last = self._last
        found = set(self._until_ms)
        if last.is_silent:
            found.add(Verdict.SILENT)
        if last.freeze_bytes is not None:
            found.add(Verdict.FROZEN)
        if last.lanes_max is not None:
            found.add(Verdict.COUNTED)
        if last.direct in DIRECT_VERDICTS and (last.direct is Direct.DEGRADED or Verdict.DIRECT_LOST not in found):
            found.add(DIRECT_VERDICTS[last.direct])
        for verdict in Verdict:
            if verdict in found:
                for explained in EXPLAINS.get(verdict, ()):
                    found.discard(explained)
                    self._until_ms.pop(explained, None)
        if not found and self._is_measured and now_ms - self._started_ms >= WARM_UP_MS:
            found.add(Verdict.CLEAR)
        return tuple(verdict for verdict in Verdict if verdict in found)


DIRECT_VERDICTS = {
    Direct.BLOCKED: Verdict.DIRECT_BLOCKED,
    Direct.KEYS_BLOCKED: Verdict.DIRECT_KEYS_BLOCKED,
    Direct.DEGRADED: Verdict.DIRECT_DEGRADED,
}

EXPLAINS = {
    Verdict.FROZEN: (Verdict.LANE_LOST, Verdict.RECONNECTED, Verdict.IDLE_CUT),
    Verdict.COUNTED: (Verdict.LANE_LOST,),
    Verdict.IDLE_CUT: (Verdict.LANE_LOST,),
    Verdict.NARROW: (Verdict.LOSSY, Verdict.FAR, Verdict.LANE_LOST, Verdict.NARROW_THERE),
    Verdict.LOSSY: (Verdict.LANE_LOST,),
    Verdict.DIRECT_DEGRADED: (Verdict.DIRECT_LOST,),
}
"""What a verdict explains is not told beside it, nor after it."""
