"""The direct channel of one call: when it is tried, what the devices say to each other about it, and what goes on it.

All rules are in `ringthrough.protocol.carriers` (docs/spec/media.md section 8); WebRTC is behind `Peer`. Keys stay
here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum
from typing import Any, Protocol

from ringthrough.e2ee.content.errors import ContentError
from ringthrough.e2ee.direct import (
    Description,
    DirectMessage,
    Kind,
    decode_direct,
    direct_base_key,
    encode_direct,
)
from ringthrough.e2ee.sframe import (
    HEADER_BYTES_MAX,
    LENGTH_BYTES,
    SIGNAL_KIND_BYTES,
    TAG_BYTES,
    SFrameError,
    SFrameReceiver,
    SFrameSender,
    call_key,
    decode_header,
    open_frame,
    seal_frame,
)
from ringthrough.protocol.carriers import STOPPED_MS, Arrivals, Attempts, Carriers, Step, Way
from ringthrough.protocol.limits import padded_size
from ringthrough.protocol.verdicts import Direct as Found

log = logging.getLogger(__name__)

FRAME, ANSWER = b"\x01", b"\x02"
SEQ_BYTES, BEHIND_BYTES = 4, 2
STEP_S = 0.1
BEGIN_MS = 1000
"""Attempts begin no closer to one another, whatever the other side offers or asks."""
UNREAD_MS = 20
"""So long after this device was stopped itself, what came meanwhile has been read."""
REFUSAL_S = 1.0
"""An end of the channel is told so much later: a refusal may explain it."""
REFUSED_AGAIN_S = (1.0, 3.0, 7.0)
"""When a refusal that nobody asked for is said again: nobody would miss it."""


class Heard(Enum):
    """What became of a sealed frame that came."""

    NEW = 0
    COPY = 1
    REFUSED = 2


class Peer(Protocol):
    """WebRTC's half of one attempt: a data channel, negotiated, with id 0, unordered, never retransmitted."""

    async def offer(self) -> Description:
        """Describe this end."""

    async def answer(self, offer: Description) -> Description:
        """Connect to who offered, and describe this end."""

    async def accept(self, answer: Description) -> None:
        """Connect to who answered the offer."""

    def send(self, message: bytes) -> None:
        """On the open channel, now or never."""

    async def close(self) -> None:
        """Nothing is heard of it from now on."""


class News(Protocol):
    """What a peer tells of its attempt."""

    def path_found(self) -> None:
        """ICE has found a path; keys are exchanged next."""

    def keys_heard(self) -> None:
        """Some of the keys' exchange has come: nobody keeps it from beginning."""

    def opened(self) -> None:
        """The channel takes messages."""

    def received(self, message: bytes) -> None:
        """A message came."""

    def closed(self) -> None:
        """It failed, or ended."""


OpenPeer = Callable[[News], Awaitable[Peer]]


class Outside(Protocol):
    """What the channel needs of its call."""

    @property
    def has_room(self) -> bool:
        """Whether something more may be tried beside the call."""

    def signal_on_lanes(self, sealed: bytes) -> bool:
        """Send signalling; False when no lane takes it now."""

    def frame_on_lanes(self, sealed: bytes) -> bool:
        """Send a frame; False when it was dropped."""

    def open_frame(self, sealed: bytes) -> Heard:
        """Open a frame that came on the channel, and play it."""


class _Attempt:
    """One attempt, and its channel. What comes of one that is over is no news."""

    def __init__(self, direct: Direct, number: int, *, is_described: bool) -> None:
        self._direct = direct
        self.number = number
        self.is_described = is_described
        """Both ends are: only then does it say something of the network that no channel opens."""
        self.has_path = self.has_heard_keys = self.is_open = False
        self.peer: Peer | None = None

    @property
    def _is_current(self) -> bool:
        return self._direct.attempt is self

    def path_found(self) -> None:
        self.has_path = True

    def keys_heard(self) -> None:
        self.has_heard_keys = True

    def opened(self) -> None:
        if self._is_current and not self.is_open:
            self.is_open = True
            self._direct.channel_opened()

    def received(self, message: bytes) -> None:
        self._direct.received(message)

    def closed(self) -> None:
        if self._is_current:
            self._direct.channel_ended()


