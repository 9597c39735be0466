"""Playout: whatever the network brings, one slot of sound per pull."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.audio.coding import PacketMaker
from ringthrough.audio.jitter import JitterConfig
from ringthrough.audio.opus import OpusDecoder
from ringthrough.audio.pcm import SLOT_MS, SLOT_SAMPLES, Pcm, rms, silence
from ringthrough.audio.playout import CONCEALED_SLOTS_MAX, FADE_SLOTS, Playout
from ringthrough.audio.profiles import DIRECT, LEAN, ORDINARY, Profile
from ringthrough.audio.report import Redundancy, Report
from ringthrough.audio.toc import packet_slots


def tone(slots: int, level: int = 8000, hz: float = 300.0) -> Pcm:
    phase = np.arange(slots * SLOT_SAMPLES) * 2 * np.pi * hz / 16_000
    sound: Pcm = np.rint(np.sin(phase) * level).astype(np.int16)
    return sound


def coded(sound: Pcm, profile: Profile = ORDINARY) -> list[bytes]:
    maker = PacketMaker(profile)
    return [packet for slot in sound.reshape(-1, SLOT_SAMPLES) for packet in maker.push(slot)]


PACKETS = coded(tone(180))
SHORT = coded(tone(180), DIRECT)


def sent_ms(index: int, slots: int) -> int:
    return (index + 1) * slots * SLOT_MS


def play(playout: Playout, packets: dict[int, bytes], slots: int, count: int, delay_ms: int = 40) -> list[Pcm]:
    """Packets by their place, each in time; `count` slots pulled at that delay from the first one's arrival."""
    heard = []
    waiting = sorted(packets.items())
    for tick in range(count):
        now = sent_ms(0, slots) + delay_ms + tick * SLOT_MS
        while waiting and sent_ms(waiting[0][0], slots) <= now:
            index, packet = waiting.pop(0)
            playout.push(index * slots, packet, sent_ms(index, slots))
        heard.append(playout.pull(now))
        assert heard[-1].shape == (SLOT_SAMPLES,)
    return heard


@pytest.mark.parametrize(("profile", "slots"), [(DIRECT, 1), (ORDINARY, 3), (LEAN, 6)])
def test_clean_network_gives_exactly_the_decoded_sound(profile: Profile, slots: int) -> None:
    packets = coded(tone(180), profile)
    playout, decoder = Playout(), OpusDecoder()
    heard = play(playout, dict(enumerate(packets)), slots, 180, 10 * slots + 10)
    expected = np.concatenate([decoder.decode(packet) for packet in packets])
    assert np.array_equal(np.concatenate(heard), expected)
    assert (playout.stats.silent, playout.stats.concealed, playout.stats.lost_share) == (0, 0, 0.0)


def test_before_anything_arrives_there_is_silence() -> None:
    playout = Playout()
    assert playout.wait_ms(0.0) is None
    assert np.array_equal(playout.pull(0.0), silence(SLOT_SAMPLES))
    assert not playout.started
    assert playout.stats.silent == 1
    assert playout.report() == Report()


def test_wait_gives_the_first_instant() -> None:
    playout = Playout()
    playout.push(0, PACKETS[0], 1000.0)
    assert playout.wait_ms(1000.0) == 40.0
    assert rms(playout.pull(1040.0)) > 0
    assert playout.started
    assert playout.wait_ms(1040.0) == 0.0
    assert playout.stats.jitter.delay_ms == 40.0
    assert playout.report() == Report(target_ms=40)


def test_long_loss_is_concealed_then_fades_to_nothing() -> None:
    playout = Playout()
    heard = play(playout, dict(enumerate(PACKETS[:10])), 3, 60)
    lost = heard[30:]
    assert all(rms(slot) > 0 for slot in lost[: CONCEALED_SLOTS_MAX + 1])
    fading = np.concatenate(lost[CONCEALED_SLOTS_MAX : CONCEALED_SLOTS_MAX + FADE_SLOTS])
    assert fading[-1] == 0
    assert rms(fading[-200:]) < rms(fading[:200]) / 2
    assert np.abs(np.diff(np.concatenate(lost).astype(int))).max() < 2000
    assert all(not np.any(slot) for slot in lost[CONCEALED_SLOTS_MAX + FADE_SLOTS :])
    assert playout.stats.concealed == 30
    assert playout.stats.longest_concealed_ms == 600
    assert playout.stats.lost_share == 0.5


