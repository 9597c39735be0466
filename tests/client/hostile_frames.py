"""What a hostile server makes of the frames of a call, each with the reason for which it is refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from ringthrough.client.media import SIGNAL_KIND_DIRECT, SIGNAL_KIND_MEDIA
from ringthrough.e2ee.sframe import (
    INTEGER_MAX,
    REPLAY_WINDOW_FRAMES,
    AuthenticationFailed,
    Malformed,
    Replayed,
    SFrameKey,
    SFrameSender,
    TooOld,
    UnknownKid,
    decode_header,
    encode_header,
    seal_frame,
)
from ringthrough.protocol.frames import Ack
from ringthrough.protocol.lanes import LaneId, Transmission
from ringthrough.protocol.limits import PADDED_SIZES_BYTES
from ringthrough.server.bundle import Bundle

NOT_COUNTED = ""
"""The reason of what is no media frame at all."""


class Hostile:
    """Sees the bodies of one direction pass and makes up others. `foreign` are keys of the same call that are not the
    peer's: other members', our own (a reflection), and of other calls. Deterministic by the seed."""

    def __init__(self, foreign: list[SFrameKey], seed: int) -> None:
        self._foreign = [SFrameSender(key) for key in foreign]
        self._random = Random(seed)
        self._passed: list[bytes] = []
        self._coming: bytes | None = None

    def holds(self, body: bytes) -> None:
        """A body of the peer is here, and not passed on yet."""
        self._coming = body

    @property
    def has_seen(self) -> bool:
        """Whether a frame has passed."""
        return bool(self._passed)

    def passed(self) -> None:
        """It is now."""
        if self._coming is not None:
            self._passed.append(self._coming)
        self._coming = None

    def bodies(self, sizes: tuple[int, ...] | None = None) -> Iterator[tuple[bytes, str]]:
        """Bodies and reasons without end, all kinds in turn, once a frame has passed. `sizes` keeps to those that a
        lane lets through. The reasons hold where nothing overtakes anything."""
        makers = [
            self._flipped,
            self._replayed,
            self._old,
            self._unknown_key,
            self._foreign_key,
            self._giant_counter,
            self._future,
            self._rubbish,
            self._wrong_kind,
            self._forged_offer,
            *([] if sizes else [self._truncated, self._too_long, self._empty]),
        ]
        while True:
            for make in makers:
                body, reason = make()
                assert sizes is None or len(body) in sizes
                yield body, reason

    def _any(self) -> bytes:
        """The frame that is held, or else one of the newest that passed."""
        return self._coming or self._random.choice(self._passed[-8:])

    def _newest(self) -> int:
        """The counter of the newest frame."""
        return decode_header((self._coming or self._passed[-1])[1:]).ctr

    def _parts(self) -> tuple[int, int, bytes]:
        sealed = self._any()[1:]
        kid, ctr, length = decode_header(sealed)
        return kid, ctr, sealed[length:]

    def _fill(self, header: bytes, sealed: bytes) -> bytes:
        return (SIGNAL_KIND_MEDIA + header + sealed).ljust(PADDED_SIZES_BYTES[0], b"\0")[: PADDED_SIZES_BYTES[0]]

    def _flipped(self) -> tuple[bytes, str]:
        body = bytearray(self._any())
        _, _, length = decode_header(bytes(body[1:]))
        # In ciphertext or tag: a counter of which one bit differs may be any other frame's, or no number.
        body[self._random.randrange(1 + length, len(body))] ^= 1 << self._random.randrange(8)
        # One that was opened before is refused before its tag is looked at.
        return bytes(body), (Replayed if self._coming is None else AuthenticationFailed).reason

    def _replayed(self) -> tuple[bytes, str]:
        return self._random.choice(self._passed[-8:]), Replayed.reason

    def _old(self) -> tuple[bytes, str]:
        oldest, newest = (decode_header(body[1:]).ctr for body in (self._passed[0], self._passed[-1]))
        return self._passed[0], (TooOld if newest - oldest >= REPLAY_WINDOW_FRAMES else Replayed).reason

    def _unknown_key(self) -> tuple[bytes, str]:
        kid, ctr, sealed = self._parts()
        other = kid ^ 1 << self._random.randrange(24)
        return self._fill(encode_header(other, ctr), sealed), UnknownKid.reason

    def _foreign_key(self) -> tuple[bytes, str]:
        sender = self._random.choice(self._foreign)
        reason = AuthenticationFailed.reason if sender.kid == self._parts()[0] else UnknownKid.reason
        # A place in time that is still to come.
        sender.skip_to(max(sender.counter_next, self._newest() + 1))
        return SIGNAL_KIND_MEDIA + seal_frame(sender, b"\0" * 60, PADDED_SIZES_BYTES[0] - 1), reason

    def _giant_counter(self) -> tuple[bytes, str]:
        kid, _, sealed = self._parts()
        ctr = self._random.choice([2**32 - 1, 2**32, 2**53, 2**63, INTEGER_MAX])
        return self._fill(encode_header(kid, ctr), sealed), AuthenticationFailed.reason

    def _future(self) -> tuple[bytes, str]:
        kid, _, sealed = self._parts()
        ahead = self._newest() + 1 + self._random.randrange(200)
        return self._fill(encode_header(kid, ahead), sealed), AuthenticationFailed.reason

    def _rubbish(self) -> tuple[bytes, str]:
        size = self._random.choice(PADDED_SIZES_BYTES[:3])
        # A key id of eight bytes that is not in its shortest form.
        return SIGNAL_KIND_MEDIA + b"\xf0\0" + self._random.randbytes(size - 3), Malformed.reason

    def _wrong_kind(self) -> tuple[bytes, str]:
        kind = self._random.choice([0, 2, 4, 7, 255])
        return bytes([kind]) + self._any()[1:], NOT_COUNTED

    def _forged_offer(self) -> tuple[bytes, str]:
        return SIGNAL_KIND_DIRECT + self._any()[1:], NOT_COUNTED

    def _truncated(self) -> tuple[bytes, str]:
        body = self._any()
        kid, ctr, length = decode_header(body[1:])
        cut = self._random.randrange(1, len(body))
        if cut < 1 + length:
            return body[:cut], Malformed.reason
        # Of a frame to come, or the counter alone would give it away.
        ahead = encode_header(kid, ctr + 2000)
        sealed = body[1 + length : cut]
        return SIGNAL_KIND_MEDIA + ahead + sealed, (Malformed if len(sealed) < 16 else AuthenticationFailed).reason

    def _too_long(self) -> tuple[bytes, str]:
        kid, ctr, sealed = self._parts()
        more = self._random.randbytes(self._random.choice([1, 160, 70_000]))
        return SIGNAL_KIND_MEDIA + encode_header(kid, ctr + 2000) + sealed + more, AuthenticationFailed.reason

    def _empty(self) -> tuple[bytes, str]:
        return self._random.choice([(b"", NOT_COUNTED), (SIGNAL_KIND_MEDIA, Malformed.reason)])


class HostileBundle(Bundle):
    """The server's half of a call's lanes, which after `attack` puts other bodies before and behind each of the
    peer's, numbered so that lanes take them for frames: only SFrame stands between them and the loudspeaker."""

    EACH = 128
    """Numbers for each frame of the peer; nearly all are used."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.frames = 0
        """Of the peer, copies not counted."""
        self.counts: Counter[str] = Counter()
        self.enough = asyncio.Event()
        self._newest = -1
        self._hostile: Hostile | None = None
        self._bodies: Iterator[tuple[bytes, str]] = iter(())
        self._total = 0

    def attack(self, hostile: Hostile, total: int) -> None:
        """Until so many have gone out; then `enough` is set."""
        self._hostile, self._bodies, self._total = hostile, hostile.bodies(PADDED_SIZES_BYTES), total

    def acked(self, lane: LaneId, frame: Ack) -> None:
        """Who has taken one of ours has taken the frame before it."""
        super().acked(lane, Ack(frame.seq // self.EACH, frame.delay_ms, frame.level, frame.narrow, frame.sparing))

    def _transmit(self, transmissions: list[Transmission]) -> None:
        super()._transmit([out for t in transmissions for out in self._surrounded(t)])

    def _surrounded(self, t: Transmission) -> Iterator[Transmission]:
        seq = t.seq * self.EACH
        is_frame = t.seq > self._newest and t.body[:1] == SIGNAL_KIND_MEDIA
        self._newest = max(self._newest, t.seq)
        self.frames += is_frame
        if self._hostile is None or not is_frame:
            yield replace(t, seq=seq)
            return
        half = self.EACH // 2
        self._hostile.holds(t.body)
        if self._hostile.has_seen:
            yield from self._forged(t, range(seq - half + 1, seq))
        yield replace(t, seq=seq)
        self._hostile.passed()
        yield from self._forged(t, range(seq + 1, seq + half))

    def _forged(self, t: Transmission, numbers: range) -> Iterator[Transmission]:
        for number in numbers:
            if self.counts.total() >= self._total:
                self.enough.set()
                return
            body, reason = next(self._bodies)
            self.counts[reason] += 1
            yield replace(t, seq=number, body=body)
