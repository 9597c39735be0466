"""Playout: whatever the network brings, one frame of sound per pull."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.audio.jitter import URGENT_FRAMES, JitterConfig
from ringthrough.audio.opus import OpusDecoder, OpusEncoder
from ringthrough.audio.pcm import FRAME_MS, FRAME_SAMPLES, Pcm, rms, silence
from ringthrough.audio.playout import CONCEALED_FRAMES_MAX, Playout


def tone_packets(count: int, level: int = 8000, hz: float = 300.0) -> list[bytes]:
    phase = np.arange(count * FRAME_SAMPLES) * 2 * np.pi * hz / 16_000
    sound = np.rint(np.sin(phase) * level).astype(np.int16)
    encoder = OpusEncoder()
    return [encoder.encode(frame) for frame in sound.reshape(-1, FRAME_SAMPLES)]


PACKETS = tone_packets(60)


def test_clean_network_gives_exactly_the_decoded_sound() -> None:
    playout, decoder = Playout(), OpusDecoder()
    heard = []
    for seq, packet in enumerate(PACKETS):
        playout.push(seq, packet, seq * FRAME_MS + seq % 5)
        heard.append(playout.pull((seq + 1) * FRAME_MS))
    expected = [decoder.decode(packet) for packet in PACKETS]
    assert np.array_equal(np.concatenate(heard)[FRAME_SAMPLES:], np.concatenate(expected[1:]))
    assert playout.stats.silent == 0
    assert playout.stats.jitter.concealed == 0


def test_before_anything_arrives_there_is_silence() -> None:
    playout = Playout()
    assert playout.wait_ms(0.0) is None
    assert np.array_equal(playout.pull(0.0), silence(FRAME_SAMPLES))
    assert not playout.started
    assert playout.stats.silent == 1


def test_wait_gives_the_first_instant() -> None:
    playout = Playout()
    playout.push(0, PACKETS[0], 1000.0)
    assert playout.wait_ms(1000.0) == 60.0
    assert rms(playout.pull(1060.0)) > 0
    assert playout.started
    assert playout.wait_ms(1060.0) == 0.0
    assert playout.stats.jitter.delay_ms == 60.0


def test_long_loss_is_concealed_then_fades_to_nothing() -> None:
    playout = Playout()
    for seq in range(10):
        playout.push(seq, PACKETS[seq], seq * FRAME_MS)
        playout.pull((seq + 1) * FRAME_MS)
    lost = [playout.pull((11 + index) * FRAME_MS) for index in range(8)]
    assert all(rms(frame) > 0 for frame in lost[: CONCEALED_FRAMES_MAX + 1])
    fading = lost[CONCEALED_FRAMES_MAX]
    assert fading[-1] == 0
    assert rms(fading[-200:]) < rms(fading[:200]) / 2
    assert all(not np.any(frame) for frame in lost[CONCEALED_FRAMES_MAX + 1 :])
    assert playout.stats.jitter.concealed == 8


def test_sound_after_silence_starts_softly() -> None:
    playout = Playout()
    heard = []
    for seq in range(30):
        if not 10 <= seq < 20:
            playout.push(seq, PACKETS[seq], seq * FRAME_MS)
        heard.append(playout.pull((seq + 1) * FRAME_MS))
    assert not np.any(heard[19])
    assert rms(heard[20]) > 0.02
    assert heard[20][0] == 0
    assert np.abs(heard[20][:8].astype(int)).max() < 700


def test_corrupt_packet_is_concealed_and_counted() -> None:
    playout = Playout()
    sounds = []
    for seq, packet in enumerate(PACKETS):
        playout.push(seq, b"\xff\xff" if seq == 30 else packet, seq * FRAME_MS)
        sounds.append(playout.pull((seq + 1) * FRAME_MS))
    assert playout.stats.corrupt == 1
    assert rms(sounds[30]) > 0.02
    assert all(sound.shape == (FRAME_SAMPLES,) for sound in sounds)


def test_packet_of_another_duration_counts_as_corrupt() -> None:
    playout = Playout()
    playout.push(0, b"\x48\x00\x00", 0.0)  # a SILK frame of 20 ms
    assert playout.pull(60.0).shape == (FRAME_SAMPLES,)
    assert playout.stats.corrupt == 1


def test_each_loss_is_concealed_afresh() -> None:
    lost = {10, 11, 12, 20, 21, 22}
    playout = Playout()
    for seq, packet in enumerate(PACKETS[:40]):
        if seq not in lost:
            playout.push(seq, packet, seq * FRAME_MS)
        sound = playout.pull((seq + 1) * FRAME_MS)
        if seq > 0:
            assert np.any(sound), seq
    assert playout.stats.silent == 0


def surplus_playout(packets: list[bytes], heard: list[Pcm] | None = None) -> Playout:
    """The first packets come 300 ms late, the others in time: the start leaves more delay than is needed."""
    playout = Playout(JitterConfig(window_frames=32))
    heard = [] if heard is None else heard
    arrivals = [(max(seq * FRAME_MS, 300), seq) for seq in range(len(packets))]
    for now in range(0, len(packets) * FRAME_MS, FRAME_MS):
        while arrivals and arrivals[0][0] <= now:
            arrival, seq = arrivals.pop(0)
            playout.push(seq, packets[seq], arrival)
        heard.append(playout.pull(now))
        assert heard[-1].shape == (FRAME_SAMPLES,)
    return playout


def test_surplus_delay_goes_where_it_is_quiet() -> None:
    playout = surplus_playout(tone_packets(150, level=20))
    assert playout.stats.jitter.skipped >= 2
    assert playout.stats.jitter.delay_ms < 60 + 2 * FRAME_MS
    assert playout.stats.jitter.concealed == 0


def test_surplus_delay_stays_amid_speech_unless_urgent() -> None:
    playout = surplus_playout(tone_packets(150))
    needed_ms = playout.stats.jitter.target_ms
    assert needed_ms == 60
    assert needed_ms + (URGENT_FRAMES - 1) * FRAME_MS <= playout.stats.jitter.delay_ms
    assert playout.stats.jitter.delay_ms < needed_ms + URGENT_FRAMES * FRAME_MS


def test_frame_left_out_makes_no_click() -> None:
    # 308 Hz: leaving out 60 ms jumps by half a period.
    heard: list[Pcm] = []
    playout = surplus_playout(tone_packets(150, hz=308.3), heard)
    assert playout.stats.jitter.skipped >= 1
    sound = np.concatenate(heard[10:]).astype(int)
    assert np.abs(np.diff(sound)).max() < 2000


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(
        st.tuples(
            st.integers(0, 80),
            st.one_of(st.sampled_from(PACKETS), st.binary(max_size=40)),
            st.integers(0, 200),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_nothing_from_the_network_raises(events: list[tuple[int, bytes, int, bool]]) -> None:
    playout = Playout()
    now = 0.0
    for seq, packet, step_ms, pull in events:
        now += step_ms
        playout.push(seq, packet, now)
        if pull:
            sound: Pcm = playout.pull(now)
            assert sound.shape == (FRAME_SAMPLES,)
            assert sound.dtype == np.int16


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_sample_rate_of_the_device(rate: int) -> None:
    playout = Playout(sample_rate_hz=rate)
    playout.push(0, PACKETS[0], 0.0)
    assert playout.pull(60.0).size == rate * FRAME_MS // 1000
