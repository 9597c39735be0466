"""What the lab asks of every messenger it measures: place one call in a world, give back what was heard and when.

A driver starts its servers and its two callers inside the world's hosts (`world.inside`), lets the caller place the
call and the callee answer, lets both speak from their files at the pace of real time, and records what each hears.
All times are CLOCK_MONOTONIC in seconds (`time.monotonic()`), which every process of one machine shares, whatever its
network namespace. Everything is stopped when `call` returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lab.worlds.access import World

MODES = "modes"
"""Under this name a driver of ours puts among its notes when each side turned to push-to-talk, and back: by side,
pairs (s since the answer, `notes` or `interactive`)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One direction of a call: what one side heard of the other."""

    wav: Path
    """The recording at the ear: mono, any rate that `read_pcm` reads."""
    spoken_at_s: float
    """When sample 0 of the speech file left the mouth. A microphone hands a frame on when its last sample has been
    spoken: whoever feeds frames earlier counts from one frame before."""
    axis: tuple[tuple[float, float], ...]
    """At least one pair (position in the recording in s, when that position sounded): between and beyond the pairs
    the recording plays at its nominal rate. More than one where playing paused."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """One call. Without `failure`, both directions are there."""

    by_callee: Heard | None = None
    by_caller: Heard | None = None
    answer_to_audio_ms: float | None = None
    """From the callee's answer to the first audio of the caller that the callee heard: the moment playing began, or
    for peers that play silence before, the first sample that is not silence."""
    failure: str | None = None
    """Why no call came to be, or why it ended early; what was recorded until then is kept."""
    notes: Mapping[str, object] = field(default_factory=dict)
    """What the messenger says of itself: carrier, concealed frames, CPU seconds. Written beside the figures."""


class Driver(Protocol):
    """A messenger under test."""

    name: str
    """As the tables call it: `ours`, `webrtc`, `webrtc turn/tls`, `mumble`."""

    async def call(
        self, world: World, speech_by_caller: Path, speech_by_callee: Path, seconds: float, out: Path
    ) -> CallResult:
        """One call from host `alice` to host `bob`, with servers on host `server`, files in the folder `out`.

        Calls `world.restrict()` once everything is there that people have before they call (servers, accounts,
        programs, loaded pages), and opens the connections of the call after it: until then nothing is bent. Calls
        `world.call_begins()` when the callee answers and `world.call_ends()` before it hangs up, `seconds` later:
        the windows of rules (`from_s`, `until_s`) and the bytes on the wire count between them. A call that does not
        come to be is a result with a `failure`, not an exception; exceptions are faults of the lab.
        """
