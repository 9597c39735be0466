"""Opus (RFC 6716) encoder and decoder for calls, on libopus.

Shapes: int16 mono arrays in and out, one packet per call, of any length that Opus has. Errors: `OpusError` for what
libopus refuses (a corrupt packet above all), `PcmShapeError` for samples of the wrong count, `OpusUnavailable` where
no libopus exists.
"""

from __future__ import annotations

import ctypes
import enum
from dataclasses import dataclass

import numpy as np

from . import libopus
from .errors import OpusError, PcmShapeError
from .libopus import OPUS_BAD_ARG, OPUS_INVALID_PACKET, check
from .pcm import SAMPLE_RATE_HZ, Pcm
from .profiles import ORDINARY, Bandwidth

PACKET_BYTES_MAX = 1275 * 6 + 7
"""No packet is longer (RFC 6716 section 3.2: 1275 bytes for each 20 ms, and their lengths)."""

PACKET_MS_MAX = 120
"""No packet carries more sound (RFC 6716 section 3.2.5)."""

SAMPLE_RATES_HZ = (8000, 12000, 16000, 24000, 48000)
PACKET_DURATIONS_MS = (5, 10, 20, 40, 60, 80, 100, 120)

_APPLICATION_VOIP = 2048
_SIGNAL_VOICE = 3001


class _Set(enum.IntEnum):
    """Encoder settings; the matching question is the number plus one."""

    BITRATE = 4002
    VBR = 4006
    BANDWIDTH = 4008
    COMPLEXITY = 4010
    INBAND_FEC = 4012
    PACKET_LOSS_PERCENT = 4014
    DTX = 4016
    VBR_CONSTRAINT = 4020
    SIGNAL = 4024


_GET_LOOKAHEAD = 4027
_RESET_STATE = 4028
_GET_LAST_PACKET_DURATION = 4039


@dataclass(frozen=True, slots=True)
class OpusProfile:
    """What the encoder is told. The defaults are a call's: wideband, variable rate, at the rate of its profile
    (docs/decisions/0001-the-bitrate-fills-the-frame.md).

    `packet_bytes_max` is a hard limit: libopus spends fewer bits on the packet that would pass it.
    """

    sample_rate_hz: int = SAMPLE_RATE_HZ
    bitrate_bps: int = ORDINARY.bitrate_bps
    complexity: int = 9
    bandwidth: Bandwidth = ORDINARY.bandwidth
    vbr: bool = True
    vbr_constrained: bool = False
    inband_fec: bool = False
    packet_loss_percent: int = 0
    dtx: bool = False
    packet_bytes_max: int = ORDINARY.packet_bytes_max


CALL_PROFILE = OpusProfile()


def _check_rate(sample_rate_hz: int) -> None:
    if sample_rate_hz not in SAMPLE_RATES_HZ:
        raise OpusError("sample rate", OPUS_BAD_ARG, f"{sample_rate_hz} Hz is none of {SAMPLE_RATES_HZ}")


