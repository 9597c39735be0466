import numpy as np
import pytest

from bench.call_markers import CHIRP_EVERY_S, delays_ms, find_chirps, marked_sound
from ringthrough.audio.opus import OpusDecoder, OpusEncoder
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, SLOT_SAMPLES, silence


def test_chirps_are_found_where_they_were_put() -> None:
    sound, starts_s = marked_sound(6.0)
    assert len(starts_s) >= 4
    assert [p / SAMPLE_RATE_HZ for p in find_chirps(sound)] == starts_s


def test_chirps_are_found_after_the_codec_and_through_noise() -> None:
    sound, starts_s = marked_sound(6.0)
    encoder, decoder = OpusEncoder(), OpusDecoder()
    noise = np.random.default_rng(1).normal(0, 100, sound.size).astype(np.int16)
    noisy = sound + noise
    frames = [noisy[i : i + SLOT_SAMPLES] for i in range(0, noisy.size, SLOT_SAMPLES)]
    heard = np.concatenate([decoder.decode(encoder.encode(frame)) for frame in frames])
    found_s = [p / SAMPLE_RATE_HZ for p in find_chirps(heard)]
    assert len(found_s) == len(starts_s)
    for said, found in zip(starts_s, found_s, strict=True):
        assert 0.0 <= found - said < 0.02


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert find_chirps(silence(SAMPLE_RATE_HZ)) == []
    assert find_chirps(silence(10)) == []
    noise = np.random.default_rng(2).normal(0, 1000, SAMPLE_RATE_HZ * 3).astype(np.int16)
    assert find_chirps(noise) == []


def test_a_delay_is_counted_from_the_last_chirp_said_before() -> None:
    said_s = [10.0, 10.0 + CHIRP_EVERY_S, 10.0 + 2 * CHIRP_EVERY_S]
    assert delays_ms(said_s, [10.13, 10.0 + 2 * CHIRP_EVERY_S + 0.2]) == pytest.approx([130, 200])
    assert delays_ms(said_s, [9.0, 99.0]) == []
