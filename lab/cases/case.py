"""A cell of the lab's table: one call under one restriction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.rules.restriction import NOTHING, Restriction
from ringthrough.protocol.verdicts import Verdict

SPEECH_ENDS_BEFORE_S = 2.0
"""The call goes on so long after the last word, so that what is late is still heard."""

CLEAR = frozenset({Verdict.CLEAR})


@dataclass(frozen=True, slots=True)
class Case:
    """`name` is what the table shows. Alice is the one whose network is restricted."""

    name: str
    restriction: Restriction = NOTHING
    seconds: float = 16.0
    seed: int = 1
    speech: str = "en"
    """A voice of `lab.speech.VOICES`, or `words`."""
    rtt_ms: float = 0.0
    """Between the callers, of the path alone: decides what delay is a conversation."""
    conversation: bool = True
    """Messages pass and 32 kbit/s are left: ours has to be intelligible here."""
    has_udp: bool = True
    """Some UDP passes at some time: a direct way is worth a call of its own."""
    verdicts: frozenset[Verdict] = CLEAR
    """Which verdict is right to head Alice's screen at the end (docs/spec/verdicts.md, section 3), where a direct way
    is tried; several where each is right."""
    verdicts_without_direct: frozenset[Verdict] = CLEAR
    """And for a client that has no direct way: it cannot miss one."""

    @property
    def speech_s(self) -> float:
        """How long each side speaks."""
        return self.seconds - SPEECH_ENDS_BEFORE_S


def find(cases: Sequence[Case], name: str) -> Case:
    """The case of that name. Raises KeyError."""
    for case in cases:
        if case.name == name:
            return case
    raise KeyError(name)
