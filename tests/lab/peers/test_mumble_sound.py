"""A voice of Mumble from packet to sound on a virtual clock."""

from __future__ import annotations

import numpy as np
import pytest

from lab import speech
from lab.peers.microphone import resampled
from lab.peers.mumble_sound import RATE_HZ, STEP, STEP_MS, Coding, Encoder, Speaker, coding
from ringthrough.audio.alignment import best_lag
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm, as_float, silence
from ringthrough.audio.score import score

SPEECH_S = 4.0


def packets(settings: Coding) -> tuple[Pcm, list[bytes]]:
    said = resampled(speech.speech(speech.ALICE_SAYS, SPEECH_S), SAMPLE_RATE_HZ, RATE_HZ)
    said = said[: said.size - said.size % settings.samples]
    encoder = Encoder(settings)
    return said, [encoder.encode(part) for part in said.reshape(-1, settings.samples)]


def play(sent: list[bytes], settings: Coding, delay_ms: dict[int, float], lost: set[int]) -> tuple[Pcm, Speaker]:
    """What is heard when packet i comes `delay_ms` late (0 where none is given)."""
    speaker = Speaker()
    arrivals = sorted(
        ((i + 1) * settings.steps * STEP_MS + delay_ms.get(i, 0.0), i) for i in range(len(sent)) if i not in lost
    )
    heard = []
    for step in range(1, len(sent) * settings.steps + 60):
        while arrivals and arrivals[0][0] <= step * STEP_MS:
            _, i = arrivals.pop(0)
            speaker.arrived(1000 + i * settings.steps, sent[i])
        sound = speaker.step()
        heard.append(silence(STEP) if sound is None else sound)
    return np.concatenate(heard), speaker


def lag_ms(said: Pcm, heard: Pcm) -> float:
    return best_lag(as_float(said), as_float(heard)) * 1000 / RATE_HZ


def test_a_steady_way_costs_little_delay() -> None:
    said, sent = packets(Coding())
    heard, speaker = play(sent, Coding(), {}, set())
    assert speaker.counts.packets == len(sent)
    assert speaker.counts.played >= 2 * len(sent) - 4
    assert 20 <= lag_ms(said, heard) <= 70
    rates = RATE_HZ, SAMPLE_RATE_HZ
    assert score(resampled(said, *rates), resampled(heard, *rates)).estoi > 0.95


def test_late_packets_make_it_wait_longer() -> None:
    said, sent = packets(Coding())
    calm, _ = play(sent, Coding(), {}, set())
    late = {i: (i * 37) % 5 * 20.0 for i in range(len(sent))}
    heard, speaker = play(sent, Coding(), late, set())
    assert lag_ms(said, heard) > lag_ms(said, calm) + 20
    assert speaker.counts.concealed < len(sent) // 2


def test_a_lost_packet_is_concealed_and_a_long_gap_ends_the_voice() -> None:
    _, sent = packets(Coding())
    _, speaker = play(sent, Coding(), {}, {50})
    assert speaker.counts.restarts == 0
    assert speaker.counts.concealed >= 2
    _, speaker = play(sent, Coding(), {}, set(range(50, 70)))
    assert speaker.counts.restarts == 1


@pytest.mark.parametrize(("limit", "steps", "at_most"), [(None, 2, 40_000), (72_000, 2, 40_000), (32_000, 4, 21_800)])
def test_a_servers_limit_makes_packets_longer_and_poorer(limit: int | None, steps: int, at_most: int) -> None:
    chosen = coding(limit)
    assert chosen.steps == steps
    assert 8000 <= chosen.bitrate_bps <= at_most
    assert limit is None or chosen.bandwidth_bps <= limit


def test_the_rate_is_constant() -> None:
    settings = Coding(24_000, 4)
    assert {len(packet) for packet in packets(settings)[1]} == {24_000 * 40 // 8000}
