"""Voice notes of one call on this device: says and plays them while the call can carry no speech.

The rule is `ringthrough.protocol.notes`, what a note is `ringthrough.audio.note`; here they meet the conversation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import numpy as np

from ringthrough.audio.note import NoteMaker, NotePlayer
from ringthrough.audio.pcm import Pcm
from ringthrough.audio.report import Report
from ringthrough.e2ee import content as mimi
from ringthrough.protocol.notes import Heard, Mode, Notes

from .conversation import Conversation
from .errors import ClientError

log = logging.getLogger(__name__)

SECOND_S = 1.0


class CallNotes:
    """`on_change` is called with the new mode whenever it changes."""

    def __init__(self, conversation: Conversation, call_id: bytes) -> None:
        self._conversation = conversation
        self._call_id = call_id
        self._loop = asyncio.get_running_loop()
        self._rule = Notes()
        self._maker = NoteMaker()
        self._player = NotePlayer()
        self._unsent: asyncio.Queue[tuple[bytes, ...]] = asyncio.Queue()
        self._next_number = 0
        self._next_heard = 0
        self.said = 0
        """Notes of speech that are in the outbox."""
        self.on_change: Callable[[Mode], None] = lambda mode: None

    @property
    def are_on(self) -> bool:
        """Whether what is said goes into notes."""
        return self._rule.mode is Mode.NOTES

    @property
    def heard(self) -> int:
        """Notes played to their end."""
        return self._player.played

    def second(self, here: Report, there: Report | None) -> None:
        """A second of the call has passed: what we report, and what the peer has, None if nothing came of it."""
        now_ms = self._loop.time() * 1000
        if self._rule.second(_heard(here), None if there is None else _heard(there), now_ms):
            if not self.are_on and (begun := self._maker.finish()) is not None:
                self._unsent.put_nowait(begun)
            self.on_change(self._rule.mode)
        if self._rule.is_presence_due(now_ms):
            self._rule.said(now_ms)
            self._unsent.put_nowait(())

    def say(self, sound: Pcm) -> None:
        """Take the next slot of what is said while notes are on."""
        if (note := self._maker.push(sound)) is not None:
            self._rule.said(self._loop.time() * 1000)
            self._unsent.put_nowait(note)

    def arrived(self, note: mimi.Note) -> None:
        """Take a checked note of the peer's device in this call; each is played once, and followed."""
        if note.number < self._next_heard:
            return
        self._next_heard = note.number + 1
        if self._rule.noted(self._loop.time() * 1000):
            self.on_change(self._rule.mode)
        if note.packets:
            self._player.push(note.packets)

    def beside(self, sound: Pcm) -> Pcm:
        """Return what is heard in the slot in which frames bring `sound`."""
        note = self._player.pull()
        if note is None:
            return sound
        mixed: Pcm = np.clip(sound.astype(np.int32) + note, -32768, 32767).astype(np.int16)
        return mixed

    async def run(self) -> None:
        """Put notes into the outbox in their order until cancelled; what was begun then leaves as well."""
        try:
            while True:
                await self._send(await self._unsent.get())
        finally:
            if (begun := self._maker.finish()) is not None:
                self._unsent.put_nowait(begun)
            while not self._unsent.empty():
                await self._send(self._unsent.get_nowait())

    async def _send(self, packets: tuple[bytes, ...]) -> None:
        note = mimi.Note(self._call_id, self._next_number, packets)
        try:
            await self._conversation.send(mimi.note_message(self._conversation.context.random(16), note))
        except ClientError as e:
            log.warning("a voice note cannot be sent: %s", e)
            return
        self._next_number += 1
        self.said += bool(packets)


def _heard(report: Report) -> Heard:
    return Heard(report.lost_percent + report.late_percent, report.target_ms)
