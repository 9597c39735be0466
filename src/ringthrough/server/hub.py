"""Who listens to which stream now, and the way of records and signals to them.

Why there is neither gap nor repeat between backlog and live: a subscription knows the next seq it owes. While it is
live, a committed batch is sent only if it starts there; otherwise it reads on from the store, and becomes live in the
same step of the loop in which it has seen everything up to the stream's head.

Why a retired capability reads nothing after its commit: live, each record carries the epoch it was appended in, and
only capabilities of that epoch or a later one get it; from the store, the capability is looked up in the same moment
as the records.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from bisect import bisect_right
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from ringthrough.protocol import limits
from ringthrough.protocol.errors import ErrorCode
from ringthrough.protocol.frames import (
    Open,
    Opened,
    Record,
    Right,
    StreamKind,
    encode_record,
    records_header,
    signalled_header,
)

from .bundle import Bundle
from .config import Limits
from .log import log_unexpected
from .outlet import Outlet, Stalled
from .rates import Bucket
from .store.port import AppendJob, Lane, Opening, Refused, StreamStore, Unavailable

PAGE_BYTES = 128 * 1024
FRAME_BYTES = limits.APPEND_BYTES_MAX
RETRY_S = 0.5
BEHIND_MS = 500
BUNDLES_PER_STREAM_MAX = 64
"""Each gets a copy of every frame of a call."""


class Delivery(Enum):
    """How a subscription gets its records. NONE: it may not read, or its capability has read its last."""

    NONE = 0
    CATCHING_UP = 1
    LIVE = 2


class Subscriber(Protocol):
    """What the hub needs of a connection."""

    outlet: Outlet

    def appended(self, job: AppendJob) -> None:
        """The job settled: acknowledged or refused."""


class ActiveStream:
    """A stream with subscribers, or with work under way."""

    __slots__ = (
        "bundles",
        "commits",
        "deposits",
        "epoch",
        "head",
        "kind",
        "pins",
        "records",
        "sid",
        "stream",
        "subscriptions",
    )

    def __init__(self, stream: bytes, limits: Limits, now_s: float) -> None:
        self.stream = stream
        self.sid = 0
        self.kind = StreamKind.CONVERSATION
        self.epoch = 0
        self.head = 0
        self.commits: dict[int, int] = {}
        """Seq of the commit that retired each epoch, as far as seen here."""
        self.subscriptions: dict[Subscription, None] = {}
        self.bundles: dict[Bundle, None] | None = None
        """The lanes of those who are in a call; None without any, which spares 64 bytes of each idle stream."""
        self.pins = 0
        self.records = Bucket(limits.stream_records, now_s)
        self.deposits = Bucket(limits.inbox_deposits, now_s)


class Subscription:
    """One stream open on one connection. `epoch` is None for an inbox opened without its token."""

    __slots__ = ("active", "bundle", "delivery", "epoch", "handle", "lane", "next_seq", "owner", "pump", "rights")

    def __init__(self, owner: Subscriber, handle: int, active: ActiveStream) -> None:
        self.owner = owner
        self.handle = handle
        self.active = active
        self.rights = Right(0)
        self.epoch: int | None = None
        self.lane = Lane()
        self.bundle: Bundle | None = None
        self.next_seq = 0
        self.delivery = Delivery.NONE
        self.pump: asyncio.Task[None] | None = None


class Hub:
    """All active streams of this process."""

    def __init__(self, store: StreamStore, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._streams: dict[bytes, ActiveStream] = {}
        self._bundles: dict[bytes, tuple[Bundle, ActiveStream]] = {}
        self._instances = secrets.randbits(31)
        self._bytes_under_way = 0
        store.listen(self._settled)

    def __len__(self) -> int:
        return len(self._streams)

    def subscriptions(self, stream: bytes) -> list[Subscription]:
        """Who has the stream open now."""
        active = self._streams.get(stream)
        return list(active.subscriptions) if active else []

    # Opening and closing

    def _pin(self, stream: bytes) -> ActiveStream:
        active = self._streams.get(stream)
        if active is None:
            active = self._streams[stream] = ActiveStream(stream, self._limits, self._loop.time())
        active.pins += 1
        return active

    def _unpin(self, active: ActiveStream) -> None:
        active.pins -= 1
        self._forget_if_idle(active)

    def _forget_if_idle(self, active: ActiveStream) -> None:
        if not active.pins and not active.subscriptions and self._streams.get(active.stream) is active:
            del self._streams[active.stream]

    async def open(
        self, owner: Subscriber, frame: Open, handle: int, held: Subscription | None
    ) -> tuple[Subscription, Opened, Opening]:
        """Look up the capability and subscribe; `held` is this connection's subscription to the stream, if any.
        Delivery starts with `resume`, after OPENED has been sent.

        Raises:
            Refused: `forbidden`, or `unavailable`. A subscription held before stays as it was.
        """
        active = self._pin(frame.stream)
        try:
            token_hash = hashlib.sha256(frame.token).digest() if frame.token else b""
            opening = await self._store.open_stream(frame.stream, token_hash)
            if opening is None:
                raise Refused(ErrorCode.FORBIDDEN)
            if active.sid not in (0, opening.sid):  # removed and made anew: the old subscribers keep what is gone
                self._unpin(active)
                self._streams.pop(frame.stream, None)
                active, held = self._pin(frame.stream), None
            active.sid, active.kind = opening.sid, opening.kind
            return self._subscribe(owner, frame, handle, held, active, opening)
        finally:
            self._unpin(active)

    def _subscribe(
        self,
        owner: Subscriber,
        frame: Open,
        handle: int,
        held: Subscription | None,
        active: ActiveStream,
        opening: Opening,
    ) -> tuple[Subscription, Opened, Opening]:
        active.epoch = max(active.epoch, opening.epoch)
        active.head = max(active.head, opening.head)
        read_to = opening.read_to
        if read_to is None and opening.capability_epoch is not None:
            # Retired by a commit that this process has seen after the store was read.
            read_to = active.commits.get(opening.capability_epoch)
        subscription = held or Subscription(owner, handle, active)
        had_read = Right.READ in subscription.rights
        subscription.rights = _rights(opening, read_to)
        subscription.epoch = opening.capability_epoch
        subscription.lane = Lane()
        self._follow_epoch(subscription)
        head = active.head if opening.capability_epoch is not None else 0
        if Right.READ in subscription.rights and not had_read:
            subscription.next_seq = min(max(1, frame.from_seq), head + 1)
        active.subscriptions[subscription] = None
        self._stop_pump(subscription)
        subscription.delivery = Delivery.NONE
        epoch = active.epoch if opening.capability_epoch is not None else 0
        return (
            subscription,
            Opened(
                frame.request, subscription.handle, int(subscription.rights), epoch, opening.first, head, read_to or 0
            ),
            opening,
        )

    def resume(self, subscription: Subscription) -> None:
        """Deliver what is owed, then live records."""
        if Right.READ not in subscription.rights:
            subscription.delivery = Delivery.NONE
        elif subscription.next_seq > subscription.active.head and Right.APPEND in subscription.rights:
            subscription.delivery = Delivery.LIVE
        else:
            self._catch_up(subscription)

    def close(self, subscription: Subscription) -> None:
        """Unsubscribe."""
        self._stop_pump(subscription)
        subscription.delivery = Delivery.NONE
        subscription.active.subscriptions.pop(subscription, None)
        self._forget_if_idle(subscription.active)

    # Backlog

    def _catch_up(self, subscription: Subscription) -> None:
        subscription.delivery = Delivery.CATCHING_UP
        if subscription.pump is None:
            subscription.pump = self._loop.create_task(self._pump(subscription))

    def _stop_pump(self, subscription: Subscription) -> None:
        if subscription.pump is not None:
            subscription.pump.cancel()
            subscription.pump = None

    async def _pump(self, subscription: Subscription) -> None:
        try:
            while subscription.delivery is Delivery.CATCHING_UP:
                async with subscription.owner.outlet.turn:
                    await subscription.owner.outlet.drained()
                    await self._send_page(subscription)
        except Unavailable:
            await asyncio.sleep(RETRY_S)
            subscription.pump = None
            self._catch_up(subscription)
        except Stalled:
            subscription.delivery = Delivery.NONE
        except Exception as e:
            log_unexpected(e)
            subscription.owner.outlet.abort()  # rather than leave a reader that waits for ever
        else:
            subscription.pump = None

    async def _send_page(self, subscription: Subscription) -> None:
        epoch = subscription.epoch
        if epoch is None:
            subscription.delivery = Delivery.NONE
            return
        page = await self._store.read(subscription.active.sid, epoch, subscription.next_seq, PAGE_BYTES)
        if page.records:
            for count, body in _frames([encode_record(record) for record in page.records]):
                subscription.owner.outlet.send_shared(records_header(subscription.handle, count), body)
            subscription.next_seq = page.records[-1].seq + 1
        if not page.complete or subscription.epoch != epoch:
            return
        if page.read_to is not None:
            subscription.delivery = Delivery.NONE
            return
        subscription.next_seq = max(subscription.next_seq, page.end + 1)
        if subscription.next_seq > subscription.active.head:
            subscription.delivery = Delivery.LIVE

    # Appends

    def submit(self, subscription: Subscription, job: AppendJob) -> None:
        """Hand to the store; the owner's `appended` is called when it settled.

        Raises:
            Refused: `rate_limited`, while the disk is behind.
        """
        if self._bytes_under_way > self._limits.bytes_under_way_max:
            raise Refused(ErrorCode.RATE_LIMITED, retry_after_ms=BEHIND_MS)
        self._bytes_under_way += job.size
        job.context = subscription
        subscription.active.pins += 1
        self._store.submit(job)

    def _settled(self, jobs: Sequence[AppendJob]) -> None:
        """One commit is on disk: acknowledge, move epochs, then fan out stream by stream."""
        written: dict[ActiveStream, list[AppendJob]] = {}
        for job in jobs:
            subscription = job.context
            assert isinstance(subscription, Subscription)
            active = subscription.active
            self._bytes_under_way -= job.size
            if job.refused is None:
                active.head = max(active.head, job.last_seq)
                if job.commit_epoch is not None:
                    self._commit(active, subscription, job)
                written.setdefault(active, []).append(job)
            subscription.owner.appended(job)
        for active, batch in written.items():
            self._fan_out(active, batch)
        for job in jobs:
            subscription = job.context
            assert isinstance(subscription, Subscription)
            self._unpin(subscription.active)

    def _commit(self, active: ActiveStream, committer: Subscription, job: AppendJob) -> None:
        active.epoch = max(active.epoch, job.epoch + 1)
        active.commits[job.epoch] = job.last_seq
        for other in active.subscriptions:
            if other.epoch is not None and other.epoch <= job.epoch:
                other.rights &= Right.READ
        # Unless it was opened anew meanwhile, with a capability of its own.
        if committer.lane is job.lane and committer.epoch == job.epoch:
            committer.epoch = job.epoch + 1
            committer.rights = Right.READ | Right.APPEND
            if committer.active.kind is StreamKind.CONVERSATION:
                committer.rights |= Right.SIGNAL
            self._follow_epoch(committer)

    def _fan_out(self, active: ActiveStream, jobs: Sequence[AppendJob]) -> None:
        first_seq = jobs[0].first_seq
        encoded = [
            encode_record(Record(job.first_seq + i, job.received_s, body))
            for job in jobs
            for i, body in enumerate(job.bodies)
        ]
        epochs = [job.epoch for job in jobs for _ in job.bodies]
        frames: dict[tuple[int, int], list[tuple[int, bytes]]] = {}
        for subscription in list(active.subscriptions):
            if subscription.delivery is not Delivery.LIVE or subscription.epoch is None:
                continue
            skip = subscription.next_seq - first_seq
            if skip >= len(encoded):
                continue
            if skip < 0 or subscription.owner.outlet.congested:
                self._catch_up(subscription)
                continue
            end = bisect_right(epochs, subscription.epoch)
            if skip < end:
                if (skip, end) not in frames:
                    frames[skip, end] = _frames(encoded[skip:end])
                for count, body in frames[skip, end]:
                    subscription.owner.outlet.send_shared(records_header(subscription.handle, count), body)
                subscription.next_seq = first_seq + end
            if end < len(encoded):
                subscription.delivery = Delivery.NONE

    # Signals

    def signal(self, sender: Subscription, body: bytes) -> None:
        """To every other subscriber that has the right now; nothing is kept."""
        for subscription in sender.active.subscriptions:
            if subscription is not sender and Right.SIGNAL in subscription.rights:
                subscription.owner.outlet.signal(signalled_header(subscription.handle), body)

    # Lanes

    def bundle(self, bundle_id: bytes, shown: Subscription | None) -> Bundle:
        """The bundle of this id. `shown` makes it, and lets it speak in the epoch of the subscription's capability.

        Raises:
            Refused: `forbidden` for a bundle of another stream, an unknown one, or a subscription that may not
                signal; `too_many` bundles of one stream.
        """
        bundle, active = self._bundles.get(bundle_id, (None, None))
        if shown is not None:
            if Right.SIGNAL not in shown.rights or shown.epoch is None or active not in (None, shown.active):
                raise Refused(ErrorCode.FORBIDDEN)
            if bundle is None:
                if len(shown.active.bundles or ()) >= BUNDLES_PER_STREAM_MAX:
                    raise Refused(ErrorCode.TOO_MANY)
                bundle = self._make_bundle(bundle_id, shown.active, shown.epoch)
            shown.bundle = bundle
            self._follow_epoch(shown)
        elif bundle is None:
            raise Refused(ErrorCode.FORBIDDEN)
        return bundle

    def _make_bundle(self, bundle_id: bytes, active: ActiveStream, epoch: int) -> Bundle:
        self._instances += 1

        def carry(sender: Bundle, body: bytes) -> bool:
            return _carry(active, sender, body)

        def forget(gone: Bundle) -> None:
            gone.close()
            del self._bundles[bundle_id]
            if active.bundles is not None:
                active.bundles.pop(gone, None)
            self._unpin(active)

        bundle = Bundle(self._instances, epoch, carry, forget)
        self._bundles[bundle_id] = bundle, active
        active.bundles = active.bundles or {}
        active.bundles[bundle] = None
        active.pins += 1
        return bundle

    def _follow_epoch(self, subscription: Subscription) -> None:
        if subscription.bundle is not None and subscription.epoch is not None and Right.SIGNAL in subscription.rights:
            subscription.bundle.epoch = max(subscription.bundle.epoch, subscription.epoch)


def _carry(active: ActiveStream, sender: Bundle, body: bytes) -> bool:
    """A call's frame to everybody else who may hear it now; whether somebody's way is narrow."""
    if sender.epoch != active.epoch:
        return False
    is_narrow = False
    for bundle in active.bundles or ():
        if bundle is not sender and bundle.epoch == active.epoch:
            bundle.send(body)
            is_narrow = is_narrow or bundle.is_narrow
    for subscription in active.subscriptions:
        if subscription.bundle is None and Right.SIGNAL in subscription.rights:
            subscription.owner.outlet.signal(signalled_header(subscription.handle), body)
    return is_narrow


def _rights(opening: Opening, read_to: int | None) -> Right:
    if opening.capability_epoch is None:
        return Right.APPEND
    if read_to is not None:
        return Right.READ
    rights = Right.READ | Right.APPEND
    return rights | Right.SIGNAL if opening.kind is StreamKind.CONVERSATION else rights


def _frames(encoded: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """Encoded records joined into as few messages as the size limit allows: (count, bytes) of each."""
    frames = []
    start = size = 0
    for i, record in enumerate(encoded):
        if i > start and size + len(record) > FRAME_BYTES:
            frames.append((i - start, b"".join(encoded[start:i])))
            start, size = i, 0
        size += len(record)
    frames.append((len(encoded) - start, b"".join(encoded[start:])))
    return frames