class OpusEncoder:
    """One direction's encoder; keeps prediction state, so it is fed all sound, in order.

    Rate, limit and the length of the packet may change with each packet.
    """

    def __init__(self, profile: OpusProfile = CALL_PROFILE) -> None:
        """Raises `OpusError` when libopus refuses a setting, `OpusUnavailable` without libopus."""
        _check_rate(profile.sample_rate_hz)
        self.profile = profile
        self._state: int | None = None
        self._library = libopus.load()
        status = ctypes.c_int(0)
        self._state = self._library.opus_encoder_create(
            profile.sample_rate_hz, 1, _APPLICATION_VOIP, ctypes.byref(status)
        )
        check("create encoder", status.value)
        self._sample_counts = {profile.sample_rate_hz * ms // 1000 for ms in PACKET_DURATIONS_MS}
        self._configure(profile)
        self.set_packet_bytes_max(profile.packet_bytes_max)

    def _configure(self, profile: OpusProfile) -> None:
        self._set(_Set.SIGNAL, _SIGNAL_VOICE)
        self._set(_Set.BITRATE, profile.bitrate_bps)
        self._set(_Set.BANDWIDTH, profile.bandwidth)
        self._set(_Set.VBR, int(profile.vbr))
        self._set(_Set.VBR_CONSTRAINT, int(profile.vbr_constrained))
        self._set(_Set.COMPLEXITY, profile.complexity)
        self._set(_Set.INBAND_FEC, int(profile.inband_fec))
        self._set(_Set.PACKET_LOSS_PERCENT, profile.packet_loss_percent)
        self._set(_Set.DTX, int(profile.dtx))

    def _set(self, request: _Set, value: int) -> None:
        code = self._library.opus_encoder_ctl(self._state, int(request), ctypes.c_int32(value))
        check(f"set {request.name.lower()} to {value}", code)

    def _get(self, request: int) -> int:
        value = ctypes.c_int32(0)
        check(f"get {request}", self._library.opus_encoder_ctl(self._state, request, ctypes.byref(value)))
        return value.value

    def set_bitrate_bps(self, bitrate_bps: int) -> None:
        """Change the target rate from the next packet on. Raises `OpusError` for a rate libopus refuses."""
        self._set(_Set.BITRATE, bitrate_bps)

    def set_bandwidth(self, bandwidth: Bandwidth) -> None:
        """Change the audio bandwidth; libopus waits for a moment of silence to change over. Raises `OpusError`."""
        self._set(_Set.BANDWIDTH, bandwidth)

    def set_packet_bytes_max(self, packet_bytes_max: int) -> None:
        """Change the longest packet, from the next on. Raises `OpusError`."""
        if not 2 <= packet_bytes_max <= PACKET_BYTES_MAX:
            raise OpusError("packet limit", OPUS_BAD_ARG, f"not 2 to {PACKET_BYTES_MAX} bytes")
        self._limit = packet_bytes_max
        self._buffer = ctypes.create_string_buffer(packet_bytes_max)

    def bitrate_bps(self) -> int:
        """Return the target rate libopus holds."""
        return self._get(_Set.BITRATE + 1)

    def complexity(self) -> int:
        """Return the complexity libopus holds, 0 to 10."""
        return self._get(_Set.COMPLEXITY + 1)

    def lookahead_samples(self) -> int:
        """Return the delay the codec adds, in samples at the profile's rate."""
        return self._get(_GET_LOOKAHEAD)

    def reset(self) -> None:
        """Forget the past, as if new; settings stay."""
        check("reset encoder", self._library.opus_encoder_ctl(self._state, _RESET_STATE))

    def encode(self, pcm: Pcm) -> bytes:
        """Return one packet of all of `pcm`, a length that Opus has. Raises `PcmShapeError` or `OpusError`."""
        if pcm.dtype != np.int16 or pcm.ndim != 1 or pcm.size not in self._sample_counts:
            raise PcmShapeError(f"a packet is {PACKET_DURATIONS_MS} ms of int16 samples, not {pcm.dtype} {pcm.shape}")
        samples = np.ascontiguousarray(pcm)
        pointer = samples.ctypes.data_as(ctypes.POINTER(ctypes.c_int16))
        code = self._library.opus_encode(self._state, pointer, pcm.size, self._buffer, self._limit)
        size = check("encode", code)
        return self._buffer.raw[:size]

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_encoder_destroy(self._state)
            self._state = None


class OpusDecoder:
    """One direction's decoder, with concealment of lost frames.

    A call that raises leaves the decoder usable for the next packet.
    """

    def __init__(self, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """Raises `OpusError` for a rate Opus does not have, `OpusUnavailable` without libopus."""
        _check_rate(sample_rate_hz)
        self.sample_rate_hz = sample_rate_hz
        self._state: int | None = None
        self._library = libopus.load()
        status = ctypes.c_int(0)
        self._state = self._library.opus_decoder_create(sample_rate_hz, 1, ctypes.byref(status))
        check("create decoder", status.value)
        self._samples_max = sample_rate_hz * PACKET_MS_MAX // 1000
        self._granule = sample_rate_hz // 400
        self._buffer: Pcm = np.zeros(self._samples_max, dtype=np.int16)

    def packet_samples(self, packet: bytes) -> int:
        """Return how many samples `packet` holds, from its header alone. Raises `OpusError`."""
        self._check_packet(packet)
        code = self._library.opus_packet_get_nb_samples(packet, len(packet), self.sample_rate_hz)
        return check("packet length", code)

    def decode(self, packet: bytes) -> Pcm:
        """Return the sound in `packet`, at most 120 ms. Raises `OpusError` for a corrupt packet."""
        self._check_packet(packet)
        return self._decode("decode", packet, self._samples_max, fec=False)

    def conceal(self, samples: int) -> Pcm:
        """Return an invented continuation for a lost frame.

        `samples` is a multiple of 2.5 ms and at most 120 ms. Raises `PcmShapeError`.
        """
        self._check_count(samples)
        return self._decode("conceal", None, samples, fec=False)

    def decode_fec(self, next_packet: bytes, samples: int) -> Pcm:
        """Return the lost frame before `next_packet` from the in-band copy inside it, concealed where it has none.

        `samples` is the length of the lost frame. The caller decodes `next_packet` itself afterwards.
        Raises `OpusError` or `PcmShapeError`.
        """
        self._check_count(samples)
        self._check_packet(next_packet)
        return self._decode("decode fec", next_packet, samples, fec=True)

    def last_duration_samples(self) -> int:
        """Return the length of what was decoded or concealed last."""
        value = ctypes.c_int32(0)
        code = self._library.opus_decoder_ctl(self._state, _GET_LAST_PACKET_DURATION, ctypes.byref(value))
        check("last duration", code)
        return value.value

    def reset(self) -> None:
        """Forget the past, as if new."""
        check("reset decoder", self._library.opus_decoder_ctl(self._state, _RESET_STATE))

    def _check_packet(self, packet: bytes) -> None:
        # libopus reads an empty packet as "conceal", so a hostile one must not reach it.
        if not packet:
            raise OpusError("decode", OPUS_INVALID_PACKET, "empty packet")
        if len(packet) > PACKET_BYTES_MAX:
            raise OpusError("decode", OPUS_INVALID_PACKET, f"more than {PACKET_BYTES_MAX} bytes")

    def _check_count(self, samples: int) -> None:
        if not 0 < samples <= self._samples_max or samples % self._granule:
            raise PcmShapeError(f"{samples} samples is not a multiple of 2.5 ms up to {PACKET_MS_MAX} ms")

    def _decode(self, operation: str, packet: bytes | None, samples: int, *, fec: bool) -> Pcm:
        pointer = self._buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_int16))
        size = 0 if packet is None else len(packet)
        code = self._library.opus_decode(self._state, packet, size, pointer, samples, int(fec))
        return self._buffer[: check(operation, code)].copy()

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_decoder_destroy(self._state)
            self._state = None
