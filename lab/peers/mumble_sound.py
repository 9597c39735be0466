"""The ends of a Mumble client's sound: coded and played as Mumble's client does by default.

Coding (`AudioInput`): Opus at 48 kHz mono, 40 kbit/s, constant rate, 20 ms in a packet; under a server's bandwidth
limit longer packets and fewer bits. Playing (`AudioOutputSpeech`): libspeexdsp's jitter buffer in steps of 10 ms with
one step of margin, its delay changed in quiet moments, missing steps concealed by Opus. After more than ten of them
in a row the voice fades out, and a new buffer begins with the next packet; it waits until as many packets are there
as there used to be, at most 20 steps. What the real client's sound device adds (50 ms by default) is left out.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from lab.peers.speexdsp import SpeexJitterBuffer
from ringthrough.audio import libopus
from ringthrough.audio.errors import OpusError
from ringthrough.audio.opus import OpusDecoder
from ringthrough.audio.pcm import Pcm, silence

RATE_HZ = 48_000
STEP_MS = 10
STEP = RATE_HZ * STEP_MS // 1000
MARGIN_STEPS = 1
BITRATE_BPS = 40_000
STEPS_PER_PACKET = 2
START_MISSES_MAX = 20
MISSES_MAX = 10

_AUDIO, _VOIP = 2049, 2048
_AUDIO_FROM_BPS = 32_000
_SET_BITRATE, _SET_VBR = 4002, 4006
_PACKET_BYTES_MAX = 512


@dataclass(frozen=True, slots=True)
class Coding:
    """What is sent."""

    bitrate_bps: int = BITRATE_BPS
    steps: int = STEPS_PER_PACKET
    """10 ms each, in one packet."""

    @property
    def samples(self) -> int:
        """Of one packet."""
        return self.steps * STEP

    @property
    def bandwidth_bps(self) -> int:
        """As Mumble counts it: with the headers of IP, TCP and its own."""
        return self.bitrate_bps + (20 + 8 + 4 + 1 + 2 + 12 + self.steps) * 800 // self.steps


def coding(limit_bps: int | None) -> Coding:
    """What the client chooses under the server's limit."""
    chosen = Coding()
    if limit_bps is None or chosen.bandwidth_bps <= limit_bps:
        return chosen
    steps = 4 if limit_bps <= 48_000 else chosen.steps
    bitrate_bps = chosen.bitrate_bps
    while bitrate_bps > 8000 and Coding(bitrate_bps, steps).bandwidth_bps > limit_bps:
        bitrate_bps -= 1000
    return Coding(bitrate_bps, steps)


class Encoder:
    """Opus as Mumble's client sets it up."""

    def __init__(self, settings: Coding) -> None:
        self._settings = settings
        self._library = libopus.load()
        application = _AUDIO if settings.bitrate_bps >= _AUDIO_FROM_BPS else _VOIP
        status = ctypes.c_int(0)
        self._state = self._library.opus_encoder_create(RATE_HZ, 1, application, ctypes.byref(status))
        libopus.check("create encoder", status.value)
        for request, value in ((_SET_VBR, 0), (_SET_BITRATE, settings.bitrate_bps)):
            libopus.check(
                "set up encoder", self._library.opus_encoder_ctl(self._state, request, ctypes.c_int32(value))
            )
        self._buffer = ctypes.create_string_buffer(_PACKET_BYTES_MAX)

    def encode(self, pcm: Pcm) -> bytes:
        """One packet of `settings.samples`."""
        pointer = np.ascontiguousarray(pcm).ctypes.data_as(ctypes.POINTER(ctypes.c_int16))
        size = self._library.opus_encode(self._state, pointer, pcm.size, self._buffer, _PACKET_BYTES_MAX)
        return self._buffer.raw[: libopus.check("encode", size)]

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_encoder_destroy(self._state)
            self._state = None


@dataclass
class Counts:
    """Steps of 10 ms, but packets where it says so."""

    packets: int = 0
    played: int = 0
    concealed: int = 0
    restarts: int = 0


class Speaker:
    """One voice from its packets to sound, a step at a time."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._voice: _Voice | None = None
        self._usual = 0.0
        """Packets that wait when one comes out: remembered from one voice to the next."""

    def arrived(self, sequence: int, packet: bytes) -> None:
        """A packet, now."""
        if self._voice is None:
            self._voice = _Voice(self.counts, self._usual)
            self.counts.restarts += self.counts.packets > 0
        self.counts.packets += 1
        self._voice.arrived(sequence, packet)

    def step(self) -> Pcm | None:
        """The next 10 ms; None while nobody speaks."""
        if self._voice is None:
            return None
        sound = self._voice.step()
        self._usual = self._voice.usual
        if self._voice.ended:
            self._voice = None
        return sound


class _Voice:
    def __init__(self, counts: Counts, usual: float) -> None:
        self.usual = usual
        self.ended = False
        self._counts = counts
        self._buffer = SpeexJitterBuffer(STEP, MARGIN_STEPS * STEP)
        self._decoder = OpusDecoder(RATE_HZ)
        self._left = silence(0)
        self._misses = 0
        self._loudest = self._quietest = 0.0

    def arrived(self, sequence: int, packet: bytes) -> None:
        try:
            span = self._decoder.packet_samples(packet)
        except OpusError:
            return
        self._buffer.put(packet, sequence * STEP, span)

    def step(self) -> Pcm:
        if self._left.size < STEP:
            self._left = np.concatenate([self._left, self._more()])
        sound, self._left = self._left[:STEP], self._left[STEP:]
        return sound

    def _more(self) -> Pcm:
        at_start, available = self._buffer.timestamp == 0, self._buffer.available
        if at_start and available < round(self.usual):
            self._misses += 1
            if self._misses < START_MISSES_MAX:
                return silence(STEP)
        packet = self._buffer.get()
        sound = self._missing() if packet is None else self._packet(packet, available)
        if self.ended:
            sound = _faded(sound, out=True)
        elif at_start:
            sound = _faded(sound, out=False)
        for _ in range(sound.size // STEP):
            self._buffer.tick()
        return sound

    def _packet(self, packet: bytes, available: int) -> Pcm:
        self._misses = 0
        self.usual = float(available) if available >= self.usual else self.usual * 0.99
        try:
            sound = self._decoder.decode(packet)
        except OpusError:
            sound = silence(STEP)
        self._counts.played += sound.size // STEP
        if self._quiet(sound):
            self._buffer.adapt()
        return sound

    def _missing(self) -> Pcm:
        self._misses += 1
        self._counts.concealed += 1
        self.ended = self._misses > MISSES_MAX
        return self._decoder.conceal(STEP)

    def _quiet(self, sound: Pcm) -> bool:
        power = float(np.sqrt(np.mean(np.square(sound.astype(np.float64) / 32768))))
        if power >= self._loudest:
            self._loudest = power
        elif power <= self._quietest:
            self._quietest = power
        else:
            self._loudest *= 0.99
            self._quietest += 0.0001 * power
        return power < self._quietest + 0.01 * (self._loudest - self._quietest)


_RISE = np.sin(np.arange(STEP) * np.pi / (2 * STEP))


def _faded(sound: Pcm, *, out: bool) -> Pcm:
    head = sound[:STEP] * (_RISE[::-1] if out else _RISE)
    faded: Pcm = np.concatenate([head.astype(np.int16), sound[STEP:]])
    return faded
