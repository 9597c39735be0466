"""Calls on this device: the signalling machine joined to messages, timers and media.

All rules are in `ringthrough.protocol.calls`; here its actions are carried out.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Callable

from ringthrough.audio.pcm import SAMPLE_RATE_HZ, SLOT_MS
from ringthrough.audio.profiles import ORDINARY
from ringthrough.e2ee import content as mimi
from ringthrough.protocol import calls as machine
from ringthrough.protocol.calls import CallEvent, CallId, CallMachine, ConversationId, EndReason, LeafIndex
from ringthrough.protocol.limits import PADDED_SIZES_BYTES
from ringthrough.protocol.notes import Mode
from ringthrough.protocol.verdicts import Verdict

from .callline import CallLine
from .context import Context
from .conversation import Conversation
from .direct import News, OpenPeer, Peer
from .errors import CallFailed, ClientError
from .first_frame import FirstFrame
from .identity import Credential
from .media import AudioSink, AudioSource, CallMedia, MediaStats
from .store import MessageRow

MEDIA = mimi.MediaParams(
    sample_rate_hz=SAMPLE_RATE_HZ,
    frame_ms=ORDINARY.slots * SLOT_MS,
    bitrate_bps=ORDINARY.bitrate_bps,
    frame_bytes=PADDED_SIZES_BYTES[0],
)

log = logging.getLogger(__name__)


class Call:
    """One call as the application sees it. Wait for `answered`, `rings_there` or `ended`."""

    def __init__(self, manager: CallManager, conversation: Conversation, call_id: CallId, *, incoming: bool) -> None:
        self._manager = manager
        self.conversation = conversation
        self.call_id = call_id
        self.call_ids = {call_id}
        self.incoming = incoming
        self.caller: Credential | None = None
        self.rings_there = asyncio.Event()
        self.answered = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[EndReason] = loop.create_future()
        self.stats = MediaStats()
        self.line: CallLine | None = None
        """The connections of the call, from the first ring on."""
        self.media: CallMedia | None = None
        """The sound of the call, once it is answered."""
        self.on_mode: Callable[[Mode], None] = lambda mode: None
        """Called when the call becomes voice notes, since nothing interactive passes, and when it turns back."""
        self.on_verdicts: Callable[[tuple[Verdict, ...]], None] = lambda verdicts: None
        """Called when others hold than before, the one that matters most first (docs/spec/verdicts.md)."""
        self.shows_address = False
        """Whether the other side may learn this device's address, so that the call goes directly between the two
        where UDP passes; to be set before the answer. It needs the extra `direct`, and a conversation of two
        accounts."""
        self.on_way: Callable[[bool], None] = lambda carries: None
        """Called when the sound begins to go directly between the two devices, and when it does no more."""
        self.on_refused: Callable[[], None] = lambda: None
        """Called once where `shows_address`, when the other side says that it does not connect directly."""
        self.answered_at_s: float | None = None
        self.source: AudioSource | None = None
        self.sink: AudioSink | None = None

    def answer(self, source: AudioSource, sink: AudioSink) -> None:
        """Take an incoming call."""
        self.source, self.sink = source, sink
        self.answered_at_s = asyncio.get_running_loop().time()
        self._manager.input(lambda m, now_ms: m.answer(now_ms))

    def decline(self) -> None:
        """Refuse an incoming call."""
        self._manager.input(lambda m, now_ms: m.decline(now_ms))

    def hang_up(self) -> None:
        """End the call, or give up calling."""
        self._manager.input(lambda m, now_ms: m.hang_up(now_ms))


class CallManager:
    """At most one call at a time. `ring` is called for an incoming call; it decides when to answer or decline.
    Without it this device takes no part in calls of others. `missed` is called for one that ended unanswered."""

    def __init__(self, context: Context, conversations: Callable[[int], Conversation]) -> None:
        self._context = context
        self._conversations = conversations
        self._machine: CallMachine | None = None
        self._call: Call | None = None
        self._media: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._outgoing: asyncio.Queue[tuple[Conversation, machine.Send]] = asyncio.Queue()
        self._confirming: set[asyncio.Task[None]] = set()
        self.ring: Callable[[Call], None] | None = None
        self.missed: Callable[[Call], None] | None = None

    async def run(self) -> None:
        """Send call events until cancelled, then end what is left of a call."""
        try:
            while True:
                conversation, send = await self._outgoing.get()
                try:
                    local = await conversation.send(self._message(conversation, send))
                except ClientError as e:
                    log.warning("a call event cannot be sent: %s", e)
                    self._outgoing.task_done()
                    self._fail_later(send)
                    continue
                # In the outbox they keep their order; one slow server must not hold up the calls of another.
                task = asyncio.create_task(self._confirm(conversation, local))
                self._confirming.add(task)
                task.add_done_callback(self._confirming.discard)
        finally:
            self._stop()
            await asyncio.gather(*self._stopping(), return_exceptions=True)

    async def _confirm(self, conversation: Conversation, local: int) -> None:
        try:
            await conversation.sent(local)
        except ClientError as e:
            log.info("a call event did not leave: %s", e)
        finally:
            self._outgoing.task_done()

    def _fail_later(self, send: machine.Send) -> None:
        """We cannot take part in the call any more; a hangup that cannot leave changes nothing."""
        if (
            send.kind is not machine.Kind.HANGUP
            and self._machine is not None
            and self._machine.call_id == send.call_id
        ):
            self.input(lambda m, now_ms: m.fail(now_ms))

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._media is not None:
            self._media.cancel()
        for task in self._confirming:
            task.cancel()
        if self._call is not None and self._machine is not None:
            self._end(self._call, EndReason.FAILED)

    def _stopping(self) -> list[asyncio.Task[None]]:
        return [*self._confirming, *self._closing, *([self._media] if self._media is not None else [])]

    async def settled(self) -> None:
        """Wait until every call event that we made is on the server."""
        await self._outgoing.join()

    def place(
        self, conversation: Conversation, source: AudioSource, sink: AudioSink, *, shows_address: bool = False
    ) -> Call:
        """Call everybody in the conversation; the first device that answers takes it. `shows_address`: see `Call`.

        Raises:
            CallFailed: there is a call already, or we are no longer in the conversation.
        """
        if conversation.status == "left":
            raise CallFailed("this device was removed from the conversation")
        if self._machine is not None:
            raise CallFailed("there is a call already; hang it up first")
        call_id = CallId(self._context.random(machine.CALL_ID_BYTES))
        self._call = call = Call(self, conversation, call_id, incoming=False)
        call.source, call.sink, call.shows_address = source, sink, shows_address
        self._machine = CallMachine(LeafIndex(conversation.group().own_leaf))
        first = FirstFrame(conversation, call_id)
        self._open_line(call).lanes.on_body = lambda body: self._on_first(body, first, call)
        name = ConversationId(conversation.stream)
        self.input(lambda m, now_ms: m.place(call_id, name, now_ms))
        return call

    def on_message(self, row: MessageRow, conversation: Conversation) -> None:
        """Look at a received message; call events go to the machine, notes of the call to its media."""
        meaning = mimi.interpret(mimi.decode(row.content))
        if isinstance(meaning, mimi.VoiceNote):
            self._on_note(meaning.note, row, conversation)
            return
        event = self._call_event(meaning, row, conversation)
        if event is None:
            return
        if self._machine is None:
            if event.kind is not machine.Kind.OFFER or self.ring is None or event.own:
                return
            self._machine = CallMachine(LeafIndex(conversation.group().own_leaf))
            self._call = Call(self, conversation, event.call_id, incoming=True)
            self._call.caller = self._credential(row, conversation)
        self.input(lambda m, now_ms: m.remote(event, now_ms))

    def _on_note(self, note: mimi.Note, row: MessageRow, conversation: Conversation) -> None:
        """Only the peer's device is heard in a call (CANNOT-FORGE); every other note waits in the conversation."""
        call = self._call
        if call is None or call.media is None or call.conversation is not conversation:
            return
        if note.call_id == call.call_id and self._leaf(row, conversation) == call.media.peer_leaf:
            call.media.notes.arrived(note)
            self._heard()

    def _leaf(self, row: MessageRow, conversation: Conversation) -> int | None:
        leaves = {(c.account_id, c.device_id): member.leaf for member, c in conversation.members()}
        return leaves.get((row.sender, row.device))

    def _credential(self, row: MessageRow, conversation: Conversation) -> Credential | None:
        for _, credential in conversation.members():
            if (credential.account_id, credential.device_id) == (row.sender, row.device):
                return credential
        return None

    def input(self, step: Callable[[CallMachine, int], list[machine.Action]]) -> None:
        """Give the machine an input and carry out what it says."""
        if self._machine is None or self._call is None:
            return
        call = self._call
        actions = step(self._machine, self._server_now_ms(call.conversation))
        # A frame takes one trip; a message is signed and stored on its way, and waits until the frame has left.
        for action in sorted(actions, key=lambda action: not isinstance(action, machine.StartAudio)):
            self._carry_out(action, call)
        self._set_timer()

    def _carry_out(self, action: machine.Action, call: Call) -> None:
        match action:
            case machine.Send():
                conversation = self._by_stream(action.conversation) or call.conversation
                self._outgoing.put_nowait((conversation, action))
            case machine.Ring():
                self._open_line(call)
                if self.ring is not None:
                    self.ring(call)
            case machine.ShowRinging():
                call.rings_there.set()
            case machine.StartAudio():
                call.call_ids.add(action.call_id)
                call.call_id = action.call_id  # another than ours after two calls crossed
                self._start_media(call, action.peer)
            case machine.StopAudio():
                if self._media is not None:
                    self._media.cancel()
            case machine.Ended():
                self._end(call, action.reason)
            case machine.Refused():
                log.debug("call input refused: %s", action.what)
            case machine.StopRinging():
                pass

    def _start_media(self, call: Call, peer: LeafIndex) -> None:
        assert call.source is not None, "a call starts with its devices chosen"
        assert call.sink is not None
        assert call.line is not None, "its line is open since it began to ring"
        open_peer = _opens_peers() if call.shows_address else None
        lanes = call.line.lanes
        media = CallMedia(
            call.conversation, call.call_id, peer, call.source, call.sink, lanes, self._heard, open_peer
        )
        media.notes.on_change = lambda mode: call.on_mode(mode)
        media.way.on_change = lambda verdicts: call.on_verdicts(verdicts)
        media.direct.on_way = lambda carries: call.on_way(carries)
        media.direct.on_refused = lambda: call.on_refused()
        call.media, call.stats = media, media.stats
        call.answered.set()
        self._media = asyncio.create_task(media.run(), name="call media")
        self._media.add_done_callback(self._media_done)

    def _open_line(self, call: Call) -> CallLine:
        call.line = line = CallLine(call.conversation)
        line.task.add_done_callback(self._line_done)
        return line

    def _on_first(self, body: bytes, first: FirstFrame, call: Call) -> None:
        """A frame came while we call."""
        leaf = first.author(body)
        if leaf is None or call is not self._call:
            return
        self.input(lambda m, now_ms: m.frame_opened(leaf, now_ms))
        if call.media is not None and call.line is not None:
            call.line.lanes.on_body(body)

    def _line_done(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if task.cancelled() or (failure := task.exception()) is None:
            return
        log.error("the call's line failed: %s", _reason(failure))
        if self._call is not None and self._call.line is not None and task is self._call.line.task:
            self.input(lambda m, now_ms: m.fail(now_ms))

    def _media_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (failure := task.exception()) is None:
            return
        log.error("call media failed: %s", _reason(failure))
        if task is self._media:
            self.input(lambda m, now_ms: m.fail(now_ms))

    def _heard(self) -> None:
        self.input(lambda m, now_ms: m.audio_heard(now_ms))

    def _end(self, call: Call, reason: EndReason) -> None:
        self._machine = self._call = None
        if call.line is not None:
            self._closing.add(call.line.task)
            call.line.close()
        with self._context.store.transaction():
            self._context.store.drop_call_keys(call.conversation.id, list(call.call_ids))
        if not call.ended.done():
            call.ended.set_result(reason)
        if call.incoming and self.missed is not None and reason in (EndReason.MISSED, EndReason.EXPIRED_OFFER):
            self.missed(call)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._machine is None or self._call is None or self._machine.deadline_ms is None:
            return
        delay_ms = self._machine.deadline_ms - self._server_now_ms(self._call.conversation)
        self._timer = asyncio.get_running_loop().call_later(max(delay_ms, 1) / 1000, self.tick)

    def tick(self) -> None:
        """Time has passed. Called by the loop when the call's next deadline has come."""
        self.input(lambda m, now_ms: m.tick(now_ms))

    def _server_now_ms(self, conversation: Conversation) -> int:
        return int(self._context.now_s() * 1000) + conversation.connection.clock_offset_ms

    def _by_stream(self, stream: bytes) -> Conversation | None:
        row = self._context.store.conversation_by_stream(stream)
        return self._conversations(row.id) if row is not None else None

    def _message(self, conversation: Conversation, send: machine.Send) -> mimi.MimiContent:
        """The message for an event; an offer is dated by the server's clock."""
        body: mimi.CallBody
        match send.kind:
            case machine.Kind.OFFER:
                now_ms = self._server_now_ms(conversation)
                body = mimi.Offer(send.call_id, now_ms, now_ms + machine.OFFER_LIFETIME_MS, (MEDIA,))
            case machine.Kind.RINGING:
                body = mimi.Ringing(send.call_id)
            case machine.Kind.ANSWER:
                body = mimi.Answer(send.call_id)
            case machine.Kind.DECLINE:
                body = mimi.Decline(send.call_id)
            case machine.Kind.BUSY:
                body = mimi.Busy(send.call_id)
            case machine.Kind.HANGUP:
                assert send.reason is not None, "a hangup says why"
                body = mimi.Hangup(send.call_id, send.reason.value, send.to_leaf)
        return mimi.call_message(self._context.random(16), body)

    def _call_event(self, meaning: mimi.Meaning, row: MessageRow, conversation: Conversation) -> CallEvent | None:
        """The event in a stored message, if it holds one and its sender is still a member."""
        if not isinstance(meaning, mimi.CallSignal) or conversation.status != "active":
            return None
        body = meaning.body
        leaf = self._leaf(row, conversation)
        if leaf is None:
            return None
        hangup = body if isinstance(body, mimi.Hangup) else None
        # The offer's own date is authenticated; the server's time for the record is not.
        sent_ms = body.expires_ms - machine.OFFER_LIFETIME_MS if isinstance(body, mimi.Offer) else 0
        return CallEvent(
            kind=machine.Kind(body.kind),
            call_id=CallId(body.call_id),
            conversation=ConversationId(conversation.stream),
            leaf=LeafIndex(leaf),
            own=row.sender == self._context.identity.account_id,
            sent_ms=sent_ms,
            reason=machine.HangupReason(hangup.reason if hangup else "hung_up"),
            to_leaf=LeafIndex(hangup.to_leaf) if hangup and hangup.to_leaf is not None else None,
        )


def _opens_peers() -> OpenPeer | None:
    """What makes direct channels here; None without the extra `direct`."""
    if importlib.util.find_spec("aiortc") is None:
        log.warning("no direct channel is made: install ringthrough[direct]")
        return None
    return _open_peer


async def _open_peer(news: News) -> Peer:
    # It takes the third of a second to import, in which no sound would be sent.
    module = await asyncio.to_thread(importlib.import_module, "ringthrough.client.direct_peer")
    return module.AiortcPeer(news)  # type: ignore[no-any-return]


def _reason(failure: BaseException) -> str:
    if isinstance(failure, BaseExceptionGroup):
        return "; ".join(_reason(inner) for inner in failure.exceptions)
    return f"{type(failure).__name__}: {failure}"