class Direct:
    """Both halves of one call's direct channel at this device. Where `open_peer` is None there is none, no address is
    gathered, and every offer is refused. The device with the lower leaf index offers."""

    def __init__(self, own_leaf: int, peer_leaf: int, outside: Outside, open_peer: OpenPeer | None) -> None:
        self._own_leaf = own_leaf
        self._peer_leaf = peer_leaf
        self._outside = outside
        self._open_peer = open_peer
        self._offers = own_leaf < peer_leaf
        self._carriers = Carriers()
        self._arrivals = Arrivals()
        self._attempts = Attempts(offers=self._offers)
        self._receiver = SFrameReceiver()
        self._sender: SFrameSender | None = None
        self._loop = asyncio.get_running_loop()
        self._last = 0
        """The newest attempt's number."""
        self._began_ms = float("-inf")
        """When it began."""
        self._offered: tuple[int, Description] | None = None
        """The peer's newest offer, until an attempt may begin."""
        self._is_asking = False
        """The other side is to offer again, and has not been told yet."""
        self._ticked_ms = self._judges_ms = float("-inf")
        self.attempt: _Attempt | None = None
        self._is_peer_here = False
        self._is_over = False
        self._timers: list[asyncio.TimerHandle] = []
        self._explaining: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.found = Found.OFF
        """What is known of direct UDP between the two."""
        self.on_way: Callable[[bool], None] = lambda carries: None
        """Called when frames begin to go on the channel alone, and when they do no more."""
        self._told_carries = False
        self.on_refused: Callable[[], None] = lambda: None
        """Called once, when the other side says that it does not connect directly."""
        self._told_refused = False

    @property
    def carries(self) -> bool:
        """Whether frames go on the channel alone."""
        return self._carriers.way is Way.DIRECT

    @property
    def is_open(self) -> bool:
        """Whether there is a channel: frames may come twice."""
        return self.attempt is not None and self.attempt.is_open

    @property
    def frames(self) -> int:
        """Sent on the channel so far."""
        return self._carriers.frames_direct

    async def run(self) -> None:
        """Try for a channel until cancelled."""
        try:
            while True:
                await asyncio.sleep(STEP_S)
                self._step()
        finally:
            self._is_over = True
            for timer in (*self._timers, self._explaining, self._ticking):
                if timer is not None:
                    timer.cancel()
            attempt, self.attempt = self.attempt, None
            if attempt is not None:
                self._leave_peer(attempt)
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def take_key(self, base_key: bytes, epoch: int, old_key_s: float) -> None:
        """The call's base key of another epoch; what the one before sealed is opened for `old_key_s` longer. The
        counter goes on."""
        direct = direct_base_key(base_key)
        for old in self._receiver.kids:
            self._timers.append(self._loop.call_later(old_key_s, self._receiver.forget, old))
        self._receiver.add_key(call_key(direct, self._peer_leaf, epoch))
        start = 0 if self._sender is None else self._sender.counter_next
        self._sender = SFrameSender(call_key(direct, self._own_leaf, epoch), counter_start=start)

    def peer_is_here(self) -> None:
        """A frame of the peer was opened: it is in the call, and hears us."""
        if self._is_peer_here:
            return
        self._is_peer_here = True
        if self._open_peer is not None:
            self._attempts.wanted(self._now_ms())
        else:
            self._refuse_unasked()

    def forbid(self) -> None:
        """There is no channel in this call any more."""
        if self._open_peer is None:
            return
        self._open_peer = None
        self._offered = None
        self._refused()
        if self._is_peer_here:
            self._refuse_unasked()

    def _refuse_unasked(self) -> None:
        # Until the other side has offered it need not be told: its offer is answered.
        if not self._offers and self._last == 0:
            return
        self._refuse()
        self._timers += [self._loop.call_later(after_s, self._refuse) for after_s in REFUSED_AGAIN_S]

    def network_changed(self) -> None:
        """This device has lost an address: what was found there is worth nothing."""
        if not self._is_peer_here or self._open_peer is None or self._is_over:
            return
        if self.attempt is not None:
            self._end_channel()
        self._attempts.wanted(self._now_ms())
        self._cancel_explaining()
        self._show(Found.OFF)
        self._is_asking = not self._offers

    # Frames

    def send(self, sealed: bytes) -> bool:
        """Send a frame whichever way is the better now; False when it was dropped."""
        self._tick()
        sending = self._carriers.send(sealed, self._now_ms())
        if sending.seq is not None:
            self._write(FRAME + sending.seq.to_bytes(SEQ_BYTES) + sealed)
        is_on_lanes = self._outside.frame_on_lanes(sealed) if sending.lanes else False
        self._arm()
        return is_on_lanes or sending.seq is not None

    def came_by_lanes(self, counter: int) -> None:
        """An authentic frame with this SFrame counter came on the lanes."""
        if self.is_open:
            self._arrivals.by_lanes(counter, self._now_ms())

    def received(self, message: bytes) -> None:
        """A message came on the channel; what is none of ours is nothing."""
        now_ms = self._now_ms()
        kind, seq, rest = message[:1], message[1 : 1 + SEQ_BYTES], message[1 + SEQ_BYTES :]
        if kind == ANSWER and len(rest) == BEHIND_BYTES:
            self._carriers.acked(int.from_bytes(seq), int.from_bytes(rest), now_ms)
        elif kind == FRAME and rest:
            try:
                counter = decode_header(rest).ctr
            except SFrameError:
                return
            behind_ms = self._arrivals.by_direct(counter, now_ms)
            if self._outside.open_frame(rest) is not Heard.REFUSED:
                self._write(ANSWER + seq + behind_ms.to_bytes(BEHIND_BYTES))

    def _write(self, message: bytes) -> None:
        if self.attempt is not None and self.attempt.is_open and self.attempt.peer is not None:
            self.attempt.peer.send(message)

    def _tick(self) -> None:
        if not self.is_open:
            return
        now_ms = self._now_ms()
        if now_ms - self._ticked_ms > STOPPED_MS:
            self._judges_ms = now_ms + UNREAD_MS
        self._ticked_ms = now_ms
        if now_ms < self._judges_ms:
            return
        if not self._outside.has_room:
            self._carriers.make_room(now_ms)
        for sealed in self._carriers.tick(now_ms):
            self._outside.frame_on_lanes(sealed)
        if self._carriers.is_lost:
            self.channel_ended()
            return
        way = self._carriers.way
        # While both ways are compared, or there is no room for that, what was found before still stands.
        is_worse = way is Way.LANES and self._carriers.is_worse
        self._show(Found.OPEN if way is Way.DIRECT else Found.DEGRADED if is_worse else self.found)

    def _arm(self) -> None:
        due_ms = self._carriers.due_ms
        if due_ms is not None and self._ticking is None and not self._is_over:
            self._ticking = self._loop.call_later(max(0.001, (due_ms - self._now_ms()) / 1000), self._due)

    def _due(self) -> None:
        self._ticking = None
        self._tick()
        self._arm()

    # The channel

    def _step(self) -> None:
        self._tick()
        if self._is_asking and self._say("ask", self._last):
            self._is_asking = False
        now_ms = self._now_ms()
        step = self._attempts.step(now_ms)
        if step is Step.GIVE_UP:
            self.channel_ended()
        elif now_ms - self._began_ms >= BEGIN_MS and self._outside.has_room:
            offered, self._offered = self._offered, None
            if offered is not None or step is Step.BEGIN:
                self._begin(offered)

    def _begin(self, offer: tuple[int, Description] | None) -> None:
        """Another attempt: ours, or the answer to the one of this number."""
        # Words that flicker help nobody: what was found stands until another attempt finds more.
        is_news = self.is_open or self.found is Found.OFF
        if self.is_open:
            self._end_channel()
        elif self.attempt is not None:
            self._leave_peer(self.attempt)
        self._last = self._last + 1 if offer is None else offer[0]
        self._began_ms = self._now_ms()
        self._cancel_explaining()
        self._attempts.began(self._began_ms)
        self.attempt = attempt = _Attempt(self, self._last, is_described=offer is not None)
        if is_news:
            self._show(Found.TRYING)
        self._spawn(self._describe(attempt, None if offer is None else offer[1]), attempt)

    async def _describe(self, attempt: _Attempt, offer: Description | None) -> None:
        assert self._open_peer is not None
        peer = await self._open_peer(attempt)
        if self.attempt is not attempt:
            await peer.close()
            return
        attempt.peer = peer
        described = await (peer.offer() if offer is None else peer.answer(offer))
        kind: Kind = "offer" if offer is None else "answer"
        if self.attempt is attempt and not self._say(kind, attempt.number, described):
            # No lane took it: the other side knows nothing of this attempt.
            self._end_channel()
            self._attempts.wanted(self._now_ms())

    def channel_opened(self) -> None:
        """The present attempt's channel takes messages."""
        self._attempts.opened(self._now_ms())
        self._carriers.opened(self._now_ms())
        # What was found stands until both ways were compared.
        if self.found is not Found.DEGRADED:
            self._show(Found.OPEN)

    def channel_ended(self) -> None:
        """The present attempt has failed, or its channel has ended by itself."""
        attempt = self.attempt
        if attempt is None:
            return
        self._end_channel()
        if not attempt.is_open:
            halfway = Found.DEGRADED if attempt.has_heard_keys else Found.KEYS_BLOCKED
            failed = halfway if attempt.has_path else Found.BLOCKED
            self._show(failed if attempt.is_described else Found.OFF)
            return
        is_bad = self._carriers.was_bad or self.found is Found.DEGRADED
        # The other side may have left it on purpose: what says so goes another way, and comes later than the end.
        self._cancel_explaining()
        found = Found.DEGRADED if is_bad else Found.BLOCKED
        self._explaining = self._loop.call_later(REFUSAL_S, self._show, found)

    def _end_channel(self) -> None:
        attempt, self.attempt = self.attempt, None
        if attempt is None:
            return
        self._leave_peer(attempt)
        self._attempts.ended(self._now_ms())
        for sealed in self._carriers.closed(self._now_ms()):
            self._outside.frame_on_lanes(sealed)
        self._tell_way()

    def _leave_peer(self, attempt: _Attempt) -> None:
        if attempt.peer is not None:
            self._spawn(attempt.peer.close(), None)

    def _spawn(self, work: Coroutine[Any, Any, None], attempt: _Attempt | None) -> None:
        """Run it; when it fails, so does the attempt."""

        async def run() -> None:
            try:
                await work
            except Exception as e:  # no fault of the network: what was described cannot be taken, or not made here
                log.info("no direct channel: %s: %s", type(e).__name__, e)
                if attempt is not None:
                    attempt.is_described = False
                    attempt.closed()

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What the devices say to each other

    def _say(self, kind: Kind, number: int, description: Description | None = None) -> bool:
        if self._sender is None or self._is_over:
            return False
        payload = encode_direct(DirectMessage(kind, number, description))
        overhead = SIGNAL_KIND_BYTES + HEADER_BYTES_MAX + LENGTH_BYTES + TAG_BYTES
        total = padded_size(overhead + len(payload)) - SIGNAL_KIND_BYTES
        return self._outside.signal_on_lanes(seal_frame(self._sender, payload, total))

    def _refuse(self) -> None:
        self._say("refuse", self._last)

    def signal(self, sealed: bytes) -> None:
        """A signalling frame came on the lanes. What is forged, repeated or malformed changes nothing."""
        try:
            message = decode_direct(open_frame(self._receiver, sealed).payload)
        except (SFrameError, ContentError):
            return
        if self._is_over:
            return
        if self._open_peer is None:
            if message.kind in ("offer", "ask"):
                self._say("refuse", message.attempt)
            return
        match message:
            case DirectMessage("offer", number, Description() as offer) if not self._offers and number > self._last:
                self._offered = (number, offer)
            case DirectMessage("answer", number, Description() as answer):
                self._accept(number, answer)
            case DirectMessage("ask") if self._offers:
                self.network_changed()
            case DirectMessage("refuse", number) if number == self._last:
                self._refused()
                if not self._told_refused:
                    self._told_refused = True
                    self.on_refused()

    def _accept(self, number: int, answer: Description) -> None:
        attempt = self.attempt
        if not self._offers or attempt is None or attempt.number != number or attempt.is_described:
            return
        if attempt.peer is None:
            return
        attempt.is_described = True
        self._spawn(attempt.peer.accept(answer), attempt)

    def _refused(self) -> None:
        self._cancel_explaining()
        self._is_asking = False
        self._end_channel()
        self._attempts.refused()
        self._show(Found.OFF)

    def _cancel_explaining(self) -> None:
        if self._explaining is not None:
            self._explaining.cancel()
            self._explaining = None

    def _show(self, found: Found) -> None:
        self.found = found
        self._tell_way()

    def _tell_way(self) -> None:
        if self.carries != self._told_carries and not self._is_over:
            self._told_carries = self.carries
            self.on_way(self.carries)

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
