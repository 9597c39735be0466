"""The length of a packet, from its first bytes: as libopus reads it."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.audio.errors import MalformedPayload, OpusError
from ringthrough.audio.opus import OpusDecoder, OpusEncoder
from ringthrough.audio.toc import PACKET_SLOTS_MAX, joined, packet_slots


def libopus_slots(packet: bytes) -> float | None:
    """Slots by libopus, None where it refuses."""
    try:
        return OpusDecoder(48_000).packet_samples(packet) / 960
    except OpusError:
        return None


@pytest.mark.parametrize("first", range(256))
@pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 48, 63])
def test_every_first_byte_is_read_as_libopus_reads_it(first: int, count: int) -> None:
    packet = bytes((first, count, 0, 0))
    try:
        slots = packet_slots(packet)
    except MalformedPayload:
        told = libopus_slots(packet)
        assert told is None or not 1 <= told <= PACKET_SLOTS_MAX or told != int(told)
    else:
        assert slots == libopus_slots(packet)


@settings(max_examples=300, deadline=None)
@given(packet=st.binary(max_size=10))
def test_any_bytes_have_a_length_or_are_malformed(packet: bytes) -> None:
    with contextlib.suppress(MalformedPayload):
        assert 1 <= packet_slots(packet) <= PACKET_SLOTS_MAX


def test_two_packets_joined_are_heard_as_the_two() -> None:
    sound = np.rint(np.sin(np.arange(4 * 960) / 9) * 8000).astype(np.int16).reshape(4, 960)
    encoder, apart, together = OpusEncoder(), OpusDecoder(), OpusDecoder()
    packets = [encoder.encode(piece) for piece in sound]
    for first, second in zip(packets[::2], packets[1::2], strict=True):
        whole = joined(first, second)
        assert whole is not None
        assert packet_slots(whole) == 6
        assert len(whole) == len(first) + len(second)
        expected = np.concatenate([apart.decode(first), apart.decode(second)])
        assert np.array_equal(together.decode(whole), expected)


@pytest.mark.parametrize(
    ("first", "second"), [(b"\x58ab", b"\x38ab"), (b"\x59ab", b"\x59ab"), (b"\x58" + bytes(252), b"\x58a")]
)
def test_packets_that_do_not_join(first: bytes, second: bytes) -> None:
    assert joined(first, second) is None


@pytest.mark.parametrize("packet", [b"", b"\x03", b"\x4b\x00", b"\x40", b"\x80"])
def test_no_packet_of_a_call(packet: bytes) -> None:
    with pytest.raises(MalformedPayload):
        packet_slots(packet)
