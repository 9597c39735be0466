"""Frames of nothing, and what is learnt from them."""

from __future__ import annotations

from ringthrough.audio.rehearsal import SENDERS_MAX, Rehearsed, rehearsal
from tests.audio import make_rehearsal_vectors as vectors


def test_the_vectors_are_what_is_computed() -> None:
    for path, text in vectors.files():
        assert path.read_text() == text, "run python -m tests.audio.make_rehearsal_vectors"


def test_the_spread_is_that_of_the_delays_whatever_the_clocks_say() -> None:
    for began_ms, skew_ms in ((0.0, 0.0), (2.0**32 - 100, 0.0), (5e9, -123_456.0)):
        rehearsed = Rehearsed()
        for n, delay_ms in enumerate((40.0, 250.0, 40.0, 90.0)):
            sent_ms = began_ms + 120 * n
            assert rehearsed.arrived(rehearsal(b"bob1", sent_ms, b""), sent_ms + skew_ms + delay_ms)
        assert rehearsed.reach_ms == 210


def test_a_crowd_of_names_is_not_remembered() -> None:
    rehearsed = Rehearsed()
    for n in range(10_000):
        for delay_ms in (0, n):
            rehearsed.arrived(rehearsal(n.to_bytes(4, "big"), 0, b""), delay_ms)
    assert rehearsed.reach_ms == SENDERS_MAX - 1
