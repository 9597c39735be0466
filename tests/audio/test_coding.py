"""From slots to packets: at the profile in force, changed where a packet ends."""

from __future__ import annotations

import numpy as np
import pytest

from ringthrough.audio.coding import PacketMaker
from ringthrough.audio.errors import PcmShapeError
from ringthrough.audio.pcm import SLOT_SAMPLES, Pcm
from ringthrough.audio.profiles import DIRECT, LEAN, LOSSY, ORDINARY, PROFILES, Profile
from ringthrough.audio.toc import packet_slots

CONFIGS = {DIRECT: 9, LOSSY: 9, ORDINARY: 11, LEAN: 7}
"""RFC 6716 section 3.1: SILK, 20 or 60 ms, wide band, the lean one medium."""


def slots(speech: Pcm, seconds: float) -> list[Pcm]:
    count = int(seconds * 50)
    return list(speech[: count * SLOT_SAMPLES].reshape(count, SLOT_SAMPLES))


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_packets_keep_to_their_profile(speech: Pcm, profile: Profile) -> None:
    maker = PacketMaker(profile)
    packets = [packet for slot in slots(speech, 24) for packet in maker.push(slot)]
    assert len(packets) == 1200 // profile.slots
    assert {packet_slots(packet) for packet in packets} == {profile.slots}
    assert max(map(len, packets)) <= profile.packet_bytes_max
    assert {packet[0] >> 3 for packet in packets} == {CONFIGS[profile]}
    rate_bps = np.mean([len(packet) for packet in packets]) * 8 / (profile.slots * 0.02)
    assert 0.8 * profile.bitrate_bps < rate_bps < 1.05 * profile.bitrate_bps


def test_a_change_waits_for_the_end_of_the_packet(speech: Pcm) -> None:
    maker = PacketMaker(LEAN)
    lengths = []
    for index, slot in enumerate(slots(speech, 1)):
        if index == 9:
            maker.set_profile(LOSSY)
            assert maker.profile == LEAN
            maker.set_profile(DIRECT)
        if index == 12:
            assert maker.profile == DIRECT
            maker.set_profile(ORDINARY)
            assert maker.profile == ORDINARY
        lengths.append(sum(packet_slots(packet) for packet in maker.push(slot)))
    assert lengths[:18] == [0] * 5 + [6] + [0] * 5 + [6] + [0, 0, 3, 0, 0, 3]


def test_the_band_changes_with_the_profile(speech: Pcm) -> None:
    maker, configs = PacketMaker(ORDINARY), []
    for index, slot in enumerate(slots(speech, 18)):
        maker.set_profile(LEAN if 300 <= index < 600 else ORDINARY)
        configs += [packet[0] >> 3 for packet in maker.push(slot)]
    medium = [index for index, config in enumerate(configs) if config == CONFIGS[LEAN]]
    assert medium
    assert medium == list(range(medium[0], medium[-1] + 1))
    assert configs[-1] == CONFIGS[ORDINARY]


def test_two_frames_of_different_kinds_are_two_packets(speech: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = PacketMaker(LEAN)
    encode = maker._encoder.encode
    kinds = iter([0x38, 0x58, 0x58, 0x58])
    monkeypatch.setattr(maker._encoder, "encode", lambda sound: bytes([next(kinds)]) + encode(sound)[1:])
    made = [maker.push(slot) for slot in slots(speech, 0.24)]
    assert [[packet_slots(packet) for packet in packets] for packets in made] == [[]] * 5 + [[3, 3]] + [[]] * 5 + [
        [6]
    ]


def test_wrong_samples_are_refused() -> None:
    with pytest.raises(PcmShapeError):
        PacketMaker(DIRECT).push(np.zeros(SLOT_SAMPLES - 1, dtype=np.int16))