def test_sound_after_silence_starts_softly() -> None:
    playout = Playout()
    packets = {index: packet for index, packet in enumerate(PACKETS[:30]) if not 10 <= index < 20}
    heard = play(playout, packets, 3, 90)
    assert not np.any(heard[59])
    assert rms(heard[61]) > 0.02
    assert heard[60][0] == 0
    assert np.abs(heard[60][:8].astype(int)).max() < 700


def test_corrupt_packet_is_concealed_and_counted_in_slots() -> None:
    playout = Playout()
    corrupt = bytes([PACKETS[30][0] | 3, 0x41]) + b"\xff" * 40  # its length is right, its padding is not
    heard = play(playout, {**dict(enumerate(PACKETS)), 30: corrupt}, 3, 150)
    assert playout.stats.corrupt == 3
    assert (playout.stats.concealed, playout.stats.played) == (3, 147)
    assert all(rms(slot) > 0.02 for slot in heard[90:93])


@pytest.mark.parametrize("packet", [b"", b"\xff\xff", b"\x40\x00", b"\x03"])
def test_what_is_no_packet_of_a_call_is_refused_and_counted(packet: bytes) -> None:
    playout = Playout()
    assert not playout.push(0, packet, 0.0)
    assert playout.stats.malformed == 1
    assert playout.wait_ms(0.0) is None


def test_each_loss_is_concealed_afresh() -> None:
    lost = {10, 11, 12, 20, 21, 22}
    playout = Playout()
    packets = {index: packet for index, packet in enumerate(PACKETS[:40]) if index not in lost}
    assert all(np.any(slot) for slot in play(playout, packets, 3, 120))
    assert playout.stats.silent == 0


def test_a_lost_packet_of_20_ms_is_a_third_of_one_of_60() -> None:
    short, long = Playout(), Playout()
    play(short, {index: packet for index, packet in enumerate(SHORT) if index != 60}, 1, 150)
    play(long, {index: packet for index, packet in enumerate(PACKETS) if index != 20}, 3, 150)
    assert (short.stats.concealed, long.stats.concealed) == (1, 3)
    assert long.stats.lost_share == 3 / 150


def test_rest_of_a_late_packet_joins_without_a_click() -> None:
    for late_ms in range(5, 45, 5):
        playout = Playout(JitterConfig(quantile=0.9, quantile_dear=0.9))
        heard = []
        waiting = [(sent_ms(i, 3) + (40 + late_ms if i == 30 else 0), i) for i in range(50)]
        waiting.sort()
        for tick in range(130):
            now = 100 + tick * SLOT_MS
            while waiting and waiting[0][0] <= now:
                at, index = waiting.pop(0)
                playout.push(index * 3, PACKETS[index], at)
            heard.append(playout.pull(now))
        assert playout.stats.concealed in (1, 2)
        assert np.abs(np.diff(np.concatenate(heard).astype(int))).max() < 1500


