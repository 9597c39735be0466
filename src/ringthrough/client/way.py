"""What is in a call's way, by what its lanes measure: `ringthrough.protocol.verdicts` has the rules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from ringthrough.protocol.lane_control import Level
from ringthrough.protocol.verdicts import Sample, Verdict, Watch

from .direct import Direct
from .lanes import Lanes

SECOND_S = 1.0


def sample_of(lanes: Lanes, direct: Direct, now_ms: float) -> Sample:
    """What the call knows now; it leaves no connection idle that could be cut. What the lanes measure is not in the
    way of a call that goes directly."""
    controller, plan = lanes.sender.controller, lanes.plan
    whole = Sample(
        lanes_opened=lanes.lanes_opened,
        lanes_died=lanes.lanes_died,
        freeze_bytes=plan.freeze_bytes,
        lanes_max=plan.lanes_max,
        direct=direct.found,
    )
    if direct.carries:
        return whole
    levels = (controller.level, controller.level_back)
    is_lean = Level.LEAN in levels
    return replace(
        whole,
        level=Level.LEAN if is_lean else max(levels),
        is_narrow=is_lean or controller.is_narrow(now_ms),
        miss_share=controller.miss_share(now_ms),
        queueing_ms=max(0.0, controller.queueing_ms(now_ms)),
        round_trip_ms=controller.round_trip_ms,
        is_silent=lanes.is_silent,
    )


class CallWay:
    """The verdicts over one call, from its answer on. `on_change` is called with those that hold, whenever they are
    others than before."""

    def __init__(self, lanes: Lanes, direct: Direct, started_ms: float) -> None:
        self._lanes = lanes
        self._direct = direct
        self._watch = Watch(started_ms)
        self.verdicts: tuple[Verdict, ...] = ()
        """The one that matters most first; empty while too little was measured."""
        self.on_change: Callable[[tuple[Verdict, ...]], None] = lambda verdicts: None

    async def run(self) -> None:
        """Look once a second until cancelled, and when nothing passes any more: it may in a moment."""
        loop = asyncio.get_running_loop()
        self._lanes.on_silence = lambda: self.look(loop.time() * 1000)
        try:
            while True:
                await asyncio.sleep(SECOND_S)
                self.look(loop.time() * 1000)
        finally:
            self._lanes.on_silence = lambda: None

    def look(self, now_ms: float) -> None:
        """Take what the lanes know now."""
        self._watch.note(sample_of(self._lanes, self._direct, now_ms), now_ms)
        verdicts = self._watch.verdicts(now_ms)
        if verdicts != self.verdicts:
            self.verdicts = verdicts
            self.on_change(verdicts)
