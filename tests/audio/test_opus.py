"""Opus through libopus: the call profile, its limits, concealment, and corrupt packets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.audio import libopus
from ringthrough.audio.errors import AudioError, OpusError, OpusUnavailable, PcmShapeError
from ringthrough.audio.opus import (
    CALL_PROFILE,
    PACKET_BYTES_MAX,
    OpusDecoder,
    OpusEncoder,
    OpusProfile,
)
from ringthrough.audio.pcm import Pcm, rms
from ringthrough.audio.toc import packet_slots

FRAME_SAMPLES = 960


def tone(samples: int = FRAME_SAMPLES, hz: float = 300.0, rate: int = 16_000) -> Pcm:
    phase = np.arange(samples) * 2 * np.pi * hz / rate
    sound: Pcm = np.rint(np.sin(phase) * 8000).astype(np.int16)
    return sound


def test_version_is_told() -> None:
    assert libopus.version().startswith("libopus ")


def test_profile_reaches_libopus() -> None:
    encoder = OpusEncoder()
    assert encoder.bitrate_bps() == 16_000
    assert encoder.complexity() == CALL_PROFILE.complexity
    assert encoder.lookahead_samples() == 104
    encoder.set_bitrate_bps(9_000)
    assert encoder.bitrate_bps() == 9_000
    encoder.set_packet_bytes_max(40)
    assert all(
        len(encoder.encode(frame)) <= 40 for frame in tone(FRAME_SAMPLES * 20, hz=1700).reshape(-1, FRAME_SAMPLES)
    )


def test_packet_says_one_wideband_silk_frame_of_60_ms() -> None:
    packet = OpusEncoder().encode(tone())
    assert packet[0] >> 3 == 11  # RFC 6716 table 2: SILK, wideband, 60 ms
    assert packet[0] & 0b111 == 0  # mono, one frame
    assert OpusDecoder().packet_samples(packet) == FRAME_SAMPLES


def test_speech_keeps_to_the_rate_and_to_the_limit(speech: Pcm) -> None:
    encoder = OpusEncoder()
    frames = speech[: speech.size - speech.size % FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    sizes = [len(encoder.encode(frame)) for frame in frames]
    assert max(sizes) <= CALL_PROFILE.packet_bytes_max
    assert len(set(sizes)) > 10, "variable rate"
    assert 14_000 < np.mean(sizes) * 8 / 0.06 < 16_500


def test_hard_limit_holds_for_noise_at_any_rate() -> None:
    generator = np.random.default_rng(7)
    encoder = OpusEncoder(OpusProfile(bitrate_bps=64_000, packet_bytes_max=128))
    decoder = OpusDecoder()
    for _ in range(20):
        packet = encoder.encode(generator.integers(-32768, 32768, FRAME_SAMPLES).astype(np.int16))
        assert len(packet) <= 128
        assert decoder.decode(packet).size == FRAME_SAMPLES


def test_round_trip_keeps_the_sound() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    sound = tone(FRAME_SAMPLES * 10)
    heard = np.concatenate([decoder.decode(encoder.encode(f)) for f in sound.reshape(-1, FRAME_SAMPLES)])
    late = encoder.lookahead_samples()
    said, got = sound[4000:8000].astype(float), heard[4000 + late : 8000 + late].astype(float)
    assert np.corrcoef(said, got)[0, 1] > 0.95


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_other_rates_round_trip(rate: int) -> None:
    profile, samples = replace(CALL_PROFILE, sample_rate_hz=rate), rate // 50
    packet = OpusEncoder(profile).encode(tone(samples, rate=rate))
    assert OpusDecoder(rate).decode(packet).size == samples


def test_packets_of_every_length_from_one_encoder() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    for slots in (1, 3, 6, 2, 1, 4, 5, 3):
        packet = encoder.encode(tone(slots * 320))
        assert packet_slots(packet) == slots
        assert decoder.decode(packet).size == decoder.packet_samples(packet) == slots * 320


def test_concealment_continues_the_sound_then_decays() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    for frame in tone(FRAME_SAMPLES * 6).reshape(-1, FRAME_SAMPLES):
        last = decoder.decode(encoder.encode(frame))
    first = decoder.conceal(FRAME_SAMPLES)
    assert decoder.last_duration_samples() == FRAME_SAMPLES
    assert rms(first) > rms(last) / 4
    for _ in range(10):
        later = decoder.conceal(FRAME_SAMPLES)
    assert rms(later) < rms(first) / 2


def test_in_band_copy_restores_a_lost_frame_better_than_concealment(speech: Pcm) -> None:
    profile = OpusProfile(bitrate_bps=32_000, inband_fec=True, packet_loss_percent=30, packet_bytes_max=1275)
    frames = speech[: 320 * 300].reshape(-1, 320)
    encoder = OpusEncoder(profile)
    packets = [encoder.encode(frame) for frame in frames]

    def errors(with_copy: bool) -> float:
        perfect, lossy = OpusDecoder(), OpusDecoder()
        total = 0.0
        for index, packet in enumerate(packets[:-1]):
            wanted = perfect.decode(packet)
            if index % 4 == 3:
                got = lossy.decode_fec(packets[index + 1], 320) if with_copy else lossy.conceal(320)
                total += float(np.sum(np.square(wanted.astype(float) - got)))
            else:
                lossy.decode(packet)
        return total

    assert errors(with_copy=True) < 0.7 * errors(with_copy=False)


def test_reset_forgets() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    first = encoder.encode(tone())
    heard = decoder.decode(first)
    encoder.encode(tone(hz=900))
    encoder.reset()
    decoder.reset()
    assert encoder.encode(tone()) == first
    assert np.array_equal(decoder.decode(first), heard)


@pytest.mark.parametrize("packet", [b"", b"\xff\xff\xff", b"\x03\x00", b"\x58" * 9000])
def test_corrupt_packet_is_refused_and_the_decoder_lives(packet: bytes) -> None:
    decoder = OpusDecoder()
    with pytest.raises(OpusError) as caught:
        decoder.decode(packet)
    assert caught.value.code == libopus.OPUS_INVALID_PACKET
    assert decoder.decode(OpusEncoder().encode(tone())).size == FRAME_SAMPLES


def test_packet_longer_than_any_is_refused_although_libopus_reads_it() -> None:
    packet = OpusEncoder().encode(tone())
    # RFC 6716 section 3.2.5: one frame, padding of 31 * 254 + 126 bytes.
    padded = bytes([packet[0] | 3, 0x41]) + b"\xff" * 31 + b"\x7e" + packet[1:] + bytes(8000)
    assert len(padded) > PACKET_BYTES_MAX
    with pytest.raises(OpusError):
        OpusDecoder().decode(padded)


@settings(max_examples=300, deadline=None)
@given(packet=st.binary(max_size=PACKET_BYTES_MAX + 10))
def test_any_bytes_give_bounded_sound_or_a_typed_error(packet: bytes) -> None:
    decoder = OpusDecoder()
    try:
        sound = decoder.decode(packet)
    except OpusError:
        return
    assert 0 < sound.size <= 16_000 * 120 // 1000
    assert sound.size == decoder.packet_samples(packet)


@pytest.mark.parametrize("samples", [0, -960, 39, 961, 16_000])
def test_concealed_length_is_checked(samples: int) -> None:
    decoder = OpusDecoder()
    with pytest.raises(PcmShapeError):
        decoder.conceal(samples)
    with pytest.raises(PcmShapeError):
        decoder.decode_fec(b"\x58\x00", samples)


@pytest.mark.parametrize(
    "pcm",
    [
        np.zeros(959, dtype=np.int16),
        np.zeros(3200, dtype=np.int16),
        np.zeros(0, dtype=np.int16),
        np.zeros(FRAME_SAMPLES, dtype=np.float32),
        np.zeros((FRAME_SAMPLES, 1), dtype=np.int16),
    ],
)
def test_wrong_samples_are_refused(pcm: Pcm) -> None:
    with pytest.raises(PcmShapeError):
        OpusEncoder().encode(pcm)


@pytest.mark.parametrize(
    "profile",
    [
        OpusProfile(sample_rate_hz=44_100),
        OpusProfile(complexity=11),
        OpusProfile(bitrate_bps=-5),
        OpusProfile(packet_bytes_max=1),
        OpusProfile(packet_loss_percent=101),
    ],
)
def test_setting_that_libopus_refuses_is_a_typed_error(profile: OpusProfile) -> None:
    with pytest.raises(OpusError):
        OpusEncoder(profile)


def test_decoder_of_a_rate_opus_lacks_is_refused() -> None:
    with pytest.raises(OpusError):
        OpusDecoder(44_100)


def test_machine_without_libopus_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libopus, "candidate_paths", lambda: iter(["/nonexistent/libopus.so"]))
    libopus.load.cache_clear()
    try:
        with pytest.raises(OpusUnavailable, match="libopus0"):
            OpusDecoder()
    finally:
        libopus.load.cache_clear()


def test_error_tree_has_one_root() -> None:
    assert issubclass(OpusError, AudioError)
    assert issubclass(PcmShapeError, AudioError)