@pytest.mark.parametrize("order", list(itertools.permutations([DIRECT, ORDINARY, LEAN])))
def test_a_change_of_the_profile_makes_no_click_and_loses_nothing(order: tuple[Profile, ...]) -> None:
    maker, playout = PacketMaker(order[0]), Playout()
    sound = tone(540, hz=308.3).reshape(-1, SLOT_SAMPLES)
    first, arrivals = 0, []
    for slot, spoken in enumerate(sound):
        if slot % 60 == 59:
            maker.set_profile(order[slot // 60 % 3])
        for packet in maker.push(spoken):
            arrivals.append((first, packet, (slot + 1) * SLOT_MS))
            first += packet_slots(packet)
    heard = []
    for tick in range(500):
        now = 6 * SLOT_MS + tick * SLOT_MS
        while arrivals and arrivals[0][2] <= now:
            begin, packet, at = arrivals.pop(0)
            playout.push(begin, packet, at)
        heard.append(playout.pull(now))
    assert np.abs(np.diff(np.concatenate(heard[12:]).astype(int))).max() < 2000
    assert playout.stats.lost_share == 0.0
    assert playout.stats.jitter.late == 0


def test_copies_fill_what_is_lost() -> None:
    playout = Playout()
    for index, packet in enumerate(SHORT):
        now = sent_ms(index, 1)
        if index % 10 != 5:
            playout.push(index, packet, now)
            playout.push(index - 1, SHORT[index - 1], now, repeated=True)
        playout.pull(now + 25)
    assert playout.stats.jitter.repaired >= 14
    assert playout.stats.lost_share < 0.03
    assert 8 <= playout.report().lost_percent <= 12
    assert playout.report().redundancy is Redundancy.D12


def surplus_playout(packets: list[bytes], heard: list[Pcm] | None = None) -> Playout:
    """The first packets come 300 ms late, the others in time: the start leaves more delay than is needed."""
    playout = Playout(JitterConfig(window_slots=96))
    heard = [] if heard is None else heard
    arrivals = [(max(sent_ms(index, 3), 360), index) for index in range(len(packets))]
    for now in range(0, len(packets) * 3 * SLOT_MS, SLOT_MS):
        while arrivals and arrivals[0][0] <= now:
            arrival, index = arrivals.pop(0)
            playout.push(index * 3, packets[index], arrival)
        heard.append(playout.pull(now))
        assert heard[-1].shape == (SLOT_SAMPLES,)
    return playout


def test_surplus_delay_goes_where_it_is_quiet() -> None:
    playout = surplus_playout(coded(tone(450, level=20)))
    assert playout.stats.jitter.skipped >= 6
    assert playout.stats.jitter.delay_ms < 40 + 2 * SLOT_MS
    assert playout.stats.concealed == 0


def test_surplus_delay_goes_in_the_pauses_of_a_noisy_room() -> None:
    # 15 dB below the speech: a street, a train.
    chance = np.random.default_rng(1)
    room = chance.normal(0, 1000, 900 * SLOT_SAMPLES)
    speaks = np.repeat(np.arange(900) % 85 < 60, SLOT_SAMPLES)
    playout = surplus_playout(coded(np.rint(room + speaks * tone(900)).astype(np.int16)))
    assert playout.stats.jitter.delay_ms < 40 + 2 * SLOT_MS


def test_surplus_delay_stays_amid_speech() -> None:
    playout = surplus_playout(coded(tone(450)))
    needed_ms = playout.stats.jitter.target_ms
    assert needed_ms == 40
    assert playout.stats.jitter.delay_ms >= needed_ms + 200


def test_slot_left_out_makes_no_click() -> None:
    # 308 Hz: leaving out 20 ms jumps within the period.
    heard: list[Pcm] = []
    playout = surplus_playout(coded(tone(450, 80, 308.3)), heard)
    assert playout.stats.jitter.skipped >= 1
    sound = np.concatenate(heard[30:]).astype(int)
    assert np.abs(np.diff(sound)).max() < 40


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(
        st.tuples(
            st.integers(0, 240),
            st.one_of(st.sampled_from(PACKETS + SHORT), st.binary(max_size=40)),
            st.booleans(),
            st.integers(0, 200),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_nothing_from_the_network_raises(events: list[tuple[int, bytes, bool, int, bool]]) -> None:
    playout = Playout()
    now = 0.0
    for slot, packet, repeated, step_ms, pull in events:
        now += step_ms
        playout.push(slot, packet, now, repeated=repeated)
        playout.report()
        if pull:
            sound: Pcm = playout.pull(now)
            assert sound.shape == (SLOT_SAMPLES,)
            assert sound.dtype == np.int16


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_sample_rate_of_the_device(rate: int) -> None:
    playout = Playout(sample_rate_hz=rate)
    playout.push(0, PACKETS[0], 0.0)
    assert playout.pull(60.0).size == rate * SLOT_MS // 1000
